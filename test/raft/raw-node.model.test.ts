import fc from "fast-check";
import { expect, test } from "vitest";
import type { RaftSabotage } from "../../src/raft/types.ts";
import { SimCluster, STEP_WEIGHTS } from "./cluster.ts";
import type { Step, StepKind } from "./cluster.ts";

/*
 * Random schedules of 3 to 5 replicas that lose, double and reorder messages, crash with what was not written, change
 * voters and make snapshots; `Safety` is asked after each step (dissertation Fig. 3.2; H1-H10). RAFT_RUNS and RAFT_SEED
 * choose how many, and which.
 */

interface Schedule {
  readonly size: number;
  /** Replicas that are no voters at first. */
  readonly spare: number;
  readonly seed: number;
  readonly steps: readonly Step[];
}

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

const schedule: fc.Arbitrary<Schedule> = fc.record({
  size: fc.integer({ min: 3, max: 5 }),
  spare: fc.nat(2),
  seed: fc.nat(),
  steps: fc.array(step, { minLength: 50, maxLength: 400, size: "max" }),
});

const parameters = {
  numRuns: Number(process.env["RAFT_RUNS"] ?? 500),
  seed: Number(process.env["RAFT_SEED"] ?? 20260),
};

function runSchedule({ size, spare, seed, steps }: Schedule, sabotage?: RaftSabotage): SimCluster {
  const cluster = new SimCluster({ size, voters: size - spare, seed, ...(sabotage && { sabotage }) });
  for (const one of steps) cluster.do(one);
  return cluster;
}

test("no schedule breaks a safety property, and afterwards the group elects, commits and catches up", () => {
  const seen = { applied: 0, voterChanges: 0, restores: 0, reads: 0, terms: 0 };
  fc.assert(
    fc.property(schedule, (one) => {
      const cluster = runSchedule(one);
      cluster.heal();
      for (const name of Object.keys(seen) as (keyof typeof seen)[]) seen[name] += cluster.seen[name];
    }),
    parameters,
  );
  // Schedules in which nothing happens would prove nothing.
  const least = { applied: 20, voterChanges: 0.5, restores: 0.5, reads: 0.3, terms: 3 };
  for (const name of Object.keys(least) as (keyof typeof least)[]) {
    expect(seen[name] / parameters.numRuns, name).toBeGreaterThan(least[name]);
  }
});

// The two others need a crash or two leaders at one certain moment: scenarios of their own show them.
for (const sabotage of ["commitOldTerm", "acknowledgeBeforeWrite"] as const) {
  test(`random schedules find the deliberate bug ${sabotage}`, () => {
    const found = fc.check(
      fc.property(schedule, (one) => {
        runSchedule(one, sabotage);
      }),
      { numRuns: 200, seed: 1, endOnFailure: true },
    );
    expect(found.failed).toBe(true);
    expect(String(found.errorInstance)).toMatch(/committed|applied|lacks/);
  });
}
