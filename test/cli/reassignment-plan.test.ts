import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isMove, parsePlan, planMoves } from "../../src/cli/reassignment-plan.ts";
import type { PlannedPartition } from "../../src/cli/reassignment-plan.ts";
import type { PartitionState } from "../../src/client/index.ts";

function states(...replicas: number[][]): PartitionState[] {
  return replicas.map((nodes, partition) => ({
    topic: "t",
    partition,
    leaderId: nodes[0] ?? -1,
    leaderEpoch: 0,
    replicas: nodes,
    isr: nodes,
  }));
}

const shown = (plan: readonly PlannedPartition[]): string[] => plan.map(({ replicas }) => replicas.join(","));

describe("a plan", () => {
  test("leaves what is spread already as it is", () => {
    const plan = planMoves(states([1, 2], [2, 3], [3, 1]), { brokers: [1, 2, 3] });
    expect(plan.filter(isMove)).toEqual([]);
  });

  test("replaces a broker that shall go, and moves nothing else", () => {
    expect(shown(planMoves(states([1, 2], [2, 3], [3, 1]), { brokers: [1, 2, 4] }))).toEqual([
      "1,2",
      "2,4",
      "4,1",
    ]);
  });

  test("gives a new broker its share of replicas and of leaderships", () => {
    const plan = planMoves(states([1, 2], [2, 1], [1, 2], [2, 1]), { brokers: [1, 2, 3, 4] });
    for (const node of [1, 2, 3, 4]) {
      expect(plan.filter(({ replicas }) => replicas.includes(node))).toHaveLength(2);
      expect(plan.filter(({ replicas }) => replicas[0] === node)).toHaveLength(1);
    }
  });

  test("changes the number of replicas when it is asked to", () => {
    const wishes = { brokers: [1, 2, 3] };
    expect(shown(planMoves(states([1]), { ...wishes, replicationFactor: 3 }))).toEqual(["1,2,3"]);
    expect(shown(planMoves(states([3, 1, 2]), { ...wishes, replicationFactor: 1 }))).toEqual(["3"]);
  });

  test("for more replicas than brokers is refused", () => {
    expect(() => planMoves(states([1, 2, 3]), { brokers: [1, 2] })).toThrow(
      "3 replicas need as many brokers, and there are 2 (1, 2); name more with --brokers",
    );
  });

  test("keeps to the brokers and the number of replicas, evenly, whatever there was before", () => {
    const node = fc.integer({ min: 1, max: 6 });
    fc.assert(
      fc.property(
        fc.array(fc.uniqueArray(node, { minLength: 3, maxLength: 3 }), { minLength: 1, maxLength: 12 }),
        fc.uniqueArray(node, { minLength: 3, maxLength: 6 }),
        (before, brokers) => {
          const plan = planMoves(states(...before), { brokers });
          for (const { replicas } of plan) {
            expect(new Set(replicas).size).toBe(3);
            expect(brokers).toEqual(expect.arrayContaining([...replicas]));
          }
          const most = Math.ceil((before.length * 3) / brokers.length);
          for (const broker of brokers) {
            const held = plan.filter(({ replicas }) => replicas.includes(broker)).length;
            // The last partitions may find the brokers with room among their own replicas.
            expect(held).toBeLessThanOrEqual(most + 1);
          }
          const again = planMoves(states(...plan.map(({ replicas }) => [...replicas])), { brokers });
          const copies = again.flatMap(({ replicas, current }) =>
            replicas.filter((one) => !current.includes(one)),
          );
          expect(copies.length).toBeLessThanOrEqual(brokers.length);
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe("a plan in a file", () => {
  const partitions = [{ topic: "t", partition: 0, replicas: [1, 2] }];

  test("is read as it was printed; what else is in it is left aside", () => {
    const text = JSON.stringify({
      version: 1,
      partitions: [{ ...partitions[0], current: [3] }],
      isExecuted: false,
    });
    expect(parsePlan(text, "plan.json")).toEqual(partitions);
  });

  test.each([
    ["{", /^plan.json is no plan: .*JSON.*; print one with --json/],
    ["{}", /"version" is not 1/],
    ['{"version": 1}', /"partitions" is no list/],
    ['{"version": 1, "partitions": []}', /"partitions" is no list/],
    ['{"version": 1, "partitions": [{"topic": "t", "partition": 0}]}', /entry 0 of "partitions" is not/],
    ['{"version": 1, "partitions": [{"topic": "t", "partition": -1, "replicas": [1]}]}', /entry 0/],
    ['{"version": 1, "partitions": [{"topic": "t", "partition": 0, "replicas": ["1"]}]}', /entry 0/],
  ])("%s is refused", (text, message) => {
    expect(() => parsePlan(text, "plan.json")).toThrow(message);
  });
});
