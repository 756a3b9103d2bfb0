import { compareText } from "../../metadata/image.ts";
import { shownTopic, validateTopicName } from "../../model/topic-partition.ts";
import type { ConsumerGroupHeartbeatRequest, GroupOutcome } from "./group-api.ts";
import type { MemberValue } from "./group-records.ts";
import { refuse } from "./group-rules.ts";
import { TopicRegex } from "./topic-regex.ts";

/** Member epochs that are requests (KIP-848): to join, to leave, and to leave for a while as a static member. */
export const JOIN_EPOCH = 0;
export const LEAVE_EPOCH = -1;
export const LEAVE_FOR_A_WHILE_EPOCH = -2;

/** What a heartbeat is checked against. */
export interface HeartbeatRules {
  readonly assignorNames: readonly string[];
  readonly maxMemberBytes: number;
}

/** Refuses a heartbeat that no group could take, whoever is in it. */
export function checkHeartbeat(
  request: ConsumerGroupHeartbeatRequest,
  rules: HeartbeatRules,
): GroupOutcome | undefined {
  const { memberEpoch, instanceId, rebalanceTimeoutMs, serverAssignor } = request;
  if (request.memberId === "")
    return invalid("the member id is empty; make a UUID and keep it while you run");
  if (!Number.isInteger(memberEpoch) || memberEpoch < LEAVE_FOR_A_WHILE_EPOCH) {
    return invalid(
      `${memberEpoch} is no member epoch; join with 0, leave with -1, else send the last answer's`,
    );
  }
  if (instanceId === "")
    return invalid("the instance id is empty; leave it out, or give the instance a name");
  if (memberEpoch === LEAVE_FOR_A_WHILE_EPOCH && instanceId === undefined) {
    return invalid("only a member with an instance id can leave for a while (-2); leave with -1");
  }
  if (rebalanceTimeoutMs !== undefined && rebalanceTimeoutMs <= 0) {
    return invalid(`a rebalance timeout of ${rebalanceTimeoutMs} ms is none; send more than 0`);
  }
  if (
    serverAssignor !== undefined &&
    serverAssignor !== "" &&
    !rules.assignorNames.includes(serverAssignor)
  ) {
    const text = `there is no assignor ${JSON.stringify(serverAssignor.slice(0, 80))}; choose from ${rules.assignorNames.join(", ")}`;
    return refuse("UNSUPPORTED_ASSIGNOR", text);
  }
  return (
    (memberEpoch === JOIN_EPOCH ? checkJoin(request) : undefined) ??
    checkSubscription(request, rules.maxMemberBytes)
  );
}

function checkJoin(request: ConsumerGroupHeartbeatRequest): GroupOutcome | undefined {
  const { subscribedTopicNames, subscribedTopicRegex, topicPartitions } = request;
  if (request.rebalanceTimeoutMs === undefined) {
    return invalid("a member that joins says its rebalance timeout; send it with epoch 0");
  }
  if ((subscribedTopicNames ?? []).length === 0 && (subscribedTopicRegex ?? "") === "") {
    return invalid("a member that joins subscribes to something; send topic names or a pattern with epoch 0");
  }
  if (topicPartitions?.some(({ partitions }) => partitions.length > 0) === true) {
    return invalid("a member that joins (epoch 0) owns nothing; give up its partitions first, and send none");
  }
  return undefined;
}

function checkSubscription(
  request: ConsumerGroupHeartbeatRequest,
  maxBytes: number,
): GroupOutcome | undefined {
  const names = request.subscribedTopicNames ?? [];
  const regex = request.subscribedTopicRegex ?? "";
  const bytes = names.reduce((sum, name) => sum + Buffer.byteLength(name), Buffer.byteLength(regex));
  if (bytes > maxBytes) {
    return invalid(`the subscription has ${bytes} bytes, and at most ${maxBytes} are taken; use a pattern`);
  }
  for (const name of names) {
    const validity = validateTopicName(name);
    if (validity.ok) continue;
    const text = `cannot subscribe to ${shownTopic(name)}: ${validity.reason}; correct the name`;
    return refuse("INVALID_TOPIC_EXCEPTION", text);
  }
  if (regex === "") return undefined;
  const compiled = TopicRegex.compile(regex);
  if (compiled.ok) return undefined;
  const text = `cannot subscribe to the pattern ${JSON.stringify(regex.slice(0, 80))}: ${compiled.reason}; use RE2's syntax`;
  return refuse("INVALID_REGULAR_EXPRESSION", text);
}

/** What the member says of itself with this heartbeat: what it leaves out is as before. */
export function memberValue(
  request: ConsumerGroupHeartbeatRequest,
  before: MemberValue | undefined,
): MemberValue {
  const { subscribedTopicNames: names } = request;
  return {
    instanceId: request.instanceId ?? before?.instanceId ?? null,
    rackId: request.rackId ?? before?.rackId ?? null,
    clientId: request.clientId,
    clientHost: request.clientHost,
    subscribedTopicNames:
      names === undefined ? (before?.subscribedTopicNames ?? []) : [...new Set(names)].sort(compareText),
    subscribedTopicRegex: request.subscribedTopicRegex ?? before?.subscribedTopicRegex ?? "",
    rebalanceTimeoutMs: request.rebalanceTimeoutMs ?? before?.rebalanceTimeoutMs ?? 0,
    serverAssignor: request.serverAssignor ?? before?.serverAssignor ?? "",
  };
}

/** How much one description of a member differs from another: not at all, not for the plan, or so that a plan is made. */
export function memberChange(before: MemberValue, after: MemberValue): "none" | "record" | "plan" {
  const isSamePlan =
    before.subscribedTopicRegex === after.subscribedTopicRegex &&
    before.serverAssignor === after.serverAssignor &&
    before.rackId === after.rackId &&
    isSameList(before.subscribedTopicNames, after.subscribedTopicNames);
  if (!isSamePlan) return "plan";
  const isSame =
    before.clientId === after.clientId &&
    before.clientHost === after.clientHost &&
    before.rebalanceTimeoutMs === after.rebalanceTimeoutMs &&
    before.instanceId === after.instanceId;
  return isSame ? "none" : "record";
}

function isSameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}

function invalid(text: string): GroupOutcome {
  return refuse("INVALID_REQUEST", text);
}
