import fc from "fast-check";
import { expect, test } from "vitest";
import type { RaftSabotage } from "../../src/raft/types.ts";
import { SimCluster, STEP_WEIGHTS } from "./cluster.ts";
import type { Step, StepKind } from "./cluster.ts";

/* Random schedules of 3 to 5 replicas; `Safety` is asked after each step (dissertation Fig. 3.2; H1-H10). */

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.oneof(
    ...Object.entries(STEP_WEIGHTS).map(([kind, weight]) => ({
      weight,
      arbitrary: fc.constant(kind as StepKind),
    })),
  ),
  a: fc.nat(1000),
  b: fc.nat(1000),
});

const schedule = fc.record({
  size: fc.integer({ min: 3, max: 5 }),
  spare: fc.nat(2),
  seed: fc.nat(),
  steps: fc.array(step, { minLength: 50, maxLength: 400, size: "max" }),
});

function runSchedule(
  { size, spare, seed, steps }: typeof schedule extends fc.Arbitrary<infer T> ? T : never,
  sabotage?: RaftSabotage,
): SimCluster {
  const voters = Math.max(1, size - spare);
  const cluster = new SimCluster({ size, voters, seed, ...(sabotage && { sabotage }) });
  for (const one of steps) cluster.do(one);
  return cluster;
}

test("no schedule breaks a safety property, and afterwards the group heals", () => {
  let applied = 0;
  fc.assert(
    fc.property(schedule, (one) => {
      const cluster = runSchedule(one);
      cluster.heal();
      applied += cluster.appliedCount;
    }),
    { numRuns: Number(process.env["RAFT_RUNS"] ?? 150), seed: Number(process.env["RAFT_SEED"] ?? 20260) },
  );
  // Schedules in which nothing happens would prove nothing.
  expect(applied).toBeGreaterThan(1000);
});
