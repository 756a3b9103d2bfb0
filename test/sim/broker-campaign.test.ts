import { expect, test } from "vitest";
import { runBrokerSeed } from "../../src/sim/broker-campaign.ts";
import { BROKER_MARKERS } from "../../src/sim/markers.ts";
import { describeFailure, runBrokerSeeds } from "./seeds.ts";

const POWER_CUT_SEEDS = 200;

test("a seed of whole brokers gives the same run each time, another seed another one", async () => {
  const [first, again, other] = [
    await runBrokerSeed({ seed: 7 }),
    await runBrokerSeed({ seed: 7 }),
    await runBrokerSeed({ seed: 8 }),
  ];
  expect(again).toEqual(first);
  expect(other.traceHash).not.toBe(first.traceHash);
  expect(Object.keys(first.markers)).toEqual([...BROKER_MARKERS]);
}, 60_000);

test("power cuts of all machines at once lose nothing that was acknowledged", async () => {
  const { failures, markers } = await runBrokerSeeds({
    from: 1_001,
    count: POWER_CUT_SEEDS,
    faults: "powerCuts",
  });
  expect(failures.map((failure) => describeFailure(failure, { floor: 2 })).join("\n\n")).toBe("");
  const { allMachinesCut = 0, batchAcknowledged = 0 } = markers.toRecord();
  expect(allMachinesCut, "power cuts").toBeGreaterThan(POWER_CUT_SEEDS);
  expect(batchAcknowledged, "acknowledged batches").toBeGreaterThan(POWER_CUT_SEEDS * 10);
}, 120_000);
