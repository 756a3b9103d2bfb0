import fc from "fast-check";
import { expect, test } from "vitest";
import { RateLimit } from "../../src/replication/rate-limit.ts";

test("a full bucket is a fifth of a second's worth, and fills again with time, not beyond", () => {
  const limit = new RateLimit(10_000, 0);
  expect(limit.availableBytes(0)).toBe(2000);
  limit.take(2000);
  expect(limit.availableBytes(0)).toBe(0);
  expect(limit.waitMs(0)).toBe(50);
  expect(limit.waitMs(50)).toBe(0);
  expect(limit.availableBytes(50)).toBe(500);
  expect(limit.availableBytes(60_000)).toBe(2000);
});

test("what is larger than the bucket may go and is owed then", () => {
  const limit = new RateLimit(10_000, 0);
  limit.take(12_000);
  expect(limit.availableBytes(0)).toBe(0);
  expect(limit.waitMs(0)).toBe(1050);
  expect(limit.waitMs(1049)).toBe(1);
  expect(limit.waitMs(1050)).toBe(0);
});

test("another rate holds from the moment of the change; what is owed stays owed", () => {
  const limit = new RateLimit(1000, 0);
  limit.take(1200);
  limit.change(100_000, 500);
  expect(limit.bytesPerSecond).toBe(100_000);
  // 500 owed, and 5000 for the next 50 ms: 55 ms at the new rate.
  expect(limit.waitMs(500)).toBe(55);
  limit.change(10, 10_000);
  expect(limit.availableBytes(10_000)).toBe(2);
});

test("whatever is taken whenever it may be, the rate is kept over the whole time, give or take one taking", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 50_000 }), { minLength: 20, maxLength: 100 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10_000_000 }), sizes, (rate, takes) => {
      const limit = new RateLimit(rate, 0);
      let nowMs = 0;
      let taken = 0;
      for (const bytes of takes) {
        nowMs += limit.waitMs(nowMs);
        expect(limit.availableBytes(nowMs)).toBeGreaterThan(0);
        limit.take(bytes);
        taken += bytes;
        expect(taken - bytes).toBeLessThanOrEqual((rate * (nowMs + 200)) / 1000 + 1);
      }
    }),
    { numRuns: 200 },
  );
});
