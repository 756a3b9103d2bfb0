import type { EpochEnd } from "../log/leader-epoch-cache.ts";
import type { LeaderGaps } from "../log/gaps.ts";
import type { AppendResult } from "../log/log-appender.ts";
import type { ReadResult } from "../log/log-reader.ts";
import type { ErrorName } from "../model/error-code.ts";
import type { NodeId, TopicId } from "../model/ids.ts";
import type { LeaderEpoch, Offset } from "../model/offsets.ts";
import type { RateLimit } from "./rate-limit.ts";

/** A follower and its present registration: what an earlier one said counts for nothing (H22). */
export interface FollowerIdentity {
  readonly nodeId: NodeId;
  readonly brokerEpoch: number;
}

/** Where a follower stands: the end of its log and the epoch of its last record (-1: it has none). */
export interface FollowerPosition {
  readonly leaderEpoch: LeaderEpoch;
  readonly logEndOffset: Offset;
  readonly lastEpoch: LeaderEpoch;
}

/** Why a broker does not serve a partition to a follower. */
export interface ReplicaRefusal {
  readonly type: "refused";
  readonly error: ErrorName;
  readonly message: string;
  /** That this broker knows; -1: none. */
  readonly leaderEpoch: LeaderEpoch;
}

/** What a leader answers to a follower's position (KIP-279, KIP-320). */
export type FollowAnswer =
  | { readonly type: "ok" }
  /** The follower's last epoch ends here (`epoch` may be an earlier one): cut to it and ask again (H34, H38). */
  | { readonly type: "diverging"; readonly epoch: LeaderEpoch; readonly endOffset: Offset }
  /** The follower's end lies before the leader's first record: begin anew there (H42). */
  | { readonly type: "reset"; readonly logStartOffset: Offset }
  | ReplicaRefusal;

/** A partition that this broker leads in one epoch, as the streams of its followers use it. */
export interface LeaderReplica {
  readonly topicId: TopicId;
  readonly partition: number;
  readonly leaderEpoch: LeaderEpoch;
  readonly highWatermark: Offset;
  readonly logStartOffset: Offset;
  readonly logEndOffset: Offset;
  /** Offsets below may be missing; see `PartitionLog.gapsBelow`. */
  readonly gapsBelow: Offset;
  /** This broker no longer leads it in this epoch. */
  readonly isEnded: boolean;
  /** A follower names its position; "ok" makes it one that is fetching in this epoch (H35, H39). */
  follow(follower: FollowerIdentity, at: FollowerPosition): FollowAnswer;
  /** Its durable end moved. */
  progress(follower: FollowerIdentity, endOffset: Offset): void;
  /** Its stream ended. */
  detach(follower: FollowerIdentity): void;
  /** Whole batches from `from` up to the log's end, whatever the high watermark is. Errors as `PartitionLog.read`. */
  read(from: Offset, maxBytes: number): ReadResult | Promise<ReadResult>;
  /**
   * How fast this follower may be sent records; undefined: as fast as it takes them, as everybody may whom the high
   * watermark waits for. May be another one after each call back.
   */
  paceFor(nodeId: NodeId): RateLimit | undefined;
  /**
   * Calls back when the log grew, the high watermark or the log start moved, a pace changed, or the role ended; it must
   * only take note.
   */
  watch(listener: () => void): () => void;
}

export interface LeaderReplicas {
  /** The partition, its log opened; or why not. Never rejects. */
  find(topicId: TopicId, partition: number): Promise<LeaderReplica | ReplicaRefusal>;
}

/** A partition that this broker follows in one leader epoch, as its fetcher uses it. */
export interface FollowerReplica {
  readonly topicId: TopicId;
  readonly partition: number;
  readonly leaderEpoch: LeaderEpoch;
  readonly logEndOffset: Offset;
  readonly durableEndOffset: Offset;
  /** Of the last record; -1: none. */
  readonly lastEpoch: LeaderEpoch;
  /** The role or the epoch is another one now: the fetcher forgets it. */
  readonly isEnded: boolean;
  endOffsetForEpoch(epoch: LeaderEpoch): EpochEnd;
  truncateTo(offset: Offset): Promise<void>;
  resetTo(offset: Offset): Promise<void>;
  /** Validates (checksums, contiguity, epochs; H42) and queues; the bytes belong to the log then. */
  append(batches: Buffer, gaps: LeaderGaps | undefined): AppendResult;
  /** As the leader says. The high watermark only rises within the epoch and stays within the own log. */
  learn(highWatermark: Offset, logStartOffset: Offset): void;
  onDurable(listener: () => void): () => void;
}
