import { expect, test } from "vitest";

import {
  addOffset,
  leaderEpoch,
  maxOffset,
  minOffset,
  offset,
  offsetDelta,
  timestamp,
} from "../../src/model/offsets.ts";

test("an offset is a safe integer from 0", () => {
  expect(offset(2 ** 53 - 1)).toBe(2 ** 53 - 1);
  for (const value of [-1, 0.5, 2 ** 53, NaN]) expect(() => offset(value)).toThrow(/not an offset/);
});

test("adding past 2^53-1 or below 0 is a bug that shows", () => {
  expect(addOffset(offset(5), 3)).toBe(8);
  expect(() => addOffset(offset(2 ** 53 - 1), 1)).toThrow(/not an offset/);
  expect(() => addOffset(offset(1), -2)).toThrow(/not an offset/);
});

test("deltas and bounds compare as numbers", () => {
  expect(offsetDelta(offset(9), offset(4))).toBe(-5);
  expect([maxOffset(offset(9), offset(10)), minOffset(offset(9), offset(10))]).toEqual([10, 9]);
});

test("epochs and timestamps keep to their ranges", () => {
  expect([leaderEpoch(-1), leaderEpoch(2 ** 31 - 1), timestamp(-1)]).toEqual([-1, 2 ** 31 - 1, -1]);
  for (const value of [-2, 2 ** 31, 0.5]) expect(() => leaderEpoch(value)).toThrow(/not a leader epoch/);
  expect(() => timestamp(2 ** 53)).toThrow(/not a timestamp/);
});
