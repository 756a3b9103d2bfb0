import { isSubscriber, NOBODY } from "../../model/balance-problem.ts";
import type { TopicId } from "../../model/ids.ts";
import type { AssignedTopics, MemberSubscription } from "./assignor.ts";
import type { TopicPartitions } from "./group-api.ts";

/** A topic of an assignment in numbers. */
export interface GridTopic {
  readonly topicId: TopicId;
  readonly partitionCount: number;
  /** Indices into `AssignmentGrid.members`, ascending. */
  readonly subscribers: readonly number[];
  /** Number of its partition 0 when the partitions of all topics are numbered through. */
  readonly first: number;
}

/** The input of an assignor as numbers: what it computes with has no text in it. */
export interface AssignmentGrid {
  /** Static members by their instance, then the others by member id. */
  readonly members: readonly MemberSubscription[];
  /** Ascending by name. */
  readonly topics: readonly GridTopic[];
  readonly partitionCount: number;
  /** Who was to have each partition: a subscriber, or `NOBODY`. */
  readonly previous: Int32Array;
}

/** Topics that do not exist, partitions past the end and second claims of one partition are left out. */
export function assignmentGrid(
  members: readonly MemberSubscription[],
  assigned: AssignedTopics,
): AssignmentGrid {
  const sorted = members.toSorted(byInstanceAndId);
  const topics: (GridTopic & { readonly subscribers: number[] })[] = [];
  const indices = new Map<TopicId, number>();
  let first = 0;
  for (const topicId of assigned.topicIds) {
    const partitionCount = assigned.partitionCount(topicId);
    indices.set(topicId, topics.length);
    topics.push({ topicId, partitionCount, subscribers: [], first });
    first += partitionCount;
  }
  for (const [index, { topicIds }] of sorted.entries()) {
    let at = 0;
    for (const topicId of topicIds) {
      // Both lists have one order, so mostly the next topic is meant; a million look-ups would cost more than the plan.
      if (topics[at]?.topicId !== topicId) at = indices.get(topicId) ?? topics.length;
      topics[at]?.subscribers.push(index);
      at++;
    }
  }
  const previous = new Int32Array(first).fill(NOBODY);
  for (const [index, member] of sorted.entries()) {
    for (const { topicId, partitions } of member.previous) {
      const topic = topics[indices.get(topicId) ?? topics.length];
      if (topic === undefined || !isSubscriber(topic, index)) continue;
      for (const partition of partitions) {
        const at = topic.first + partition;
        if (partition < topic.partitionCount && previous[at] === NOBODY) previous[at] = index;
      }
    }
  }
  return { members: sorted, topics, partitionCount: first, previous };
}

/** The plan by member id, from the owner of each partition. Members that get nothing have an empty list. */
export function gridPlan(
  { members, topics }: AssignmentGrid,
  owners: Int32Array,
): ReadonlyMap<string, readonly TopicPartitions[]> {
  const plans: { topicId: TopicId; partitions: number[] }[][] = members.map(() => []);
  for (const { topicId, first, partitionCount } of topics) {
    for (let partition = 0; partition < partitionCount; partition++) {
      const plan = plans[owners[first + partition] ?? NOBODY];
      const last = plan?.at(-1);
      if (last?.topicId === topicId) last.partitions.push(partition);
      else plan?.push({ topicId, partitions: [partition] });
    }
  }
  return new Map(members.map(({ memberId }, index) => [memberId, plans[index] ?? []]));
}

function byInstanceAndId(a: MemberSubscription, b: MemberSubscription): number {
  if (a.instanceId === undefined && b.instanceId === undefined) return a.memberId < b.memberId ? -1 : 1;
  if (a.instanceId === undefined) return 1;
  if (b.instanceId === undefined) return -1;
  return a.instanceId < b.instanceId ? -1 : 1;
}
