import type {
  ConsumerGroupHeartbeatRequest,
  ConsumerGroupHeartbeatResponse,
  GroupOutcome,
  HeartbeatRequest,
  JoinGroupRequest,
  JoinGroupResponse,
  LeaveGroupResponse,
  SyncGroupResponse,
} from "../../../src/coordinator/group/group-api.ts";
import type { ReplyTo } from "../../../src/coordinator/shard.ts";
import { encodeSubscription } from "../../../src/model/consumer-protocol.ts";
import type { ShardBench } from "./shard-bench.ts";

export function joinRequest(groupId: string, fields: Partial<JoinGroupRequest> = {}): JoinGroupRequest {
  return {
    groupId,
    memberId: "",
    clientId: "client",
    clientHost: "/127.0.0.1",
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 10_000,
    protocolType: "consumer",
    protocols: [{ name: "range", metadata: subscriptionTo("orders") }],
    requireKnownMemberId: false,
    supportsSkippingAssignment: false,
    ...fields,
  };
}

/** What a consumer of these topics says in its join. */
export function subscriptionTo(...topics: string[]): Buffer {
  return encodeSubscription({
    topics,
    ownedPartitions: [],
    userData: undefined,
    generationId: -1,
    rackId: undefined,
  });
}

export function heartbeatRequest(
  groupId: string,
  memberId: string,
  fields: Partial<ConsumerGroupHeartbeatRequest> = {},
): ConsumerGroupHeartbeatRequest {
  return {
    groupId,
    memberId,
    clientId: "client",
    clientHost: "/127.0.0.1",
    memberEpoch: 0,
    rebalanceTimeoutMs: 30_000,
    subscribedTopicNames: ["orders"],
    topicPartitions: [],
    ...fields,
  };
}

/** A first member joins a classic group and is given its plan; answers who it is. */
export function enterClassic(
  bench: ShardBench,
  groupId: string,
  fields: Partial<JoinGroupRequest> = {},
): HeartbeatRequest {
  const { shard } = bench;
  const to: ReplyTo<JoinGroupResponse> = {};
  const answers = new Map<object, unknown>();
  const collect = (decide: Parameters<ShardBench["act"]>[0]): void => {
    for (const [key, value] of bench.act(decide).answers) answers.set(key, value);
  };
  collect((context, effects) => {
    shard.joinGroup(joinRequest(groupId, fields), to, context, effects);
  });
  for (let turn = 0; turn < 100 && !answers.has(to); turn++) {
    bench.nowMs = Math.max(bench.nowMs, shard.nextDeadlineMs);
    collect((context, effects) => {
      shard.expire(context, effects);
    });
  }
  const joined = answers.get(to) as JoinGroupResponse;
  const { memberId, generationId } = joined;
  const synced: SyncGroupResponse = bench.ask("syncGroup", {
    groupId,
    generationId,
    memberId,
    assignments: [{ memberId, assignment: Buffer.from("plan") }],
  });
  if (synced.error !== "NONE") throw new Error(`${joined.error} ${synced.error}`);
  return { groupId, memberId, generationId };
}

/** The heartbeat that joins a consumer group. */
export function enterConsumer(
  bench: ShardBench,
  groupId: string,
  memberId: string,
  fields: Partial<ConsumerGroupHeartbeatRequest> = {},
): ConsumerGroupHeartbeatResponse {
  return bench.ask("consumerGroupHeartbeat", heartbeatRequest(groupId, memberId, fields));
}

export function leave(bench: ShardBench, groupId: string, memberId: string): LeaveGroupResponse {
  return bench.ask("leaveGroup", { groupId, members: [{ memberId, reason: "done" }] });
}

export function deleteGroup(bench: ShardBench, groupId: string): GroupOutcome {
  return bench.ask("deleteGroup", { groupId });
}
