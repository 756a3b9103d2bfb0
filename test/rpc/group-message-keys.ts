import type * as group from "../../src/rpc/group-messages.ts";
import type { Keys } from "./admin-message-keys.ts";

const findCoordinatorRequest: Keys<group.FindCoordinatorRequest> = { groupIds: 1, unreachableNodeId: 1 };
const findCoordinatorResponse: Keys<group.FindCoordinatorResponse> = { coordinators: 1 };
const coordinator: Keys<group.Coordinator> = {
  groupId: 1,
  errorCode: 1,
  errorMessage: 1,
  nodeId: 1,
  host: 1,
  port: 1,
};
const groupTopicPartitions: Keys<group.GroupTopicPartitions> = { topicId: 1, topic: 1, partitions: 1 };
const groupAssignment: Keys<group.GroupAssignment> = { topics: 1 };
const groupTopicNames: Keys<group.GroupTopicNames> = { names: 1 };
const consumerGroupHeartbeatRequest: Keys<group.ConsumerGroupHeartbeatRequest> = {
  groupId: 1,
  memberId: 1,
  memberEpoch: 1,
  instanceId: 1,
  rackId: 1,
  rebalanceTimeoutMs: 1,
  subscribedTopics: 1,
  subscribedTopicRegex: 1,
  serverAssignor: 1,
  owned: 1,
  clientId: 1,
};
const consumerGroupHeartbeatResponse: Keys<group.ConsumerGroupHeartbeatResponse> = {
  errorCode: 1,
  errorMessage: 1,
  memberId: 1,
  memberEpoch: 1,
  heartbeatIntervalMs: 1,
  assignment: 1,
  heartbeatNow: 1,
};
const joinGroupRequest: Keys<group.JoinGroupRequest> = {
  groupId: 1,
  memberId: 1,
  groupInstanceId: 1,
  sessionTimeoutMs: 1,
  rebalanceTimeoutMs: 1,
  protocolType: 1,
  protocols: 1,
  clientId: 1,
};
const groupProtocol: Keys<group.GroupProtocol> = { name: 1, metadata: 1 };
const joinGroupResponse: Keys<group.JoinGroupResponse> = {
  errorCode: 1,
  errorMessage: 1,
  generationId: 1,
  protocolType: 1,
  protocolName: 1,
  leader: 1,
  skipAssignment: 1,
  memberId: 1,
  members: 1,
};
const joinedMember: Keys<group.JoinedMember> = { memberId: 1, groupInstanceId: 1, metadata: 1 };
const syncGroupRequest: Keys<group.SyncGroupRequest> = {
  groupId: 1,
  generationId: 1,
  memberId: 1,
  groupInstanceId: 1,
  protocolType: 1,
  protocolName: 1,
  assignments: 1,
};
const memberAssignment: Keys<group.MemberAssignment> = { memberId: 1, assignment: 1 };
const syncGroupResponse: Keys<group.SyncGroupResponse> = {
  errorCode: 1,
  errorMessage: 1,
  protocolType: 1,
  protocolName: 1,
  assignment: 1,
};
const heartbeatRequest: Keys<group.HeartbeatRequest> = {
  groupId: 1,
  generationId: 1,
  memberId: 1,
  groupInstanceId: 1,
};
const heartbeatResponse: Keys<group.HeartbeatResponse> = { errorCode: 1, errorMessage: 1 };
const leaveGroupRequest: Keys<group.LeaveGroupRequest> = { groupId: 1, members: 1 };
const leavingMember: Keys<group.LeavingMember> = { memberId: 1, groupInstanceId: 1, reason: 1 };
const leaveGroupResponse: Keys<group.LeaveGroupResponse> = { errorCode: 1, errorMessage: 1, members: 1 };
const leftMember: Keys<group.LeftMember> = { memberId: 1, groupInstanceId: 1, errorCode: 1, errorMessage: 1 };
const commitOffsetsRequest: Keys<group.CommitOffsetsRequest> = {
  groupId: 1,
  memberId: 1,
  generationIdOrMemberEpoch: 1,
  groupInstanceId: 1,
  offsets: 1,
};
const offsetToCommit: Keys<group.OffsetToCommit> = {
  topic: 1,
  partition: 1,
  offset: 1,
  leaderEpoch: 1,
  metadata: 1,
};
const commitOffsetsResponse: Keys<group.CommitOffsetsResponse> = { results: 1 };
const groupPartitionResult: Keys<group.GroupPartitionResult> = {
  topic: 1,
  partition: 1,
  errorCode: 1,
  errorMessage: 1,
};
const fetchOffsetsRequest: Keys<group.FetchOffsetsRequest> = {
  groupId: 1,
  memberId: 1,
  memberEpoch: 1,
  allPartitions: 1,
  partitions: 1,
};
const fetchOffsetsResponse: Keys<group.FetchOffsetsResponse> = { errorCode: 1, errorMessage: 1, offsets: 1 };
const committedOffset: Keys<group.CommittedOffset> = {
  topic: 1,
  partition: 1,
  errorCode: 1,
  errorMessage: 1,
  offset: 1,
  leaderEpoch: 1,
  metadata: 1,
};
const deleteOffsetsRequest: Keys<group.DeleteOffsetsRequest> = { groupId: 1, partitions: 1 };
const deleteOffsetsResponse: Keys<group.DeleteOffsetsResponse> = {
  errorCode: 1,
  errorMessage: 1,
  results: 1,
};
const listGroupsResponse: Keys<group.ListGroupsResponse> = { errorCode: 1, errorMessage: 1, groups: 1 };
const groupListing: Keys<group.GroupListing> = { groupId: 1, type: 1, state: 1, protocolType: 1 };
const describeGroupsRequest: Keys<group.DescribeGroupsRequest> = { groupIds: 1 };
const describeGroupsResponse: Keys<group.DescribeGroupsResponse> = { groups: 1 };
const groupDescription: Keys<group.GroupDescription> = {
  errorCode: 1,
  errorMessage: 1,
  groupId: 1,
  type: 1,
  state: 1,
  protocolType: 1,
  protocol: 1,
  epoch: 1,
  members: 1,
};
const groupMember: Keys<group.GroupMember> = {
  memberId: 1,
  groupInstanceId: 1,
  clientId: 1,
  clientHost: 1,
  rackId: 1,
  memberEpoch: 1,
  topics: 1,
  topicRegex: 1,
  assignment: 1,
  target: 1,
};
const deleteGroupsRequest: Keys<group.DeleteGroupsRequest> = { groupIds: 1 };
const deleteGroupsResponse: Keys<group.DeleteGroupsResponse> = { results: 1 };
const deletedGroup: Keys<group.DeletedGroup> = { groupId: 1, errorCode: 1, errorMessage: 1 };

/** The fields of each message of group.proto, as its TypeScript type has them. */
export const GROUP_MESSAGES: Readonly<Record<string, object>> = {
  FindCoordinatorRequest: findCoordinatorRequest,
  FindCoordinatorResponse: findCoordinatorResponse,
  Coordinator: coordinator,
  GroupTopicPartitions: groupTopicPartitions,
  GroupAssignment: groupAssignment,
  GroupTopicNames: groupTopicNames,
  ConsumerGroupHeartbeatRequest: consumerGroupHeartbeatRequest,
  ConsumerGroupHeartbeatResponse: consumerGroupHeartbeatResponse,
  JoinGroupRequest: joinGroupRequest,
  GroupProtocol: groupProtocol,
  JoinGroupResponse: joinGroupResponse,
  JoinedMember: joinedMember,
  SyncGroupRequest: syncGroupRequest,
  MemberAssignment: memberAssignment,
  SyncGroupResponse: syncGroupResponse,
  HeartbeatRequest: heartbeatRequest,
  HeartbeatResponse: heartbeatResponse,
  LeaveGroupRequest: leaveGroupRequest,
  LeavingMember: leavingMember,
  LeaveGroupResponse: leaveGroupResponse,
  LeftMember: leftMember,
  CommitOffsetsRequest: commitOffsetsRequest,
  OffsetToCommit: offsetToCommit,
  CommitOffsetsResponse: commitOffsetsResponse,
  GroupPartitionResult: groupPartitionResult,
  FetchOffsetsRequest: fetchOffsetsRequest,
  FetchOffsetsResponse: fetchOffsetsResponse,
  CommittedOffset: committedOffset,
  DeleteOffsetsRequest: deleteOffsetsRequest,
  DeleteOffsetsResponse: deleteOffsetsResponse,
  ListGroupsRequest: {},
  ListGroupsResponse: listGroupsResponse,
  GroupListing: groupListing,
  DescribeGroupsRequest: describeGroupsRequest,
  DescribeGroupsResponse: describeGroupsResponse,
  GroupDescription: groupDescription,
  GroupMember: groupMember,
  DeleteGroupsRequest: deleteGroupsRequest,
  DeleteGroupsResponse: deleteGroupsResponse,
  DeletedGroup: deletedGroup,
};
