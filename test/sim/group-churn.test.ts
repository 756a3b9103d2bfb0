import { expect, test } from "vitest";
import { SeededRandom } from "../../src/platform/random.ts";
import { planChurn } from "../../src/sim/group-churn.ts";
import type { GroupEvent } from "../../src/sim/group-churn.ts";

const ALL: readonly GroupEvent["kind"][] = ["crash", "leave", "pause", "cut", "coordinator", "clock"];

const plan = (seed: number, kinds = ALL): ReturnType<typeof planChurn> =>
  planChurn({ durationMs: 20_000, meanGapMs: 300, kinds }, new SeededRandom(seed));

test("what happens to a group is the same for the same seed, and comes after its members have", () => {
  for (let seed = 0; seed < 100; seed++) {
    const planned = plan(seed);
    expect(planned).toEqual(plan(seed));
    expect(planned.every(({ atMs }) => atMs > 1_500)).toBe(true);
  }
});

test("every kind that is asked for comes, and no other", () => {
  const kindsOf = (kinds: readonly GroupEvent["kind"][]): string[] => {
    const all = Array.from({ length: 20 }, (_, seed) => plan(seed, [...kinds])).flat();
    return [...new Set(all.map(({ event }) => event.kind))].sort();
  };
  expect(kindsOf(ALL)).toEqual([...ALL].sort());
  expect(kindsOf(["crash", "pause"])).toEqual(["crash", "pause"]);
  expect(kindsOf([])).toEqual([]);
});

test("where clocks are set, some are while the session of a member that died runs", () => {
  const planned = Array.from({ length: 20 }, (_, seed) => plan(seed, ["crash", "clock"])).flat();
  const pairs = planned.filter(({ atMs, event }, index) => {
    const next = planned[index + 1];
    return event.kind === "crash" && next?.event.kind === "clock" && next.atMs - atMs < 500;
  });
  expect(pairs.length).toBeGreaterThan(10);
});
