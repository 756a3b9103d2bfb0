import type { BackoffOptions } from "../base/backoff.ts";
import type { LograftError } from "../base/errors.ts";
import type { ClientAssignor } from "./assignors/assignor.ts";
import type { ConsumedBatch, ConsumedRecord } from "./consumed-batch.ts";
import type { ReadFrom } from "./read-source.ts";

/** A partition of a topic. */
export interface TopicPartitionRef {
  readonly topic: string;
  readonly partition: number;
}

/** A moment, such as a `Date`. */
export interface PointInTime {
  /** Milliseconds since 1970. */
  getTime(): number;
}

/** Where to read from: the first or the next record, an offset, or the first record not older than a time. */
export type StartPosition =
  | "beginning"
  | "end"
  | number
  | PointInTime
  | { readonly offset: number }
  | { readonly timestamp: number };

/** What to read; without a partition, all of the topic. */
export interface AssignmentSpec {
  readonly topic: string;
  readonly partition?: number;
  /** Default "beginning". */
  readonly from?: StartPosition;
}

export interface ConsumerOptions {
  /** Partitions and topics to read, with their own start positions. Not with `groupId`. */
  readonly assign?: readonly AssignmentSpec[];
  /**
   * Topics to read whole: from `from` on; or, with `groupId`, shared with the other members. A group also takes one
   * pattern (without flags), which the brokers match against whole topic names: `/orders-[a-z]+/` takes "orders-eu" and
   * not "old-orders-eu", and `/orders/` takes that one topic. Topics that come later are read from then on.
   */
  readonly topics?: readonly (string | RegExp)[];
  /** Start of `topics`. Default "beginning". Not with `groupId`: a group goes on where it was. */
  readonly from?: StartPosition;
  /** Shares the topics with the other members of this group, and goes on where the group was. */
  readonly groupId?: string;
  /**
   * A name that this member keeps over restarts (KIP-345): it gets its partitions back when it is there again within the
   * session timeout. Two living members of one name are refused.
   */
  readonly instanceId?: string;
  /** Who shares out: the coordinator ("consumer", default, KIP-848), or a member by one of `assignors` ("classic"). */
  readonly groupProtocol?: "consumer" | "classic";
  /** Of a "consumer" group: how the coordinator shares out. Default: as the group does. */
  readonly serverAssignor?: "uniform" | "range";
  /** Of a "classic" group, by preference. Default range, then cooperative sticky. */
  readonly assignors?: readonly ClientAssignor[];
  /** Of a "classic" group: silence after which a member is taken for dead. Default 45 s. */
  readonly sessionTimeoutMs?: number;
  /** So long the others wait when partitions of this member are to move: what a handler takes at most. Default 300 s. */
  readonly rebalanceTimeoutMs?: number;
  /**
   * When a group's positions are committed: as records are processed (default), every so often, or only by `commit` of
   * records and batches and `commitOffsets`. What was processed is also committed before a partition is given up.
   */
  readonly commit?: CommitPace;
  /** Bytes of records that may be here, or on the way, and not yet taken by the application. Default 32 MiB. */
  readonly maxPrefetchBytes?: number;
  /** Largest message of the fetch stream. Default 1 MiB. */
  readonly maxMessageBytes?: number;
  /** Let the broker wait for so many bytes of a partition, but at most `maxWaitMs`. Default 0: at once. */
  readonly minBytes?: number;
  /** Default 500. */
  readonly maxWaitMs?: number;
  /**
   * "leader" (default), or "closest": from an in-sync replica in the client's `rack`, the leader first if it is there, and
   * from the leader where there is none (KIP-392). A follower knows of new records a moment later than the leader. When one
   * fails, its partitions are read from their leaders for 30 s, or until the metadata show a change; only a leader's word
   * resets a position.
   */
  readonly readFrom?: ReadFrom;
  /** Default "read_uncommitted". */
  readonly isolation?: "read_committed" | "read_uncommitted";
  /**
   * When a position is outside the partition, because retention passed it or the log was cut: go on at its first record
   * ("earliest", default) or its end ("latest"), both reported as an `error` event, or stop ("none"). The same where the
   * group has committed nothing yet; never because the committed offset could not be had.
   */
  readonly autoOffsetReset?: "earliest" | "latest" | "none";
  /** Compute the checksum of each batch. Default true. */
  readonly checkCrcs?: boolean;
  /** Bytes that one compressed batch may inflate to. Default 64 MiB. */
  readonly maxInflatedBytes?: number;
  /** Silence of a partition that has records to give, after which `stalled` is emitted. Default 30 s. */
  readonly stalledAfterMs?: number;
}

/** A partition's place in the assignment. */
export interface PartitionLag extends TopicPartitionRef {
  /** Offset of the next record that the application gets; undefined until it is known. */
  readonly position: number | undefined;
  /** Readable end (exclusive); undefined until it is known. */
  readonly highWatermark: number | undefined;
  /** Records in between. */
  readonly lag: number | undefined;
}

/** How a consumer is, at a glance. */
export interface ConsumerStatus {
  /** Without a group always "stable", until it is closed. */
  readonly state: "joining" | "rebalancing" | "stable" | "closed";
  readonly groupId: string | undefined;
  /** Undefined without a group, and while it is not a member. */
  readonly memberId: string | undefined;
  /** The member epoch, or the generation of a classic group. */
  readonly memberEpoch: number | undefined;
  readonly assignment: readonly TopicPartitionRef[];
  readonly lag: readonly PartitionLag[];
  /** Since the coordinator answered last; undefined without a group, and before the first answer. */
  readonly lastHeartbeatAgoMs: number | undefined;
  /** Those that `stalled` told of and that have given nothing since. */
  readonly stalled: readonly TopicPartitionRef[];
}

/** When what was processed is committed. */
export type CommitPace = "after-processing" | { readonly intervalMs: number } | "manual";

/** The options of a group's member, with their defaults. */
export interface GroupOptions {
  readonly groupId: string;
  readonly instanceId: string | undefined;
  readonly topics: readonly string[];
  readonly pattern: RegExp | undefined;
  readonly protocol: "consumer" | "classic";
  readonly serverAssignor: "uniform" | "range" | undefined;
  /** Empty: the usual ones. */
  readonly assignors: readonly ClientAssignor[];
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly commit: CommitPace;
}

/** The options with their defaults. */
export interface ResolvedConsumerOptions {
  /** Set for a member of a group; `assign` is empty then. */
  readonly group: GroupOptions | undefined;
  readonly assign: readonly AssignmentSpec[];
  readonly maxPrefetchBytes: number;
  readonly maxMessageBytes: number;
  readonly minBytes: number;
  readonly maxWaitMs: number;
  readonly readFrom: ReadFrom;
  readonly isReadCommitted: boolean;
  readonly autoOffsetReset: "earliest" | "latest" | "none";
  readonly checkCrcs: boolean;
  readonly maxInflatedBytes: number;
  readonly stalledAfterMs: number;
}

/** A position to commit for a group. */
export interface OffsetCommitSpec extends TopicPartitionRef {
  /** Of the next record to be processed. */
  readonly offset: number;
  /** Of the last record processed. Default: not known. */
  readonly leaderEpoch?: number;
  /** A note that is kept with it. */
  readonly metadata?: string;
}

/** What a consumer tells besides records. */
export interface ConsumerEvents {
  /**
   * Something failed and is tried again, or a position was reset. What a leader, a coordinator or a connection that goes
   * elsewhere explains is told only when it has lasted for 30 s. Errors that end the reading are thrown instead.
   */
  readonly error: LograftError;
  /** These partitions have given nothing for `stalledAfterMs` although there is something, or no broker leads them. */
  readonly stalled: { readonly partitions: readonly TopicPartitionRef[] };
  /** The group gave these to this member. They are assigned already: they may be paused and sought here. */
  readonly assigned: { readonly partitions: readonly TopicPartitionRef[] };
  /**
   * The group takes these: nothing of them is handled any more, and they are given up when the commits that are begun in
   * here are done.
   */
  readonly revoked: { readonly partitions: readonly TopicPartitionRef[] };
  /**
   * The membership was lost and these with it, or their handlers took longer than `rebalanceTimeoutMs` to give them up;
   * another member may have them. Nothing of them can be committed any more.
   */
  readonly lost: { readonly partitions: readonly TopicPartitionRef[] };
  /** The assignment changed, and this is all of it. */
  readonly rebalance: { readonly assignment: readonly TopicPartitionRef[]; readonly memberEpoch: number };
}

/** Handed to the handlers of `run`. */
export interface HandlerContext {
  /**
   * Aborted when `run` ends (on its own signal, on close, or because another handler failed), and when the partition was
   * lost to another member. A handler that stops for it throws: one that returns has processed what it was given.
   */
  readonly signal: AbortSignal;
}

/** How often a failed handler is called again, and after what pauses. */
export interface RetryOptions {
  /** Calls after the first one that failed. */
  readonly attempts: number;
  /** Default 100 ms to 10 s, doubling. */
  readonly backoff?: Partial<BackoffOptions>;
}

/** One of the two handlers; each partition has one call at a time, in order, unless `orderBy` is "key". */
export type RunOptions = {
  /** Partitions handled at the same time. Default 1. */
  readonly concurrency?: number;
  /** Default: none. The heartbeats of a group and other partitions go on meanwhile. */
  readonly retry?: RetryOptions;
  /**
   * When the attempts are used up: end `run` with the error ("stop", default), leave the record (or batch) as if it were
   * processed, with an `error` event ("skip"), or go on trying ("retry"). None of it once the signal of its context has
   * fired: what fails then is not processed, and is read again.
   */
  readonly onError?: "retry" | "skip" | "stop";
  readonly signal?: AbortSignal;
} & (
  | {
      readonly eachBatch: (batch: ConsumedBatch, context: HandlerContext) => Promise<void> | void;
      readonly eachMessage?: never;
      readonly orderBy?: "partition";
      readonly keyConcurrency?: never;
    }
  | {
      readonly eachMessage: (record: ConsumedRecord, context: HandlerContext) => Promise<void> | void;
      readonly eachBatch?: never;
      /**
       * "partition" (default), or "key": records of one partition are handled beside each other, those of one key in order;
       * those without a key in any order. What is committed is the position below which all is processed.
       */
      readonly orderBy?: "partition" | "key";
      /** Records of one partition handled at the same time with `orderBy: "key"`. Default 16. */
      readonly keyConcurrency?: number;
    }
);
