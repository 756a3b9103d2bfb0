import { expect, test } from "vitest";
import { keyInTurn } from "../../src/chaos/turn.ts";

const PRODUCERS = 4;

/** The keys that all producers give records in so many slots, in the order of time. */
function keysGiven(slots: number, keyCount: number): number[] {
  return Array.from({ length: slots * PRODUCERS }, (_, nth) =>
    keyInTurn(Math.floor(nth / PRODUCERS), { index: nth % PRODUCERS, of: PRODUCERS }, keyCount),
  );
}

test("each key gets one record in each round, with about as much time between any two of them", () => {
  const keyCount = 100;
  const rounds = 8;
  const last = new Map<number, number>();
  const counts = Array<number>(keyCount).fill(0);
  for (const [nth, key] of keysGiven((rounds * keyCount) / PRODUCERS, keyCount).entries()) {
    counts[key] = (counts[key] ?? 0) + 1;
    const before = last.get(key);
    if (before !== undefined) expect(Math.abs(nth - before - keyCount), `key ${key}`).toBeLessThan(PRODUCERS);
    last.set(key, nth);
  }
  expect(new Set(counts)).toEqual(new Set([rounds]));
});

test("every producer comes to every key, also where the keys do not go up evenly in the producers", () => {
  for (const keyCount of [1, 6, 7, 100]) {
    for (let index = 0; index < PRODUCERS; index++) {
      const turn = { index, of: PRODUCERS };
      const seen = new Set(
        Array.from({ length: keyCount * PRODUCERS }, (_, slot) => keyInTurn(slot, turn, keyCount)),
      );
      expect(seen.size, `producer ${index}, ${keyCount} keys`).toBe(keyCount);
    }
  }
});
