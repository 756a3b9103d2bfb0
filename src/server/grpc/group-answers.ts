import { operationError } from "../../base/errors.ts";
import type { Broker } from "../../broker/broker.ts";
import type * as api from "../../broker/group-coordinator.ts";
import type { MetadataImage } from "../../metadata/image.ts";
import { errorCodeOf } from "../../model/error-code.ts";
import { topicIdFromBytes, topicIdToBytes, UUID_BYTES } from "../../model/ids.ts";
import type { TopicId } from "../../model/ids.ts";
import { checkedUint64 } from "../../rpc/convert.ts";
import type * as wire from "../../rpc/group-messages.ts";

/*
 * The calls of group.proto, from message to message: what the services of a broker and the simulator share. What a request
 * cannot mean is thrown as INVALID_ARGUMENT; what becomes of it is in the answer.
 */

/** Who calls, beside what the message says. */
export interface Caller {
  /** The address, without a port. */
  readonly host: string;
  /** The name of the listener that the call came in on; what is told of other brokers are addresses of that one. */
  readonly listener?: string;
  readonly signal?: AbortSignal;
}

/** Ids, names or partitions that one call may name. */
const MAX_ITEMS = 100_000;

export async function findCoordinatorAnswer(
  broker: Broker,
  { groupIds, unreachableNodeId: unreachable }: wire.FindCoordinatorRequest,
  { listener }: Pick<Caller, "listener"> = {},
): Promise<wire.FindCoordinatorResponse> {
  checkCount(groupIds, "group_ids");
  const coordinators = await broker.groups.findCoordinator(groupIds, { listener, unreachable });
  return {
    coordinators: coordinators.map((one) => ({
      groupId: one.groupId,
      ...outcomeOf(one),
      nodeId: one.nodeId,
      host: one.host,
      port: one.port,
    })),
  };
}

export async function consumerGroupHeartbeatAnswer(
  broker: Broker,
  request: wire.ConsumerGroupHeartbeatRequest,
  caller: Caller,
): Promise<wire.ConsumerGroupHeartbeatResponse> {
  const { groupId, memberId, memberEpoch, instanceId, rackId, rebalanceTimeoutMs, clientId } = request;
  const answer = await broker.groups.consumerGroupHeartbeat(
    {
      groupId,
      memberId,
      memberEpoch,
      instanceId,
      rackId,
      rebalanceTimeoutMs,
      subscribedTopicNames: request.subscribedTopics?.names,
      subscribedTopicRegex: request.subscribedTopicRegex,
      serverAssignor: request.serverAssignor,
      topicPartitions: ownedPartitions(request.owned ?? undefined, broker.image),
      clientId,
      clientHost: caller.host,
    },
    caller.signal,
  );
  const { assignment } = answer;
  return {
    ...outcomeOf(answer),
    memberId: answer.memberId,
    memberEpoch: answer.memberEpoch,
    heartbeatIntervalMs: answer.heartbeatIntervalMs,
    ...(assignment === undefined ? {} : { assignment: assignmentMessage(assignment, broker.image) }),
    heartbeatNow: false,
  };
}

export async function joinGroupAnswer(
  broker: Broker,
  request: wire.JoinGroupRequest,
  caller: Caller,
): Promise<wire.JoinGroupResponse> {
  checkCount(request.protocols, "protocols");
  const answer = await broker.groups.joinGroup(
    {
      ...request,
      clientHost: caller.host,
      requireKnownMemberId: true,
      supportsSkippingAssignment: true,
    },
    caller.signal,
  );
  return {
    ...outcomeOf(answer),
    generationId: answer.generationId,
    protocolType: answer.protocolType,
    protocolName: answer.protocolName,
    leader: answer.leader,
    skipAssignment: answer.skipAssignment,
    memberId: answer.memberId,
    members: answer.members,
  };
}

export async function syncGroupAnswer(
  broker: Broker,
  request: wire.SyncGroupRequest,
  { signal }: Caller,
): Promise<wire.SyncGroupResponse> {
  const { protocolType, protocolName } = request;
  const answer = await broker.groups.syncGroup(
    {
      ...request,
      protocolType: protocolType === "" ? undefined : protocolType,
      protocolName: protocolName === "" ? undefined : protocolName,
    },
    signal,
  );
  return {
    ...outcomeOf(answer),
    protocolType: answer.protocolType,
    protocolName: answer.protocolName,
    assignment: answer.assignment,
  };
}

export async function heartbeatAnswer(
  broker: Broker,
  request: wire.HeartbeatRequest,
  { signal }: Caller,
): Promise<wire.HeartbeatResponse> {
  return outcomeOf(await broker.groups.heartbeat(request, signal));
}

export async function leaveGroupAnswer(
  broker: Broker,
  request: wire.LeaveGroupRequest,
  { signal }: Caller,
): Promise<wire.LeaveGroupResponse> {
  checkCount(request.members, "members");
  const answer = await broker.groups.leaveGroup(request, signal);
  return {
    ...outcomeOf(answer),
    members: answer.members.map(({ memberId, groupInstanceId, ...outcome }) => ({
      memberId,
      groupInstanceId,
      ...outcomeOf(outcome),
    })),
  };
}

export async function commitOffsetsAnswer(
  broker: Broker,
  request: wire.CommitOffsetsRequest,
  { signal }: Caller,
): Promise<wire.CommitOffsetsResponse> {
  const { groupId, memberId, generationIdOrMemberEpoch, groupInstanceId, offsets } = request;
  checkCount(offsets, "offsets");
  for (const { offset } of offsets) checkedUint64(offset, "offset");
  const { partitions } = await broker.groups.commitOffsets(
    {
      groupId,
      memberId,
      generationIdOrMemberEpoch,
      groupInstanceId,
      requireOwned: true,
      partitions: offsets,
    },
    signal,
  );
  return { results: partitions.map(partitionResult) };
}

export async function fetchOffsetsAnswer(
  broker: Broker,
  request: wire.FetchOffsetsRequest,
  { signal }: Caller,
): Promise<wire.FetchOffsetsResponse> {
  const { groupId, memberId, memberEpoch, allPartitions, partitions } = request;
  checkCount(partitions, "partitions");
  const answer = await broker.groups.fetchOffsets(
    {
      groupId,
      memberId,
      memberEpoch,
      partitions: allPartitions ? undefined : partitions,
      requireStable: true,
    },
    signal,
  );
  return {
    ...outcomeOf(answer),
    offsets: answer.partitions.map((one) => ({
      ...partitionResult(one),
      offset: one.offset,
      leaderEpoch: one.leaderEpoch,
      metadata: one.metadata,
    })),
  };
}

export async function deleteOffsetsAnswer(
  broker: Broker,
  request: wire.DeleteOffsetsRequest,
  { signal }: Caller,
): Promise<wire.DeleteOffsetsResponse> {
  checkCount(request.partitions, "partitions");
  const answer = await broker.groups.deleteOffsets(request, signal);
  return { ...outcomeOf(answer), results: answer.partitions.map(partitionResult) };
}

export async function listGroupsAnswer(
  broker: Broker,
  _request: wire.ListGroupsRequest,
  { signal }: Caller,
): Promise<wire.ListGroupsResponse> {
  const answer = await broker.groups.listGroups(signal);
  return { ...outcomeOf(answer), groups: answer.groups };
}

export async function describeGroupsAnswer(
  broker: Broker,
  { groupIds }: wire.DescribeGroupsRequest,
  { signal }: Caller,
): Promise<wire.DescribeGroupsResponse> {
  checkCount(groupIds, "group_ids");
  const groups = await broker.groups.describeGroups(groupIds, signal);
  return {
    groups: groups.map((group) => ({
      ...outcomeOf(group),
      groupId: group.groupId,
      type: group.type,
      state: group.state,
      protocolType: group.protocolType,
      protocol: group.protocol,
      epoch: group.epoch,
      members: group.members.map(memberMessage),
    })),
  };
}

export async function deleteGroupsAnswer(
  broker: Broker,
  { groupIds }: wire.DeleteGroupsRequest,
  { signal }: Caller,
): Promise<wire.DeleteGroupsResponse> {
  checkCount(groupIds, "group_ids");
  const results = await broker.groups.deleteGroups(groupIds, signal);
  return { results: results.map((one) => ({ groupId: one.groupId, ...outcomeOf(one) })) };
}

function outcomeOf({ error, errorMessage }: api.GroupOutcome): {
  readonly errorCode: number;
  readonly errorMessage: string;
} {
  return { errorCode: errorCodeOf(error), errorMessage };
}

function partitionResult(one: api.PartitionOutcome): wire.GroupPartitionResult {
  return { topic: one.topic, partition: one.partition, ...outcomeOf(one) };
}

function memberMessage(member: api.MemberDescription): wire.GroupMember {
  const byName = (one: { readonly topic: string; readonly partitions: readonly number[] }) => ({
    topicId: Buffer.alloc(0),
    ...one,
  });
  return {
    memberId: member.memberId,
    groupInstanceId: member.groupInstanceId,
    clientId: member.clientId,
    clientHost: member.clientHost,
    rackId: member.rackId,
    memberEpoch: member.memberEpoch,
    topics: member.topics,
    topicRegex: member.topicRegex,
    assignment: member.assignment.map(byName),
    target: member.target.map(byName),
  };
}

function assignmentMessage(
  assignment: readonly api.TopicPartitions[],
  image: MetadataImage,
): wire.GroupAssignment {
  return {
    topics: assignment.map(({ topicId, partitions }) => ({
      topicId: topicIdToBytes(topicId),
      topic: image.topicById(topicId)?.name ?? "",
      partitions,
    })),
  };
}

/** What a member says it has. A name that is gone stands for nothing any more. */
function ownedPartitions(
  assignment: wire.GroupAssignment | undefined,
  image: MetadataImage,
): api.TopicPartitions[] | undefined {
  if (assignment === undefined) return undefined;
  const { topics } = assignment;
  checkCount(topics, "owned.topics");
  const owned: api.TopicPartitions[] = [];
  for (const { topicId, topic, partitions } of topics) {
    checkCount(partitions, "owned.topics.partitions");
    const id = ownedTopic(topicId, topic, image);
    if (id !== undefined) owned.push({ topicId: id, partitions: partitions.toSorted((a, b) => a - b) });
  }
  return owned;
}

function ownedTopic(bytes: Buffer, name: string, image: MetadataImage): TopicId | undefined {
  if (bytes.length === UUID_BYTES) return topicIdFromBytes(bytes);
  if (bytes.length === 0 && name !== "") return image.topic(name)?.topicId;
  throw operationError(
    "INVALID_ARGUMENT",
    `owned.topics has a topic_id of ${bytes.length} bytes; give 16 bytes, or the name of the topic`,
  );
}

function checkCount(items: readonly unknown[], field: string): void {
  if (items.length <= MAX_ITEMS) return;
  throw operationError(
    "INVALID_ARGUMENT",
    `${field} has ${items.length} entries; at most ${MAX_ITEMS} are taken in one call, so make several`,
  );
}
