import fc from "fast-check";
import { expect, test } from "vitest";
import { LatencyHistogram } from "../../bench/peers/latency-histogram.ts";

function histogramOf(values: readonly number[]): LatencyHistogram {
  const histogram = new LatencyHistogram();
  for (const value of values) histogram.record(value);
  return histogram;
}

test("a quantile is at most one part in 128 above the value that so many are at or below", () => {
  const latencies = fc.array(fc.integer({ min: 0, max: 100_000_000 }), { minLength: 1, maxLength: 200 });
  fc.assert(
    fc.property(latencies, fc.double({ min: 0.001, max: 1, noNaN: true }), (values, fraction) => {
      const sorted = values.toSorted((a, b) => a - b);
      const exact = sorted[Math.ceil(sorted.length * fraction) - 1] ?? Number.NaN;
      const found = histogramOf(values).quantileMs(fraction) * 1000;
      expect(found).toBeGreaterThanOrEqual(exact - 1e-6);
      expect(found).toBeLessThanOrEqual(exact * (1 + 1 / 128) + 1e-6);
    }),
  );
});

test("what one process counted is added as if it had been recorded here", () => {
  const values = [0, 1, 255, 256, 257, 511, 512, 100_000, 100_000, 7_654_321];
  const added = new LatencyHistogram();
  added.add(histogramOf(values).toCounts());
  expect(added.toCounts()).toEqual(histogramOf(values).toCounts());
  expect(added.total).toBe(values.length);
  expect(added.quantileMs(1)).toBe(7654.321);
});

test("nothing recorded has no quantile", () => {
  expect(new LatencyHistogram().quantileMs(0.5)).toBeNaN();
});
