import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type BalanceProblem, NOBODY } from "../../src/model/balance-problem.ts";
import { stickyBalance } from "../../src/model/sticky-balance.ts";

/** Partition counts and the members of each topic. */
function problem(
  memberCount: number,
  topics: readonly (readonly [partitionCount: number, subscribers: readonly number[]])[],
  previous?: readonly number[],
): BalanceProblem {
  const total = topics.reduce((sum, [count]) => sum + count, 0);
  return {
    memberCount,
    topics: topics.map(([partitionCount, subscribers]) => ({ partitionCount, subscribers })),
    previous: Int32Array.from(previous ?? Array.from({ length: total }, () => NOBODY)),
  };
}

function countsOf(owners: Int32Array, memberCount: number): number[] {
  const counts = Array.from({ length: memberCount }, () => 0);
  for (const owner of owners) if (owner !== NOBODY) counts[owner] = (counts[owner] ?? 0) + 1;
  return counts;
}

function topicOf({ topics }: BalanceProblem): (readonly number[])[] {
  return topics.flatMap(({ partitionCount, subscribers }) =>
    Array.from({ length: partitionCount }, () => subscribers),
  );
}

/** Previous owners are drawn among the subscribers, unevenly. */
const anyProblem = fc
  .tuple(fc.integer({ min: 1, max: 7 }), fc.boolean())
  .chain(([memberCount, isUniform]) => {
    const all = Array.from({ length: memberCount }, (_, index) => index);
    const subscribers = isUniform ? fc.constant(all) : fc.subarray(all);
    return fc.record({
      memberCount: fc.constant(memberCount),
      topics: fc.array(fc.record({ partitionCount: fc.nat(9), subscribers }), { maxLength: 6 }),
      picks: fc.array(fc.nat(30), { minLength: 60, maxLength: 60 }),
    });
  })
  .map(({ memberCount, topics, picks }): BalanceProblem => {
    let at = 0;
    const previous = topics.flatMap(({ partitionCount, subscribers }) =>
      Array.from({ length: partitionCount }, () => subscribers[picks[at++ % picks.length] ?? 0] ?? NOBODY),
    );
    return { memberCount, topics, previous: Int32Array.from(previous) };
  });

test("every partition goes to one of its subscribers, and to nobody only where there is none", () => {
  fc.assert(
    fc.property(anyProblem, (given) => {
      const owners = stickyBalance(given);
      for (const [partition, subscribers] of topicOf(given).entries()) {
        const owner = owners[partition] ?? NOBODY;
        if (subscribers.length === 0) expect(owner).toBe(NOBODY);
        else expect(subscribers).toContain(owner);
      }
    }),
    { numRuns: 300 },
  );
});

test("no member could take a partition from one that has at least two more", () => {
  fc.assert(
    fc.property(anyProblem, (given) => {
      const owners = stickyBalance(given);
      const counts = countsOf(owners, given.memberCount);
      for (const [partition, subscribers] of topicOf(given).entries()) {
        const held = counts[owners[partition] ?? NOBODY] ?? 0;
        for (const other of subscribers) expect(held - (counts[other] ?? 0)).toBeLessThan(2);
      }
    }),
    { numRuns: 300 },
  );
});

test("a plan is its own successor, and the same problem has the same plan", () => {
  fc.assert(
    fc.property(anyProblem, (given) => {
      const owners = stickyBalance(given);
      expect(stickyBalance(given)).toEqual(owners);
      expect(stickyBalance({ ...given, previous: owners })).toEqual(owners);
    }),
    { numRuns: 300 },
  );
});

test("with one subscription for all, no plan of the same balance could keep more", () => {
  const uniform = anyProblem.filter(({ memberCount, topics }) =>
    topics.every(({ subscribers }) => subscribers.length === memberCount),
  );
  fc.assert(
    fc.property(uniform, (given) => {
      const owners = stickyBalance(given);
      const total = owners.length;
      const before = countsOf(given.previous, given.memberCount).toSorted((a, b) => b - a);
      const minCount = Math.floor(total / given.memberCount);
      const extras = total % given.memberCount;
      // The best that quotas allow: the larger ones to those that had most.
      const best = before.reduce(
        (sum, count, rank) => sum + Math.min(count, minCount + (rank < extras ? 1 : 0)),
        0,
      );
      const kept = owners.filter((owner, partition) => owner === given.previous[partition]).length;
      expect(kept).toBe(best);
    }),
  );
});

test("no plan is more even, whatever the subscriptions", () => {
  const small = fc.integer({ min: 1, max: 4 }).chain((memberCount) => {
    const all = Array.from({ length: memberCount }, (_, index) => index);
    const topic = fc.record({ partitionCount: fc.nat(3), subscribers: fc.subarray(all, { minLength: 1 }) });
    return fc.record({ memberCount: fc.constant(memberCount), topics: fc.array(topic, { maxLength: 4 }) });
  });
  fc.assert(
    fc.property(small, fc.nat(), ({ memberCount, topics }, pick) => {
      const previous = topics.flatMap(({ partitionCount, subscribers }) =>
        Array.from({ length: partitionCount }, () => subscribers[pick % subscribers.length] ?? NOBODY),
      );
      fc.pre(previous.length <= 7);
      const given = { memberCount, topics, previous: Int32Array.from(previous) };
      const counts = countsOf(stickyBalance(given), memberCount);
      const squares = counts.reduce((sum, count) => sum + count * count, 0);
      expect(squares).toBe(
        leastSquares(
          topicOf(given),
          Array.from({ length: memberCount }, () => 0),
        ),
      );
    }),
    { numRuns: 200 },
  );
});

/** The least sum of squared counts over all plans, by trying each. */
function leastSquares(choices: readonly (readonly number[])[], counts: readonly number[]): number {
  const [first, ...rest] = choices;
  if (first === undefined) return counts.reduce((sum, count) => sum + count * count, 0);
  return Math.min(
    ...first.map((member) => leastSquares(rest, counts.with(member, (counts[member] ?? 0) + 1))),
  );
}

describe("differing subscriptions", () => {
  test("a topic that few can take is dealt first", () => {
    const counts = countsOf(
      stickyBalance(
        problem(2, [
          [4, [0, 1]],
          [4, [0]],
        ]),
      ),
      2,
    );
    expect(counts).toEqual([4, 4]);
  });

  test("what one member has too much reaches another by way of a third", () => {
    // 0 shares a topic with 1, and 1 with 2: what 0 has too much reaches 2 by way of 1.
    const owners = stickyBalance(
      problem(
        3,
        [
          [6, [0, 1]],
          [3, [1, 2]],
        ],
        [0, 0, 0, 0, 0, 0, 1, 1, 1],
      ),
    );
    expect(countsOf(owners, 3)).toEqual([3, 3, 3]);
    expect(
      owners.filter((owner, partition) => owner !== [0, 0, 0, 0, 0, 0, 1, 1, 1][partition]),
    ).toHaveLength(6);
  });

  test("members that none of a change concerns keep all they have", () => {
    const topics: [number, number[]][] = [
      [6, [0, 1]],
      [6, [2, 3]],
      [6, [2, 3, 4]],
    ];
    const before = stickyBalance(problem(5, topics.slice(0, 2).concat([[6, [2, 3]]])));
    const after = stickyBalance(problem(5, topics, [...before]));
    expect(after.subarray(0, 6)).toEqual(before.subarray(0, 6));
    const moved = after.filter((owner, partition) => owner !== before[partition]);
    expect([...moved]).toEqual([4, 4, 4, 4]);
  });

  test("what was moved and could have stayed goes back", () => {
    fc.assert(
      fc.property(anyProblem, (given) => {
        const owners = stickyBalance(given);
        const counts = countsOf(owners, given.memberCount);
        for (const [partition, owner] of owners.entries()) {
          const previous = given.previous[partition] ?? NOBODY;
          if (previous === NOBODY || owner === previous) continue;
          // The former owner has as much as the new one: it could take it back only at the price of balance.
          expect(counts[previous] ?? 0).toBeGreaterThanOrEqual(counts[owner] ?? 0);
        }
      }),
      { numRuns: 300 },
    );
  });
});

test("a member near a replica is preferred, within the quotas", () => {
  const given = problem(2, [[4, [0, 1]]]);
  // Partitions 0 and 1 are near member 1, the others near nobody.
  const near = stickyBalance({ ...given, isNear: (partition, member) => partition < 2 && member === 1 });
  expect([...near]).toEqual([1, 1, 0, 0]);
  const greedy = stickyBalance({ ...given, isNear: (_, member) => member === 1 });
  expect(countsOf(greedy, 2)).toEqual([2, 2]);
});
