import { expect, test } from "vitest";
import { ServingHealth } from "../../src/broker/serving-health.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimClock } from "../../src/sim/sim-clock.ts";

function setUp(): {
  scheduler: Scheduler;
  health: ServingHealth;
  syncs: { completed: number; running: number };
} {
  const scheduler = new Scheduler();
  const syncs = { completed: 0, running: 0 };
  const health = new ServingHealth({ clock: new SimClock({}, { scheduler }), syncs: () => syncs });
  return { scheduler, health, syncs };
}

test("a disk whose syncs run and do not end grows old, from the first time that this is seen", async () => {
  const { scheduler, health, syncs } = setUp();
  expect(health.diskAgeMs()).toBe(0);
  syncs.running = 2;
  await scheduler.advance(500);
  syncs.completed = 7;
  expect(health.diskAgeMs()).toBe(0);
  await scheduler.advance(500);
  expect(health.diskAgeMs()).toBe(500);
  await scheduler.advance(2500);
  expect(health.diskAgeMs()).toBe(3000);
});

test("a disk that completes a sync, or has none to do, is as good as new", async () => {
  const { scheduler, health, syncs } = setUp();
  syncs.running = 1;
  health.diskAgeMs();
  await scheduler.advance(4000);
  expect(health.diskAgeMs()).toBe(4000);
  syncs.completed++;
  expect(health.diskAgeMs()).toBe(0);
  await scheduler.advance(4000);
  syncs.running = 0;
  expect(health.diskAgeMs()).toBe(0);
});

test("a loop that does not come to what waits grows old, and is young again once it did", () => {
  let nowMs = 100;
  const waiting: (() => void)[] = [];
  const starved = Object.assign(new SimClock({}, { scheduler: new Scheduler() }), {
    monotonicMs: () => nowMs,
    defer: (callback: () => void) => void waiting.push(callback),
  });
  const health = new ServingHealth({ clock: starved, syncs: () => ({ completed: 0, running: 0 }) });
  expect(health.loopAgeMs()).toBe(0);
  nowMs += 4000;
  expect(health.loopAgeMs()).toBe(4000);
  for (const turn of waiting) turn();
  expect(health.loopAgeMs()).toBe(0);
});
