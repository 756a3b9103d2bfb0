import { expect, test } from "vitest";
import { NodeProcessStats } from "../../../src/platform/node/node-process-stats.ts";

test("a reading tells of this process", () => {
  const stats = new NodeProcessStats();
  const { nodeVersion, residentBytes, heapUsedBytes, cpuUserSeconds, startTimeSeconds } = stats.read();
  stats.close();
  stats.close();
  expect(nodeVersion).toBe(process.version);
  expect(residentBytes).toBeGreaterThan(heapUsedBytes / 2);
  expect(cpuUserSeconds).toBeGreaterThan(0);
  expect(Math.abs(startTimeSeconds - Date.now() / 1000)).toBeLessThan(86_400);
});

test("a loop that was held up is told, once", async () => {
  const stats = new NodeProcessStats();
  await looks(3);
  const until = performance.now() + 150;
  while (performance.now() < until);
  await looks(3);
  const { eventLoopLag } = stats.read();
  expect(eventLoopLag.max).toBeGreaterThan(0.1);
  expect(eventLoopLag.mean).toBeLessThanOrEqual(eventLoopLag.max);
  expect(eventLoopLag.p50).toBeLessThanOrEqual(eventLoopLag.p99);
  stats.close();
});

/** Lets the loop be looked at so many times, at least. */
async function looks(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await new Promise((resolve) => {
      setTimeout(resolve, 25);
    });
  }
}
