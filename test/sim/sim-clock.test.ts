import fc from "fast-check";
import { expect, test } from "vitest";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimClock } from "../../src/sim/sim-clock.ts";
import { clockContract } from "../contract/clock.ts";

for (const rate of [1, 1.0007, 0.93]) {
  clockContract(`SimClock at rate ${rate}`, () => {
    const scheduler = new Scheduler();
    const clock = new SimClock({ rate }, { scheduler });
    return { clock, settle: (promise) => scheduler.settle(promise, 100_000) };
  });
}

test("a jump of the wall clock moves wall time only", async () => {
  const scheduler = new Scheduler();
  const clock = new SimClock({ wallStartMs: 1_000 }, { scheduler });
  let firedAt = -1;
  clock.setTimer(10, () => {
    firedAt = clock.monotonicMs();
  });
  clock.jumpWall(-3_600_000);
  expect(clock.wallMs()).toBe(1_000 - 3_600_000);
  expect(clock.monotonicMs()).toBe(0);
  await scheduler.advance(20);
  expect(firedAt).toBe(10);
  expect(clock.wallMs()).toBe(1_020 - 3_600_000);
});

test("clocks of different rates drift apart on one scheduler", async () => {
  const scheduler = new Scheduler();
  const fast = new SimClock({ rate: 1.1 }, { scheduler });
  const slow = new SimClock({ rate: 0.9 }, { scheduler });
  const order: string[] = [];
  slow.setTimer(100, () => order.push("slow"));
  fast.setTimer(100, () => order.push("fast"));
  await scheduler.advance(1_000);
  expect(order).toEqual(["fast", "slow"]);
  expect(fast.monotonicMs() - slow.monotonicMs()).toBeCloseTo(200);
});

test("rounding at odd rates and moments never makes a timer early", async () => {
  const ms = fc.double({ min: 0, max: 1e7, noNaN: true });
  await fc.assert(
    fc.asyncProperty(fc.double({ min: 0.5, max: 2, noNaN: true }), ms, ms, async (rate, startMs, delayMs) => {
      const scheduler = new Scheduler();
      const clock = new SimClock({ rate }, { scheduler });
      await scheduler.advance(startMs);
      const dueMs = clock.monotonicMs() + delayMs;
      await scheduler.settle(clock.sleep(delayMs), 1e9);
      expect(clock.monotonicMs()).toBeGreaterThanOrEqual(dueMs);
      expect(clock.monotonicMs() - dueMs).toBeLessThan(0.001);
    }),
    { numRuns: 200 },
  );
});

test("no timer of a stopped clock fires, those of others do", async () => {
  const scheduler = new Scheduler();
  const dead = new SimClock({}, { scheduler });
  const alive = new SimClock({}, { scheduler });
  const fired: string[] = [];
  dead.setTimer(5, () => fired.push("dead"));
  dead.defer(() => fired.push("dead"));
  alive.setTimer(5, () => fired.push("alive"));
  dead.stop();
  await scheduler.runUntilIdle();
  expect(fired).toEqual(["alive"]);
});

test("while a process stands still its timers wait, then all that came due fire in order (H32)", async () => {
  const scheduler = new Scheduler();
  const clock = new SimClock({}, { scheduler });
  const fired: string[] = [];
  const fire = (name: string) => (): void => {
    fired.push(`${name} at ${clock.monotonicMs()}`);
  };
  clock.setTimer(10, fire("first"));
  clock.setTimer(20, fire("second"));
  const cancelled = clock.setTimer(30, fire("cancelled"));
  clock.setTimer(200, fire("later"));
  clock.pause();
  await scheduler.advance(100);
  expect(fired).toEqual([]);
  cancelled.cancel();
  clock.resume();
  await scheduler.advance(0);
  expect(fired).toEqual(["first at 100", "second at 100"]);
  await scheduler.advance(200);
  expect(fired.at(-1)).toBe("later at 200");
});

test("timers held by a process that dies never fire", async () => {
  const scheduler = new Scheduler();
  const clock = new SimClock({}, { scheduler });
  let count = 0;
  clock.setTimer(10, () => count++);
  clock.pause();
  await scheduler.advance(20);
  clock.stop();
  clock.resume();
  await scheduler.advance(20);
  expect(count).toBe(0);
});
