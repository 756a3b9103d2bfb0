import { errorMessage, operationError } from "../base/errors.ts";
import { decodeSubscription, encodeAssignment, type Subscription } from "../model/consumer-protocol.ts";
import { topicPartitionKey } from "../model/topic-partition.ts";
import type { JoinedMember, MemberAssignment } from "../rpc/group-messages.ts";
import type { AssignorMember, AssignorTopic, ClientAssignor, MemberPlan } from "./assignors/assignor.ts";
import type { ClientContext } from "./client-context.ts";
import { isLograftError } from "./errors.ts";
import type { TopicInfo } from "./metadata-cache.ts";

/** What the leader of a classic group works out for all. */
export interface GroupPlan {
  /** For SyncGroup. */
  readonly assignments: readonly MemberAssignment[];
  /** What it rests on: when one of these changes, the leader joins again. */
  readonly partitionCounts: PartitionCounts;
}

/** Partitions by topic; 0 for a topic that does not exist. */
export type PartitionCounts = ReadonlyMap<string, number>;

/** Bounds of waiting for the metadata of topics. */
export interface PlanOptions {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** A member whose subscription cannot be read wants nothing: its group must not stand still for it. */
const NOTHING: Subscription = {
  topics: [],
  userData: undefined,
  ownedPartitions: [],
  generationId: -1,
  rackId: undefined,
};

/**
 * Runs the assignor over what the members want, as far as it exists. @throws LograftError INVALID_ARGUMENT when the
 * assignor fails or gives a partition away twice; TIMEOUT (retriable) without metadata; the reason of `signal`.
 */
export async function planGroup(
  assignor: ClientAssignor,
  joined: readonly JoinedMember[],
  context: ClientContext,
  options: PlanOptions,
): Promise<GroupPlan> {
  const members = joined.map((member) => readMember(member, context));
  const names = [...new Set(members.flatMap(({ subscription }) => subscription.topics))].toSorted();
  await Promise.all(names.map((name) => known(name, context, options)));
  const topics: AssignorTopic[] = [];
  const partitionCounts = countPartitions(names, context);
  for (const name of names) {
    const info = context.metadata.topic(name);
    if (info !== undefined) topics.push(assignorTopic(info, context));
  }
  const plans = runAssignor(assignor, members, topics);
  const assignments = members.map(({ memberId }) => {
    const { partitions = [], userData } = plans.get(memberId) ?? {};
    const bytes = userData === undefined ? undefined : Buffer.from(userData);
    return { memberId, assignment: encodeAssignment({ partitions, userData: bytes }) };
  });
  return { assignments, partitionCounts };
}

/** What is known at the moment. Keeps the topics in use. */
export function countPartitions(names: Iterable<string>, { metadata }: ClientContext): PartitionCounts {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, metadata.topic(name)?.partitions.length ?? 0);
  return counts;
}

function readMember(
  { memberId, groupInstanceId, metadata }: JoinedMember,
  context: ClientContext,
): AssignorMember {
  try {
    return { memberId, groupInstanceId, subscription: decodeSubscription(metadata) };
  } catch (error: unknown) {
    if (!isLograftError(error)) throw error;
    context.logger.warn("the subscription of a member cannot be read; it gets nothing", {
      memberId,
      err: error,
    });
    return { memberId, groupInstanceId, subscription: NOTHING };
  }
}

/** Resolves when the topic is known, or known not to exist. */
async function known(name: string, { metadata }: ClientContext, options: PlanOptions): Promise<void> {
  // Of what was missing before, metadata tell by themselves when it comes: no waiting at each rebalance.
  if (metadata.topicError(name) === "UNKNOWN_TOPIC_OR_PARTITION") return;
  try {
    await metadata.waitForTopic(name, { ...options, allowAutoCreate: false });
  } catch (error: unknown) {
    if (isLograftError(error) && isAbsence(error.code)) return;
    throw error;
  }
}

/** A member may ask for what is not there, is no name at all, or is not for the leader to see. */
function isAbsence(code: string): boolean {
  return ["UNKNOWN_TOPIC_OR_PARTITION", "INVALID_TOPIC_EXCEPTION", "TOPIC_AUTHORIZATION_FAILED"].includes(
    code,
  );
}

function assignorTopic({ name, partitions }: TopicInfo, { metadata }: ClientContext): AssignorTopic {
  const replicaRacks = partitions.map(({ replicas }) =>
    replicas.map((nodeId) => metadata.rackOf(nodeId) ?? "").filter((rack) => rack !== ""),
  );
  const isPlaced = replicaRacks.some((racks) => racks.length > 0);
  return { name, partitionCount: partitions.length, ...(isPlaced ? { replicaRacks } : {}) };
}

function runAssignor(
  assignor: ClientAssignor,
  members: readonly AssignorMember[],
  topics: readonly AssignorTopic[],
): ReadonlyMap<string, MemberPlan> {
  let plans: ReadonlyMap<string, MemberPlan>;
  try {
    plans = assignor.assign(members, topics);
  } catch (error: unknown) {
    throw operationError("INVALID_ARGUMENT", `assignor ${assignor.name} failed: ${errorMessage(error)}`, {
      cause: error,
    });
  }
  checkPlan(assignor, plans, members, topics);
  return plans;
}

/** Assignors may be anybody's: a plan by which two members read one partition must not go out (H60). */
function checkPlan(
  { name }: ClientAssignor,
  plans: ReadonlyMap<string, MemberPlan>,
  members: readonly AssignorMember[],
  topics: readonly AssignorTopic[],
): void {
  const memberIds = new Set(members.map(({ memberId }) => memberId));
  const counts = new Map(topics.map((topic) => [topic.name, topic.partitionCount]));
  const owners = new Map<string, string>();
  for (const [memberId, { partitions }] of plans) {
    if (!memberIds.has(memberId)) throw refused(name, `${memberId}, which is no member, something`);
    for (const { topic, partitions: numbers } of partitions) {
      for (const partition of numbers) {
        const key = topicPartitionKey(topic, partition);
        const isThere = partition >= 0 && partition < (counts.get(topic) ?? 0);
        if (!isThere) throw refused(name, `${memberId} ${key}, which does not exist`);
        const other = owners.get(key);
        if (other !== undefined) throw refused(name, `${key} to both ${other} and ${memberId}`);
        owners.set(key, memberId);
      }
    }
  }
}

function refused(assignor: string, what: string): Error {
  return operationError(
    "INVALID_ARGUMENT",
    `assignor ${assignor} gives ${what}; its plan is not carried out`,
  );
}
