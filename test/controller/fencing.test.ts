import * as fc from "fast-check";
import { expect, test } from "vitest";
import { Fencing } from "../../src/controller/fencing.ts";

test("all are fenced together when no limit holds", () => {
  const fencing = new Fencing({ maxPerSecond: 1 });
  fencing.limit(1000);
  expect(fencing.choose([1, 2, 3], 1000)).toEqual({ chosen: [1, 2, 3], retryAtMs: undefined });
});

test("under the limit the first ones are fenced, and the others when the second is over", () => {
  const fencing = new Fencing({ maxPerSecond: 2 });
  fencing.limit(10_000);
  expect(fencing.choose([1, 2, 3, 4, 5], 100)).toEqual({ chosen: [1, 2], retryAtMs: 1100 });
  expect(fencing.choose([3, 4, 5], 1099)).toEqual({ chosen: [], retryAtMs: 1100 });
  expect(fencing.choose([3, 4, 5], 1100)).toEqual({ chosen: [3, 4], retryAtMs: 2100 });
});

test("the wait ends with the limit", () => {
  const fencing = new Fencing({ maxPerSecond: 1 });
  fencing.limit(1500);
  expect(fencing.choose([1, 2], 1000)).toEqual({ chosen: [1], retryAtMs: 1500 });
  expect(fencing.choose([2], 1500).chosen).toEqual([2]);
});

test("no second under the limit sees more than the bound, and asking at `retryAtMs` always gets on", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 4 }),
      fc.array(fc.record({ stepMs: fc.integer({ min: 0, max: 700 }), dead: fc.integer({ min: 0, max: 6 }) })),
      (maxPerSecond, steps) => {
        const fencing = new Fencing({ maxPerSecond });
        fencing.limit(1_000_000);
        const fencedMs: number[] = [];
        let nowMs = 0;
        for (const { stepMs, dead } of steps) {
          nowMs += stepMs;
          const choice = fencing.choose(Array.from({ length: dead }), nowMs);
          fencedMs.push(...choice.chosen.map(() => nowMs));
          if (choice.retryAtMs === undefined) continue;
          expect(choice.retryAtMs).toBeGreaterThan(nowMs);
          nowMs = choice.retryAtMs;
          const next = fencing.choose([0], nowMs).chosen;
          expect(next.length).toBe(1);
          fencedMs.push(nowMs);
        }
        for (const [index, atMs] of fencedMs.entries()) {
          const later = fencedMs[index + maxPerSecond];
          if (later !== undefined) expect(later - atMs).toBeGreaterThanOrEqual(1000);
        }
      },
    ),
  );
});
