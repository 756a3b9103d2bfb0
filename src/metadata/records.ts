import type { NodeId, TopicId } from "../model/ids.ts";
import type { LeaderEpoch } from "../model/offsets.ts";

/** The levels of a feature that a broker can work with, both inclusive. */
export interface FeatureRange {
  readonly min: number;
  readonly max: number;
}

/** A listener of a broker, and where clients of that listener reach it. */
export interface ClientListener {
  /** Upper case, as in the broker's `listeners`. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

/** A broker (re)joined. It starts fenced and not shutting down, whatever it was before (KIP-631). */
export interface BrokerRegistrationRecord {
  readonly type: "BrokerRegistration";
  readonly nodeId: NodeId;
  /** Differs at each start of the process. A uuid of 22 characters. */
  readonly incarnationId: string;
  /** Belongs to the data directory, so an emptied disk shows as another broker. A uuid of 22 characters. */
  readonly directoryId: string;
  /** Metadata offset of the entry that holds this record: a later registration always has a larger one (H26). */
  readonly brokerEpoch: number;
  /** False: its last run did not end with a clean shutdown, so records that it had confirmed may be gone (H27). */
  readonly clean: boolean;
  /** Where clients reach it, unless they came in on a listener that has an address of its own. */
  readonly host: string;
  readonly port: number;
  /** All listeners for clients when there are several, in the order of its configuration; empty: there is one. */
  readonly listeners: readonly ClientListener[];
  /** "host:port" where other brokers reach it; empty: a broker that stands alone. */
  readonly peerEndpoint: string;
  /** Its place (a rack, a zone); replicas are spread over them. */
  readonly rack: string | null;
  /** The machine it runs on, when several brokers share one (D10). */
  readonly brokerHost: string | null;
  /** By name of the feature. */
  readonly features: ReadonlyMap<string, FeatureRange>;
}

/** A registered broker was fenced, unfenced, began to shut down, filled its disk, was drained, or took any of it back. */
export interface BrokerChangeRecord {
  readonly type: "BrokerChange";
  readonly nodeId: NodeId;
  /** Of the registration that it is about. */
  readonly brokerEpoch: number;
  readonly isFenced: boolean;
  /** Also while its disk is full: then it is taken back when there is room, or by another registration. */
  readonly isShuttingDown: boolean;
  /** It gets no new replicas and leads nothing that others can lead, until somebody takes that back. */
  readonly isDrained: boolean;
}

/** The broker will not come back as it was; another data directory may take its node id. */
export interface UnregisterBrokerRecord {
  readonly type: "UnregisterBroker";
  readonly nodeId: NodeId;
}

export interface TopicRecord {
  readonly type: "Topic";
  readonly name: string;
  readonly topicId: TopicId;
}

/** The whole state of a partition; a later record replaces an earlier one. */
export interface PartitionRecord {
  readonly type: "Partition";
  readonly topicId: TopicId;
  readonly partition: number;
  /** The preferred leader first. While the partition moves: where it goes to, then those that it leaves (H23). */
  readonly replicas: readonly NodeId[];
  /** Those of the replicas that it moves to and was not on before. */
  readonly addingReplicas: readonly NodeId[];
  /** Those of the replicas that it leaves once all others are in sync. */
  readonly removingReplicas: readonly NodeId[];
  /** Empty only when there is no leader. */
  readonly isr: readonly NodeId[];
  /** Not in the ISR, and known to hold everything committed: they left when the ISR fell below its minimum (KIP-966). */
  readonly elr: readonly NodeId[];
  /** Were in the ISR or ELR and came back from an unclean shutdown: first choice of an unclean election (KIP-966). */
  readonly lastKnownElr: readonly NodeId[];
  /** `NO_NODE`: nobody may lead it now. */
  readonly leader: NodeId;
  /** Grows with every change of the leader. */
  readonly leaderEpoch: LeaderEpoch;
  /** Grows with every change of the partition. */
  readonly partitionEpoch: number;
}

/** One configuration key of a topic; `value` null goes back to the broker's default. */
export interface TopicConfigRecord {
  readonly type: "TopicConfig";
  readonly topicId: TopicId;
  readonly key: string;
  readonly value: string | null;
}

/** The topic is gone. This and a `Partition` record without a broker that had it are all that lets data be deleted (H28). */
export interface RemoveTopicRecord {
  readonly type: "RemoveTopic";
  readonly topicId: TopicId;
}

/** Producer ids below `nextProducerId` may be in use from now on. */
export interface ProducerIdsRecord {
  readonly type: "ProducerIds";
  readonly nextProducerId: number;
}

/** The whole cluster works with this level of a feature from now on. */
export interface FeatureLevelRecord {
  readonly type: "FeatureLevel";
  readonly name: string;
  readonly level: number;
}

/** One change of the cluster's metadata. Times and random ids were chosen before; replay only copies them (H19). */
export type MetadataRecord =
  | BrokerRegistrationRecord
  | BrokerChangeRecord
  | UnregisterBrokerRecord
  | TopicRecord
  | PartitionRecord
  | TopicConfigRecord
  | RemoveTopicRecord
  | ProducerIdsRecord
  | FeatureLevelRecord;
