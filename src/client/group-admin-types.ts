import type { ProtocolError } from "../model/error-code.ts";
import type { AdminOptions } from "./admin-types.ts";
import type { PointInTime, TopicPartitionRef } from "./consumer-types.ts";

/** A group in a list. */
export interface GroupSummary {
  readonly groupId: string;
  /** "classic" or "consumer". */
  readonly type: string;
  /** "Empty", "Stable", "PreparingRebalance", "CompletingRebalance", "Assigning", "Reconciling" or "Dead". */
  readonly state: string;
  /** "consumer" for consumers; empty for a group that only has offsets. */
  readonly protocolType: string;
}

/** The groups of all coordinators. */
export interface GroupList {
  /** By group id. */
  readonly groups: readonly GroupSummary[];
  /** The brokers whose groups are missing, or not all there: they did not answer, or are still loading. */
  readonly missing: readonly { readonly nodeId: number; readonly error: Error }[];
}

/** Partitions of one topic. */
export interface GroupTopic {
  readonly topic: string;
  readonly partitions: readonly number[];
}

export interface GroupMemberDetails {
  readonly memberId: string;
  /** Undefined: not a static member. */
  readonly groupInstanceId: string | undefined;
  readonly clientId: string;
  readonly clientHost: string;
  readonly rackId: string | undefined;
  /** -1 in classic groups. */
  readonly memberEpoch: number;
  /** What it subscribes to, as far as the coordinator can read it. */
  readonly topics: readonly string[];
  readonly topicRegex: string | undefined;
  readonly assignment: readonly GroupTopic[];
  /** What it is to have when the rebalance is over; the same as `assignment` in classic groups. */
  readonly target: readonly GroupTopic[];
}

export interface GroupDetails extends GroupSummary {
  /** The assignor in use; empty without members. */
  readonly protocol: string;
  /** The generation of a classic group, the group epoch of the others; -1 when not known. */
  readonly epoch: number;
  readonly members: readonly GroupMemberDetails[];
  readonly error: ProtocolError | undefined;
}

/** Which broker coordinates a group. */
export interface GroupCoordinator {
  readonly groupId: string;
  /** -1 with an error. */
  readonly nodeId: number;
  readonly host: string;
  readonly port: number;
  readonly error: ProtocolError | undefined;
}

/** What became of a group that was to be deleted. */
export interface DeletedGroup {
  readonly groupId: string;
  readonly error: ProtocolError | undefined;
}

/** A member by its id, or a static one by its name. */
export type MemberRef = { readonly memberId: string } | { readonly groupInstanceId: string };

export interface RemovedMember {
  readonly memberId: string;
  readonly groupInstanceId: string | undefined;
  readonly error: ProtocolError | undefined;
}

/** What a group has committed for a partition. */
export interface GroupOffset extends TopicPartitionRef {
  /** The next record to be processed; -1: nothing was committed, which is no error. */
  readonly offset: number;
  /** Of the last record processed; -1: not known. */
  readonly leaderEpoch: number;
  readonly metadata: string;
}

/** What became of one partition of a request. */
export interface PartitionChange extends TopicPartitionRef {
  readonly error: ProtocolError | undefined;
}

/** How far a group is in one partition. */
export interface GroupPartitionLag extends TopicPartitionRef {
  /** -1: nothing was committed. */
  readonly committedOffset: number;
  readonly metadata: string;
  /** -1: not known, because the partition is gone or has no leader. */
  readonly logStartOffset: number;
  /** Exclusive; -1: not known. */
  readonly logEndOffset: number;
  /** Records behind the committed offset; -1: nothing was committed, or the end is not known. */
  readonly lag: number;
  /** The member that has the partition. */
  readonly owner: GroupMemberDetails | undefined;
}

/** How far a group is: partitions that it has committed, that a member has, and the others of the same topics. */
export interface GroupLag {
  readonly group: GroupDetails;
  /** By topic and partition. */
  readonly partitions: readonly GroupPartitionLag[];
  /** Sum of the known lags. */
  readonly totalLag: number;
  /** Partitions that hold records, of which none was committed: where the group begins there is its members' choice. */
  readonly uncommitted: number;
}

export interface PartitionOffset extends TopicPartitionRef {
  readonly offset: number;
}

/**
 * Where a reset leads to: the ends of the log as they are now, the first record not older than a time (the end when all
 * are older), one offset for all, so many records forward or (negative) back from what is committed, an offset for each
 * partition, or "current": what is committed, moved inside of the log.
 */
export type ResetTarget =
  | "earliest"
  | "latest"
  | "current"
  | PointInTime
  | { readonly timestamp: number }
  | { readonly offset: number }
  | { readonly shiftBy: number }
  | { readonly offsets: readonly PartitionOffset[] };

/** What `resetGroupOffsets` is to do. Which partitions: any of the three; the target `offsets` names its own. */
export interface ResetOptions extends AdminOptions {
  readonly groupId: string;
  readonly to: ResetTarget;
  readonly partitions?: readonly TopicPartitionRef[];
  /** All partitions of these. */
  readonly topics?: readonly string[];
  /** All that the group has committed. */
  readonly all?: boolean;
  /** Default true: only the plan. */
  readonly dryRun?: boolean;
  /** What becomes of an offset that was named and is not in the log. Default "refuse"; "clamp" takes the nearest. */
  readonly outOfRange?: "refuse" | "clamp";
  /** Also of a group that does not exist, which then begins with these offsets. Default false. */
  readonly allowNewGroup?: boolean;
}

/** A line of the plan of a reset. */
export interface ResetRow extends TopicPartitionRef {
  /** -1: nothing is committed. */
  readonly current: number;
  /** The same as `current`: nothing changes. -1: nothing will be committed. */
  readonly next: number;
  /** Why it is not simply what was asked for; empty when it is. */
  readonly reason: string;
  /** Why it was not committed. */
  readonly error: ProtocolError | undefined;
}
