import fc from "fast-check";
import { expect, test } from "vitest";

import { floorIndex, lowerBound, upperBound } from "../../src/base/binary-search.ts";

test("bounds agree with a linear search over any sorted numbers", () => {
  const sorted = fc
    .array(fc.integer({ min: -5, max: 20 }), { maxLength: 40 })
    .map((list) => list.sort((a, b) => a - b));
  fc.assert(
    fc.property(sorted, fc.integer({ min: -8, max: 24 }), (numbers, wanted) => {
      const at = (index: number): number => numbers[index] ?? NaN;
      const atLeast = numbers.findIndex((number) => number >= wanted);
      const above = numbers.findIndex((number) => number > wanted);
      expect(lowerBound(numbers.length, at, wanted)).toBe(atLeast < 0 ? numbers.length : atLeast);
      expect(upperBound(numbers.length, at, wanted)).toBe(above < 0 ? numbers.length : above);
      expect(floorIndex(numbers.length, at, wanted)).toBe(
        numbers.findLastIndex((number) => number <= wanted),
      );
    }),
  );
});

test("an empty table has no floor and asks for nothing", () => {
  const fail = (): number => {
    throw new Error("read from an empty table");
  };
  expect(lowerBound(0, fail, 1)).toBe(0);
  expect(floorIndex(0, fail, 1)).toBe(-1);
});
