import fc from "fast-check";
import { expect } from "vitest";
import type {
  AssignorMember,
  AssignorTopic,
  ClientAssignor,
} from "../../../src/client/assignors/assignor.ts";
import {
  decodeSubscription,
  encodeSubscription,
  type NamedPartitions,
  type Subscription,
} from "../../../src/model/consumer-protocol.ts";

/** A member that has nothing. */
export function member(
  memberId: string,
  topics: readonly string[],
  fields: Partial<Subscription> & { readonly groupInstanceId?: string } = {},
): AssignorMember {
  const { groupInstanceId, ...subscription } = fields;
  return {
    memberId,
    groupInstanceId,
    subscription: {
      topics,
      userData: undefined,
      ownedPartitions: [],
      generationId: -1,
      rackId: undefined,
      ...subscription,
    },
  };
}

export function topic(name: string, partitionCount: number, replicaRacks?: string[][]): AssignorTopic {
  return { name, partitionCount, replicaRacks };
}

/** What each member has, such as "t: 0 1". */
export type Plan = ReadonlyMap<string, readonly NamedPartitions[]>;

/** The plan of an assignor, by member. */
export function planFor(
  assignor: ClientAssignor,
  members: readonly AssignorMember[],
  topics: readonly AssignorTopic[],
): Plan {
  return new Map([...assignor.assign(members, topics)].map(([id, { partitions }]) => [id, partitions]));
}

/** "m0: t0 0 1, t1 0" by member. */
export function shown(plan: Plan): string[] {
  return [...plan]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([id, topics]) =>
        `${id}: ${topics.map(({ topic: name, partitions }) => [name, ...partitions].join(" ")).join(", ")}`,
    );
}

export function counts(plan: Plan): Record<string, number> {
  return Object.fromEntries(
    [...plan].map(([id, topics]) => [id, topics.reduce((sum, { partitions }) => sum + partitions.length, 0)]),
  );
}

/** The owner of each partition, by "topic-partition". Fails when one was given twice. */
export function owners(plan: Plan): Map<string, string> {
  const found = new Map<string, string>();
  for (const [id, topics] of plan) {
    for (const { topic: name, partitions } of topics) {
      for (const partition of partitions) {
        const key = `${name}-${partition}`;
        expect(found.has(key), `${key} is given twice`).toBe(false);
        found.set(key, id);
      }
    }
  }
  return found;
}

/** The members as they join again: with what the plan gave them, said in the way of the assignor. */
export function rejoining(
  assignor: ClientAssignor,
  members: readonly AssignorMember[],
  plan: Plan,
  generationId: number,
): AssignorMember[] {
  return members.map((one) => {
    const lastAssigned = plan.get(one.memberId) ?? [];
    const { topics } = one.subscription;
    const userData = assignor.subscriptionUserData?.({ topics, lastAssigned, generationId });
    const isCooperative = assignor.protocol === "cooperative";
    const subscription = {
      ...one.subscription,
      userData: userData === undefined ? undefined : Buffer.from(userData),
      ownedPartitions: isCooperative ? lastAssigned : [],
      generationId: isCooperative ? generationId : -1,
    };
    // Through the bytes, as over the wire.
    return { ...one, subscription: decodeSubscription(encodeSubscription(subscription)) };
  });
}

/** Partitions that some member subscribes to are given exactly once, and only to subscribers. */
export function expectWhole(
  plan: Plan,
  members: readonly AssignorMember[],
  topics: readonly AssignorTopic[],
): void {
  const found = owners(plan);
  let wanted = 0;
  for (const { name, partitionCount } of topics) {
    const subscribers = members.filter(({ subscription }) => subscription.topics.includes(name));
    if (subscribers.length === 0) continue;
    wanted += partitionCount;
    for (let partition = 0; partition < partitionCount; partition++) {
      const owner = found.get(`${name}-${partition}`);
      expect(
        subscribers.map(({ memberId }) => memberId),
        `${name}-${partition}`,
      ).toContain(owner);
    }
  }
  expect(found.size).toBe(wanted);
}

/** Groups of up to 7 members over up to 5 topics; half of them with one subscription for all. */
export const anyGroup = fc
  .record({
    topicSizes: fc.array(fc.nat(8), { minLength: 1, maxLength: 5 }),
    memberCount: fc.integer({ min: 1, max: 7 }),
    isUniform: fc.boolean(),
  })
  .chain(({ topicSizes, memberCount, isUniform }) => {
    const topics = topicSizes.map((size, index) => topic(`t${index}`, size));
    const names = topics.map(({ name }) => name);
    return fc.record({
      topics: fc.constant(topics),
      members: fc
        .array(
          fc.record({
            subscribed: isUniform ? fc.constant(names) : fc.subarray(names),
            isStatic: fc.boolean(),
          }),
          { minLength: memberCount, maxLength: memberCount },
        )
        .map((drawn) =>
          drawn.map(({ subscribed, isStatic }, index) =>
            member(`m${index}`, subscribed, isStatic ? { groupInstanceId: `i${9 - index}` } : {}),
          ),
        ),
    });
  });
