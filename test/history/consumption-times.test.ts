import { expect, test } from "vitest";
import type { FaultFigures } from "../../src/history/availability.ts";
import { Story } from "./story.ts";

const MS = 1e6;

/** Each line: milliseconds, process and key of a stretch that was processed. */
function figures(
  handled: readonly (readonly [ms: number, p: number, key: string])[],
  held: readonly string[],
): FaultFigures | undefined {
  const story = new Story()
    .line({ type: "fault", n: 1, kind: "kill-member", at: "start", t: 100 * MS, held })
    .line({ type: "fault", n: 1, kind: "kill-member", at: "end", t: 400 * MS, effect: "x" });
  for (const [index, [ms, p, k]] of handled.entries()) {
    story.line({ type: "handled", t: ms * MS, p, group: "g", gen: 1, k, from: index, to: index });
  }
  return story.report.availability.faults[0];
}

test("a takeover lasts from the fault until another member processed something of the key", () => {
  const found = figures(
    [
      [90, 1, "a"],
      [105, 1, "a"],
      [350, 2, "a"],
      [360, 2, "a"],
    ],
    ["a"],
  );
  expect(found?.takeoverMs).toEqual({ count: 1, p50: 250, p99: 250, max: 250 });
});

test("a key that nobody takes over counts up to the end of the history", () => {
  const found = figures(
    [
      [90, 1, "a"],
      [900, 3, "b"],
    ],
    ["a"],
  );
  expect(found?.takeoverMs.max).toBe(800);
});

test("the others go on: their longest time without progress while the fault lasted, and a little after", () => {
  const found = figures(
    [
      [90, 3, "b"],
      [140, 3, "b"],
      [300, 3, "b"],
      [430, 3, "b"],
      [900, 3, "b"],
    ],
    ["a"],
  );
  expect(found?.undisturbedGapMs).toEqual({ count: 1, p50: 160, p99: 160, max: 160 });
});

test("a key of the others that moves meanwhile is not one of those that should not feel anything", () => {
  const found = figures(
    [
      [90, 3, "b"],
      [300, 4, "b"],
      [430, 4, "b"],
    ],
    ["a"],
  );
  expect(found?.undisturbedGapMs.count).toBe(0);
});

test("a fault that hits no member has no such figures", () => {
  const found = figures(
    [
      [90, 3, "b"],
      [430, 3, "b"],
    ],
    [],
  );
  expect(found).toMatchObject({ takeoverMs: { count: 0 }, undisturbedGapMs: { count: 0 } });
});

/** A coordinator of group "g" dies at 100 ms; commits of one key are from one time to another, in ms. */
function commitFigures(
  commits: readonly (readonly [from: number, to: number, outcome?: "ok" | "info"])[],
): FaultFigures | undefined {
  const story = new Story()
    .line({ type: "fault", n: 1, kind: "kill-coordinator", at: "start", t: 100 * MS, groups: ["g"] })
    .line({ type: "fault", n: 1, kind: "kill-coordinator", at: "end", t: 400 * MS, effect: "x" })
    .line({ type: "handled", t: 700 * MS, p: 1, group: "g", gen: 1, k: "a", from: 0, to: 0 });
  for (const [index, [from, to, outcome = "ok"]] of commits.entries()) {
    story.commit(index, "a", index, `u${index}`, { at: [from * MS, to * MS], outcome });
  }
  return story.report.availability.faults[0];
}

test("after the death of a coordinator it counts when the group has committed something that began after it", () => {
  const found = commitFigures([
    [80, 90],
    [95, 300],
    [150, 380, "info"],
    [160, 450],
    [310, 420],
  ]);
  expect(found?.takeoverMs).toEqual({ count: 1, p50: 320, p99: 320, max: 320 });
});

test("a key of which nothing can be committed any more counts up to the end of the history, an idle one not at all", () => {
  expect(commitFigures([[80, 90]])?.takeoverMs.max).toBe(600);
  expect(commitFigures([[150, 160]])?.takeoverMs.count).toBe(0);
});
