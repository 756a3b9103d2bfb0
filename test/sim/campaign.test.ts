import { expect, test } from "vitest";
import { runSeed } from "../../src/sim/campaign.ts";
import { MARKERS } from "../../src/sim/markers.ts";
import { describeFailure } from "./seeds.ts";

test("a seed gives the same run each time, another seed another one", async () => {
  const [first, again, other] = [
    await runSeed({ seed: 77 }),
    await runSeed({ seed: 77 }),
    await runSeed({ seed: 78 }),
  ];
  expect(again).toEqual(first);
  expect(other.traceHash).not.toBe(first.traceHash);
  expect(Object.keys(first.markers)).toEqual([...MARKERS]);
});

test("a longer fault phase is simulated when asked for", async () => {
  const { simulatedMs, failure } = await runSeed({ seed: 5, ticks: 150 });
  expect(failure).toBeUndefined();
  expect(simulatedMs).toBeGreaterThan(15_000);
});

test("a failure tells the invariant, the last events, and how to see it again", async () => {
  const failed = await runSeed({ seed: 1, sabotage: "forgetVote", shownEvents: 7 });
  expect(failed.failure?.invariant).toBe("VoteIsDurable");
  expect(failed.failure?.events).toHaveLength(7);
  const text = describeFailure(failed, { commit: "abc123" });
  expect(text).toContain("seed 1 at commit abc123 violates VoteIsDurable");
  expect(text).toContain("npm run sim -- --seed 1");
});
