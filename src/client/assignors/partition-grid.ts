import { NOBODY } from "../../model/balance-problem.ts";
import type { AssignorMember, AssignorTopic, MemberPlan } from "./assignor.ts";

/** A topic in numbers. */
export interface GridTopic extends AssignorTopic {
  /** Indices of its members, ascending. */
  readonly subscribers: readonly number[];
  /** Number of its partition 0 when the partitions of all topics are numbered through. */
  readonly first: number;
}

/** Members and partitions as numbers, in the order of `members`. */
export interface PartitionGrid {
  readonly members: readonly AssignorMember[];
  /** Ascending by name. */
  readonly topics: readonly GridTopic[];
  readonly partitionCount: number;
}

/** The order of range and round robin: static members by their instance id, then the others by member id. */
export function inMemberOrder(members: readonly AssignorMember[]): AssignorMember[] {
  return members.toSorted((a, b) => {
    if (a.groupInstanceId === undefined && b.groupInstanceId === undefined) return byMemberId(a, b);
    if (a.groupInstanceId === undefined) return 1;
    if (b.groupInstanceId === undefined) return -1;
    return a.groupInstanceId < b.groupInstanceId ? -1 : 1;
  });
}

/** The order of the sticky assignors. */
export function byMemberId(a: AssignorMember, b: AssignorMember): number {
  return a.memberId < b.memberId ? -1 : 1;
}

/** Numbers members, in the order given, and partitions. */
export function partitionGrid(
  members: readonly AssignorMember[],
  topics: readonly AssignorTopic[],
): PartitionGrid {
  const subscribers = new Map<string, number[]>(topics.map(({ name }) => [name, []]));
  for (const [index, { subscription }] of members.entries()) {
    // A name may come twice in what a foreign client wrote.
    for (const topic of new Set(subscription.topics)) subscribers.get(topic)?.push(index);
  }
  let first = 0;
  const numbered = topics
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map((topic) => {
      const entry = { ...topic, subscribers: subscribers.get(topic.name) ?? [], first };
      first += topic.partitionCount;
      return entry;
    });
  return { members, topics: numbered, partitionCount: first };
}

/** The plan by member id, from the owner of each partition. Members that get nothing have an empty list. */
export function planOf({ members, topics }: PartitionGrid, owners: Int32Array): Map<string, MemberPlan> {
  const plans: { topic: string; partitions: number[] }[][] = members.map(() => []);
  for (const { name, first, partitionCount } of topics) {
    for (let partition = 0; partition < partitionCount; partition++) {
      const plan = plans[owners[first + partition] ?? NOBODY];
      const last = plan?.at(-1);
      if (last?.topic === name) last.partitions.push(partition);
      else plan?.push({ topic: name, partitions: [partition] });
    }
  }
  return new Map(members.map(({ memberId }, index) => [memberId, { partitions: plans[index] ?? [] }]));
}

/**
 * Whether a member is in the rack of a replica of the partition `number` of `topic`. Undefined when racks make no
 * difference: none of a member is that of a replica, or every partition is in every rack of a replica.
 */
export function rackMatch({
  members,
  topics,
}: PartitionGrid): ((topic: GridTopic, number: number, member: number) => boolean) | undefined {
  const memberRacks = new Set(members.map(({ subscription }) => subscription.rackId ?? ""));
  memberRacks.delete("");
  const placed = topics.flatMap(({ subscribers, replicaRacks }) =>
    subscribers.length === 0 ? [] : (replicaRacks ?? []),
  );
  const replicaRacks = new Set(placed.flat());
  replicaRacks.delete("");
  if (![...memberRacks].some((rack) => replicaRacks.has(rack))) return undefined;
  const racks = [...replicaRacks];
  if (placed.every((own) => racks.every((rack) => own.includes(rack)))) return undefined;
  return (topic, number, member) => {
    const rack = members[member]?.subscription.rackId ?? "";
    return rack !== "" && topic.replicaRacks?.[number]?.includes(rack) === true;
  };
}
