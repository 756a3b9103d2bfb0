import { expect, test } from "vitest";
import { describeFailure, runSeeds } from "./seeds.ts";

/** Seeds of one test file: four files of it are what every change has to pass. */
const SEEDS = 500;

/** A quarter of the seeds that every change has to pass; `quarter` from 0. */
export function campaignTest(quarter: number): void {
  const from = 1 + quarter * SEEDS;
  test(`seeds ${from} to ${from + SEEDS - 1} of the simulated metadata cluster keep every invariant`, async () => {
    const { failures, markers, simulatedMs } = await runSeeds({ from, count: SEEDS });
    expect(failures.map((failure) => describeFailure(failure)).join("\n\n")).toBe("");
    expect(markers.missing(), "what should happen sometimes never did").toEqual([]);
    expect(simulatedMs / SEEDS, "a run is shorter than its faults").toBeGreaterThan(6_000);
  }, 240_000);
}
