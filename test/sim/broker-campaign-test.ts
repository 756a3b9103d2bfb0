import { expect, test } from "vitest";
import { describeFailure, runBrokerSeeds } from "./seeds.ts";

/** Seeds of one test file: two files of it, and the power cuts beside them, are what every change has to pass. */
const SEEDS = 400;

/** A share of the seeds that every change has to pass; `share` from 0. */
export function brokerCampaignTest(share: number): void {
  const from = 1 + share * SEEDS;
  test(`seeds ${from} to ${from + SEEDS - 1} of the simulated brokers keep every invariant, and their clients lose nothing`, async () => {
    const { failures, markers } = await runBrokerSeeds({ from, count: SEEDS });
    expect(failures.map((failure) => describeFailure(failure, { floor: 2 })).join("\n\n")).toBe("");
    expect(markers.missing(), "what should happen sometimes never did").toEqual([]);
  }, 480_000);
}
