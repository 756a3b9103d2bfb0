import type { ItemOutcome } from "../controller/result.ts";

/** The cluster as one broker knows it: what it has applied of the metadata log. */
export interface ClusterDescription {
  readonly clusterId: string;
  /** The active controller, as far as this broker has heard; -1: none. */
  readonly controllerId: number;
  /** Raft term of the controller this broker knows, or of the last one; 0 before the first election. */
  readonly controllerEpoch: number;
  /** The registered brokers, sorted by node id. */
  readonly brokers: readonly BrokerDescription[];
  /** The features this software knows or the cluster has, sorted by name. */
  readonly features: readonly FeatureDescription[];
  readonly answeredBy: MetadataPosition;
}

/** One registered broker. */
export interface BrokerDescription {
  readonly nodeId: number;
  /** Where clients reach it. */
  readonly host: string;
  readonly port: number;
  /** "" when it has none. */
  readonly rack: string;
  /** `broker.host`, the machine it says it runs on; "" when it says nothing. */
  readonly brokerHost: string;
  /** "host:port" for other brokers; "" for a broker alone. */
  readonly peerEndpoint: string;
  /** Of its data directory (not of the quorum's store). */
  readonly directoryId: string;
  /** Random for each start of the process. */
  readonly incarnationId: string;
  /** Metadata offset of its registration. */
  readonly brokerEpoch: number;
  /** It leads nothing and is in no ISR: not heard of, or not caught up yet. */
  readonly isFenced: boolean;
  /** Its leaderships are being moved away. */
  readonly isShuttingDown: boolean;
  /** It gets no new replicas and leads nothing that others can lead. */
  readonly isDrained: boolean;
}

/** A feature, its finalized level and what the answering broker's software supports. */
export interface FeatureDescription {
  readonly name: string;
  /** Finalized for the cluster; 0: not in use. */
  readonly level: number;
  /** Inclusive. */
  readonly min: number;
  /** Inclusive. */
  readonly max: number;
}

/** Who gave an answer, and from which state of the metadata. */
export interface MetadataPosition {
  readonly nodeId: number;
  /** Offset of the last entry that is applied; -1: none. */
  readonly metadataOffset: number;
  /** `stateHash` at that offset: equal on every broker, or one of them is wrong. */
  readonly stateHash: number;
}

/** The Raft group of the metadata. */
export interface QuorumDescription {
  /** -1: none known. */
  readonly leaderId: number;
  readonly epoch: number;
  /** Of the leader when it was reached, else of this broker; -1: nothing is committed. */
  readonly commitOffset: number;
  /**
   * Voters first, then observers, each sorted by node id. Only the leader knows how far others are: without it they are
   * listed with -1, inactive, not caught up.
   */
  readonly replicas: readonly ReplicaDescription[];
  readonly answeredBy: QuorumPosition;
}

/** One replica of the metadata log. */
export interface ReplicaDescription {
  readonly nodeId: number;
  /** Of the quorum's store there; "" when nobody has said. */
  readonly directoryId: string;
  /** "host:port" of its peer listener; "" for a broker alone. */
  readonly endpoint: string;
  /** It counts for majorities; else it is an observer. */
  readonly isVoter: boolean;
  /** Next offset it would get (exclusive), as far as the leader knows it durable there; -1: unknown. */
  readonly logEndOffset: number;
  /** The leader heard from it within the last election timeout. */
  readonly isActive: boolean;
  /** Close enough behind the leader to be made a voter. */
  readonly isCaughtUp: boolean;
}

/** "observer": it has the log and no vote. "candidate" includes the round that only asks whether a vote would be given. */
export type QuorumMemberRole = "leader" | "candidate" | "follower" | "observer";

/** The answering broker's own replica. */
export interface QuorumPosition {
  readonly nodeId: number;
  readonly role: QuorumMemberRole;
  readonly epoch: number;
  /** Exclusive, like all ends; entries from `durableOffset` on are not on its disk yet. */
  readonly logEndOffset: number;
  /** Exclusive. */
  readonly durableOffset: number;
  /** Offset of the last entry that is applied; -1: none. */
  readonly appliedOffset: number;
  /** Last offset that its newest snapshot stands for; -1: it has none. */
  readonly snapshotOffset: number;
  /** At `appliedOffset`. */
  readonly stateHash: number;
}

export interface AddVoterCall {
  readonly nodeId: number;
}

export interface RemoveVoterCall {
  readonly nodeId: number;
  /** Which of its stores, when a wiped disk left an old one behind; undefined: the voter with this node id. */
  readonly directoryId?: string;
}

export interface UnregisterBrokerCall {
  readonly nodeId: number;
}

/** Gives leadership back to the first replica of each partition, where that one can lead. */
export interface ElectLeadersCall {
  /** Undefined: all topics. */
  readonly topics?: readonly string[];
}

/** One partition that was looked at; "ELECTION_NOT_NEEDED" where the preferred replica leads already. */
export interface LeaderElection extends ItemOutcome {
  readonly topic: string;
  /** -1: the topic as a whole could not be found. */
  readonly partition: number;
  /** Who leads it now; -1: nobody. */
  readonly leaderId: number;
}

/** A partition by name. */
export interface PartitionName {
  readonly topic: string;
  readonly partition: number;
}

export interface ReassignCall {
  /** Where each shall be, the preferred leader first. */
  readonly partitions: readonly (PartitionName & { readonly replicas: readonly number[] })[];
  /** Check everything, change nothing. */
  readonly validateOnly: boolean;
}

export interface CancelReassignmentsCall {
  /** Undefined: all that are under way. */
  readonly partitions?: readonly PartitionName[];
}

/** What became of one partition of a call. */
export interface ReassignmentOutcome extends ItemOutcome, PartitionName {}

/** A partition on its way. */
export interface ReassignmentDescription extends PartitionName {
  /** Where it goes to, the preferred leader first. */
  readonly target: readonly number[];
  /** Those of the target that were no replicas before. */
  readonly addingReplicas: readonly number[];
  /** They go once all of the target are in the ISR. */
  readonly removingReplicas: readonly number[];
  readonly isr: readonly number[];
}

export interface DrainCall {
  readonly nodeId: number;
  /** False: give it back to use. */
  readonly isDrained: boolean;
}

export interface DrainOutcome {
  readonly movedLeaders: number;
  /** What it leads now; of a drained broker what nobody else can lead. */
  readonly ledPartitions: number;
}

export interface UpdateFeatureCall {
  readonly name: string;
  readonly level: number;
  /** Check everything, change nothing. */
  readonly isDryRun: boolean;
}

/**
 * What a broker can tell and change of its cluster. Changes go to the controller, wherever it is, and resolve when their
 * effect is applied here. @throws LograftError NO_QUORUM when no controller was reached in time, CLOSED, the reason of
 * `signal`; ProtocolError NOT_CONTROLLER and those named below.
 */
export interface ClusterOperations {
  /** From memory, with the addresses of that listener, the one that the client came in on; default: the first of each. */
  describeCluster(listener?: string): ClusterDescription;
  /** The leader's view when it is reachable, else this broker's own. */
  describeQuorum(signal: AbortSignal): Promise<QuorumDescription>;
  /** @throws ProtocolError DUPLICATE_VOTER, INVALID_VOTER_KEY (no caught-up observer), REASSIGNMENT_IN_PROGRESS. */
  addVoter(call: AddVoterCall, signal: AbortSignal): Promise<void>;
  /** @throws ProtocolError VOTER_NOT_FOUND, INVALID_VOTER_KEY (the last one). */
  removeVoter(call: RemoveVoterCall, signal: AbortSignal): Promise<void>;
  /** @throws ProtocolError BROKER_ID_NOT_REGISTERED, INVALID_REQUEST (it lives, or still holds replicas). */
  unregisterBroker(call: UnregisterBrokerCall, signal: AbortSignal): Promise<void>;
  /** One result for each partition that was looked at, by topic and number. */
  electLeaders(call: ElectLeadersCall, signal: AbortSignal): Promise<readonly LeaderElection[]>;
  /** One result for each partition, in their order; those without an error are on their way, or there. */
  reassignPartitions(call: ReassignCall, signal: AbortSignal): Promise<readonly ReassignmentOutcome[]>;
  /** One result for each partition, in their order. */
  cancelReassignments(
    call: CancelReassignmentsCall,
    signal: AbortSignal,
  ): Promise<readonly ReassignmentOutcome[]>;
  /** From memory, by topic and partition. */
  listReassignments(): readonly ReassignmentDescription[];
  /** @throws ProtocolError BROKER_ID_NOT_REGISTERED. */
  drainBroker(call: DrainCall, signal: AbortSignal): Promise<DrainOutcome>;
  /** Answers the feature as it is now, or would be. @throws ProtocolError FEATURE_UPDATE_FAILED, INVALID_UPDATE_VERSION. */
  updateFeature(call: UpdateFeatureCall, signal: AbortSignal): Promise<FeatureDescription>;
}
