import { expect, test } from "vitest";

import { checkedInt64, checkedInt64OrMinusOne, checkedUint64 } from "../../src/rpc/convert.ts";

const LARGEST = Number.MAX_SAFE_INTEGER;

test("64-bit numbers pass up to 2^53 - 1 and are refused beyond, with the field's name", () => {
  for (const good of [0, 1, 2 ** 31, 2 ** 32, LARGEST]) {
    expect(checkedUint64(good, "offset")).toBe(good);
    expect(checkedInt64(-good, "timestamp_ms")).toBe(-good);
    expect(checkedInt64OrMinusOne(good, "offset")).toBe(good);
  }
  expect(checkedInt64OrMinusOne(-1, "offset")).toBe(-1);
  for (const bad of [LARGEST + 1, 2 ** 63, 2 ** 64, Number.NaN, 0.5, Infinity]) {
    expect(() => checkedUint64(bad, "offset"), `${bad}`).toThrow(/offset/);
    expect(() => checkedInt64(bad, "offset"), `${bad}`).toThrow(/offset/);
    expect(() => checkedInt64OrMinusOne(bad, "offset"), `${bad}`).toThrow(/offset/);
  }
  expect(() => checkedUint64(-1, "offset")).toThrow(/offset/);
  expect(() => checkedInt64OrMinusOne(-2, "offset")).toThrow(/offset/);
});
