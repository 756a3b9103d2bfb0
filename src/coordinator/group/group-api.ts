import type { ErrorName } from "../../model/error-code.ts";
import type { TopicId } from "../../model/ids.ts";

/*
 * What members and tools ask of a group's coordinator, for every protocol on the wire. Names and meanings are those of
 * Kafka's requests of the same name; absent strings are null there and undefined here.
 */

/** The outcome of a call or of an item of it. */
export interface GroupOutcome {
  readonly error: ErrorName;
  /** Empty without an error; names the thing, the cause and the next step. */
  readonly errorMessage: string;
}

/** Who is calling, for those who look at the group. */
export interface CallerInfo {
  readonly clientId: string;
  readonly clientHost: string;
}

export interface JoinGroupRequest extends CallerInfo {
  readonly groupId: string;
  /** Empty on the first join. */
  readonly memberId: string;
  readonly groupInstanceId?: string | undefined;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly protocolType: string;
  /** By preference. */
  readonly protocols: readonly { readonly name: string; readonly metadata: Buffer }[];
  /** The caller can take MEMBER_ID_REQUIRED and join again with the id that comes with it (KIP-394). */
  readonly requireKnownMemberId: boolean;
  /** A static member that comes back as the leader may be told that nothing is to be assigned (KIP-814). */
  readonly supportsSkippingAssignment: boolean;
}

export interface JoinGroupResponse extends GroupOutcome {
  /** -1 on an error. */
  readonly generationId: number;
  readonly protocolType: string;
  readonly protocolName: string;
  /** Its member id; it gets `members` and makes the plan. */
  readonly leader: string;
  readonly skipAssignment: boolean;
  readonly memberId: string;
  readonly members: readonly {
    readonly memberId: string;
    readonly groupInstanceId: string | undefined;
    readonly metadata: Buffer;
  }[];
}

export interface SyncGroupRequest {
  readonly groupId: string;
  readonly generationId: number;
  readonly memberId: string;
  readonly groupInstanceId?: string | undefined;
  /** Undefined: not checked. */
  readonly protocolType?: string | undefined;
  readonly protocolName?: string | undefined;
  /** From the leader only. */
  readonly assignments: readonly { readonly memberId: string; readonly assignment: Buffer }[];
}

export interface SyncGroupResponse extends GroupOutcome {
  readonly protocolType: string;
  readonly protocolName: string;
  readonly assignment: Buffer;
}

export interface HeartbeatRequest {
  readonly groupId: string;
  readonly generationId: number;
  readonly memberId: string;
  readonly groupInstanceId?: string | undefined;
}

export interface LeaveGroupRequest {
  readonly groupId: string;
  readonly members: readonly {
    /** May be empty when an instance id is given. */
    readonly memberId: string;
    readonly groupInstanceId?: string | undefined;
    readonly reason: string;
  }[];
}

export interface LeaveGroupResponse extends GroupOutcome {
  readonly members: readonly (GroupOutcome & {
    readonly memberId: string;
    readonly groupInstanceId: string | undefined;
  })[];
}

/** Partitions of a topic. */
export interface TopicPartitions {
  readonly topicId: TopicId;
  /** Ascending. */
  readonly partitions: readonly number[];
}

/** KIP-848. Undefined fields: as before. */
export interface ConsumerGroupHeartbeatRequest extends CallerInfo {
  readonly groupId: string;
  /** The member's own, a UUID; kept for its whole life. */
  readonly memberId: string;
  /** 0: joins; -1: leaves; -2: a static member leaves for a while; else the epoch it has. */
  readonly memberEpoch: number;
  readonly instanceId?: string | undefined;
  readonly rackId?: string | undefined;
  readonly rebalanceTimeoutMs?: number | undefined;
  readonly subscribedTopicNames?: readonly string[] | undefined;
  /** A regular expression over whole topic names; empty: none. */
  readonly subscribedTopicRegex?: string | undefined;
  /** "range", "uniform" or empty: the group's own. */
  readonly serverAssignor?: string | undefined;
  /** What the member has now; always given with epoch 0, and when it changed. */
  readonly topicPartitions?: readonly TopicPartitions[] | undefined;
}

export interface ConsumerGroupHeartbeatResponse extends GroupOutcome {
  readonly memberId: string;
  readonly memberEpoch: number;
  readonly heartbeatIntervalMs: number;
  /** Undefined: as before. */
  readonly assignment: readonly TopicPartitions[] | undefined;
}

/** Answered as soon as a heartbeat of this member would bring something new, or another watch takes its place. */
export interface WatchMemberRequest {
  readonly groupId: string;
  readonly memberId: string;
  readonly memberEpoch: number;
}

/** The connection of the member was lost; one that does not come back within the grace time is taken for dead. */
export type MemberDisconnectedRequest = WatchMemberRequest;

export interface OffsetCommitRequest {
  readonly groupId: string;
  /** Empty with generation -1: from outside of the group, which must have no members. */
  readonly memberId: string;
  readonly generationIdOrMemberEpoch: number;
  readonly groupInstanceId?: string | undefined;
  /** Refuse partitions that the member does not own, where the coordinator knows (KIP-848 groups). */
  readonly requireOwned: boolean;
  readonly partitions: readonly OffsetCommitPartition[];
}

export interface OffsetCommitPartition {
  readonly topic: string;
  readonly partition: number;
  /** The next one to be processed; >= 0. */
  readonly offset: number;
  /** Of the last record processed; -1: not known. */
  readonly leaderEpoch: number;
  readonly metadata: string;
}

export interface PartitionOutcome extends GroupOutcome {
  readonly topic: string;
  readonly partition: number;
}

export interface OffsetCommitResponse {
  readonly partitions: readonly PartitionOutcome[];
}

export interface OffsetFetchRequest {
  readonly groupId: string;
  /** Both set: checked against the group (KIP-848). */
  readonly memberId?: string | undefined;
  readonly memberEpoch?: number | undefined;
  /** Undefined: all that were committed. */
  readonly partitions: readonly { readonly topic: string; readonly partition: number }[] | undefined;
  readonly requireStable: boolean;
}

export interface OffsetFetchResponse extends GroupOutcome {
  readonly partitions: readonly (PartitionOutcome & {
    /** -1: nothing was committed, which is no error (H63). */
    readonly offset: number;
    readonly leaderEpoch: number;
    readonly metadata: string;
  })[];
}

export interface OffsetDeleteRequest {
  readonly groupId: string;
  readonly partitions: readonly { readonly topic: string; readonly partition: number }[];
}

export interface OffsetDeleteResponse extends GroupOutcome {
  readonly partitions: readonly PartitionOutcome[];
}

export interface DeleteGroupRequest {
  readonly groupId: string;
}

export interface DescribeGroupRequest {
  readonly groupId: string;
}

export type GroupType = "classic" | "consumer";

/** States of classic groups as Kafka names them, and those of consumer groups ("Assigning", "Reconciling"). */
export type GroupState =
  | "Empty"
  | "PreparingRebalance"
  | "CompletingRebalance"
  | "Stable"
  | "Assigning"
  | "Reconciling"
  | "Dead";

export interface GroupListing {
  readonly groupId: string;
  readonly type: GroupType;
  readonly state: GroupState;
  /** "consumer" for consumers; empty for a group that only has offsets. */
  readonly protocolType: string;
}

export interface MemberDescription extends CallerInfo {
  readonly memberId: string;
  readonly groupInstanceId: string | undefined;
  readonly rackId: string | undefined;
  /** Of consumer groups; -1 in classic ones. */
  readonly memberEpoch: number;
  /** What it subscribes to, as far as the coordinator can read it. */
  readonly topics: readonly string[];
  readonly topicRegex: string | undefined;
  /** By topic name. */
  readonly assignment: readonly { readonly topic: string; readonly partitions: readonly number[] }[];
  /** What it is to have; the same as `assignment` in classic groups. */
  readonly target: readonly { readonly topic: string; readonly partitions: readonly number[] }[];
}

export interface DescribeGroupResponse extends GroupOutcome {
  readonly groupId: string;
  readonly type: GroupType;
  readonly state: GroupState;
  readonly protocolType: string;
  /** The assignor in use. */
  readonly protocol: string;
  /** The generation of classic groups, the group epoch of consumer groups. */
  readonly epoch: number;
  readonly members: readonly MemberDescription[];
}
