import { expect, test } from "vitest";
import { Histogram, LATENCY_BOUNDS } from "../../src/base/histogram.ts";

test("an observation is counted in the first bucket whose bound it does not pass", () => {
  const histogram = new Histogram([1, 2, 5]);
  for (const value of [0, 1, 1.5, 2, 5, 5.1, 1000]) histogram.observe(value);
  expect(histogram.read()).toEqual({ bounds: [1, 2, 5], counts: [2, 2, 1, 2], sum: 1014.6, count: 7 });
});

test("milliseconds are counted in seconds", () => {
  const histogram = new Histogram([0.1]);
  histogram.observeMs(99);
  histogram.observeMs(101);
  expect(histogram.read().counts).toEqual([1, 1]);
});

test("a reading does not change with what comes after it", () => {
  const histogram = new Histogram();
  histogram.observe(0.001);
  const before = histogram.read();
  histogram.observe(0.001);
  expect([before.count, histogram.count]).toEqual([1, 2]);
  expect(before.counts.reduce((sum, count) => sum + count)).toBe(1);
});

test("the bounds of latencies ascend", () => {
  expect(LATENCY_BOUNDS).toEqual(LATENCY_BOUNDS.toSorted((a, b) => a - b));
});
