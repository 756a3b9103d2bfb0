import type { TopicPartitionRef } from "./messages.ts";

/*
 * The messages of proto/lograft/v1/group.proto as plain objects: camelCase names, `number` for 64 bits (check those of a
 * request with `convert.ts`), `Buffer` for bytes, absent optionals left out. The proto file is the reference; a test
 * holds the field names of both against each other.
 */

/** lograft.v1.FindCoordinatorRequest. */
export interface FindCoordinatorRequest {
  readonly groupIds: readonly string[];
  /** The one that was named last and could not be reached: the answer may wait until there is another one. */
  readonly unreachableNodeId?: number;
}

/** lograft.v1.FindCoordinatorResponse. */
export interface FindCoordinatorResponse {
  /** In the order of the request. */
  readonly coordinators: readonly Coordinator[];
}

/** lograft.v1.Coordinator. */
export interface Coordinator {
  readonly groupId: string;
  readonly errorCode: number;
  readonly errorMessage: string;
  /** -1 on an error. */
  readonly nodeId: number;
  readonly host: string;
  readonly port: number;
}

/** lograft.v1.GroupTopicPartitions. */
export interface GroupTopicPartitions {
  /** 16 bytes; may be left out by clients, which then give the name. */
  readonly topicId: Buffer;
  readonly topic: string;
  readonly partitions: readonly number[];
}

/** lograft.v1.GroupAssignment. */
export interface GroupAssignment {
  readonly topics: readonly GroupTopicPartitions[];
}

/** lograft.v1.GroupTopicNames. */
export interface GroupTopicNames {
  readonly names: readonly string[];
}

/** lograft.v1.ConsumerGroupHeartbeatRequest. */
export interface ConsumerGroupHeartbeatRequest {
  readonly groupId: string;
  readonly memberId: string;
  /** 0: joins; -1: leaves; -2: a static member leaves for a while; else the epoch that the member has. */
  readonly memberEpoch: number;
  readonly instanceId?: string | undefined;
  readonly rackId?: string | undefined;
  readonly rebalanceTimeoutMs?: number | undefined;
  /** Unset: as before. */
  readonly subscribedTopics?: GroupTopicNames | null | undefined;
  /** Matched against whole topic names; empty: none. */
  readonly subscribedTopicRegex?: string | undefined;
  /** "uniform" or "range". */
  readonly serverAssignor?: string | undefined;
  /** What the member has; unset: as before. */
  readonly owned?: GroupAssignment | null | undefined;
  readonly clientId: string;
}

/** lograft.v1.ConsumerGroupHeartbeatResponse. */
export interface ConsumerGroupHeartbeatResponse {
  readonly errorCode: number;
  readonly errorMessage: string;
  readonly memberId: string;
  readonly memberEpoch: number;
  readonly heartbeatIntervalMs: number;
  /** Unset: as before. */
  readonly assignment?: GroupAssignment | null | undefined;
  /** No answer to a heartbeat: send one now, it will bring something new. All else is unset. */
  readonly heartbeatNow: boolean;
}

/** lograft.v1.JoinGroupRequest. */
export interface JoinGroupRequest {
  readonly groupId: string;
  readonly memberId: string;
  readonly groupInstanceId?: string | undefined;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly protocolType: string;
  readonly protocols: readonly GroupProtocol[];
  readonly clientId: string;
}

/** lograft.v1.GroupProtocol. */
export interface GroupProtocol {
  readonly name: string;
  readonly metadata: Buffer;
}

/** lograft.v1.JoinGroupResponse. */
export interface JoinGroupResponse {
  readonly errorCode: number;
  readonly errorMessage: string;
  readonly generationId: number;
  readonly protocolType: string;
  readonly protocolName: string;
  readonly leader: string;
  readonly skipAssignment: boolean;
  readonly memberId: string;
  readonly members: readonly JoinedMember[];
}

/** lograft.v1.JoinedMember. */
export interface JoinedMember {
  readonly memberId: string;
  readonly groupInstanceId?: string | undefined;
  readonly metadata: Buffer;
}

/** lograft.v1.SyncGroupRequest. */
export interface SyncGroupRequest {
  readonly groupId: string;
  readonly generationId: number;
  readonly memberId: string;
  readonly groupInstanceId?: string | undefined;
  readonly protocolType: string;
  readonly protocolName: string;
  readonly assignments: readonly MemberAssignment[];
}

/** lograft.v1.MemberAssignment. */
export interface MemberAssignment {
  readonly memberId: string;
  readonly assignment: Buffer;
}

/** lograft.v1.SyncGroupResponse. */
export interface SyncGroupResponse {
  readonly errorCode: number;
  readonly errorMessage: string;
  readonly protocolType: string;
  readonly protocolName: string;
  readonly assignment: Buffer;
}

/** lograft.v1.HeartbeatRequest. */
export interface HeartbeatRequest {
  readonly groupId: string;
  readonly generationId: number;
  readonly memberId: string;
  readonly groupInstanceId?: string | undefined;
}

/** lograft.v1.HeartbeatResponse. */
export interface HeartbeatResponse {
  readonly errorCode: number;
  readonly errorMessage: string;
}

/** lograft.v1.LeaveGroupRequest. */
export interface LeaveGroupRequest {
  readonly groupId: string;
  readonly members: readonly LeavingMember[];
}

/** lograft.v1.LeavingMember. */
export interface LeavingMember {
  readonly memberId: string;
  readonly groupInstanceId?: string | undefined;
  readonly reason: string;
}

/** lograft.v1.LeaveGroupResponse. */
export interface LeaveGroupResponse {
  readonly errorCode: number;
  readonly errorMessage: string;
  readonly members: readonly LeftMember[];
}

/** lograft.v1.LeftMember. */
export interface LeftMember {
  readonly memberId: string;
  readonly groupInstanceId?: string | undefined;
  readonly errorCode: number;
  readonly errorMessage: string;
}

/** lograft.v1.CommitOffsetsRequest. */
export interface CommitOffsetsRequest {
  readonly groupId: string;
  /** Empty with generation -1: from outside of the group, which must have no members. */
  readonly memberId: string;
  /** The generation of a classic group, the member epoch of the others. */
  readonly generationIdOrMemberEpoch: number;
  readonly groupInstanceId?: string | undefined;
  readonly offsets: readonly OffsetToCommit[];
}

/** lograft.v1.OffsetToCommit. */
export interface OffsetToCommit {
  readonly topic: string;
  readonly partition: number;
  /** The next one to be processed. */
  readonly offset: number;
  /** Of the last record processed; -1: not known. */
  readonly leaderEpoch: number;
  readonly metadata: string;
}

/** lograft.v1.CommitOffsetsResponse. */
export interface CommitOffsetsResponse {
  readonly results: readonly GroupPartitionResult[];
}

/** lograft.v1.GroupPartitionResult. */
export interface GroupPartitionResult {
  readonly topic: string;
  readonly partition: number;
  readonly errorCode: number;
  readonly errorMessage: string;
}

/** lograft.v1.FetchOffsetsRequest. */
export interface FetchOffsetsRequest {
  readonly groupId: string;
  readonly memberId?: string | undefined;
  readonly memberEpoch?: number | undefined;
  /** All that were committed. */
  readonly allPartitions: boolean;
  readonly partitions: readonly TopicPartitionRef[];
}

/** lograft.v1.FetchOffsetsResponse. */
export interface FetchOffsetsResponse {
  readonly errorCode: number;
  readonly errorMessage: string;
  readonly offsets: readonly CommittedOffset[];
}

/** lograft.v1.CommittedOffset. */
export interface CommittedOffset {
  readonly topic: string;
  readonly partition: number;
  readonly errorCode: number;
  readonly errorMessage: string;
  /** -1: nothing was committed, which is no error. */
  readonly offset: number;
  readonly leaderEpoch: number;
  readonly metadata: string;
}

/** lograft.v1.DeleteOffsetsRequest. */
export interface DeleteOffsetsRequest {
  readonly groupId: string;
  readonly partitions: readonly TopicPartitionRef[];
}

/** lograft.v1.DeleteOffsetsResponse. */
export interface DeleteOffsetsResponse {
  readonly errorCode: number;
  readonly errorMessage: string;
  readonly results: readonly GroupPartitionResult[];
}

/** lograft.v1.ListGroupsRequest. */
export type ListGroupsRequest = Readonly<Record<string, never>>;

/** lograft.v1.ListGroupsResponse. */
export interface ListGroupsResponse {
  /** Set when a part of the groups is still being loaded: the list is not whole. */
  readonly errorCode: number;
  readonly errorMessage: string;
  readonly groups: readonly GroupListing[];
}

/** lograft.v1.GroupListing. */
export interface GroupListing {
  readonly groupId: string;
  /** "classic" or "consumer". */
  readonly type: string;
  readonly state: string;
  readonly protocolType: string;
}

/** lograft.v1.DescribeGroupsRequest. */
export interface DescribeGroupsRequest {
  readonly groupIds: readonly string[];
}

/** lograft.v1.DescribeGroupsResponse. */
export interface DescribeGroupsResponse {
  readonly groups: readonly GroupDescription[];
}

/** lograft.v1.GroupDescription. */
export interface GroupDescription {
  readonly errorCode: number;
  readonly errorMessage: string;
  readonly groupId: string;
  readonly type: string;
  readonly state: string;
  readonly protocolType: string;
  /** The assignor in use. */
  readonly protocol: string;
  /** The generation, or the group epoch. */
  readonly epoch: number;
  readonly members: readonly GroupMember[];
}

/** lograft.v1.GroupMember. */
export interface GroupMember {
  readonly memberId: string;
  readonly groupInstanceId?: string | undefined;
  readonly clientId: string;
  readonly clientHost: string;
  readonly rackId?: string | undefined;
  /** -1 in classic groups. */
  readonly memberEpoch: number;
  readonly topics: readonly string[];
  readonly topicRegex?: string | undefined;
  /** Names and partitions; the ids are left out. */
  readonly assignment: readonly GroupTopicPartitions[];
  readonly target: readonly GroupTopicPartitions[];
}

/** lograft.v1.DeleteGroupsRequest. */
export interface DeleteGroupsRequest {
  readonly groupIds: readonly string[];
}

/** lograft.v1.DeleteGroupsResponse. */
export interface DeleteGroupsResponse {
  readonly results: readonly DeletedGroup[];
}

/** lograft.v1.DeletedGroup. */
export interface DeletedGroup {
  readonly groupId: string;
  readonly errorCode: number;
  readonly errorMessage: string;
}
