import { describe, expect, test } from "vitest";
import { NodeRandom } from "../../../src/platform/node/node-random.ts";
import { SeededRandom } from "../../../src/platform/random.ts";

describe.each([
  ["NodeRandom", new NodeRandom()],
  ["SeededRandom", new SeededRandom(1)],
])("%s", (_name, random) => {
  test("below answers every integer under the bound and none else", () => {
    const seen = new Set(Array.from({ length: 500 }, () => random.below(5)));
    expect([...seen].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4]);
    expect(random.below(1)).toBe(0);
    expect(random.below(2 ** 32)).toBeLessThan(2 ** 32);
  });

  test("fraction lies in [0, 1) and is spread over it", () => {
    const values = Array.from({ length: 1_000 }, () => random.fraction());
    expect(values.every((value) => value >= 0 && value < 1)).toBe(true);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    expect(mean).toBeGreaterThan(0.4);
    expect(mean).toBeLessThan(0.6);
  });

  test("bytes answers as many as asked, not twice the same", () => {
    expect(random.bytes(0).byteLength).toBe(0);
    expect(random.bytes(16)).toHaveLength(16);
    expect([...random.bytes(16)]).not.toEqual([...random.bytes(16)]);
  });
});
