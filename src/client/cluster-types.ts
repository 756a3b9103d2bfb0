import type { ProtocolError } from "../model/error-code.ts";
import type { TopicPartitionRef } from "./consumer-types.ts";

/** A registered broker. */
export interface ClusterBroker {
  readonly nodeId: number;
  /** Where clients reach it. */
  readonly host: string;
  readonly port: number;
  /** "" when it has none. */
  readonly rack: string;
  /** The machine it runs on; "" when it does not say. */
  readonly brokerHost: string;
  /** "host:port" for other brokers; "" for a broker alone. */
  readonly peerEndpoint: string;
  readonly directoryId: string;
  /** Another one after each start of its process. */
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

/** A feature level of the cluster, and the levels that the answering broker supports. */
export interface FeatureLevel {
  readonly name: string;
  /** Finalized; 0: not in use. */
  readonly level: number;
  /** Inclusive. */
  readonly min: number;
  /** Inclusive. */
  readonly max: number;
}

/** The cluster as one broker knows it. */
export interface ClusterDetails {
  readonly clusterId: string;
  /** The active controller; -1: none that this broker has heard of. */
  readonly controllerId: number;
  /** 0 before the first election. */
  readonly controllerEpoch: number;
  /** By node id. */
  readonly brokers: readonly ClusterBroker[];
  /** By name. */
  readonly features: readonly FeatureLevel[];
  /** Who answered, and from which state: two brokers at one offset have one hash, or one of them is wrong. */
  readonly answeredBy: {
    readonly nodeId: number;
    /** Last applied entry of the metadata log; -1: none. */
    readonly metadataOffset: number;
    /** 53 bits. */
    readonly stateHash: number;
  };
}

/** What a broker says of itself: its process, its machine, its clock. Sizes in bytes. */
export interface NodeDetails {
  readonly nodeId: number;
  /** Of lograft. */
  readonly version: string;
  /** Of Node.js, such as "v24.1.0". */
  readonly nodeVersion: string;
  /** As it answered, in ms since 1970. */
  readonly wallClockMs: number;
  /** When its process began, by that clock. */
  readonly startedMs: number;
  readonly processId: number;
  /** Undefined: its system has no such thing. */
  readonly userId: number | undefined;
  readonly hostName: string;
  readonly dataDirectory: string;
  /** Undefined: it cannot tell. */
  readonly diskFreeBytes: number | undefined;
  readonly residentBytes: number;
  readonly heapUsedBytes: number;
  /** To which V8 lets the heap grow. */
  readonly heapLimitBytes: number;
  /** What the process may use: the limit of its container, else all that the machine has. */
  readonly memoryBytes: number;
  /** Undefined: its system does not tell. */
  readonly openFiles: number | undefined;
  /** Undefined: its system does not tell, or sets none. */
  readonly openFilesLimit: number | undefined;
  /** As configured; 0: any free one; undefined: it has none. */
  readonly httpPort: number | undefined;
  /** The name of the listener that the question came in on. */
  readonly listener: string;
  /** What clients are told of this broker, by listener. */
  readonly listeners: readonly { readonly name: string; readonly host: string; readonly port: number }[];
}

/** A replica of the metadata log. */
export interface QuorumReplica {
  readonly nodeId: number;
  /** Of its quorum store; "" when it is not known. */
  readonly directoryId: string;
  /** "host:port" of its peer listener; "" for a broker alone. */
  readonly endpoint: string;
  /** False: an observer, which has the log and no vote. */
  readonly isVoter: boolean;
  /** Exclusive; -1: nobody knows, since there is no leader. */
  readonly logEndOffset: number;
  /** The leader heard from it within the last election timeout. */
  readonly isActive: boolean;
  /** Close enough behind the leader to be made a voter. */
  readonly isCaughtUp: boolean;
}

/** The Raft group of the metadata. */
export interface QuorumDetails {
  /** -1: none is known. */
  readonly leaderId: number;
  readonly epoch: number;
  /** Last committed offset; -1: nothing is committed. */
  readonly commitOffset: number;
  /** Voters first, then observers, each by node id. */
  readonly replicas: readonly QuorumReplica[];
  /** The replica of the broker that answered. */
  readonly answeredBy: {
    readonly nodeId: number;
    /** "leader", "candidate", "follower" or "observer". */
    readonly role: string;
    readonly epoch: number;
    /** Exclusive. */
    readonly logEndOffset: number;
    /** Exclusive. */
    readonly durableOffset: number;
    /** Last applied entry; -1: none. */
    readonly appliedOffset: number;
    /** Last entry in its newest snapshot; -1: it has none. */
    readonly snapshotOffset: number;
    readonly stateHash: number;
  };
}

/** Who has and who leads a partition. */
export interface PartitionState extends TopicPartitionRef {
  /** -1: nobody. */
  readonly leaderId: number;
  readonly leaderEpoch: number;
  /** The first one is the preferred leader. */
  readonly replicas: readonly number[];
  readonly isr: readonly number[];
}

/** Where a partition shall be. */
export interface WantedReplicas extends TopicPartitionRef {
  /** The preferred leader first. */
  readonly replicas: readonly number[];
}

/** What became of one partition that was to move, or to stay. */
export interface ReassignedPartition extends TopicPartitionRef {
  readonly error: ProtocolError | undefined;
}

/** A partition on its way to other brokers. */
export interface PartitionReassignment extends TopicPartitionRef {
  /** Where it goes to, the preferred leader first. */
  readonly target: readonly number[];
  /** Those of the target that were no replicas before. */
  readonly addingReplicas: readonly number[];
  /** They go once all of the target are in sync. */
  readonly removingReplicas: readonly number[];
  readonly isr: readonly number[];
}

/** How far a new replica of a partition on its way has come. */
export interface ReplicaCopy extends TopicPartitionRef {
  readonly nodeId: number;
  /** Of its log now. */
  readonly sizeBytes: number;
  /** Of the log that it copies. */
  readonly leaderSizeBytes: number;
}

/** What a broker writes into its log of one of its components. */
export interface ComponentLogLevel {
  readonly component: string;
  /** "debug", "info", "warn" or "error". */
  readonly level: string;
  /** As its configuration says, and as it is again after a restart. */
  readonly configured: string;
}

/** A level for a component of a broker's log. */
export interface LogLevelChange {
  /** Such as "raft"; "all" for every component. */
  readonly component: string;
  readonly level: "debug" | "info" | "warn" | "error" | "default";
}

/** The levels of one broker's log. */
export interface BrokerLogLevels {
  readonly nodeId: number;
  readonly levels: readonly ComponentLogLevel[];
}

/** Leaderships after a broker was drained or given back to use. */
export interface DrainedBroker {
  /** Went to others. */
  readonly movedLeaders: number;
  /** What it leads now; of a drained broker what nobody else can lead. */
  readonly ledPartitions: number;
}

/** What became of one partition whose leader was to be elected. */
export interface ElectedLeader extends TopicPartitionRef {
  /** Who leads it now; -1: nobody. */
  readonly leaderId: number;
  /** False also when its preferred replica led it before. */
  readonly isChanged: boolean;
  readonly error: ProtocolError | undefined;
}
