import { expect, test } from "vitest";
import { runGroupSeed } from "../../src/sim/group-campaign.ts";
import { GROUP_MARKERS } from "../../src/sim/markers.ts";
import { describeFailure, runGroupSeeds } from "./seeds.ts";

/** Seeds that every change has to pass. */
const SEEDS = 80;

test("a seed of a consumer group gives the same run each time, another seed another one", async () => {
  const [first, again, other] = [
    await runGroupSeed({ seed: 7 }),
    await runGroupSeed({ seed: 7 }),
    await runGroupSeed({ seed: 8 }),
  ];
  expect(again).toEqual(first);
  expect(other.traceHash).not.toBe(first.traceHash);
  expect(Object.keys(first.markers)).toEqual([...GROUP_MARKERS]);
}, 60_000);

test(`in seeds 1 to ${SEEDS} the members of a group handle all that is acknowledged, and lose no commit`, async () => {
  const { failures, markers } = await runGroupSeeds({ from: 1, count: SEEDS });
  expect(failures.map((failure) => describeFailure(failure, { floor: 3 })).join("\n\n")).toBe("");
  expect(markers.missing(), "what should happen sometimes never did").toEqual([]);
}, 480_000);
