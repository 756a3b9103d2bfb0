import fc from "fast-check";
import { expect } from "vitest";
import type {
  AssignedTopics,
  MemberSubscription,
  ServerAssignor,
} from "../../../src/coordinator/group/assignor.ts";
import type { TopicPartitions } from "../../../src/coordinator/group/group-api.ts";
import type { TopicId } from "../../../src/model/ids.ts";

/** A topic's id; the text stands for its name, too. */
export function id(name: string): TopicId {
  return name as TopicId;
}

/** Topics by their number of partitions. */
export function topicsOf(counts: Readonly<Record<string, number>>): AssignedTopics {
  return {
    topicIds: Object.keys(counts).toSorted().map(id),
    partitionCount: (topicId) => counts[topicId] ?? 0,
  };
}

/** A member that was to have nothing yet. */
export function member(
  memberId: string,
  topics: readonly string[],
  fields: Partial<MemberSubscription> = {},
): MemberSubscription {
  return {
    memberId,
    instanceId: undefined,
    rackId: undefined,
    topicIds: topics.map(id),
    previous: [],
    ...fields,
  };
}

export type ServerPlan = ReadonlyMap<string, readonly TopicPartitions[]>;

/** "m0: t0 0 1, t1 0" by member. */
export function shown(plan: ServerPlan): string[] {
  return [...plan]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([memberId, topics]) =>
        `${memberId}: ${topics.map(({ topicId, partitions }) => [topicId, ...partitions].join(" ")).join(", ")}`,
    );
}

export function counts(plan: ServerPlan): number[] {
  return [...plan.values()].map((topics) =>
    topics.reduce((sum, { partitions }) => sum + partitions.length, 0),
  );
}

/** The owner of each partition, by "topic-partition". Fails when one was given twice. */
export function owners(plan: ServerPlan): Map<string, string> {
  const found = new Map<string, string>();
  for (const [memberId, topics] of plan) {
    for (const { topicId, partitions } of topics) {
      expect(partitions).toEqual(partitions.toSorted((a, b) => a - b));
      for (const partition of partitions) {
        expect(found.has(`${topicId}-${partition}`), `${topicId}-${partition} is given twice`).toBe(false);
        found.set(`${topicId}-${partition}`, memberId);
      }
    }
  }
  return found;
}

/** The members with what the plan gave them. */
export function after(members: readonly MemberSubscription[], plan: ServerPlan): MemberSubscription[] {
  return members.map((one) => ({ ...one, previous: plan.get(one.memberId) ?? [] }));
}

/** Every partition that is subscribed to is given once, to a subscriber; each member has an entry. */
export function expectWhole(
  plan: ServerPlan,
  members: readonly MemberSubscription[],
  topics: AssignedTopics,
): void {
  expect([...plan.keys()].toSorted()).toEqual(members.map(({ memberId }) => memberId).toSorted());
  const found = owners(plan);
  let wanted = 0;
  for (const topicId of topics.topicIds) {
    const subscribers = members.filter(({ topicIds }) => topicIds.includes(topicId));
    if (subscribers.length === 0) continue;
    wanted += topics.partitionCount(topicId);
    for (let partition = 0; partition < topics.partitionCount(topicId); partition++) {
      const owner = found.get(`${topicId}-${partition}`);
      expect(
        subscribers.map(({ memberId }) => memberId),
        `${topicId}-${partition}`,
      ).toContain(owner);
    }
  }
  expect(found.size).toBe(wanted);
}

/** Up to 8 members over up to 5 topics, with what another group of that size had. */
export const anyServerGroup = fc
  .record({
    sizes: fc.array(fc.nat(9), { minLength: 1, maxLength: 5 }),
    memberCount: fc.integer({ min: 1, max: 8 }),
    isUniform: fc.boolean(),
  })
  .chain(({ sizes, memberCount, isUniform }) => {
    const names = sizes.map((_, index) => `t${index}`);
    const subscribed = isUniform ? fc.constant(names) : fc.subarray(names);
    return fc.record({
      topics: fc.constant(
        topicsOf(Object.fromEntries(names.map((name, index) => [name, sizes[index] ?? 0]))),
      ),
      members: fc
        .array(subscribed, { minLength: memberCount, maxLength: memberCount })
        .map((drawn) => drawn.map((topics, index) => member(`m${index}`, topics))),
      isUniform: fc.constant(isUniform),
    });
  });

/** The best of five runs, in milliseconds of CPU time of this process: other work on the machine does not count. */
export function cpuMsOf(run: () => void): number {
  let bestMs = Infinity;
  for (let round = 0; round < 5; round++) {
    const before = process.cpuUsage();
    run();
    const { user, system } = process.cpuUsage(before);
    bestMs = Math.min(bestMs, (user + system) / 1000);
  }
  return bestMs;
}

/** 1,000 members over 1,000 partitions: in one topic, in 1,000 topics for all, and with differing subscriptions. */
export function largeGroups(): readonly {
  readonly name: string;
  readonly members: readonly MemberSubscription[];
  readonly topics: AssignedTopics;
}[] {
  const many = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`t${index}`, 1]));
  const ten = Object.fromEntries(Array.from({ length: 10 }, (_, index) => [`t${index}`, 100]));
  const group = (subscribed: (index: number) => readonly string[]): MemberSubscription[] =>
    Array.from({ length: 1000 }, (_, index) => member(`m${index}`, subscribed(index)));
  const allOfMany = Object.keys(many);
  return [
    { name: "one topic", members: group(() => ["t"]), topics: topicsOf({ t: 1000 }) },
    { name: "1,000 topics", members: group(() => allOfMany), topics: topicsOf(many) },
    {
      name: "differing subscriptions",
      members: group((index) => Object.keys(ten).slice(index % 10)),
      topics: topicsOf(ten),
    },
  ];
}

/** Runs the plan of a large group twice: from nothing, and after a tenth of the members left. */
export function largePlans(assignor: ServerAssignor, group: ReturnType<typeof largeGroups>[number]): void {
  const first = assignor.assign(group.members, group.topics);
  const rest = after(group.members, first).filter((_, index) => index % 10 !== 3);
  assignor.assign(rest, group.topics);
}
