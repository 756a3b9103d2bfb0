import fc from "fast-check";
import { expect, test } from "vitest";
import { Backoff } from "../../src/base/backoff.ts";

const middle = { random: { fraction: () => 0.5 } };

test("delays grow by the multiplier up to the bound, and start again after a reset", () => {
  const backoff = new Backoff({ initialMs: 10, maxMs: 75 }, middle);
  expect(Array.from({ length: 5 }, () => backoff.nextMs())).toEqual([10, 20, 40, 75, 75]);
  expect(backoff.attempts).toBe(5);
  backoff.reset();
  expect(backoff.attempts).toBe(0);
  expect(backoff.nextMs()).toBe(10);
});

test("jitter spreads a delay over its fraction to both sides and no further (KIP-580)", () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (fraction) => {
      const delay = new Backoff(
        { initialMs: 100, maxMs: 100 },
        { random: { fraction: () => fraction } },
      ).nextMs();
      expect(delay).toBeGreaterThanOrEqual(80);
      expect(delay).toBeLessThan(120.000001);
    }),
  );
  const low = new Backoff({ initialMs: 100, maxMs: 100, jitter: 1 }, { random: { fraction: () => 0 } });
  expect(low.nextMs()).toBe(0);
});

test("settings that make no schedule are refused", () => {
  for (const options of [
    { initialMs: 0, maxMs: 1 },
    { initialMs: 2, maxMs: 1 },
    { initialMs: 1, maxMs: 1, multiplier: 0.5 },
    { initialMs: 1, maxMs: 1, jitter: 1.5 },
  ]) {
    expect(() => new Backoff(options, middle), JSON.stringify(options)).toThrow();
  }
});
