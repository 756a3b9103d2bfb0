import { expect, test } from "vitest";
import type { Clock } from "../../src/platform/clock.ts";
import { Ticker } from "../../src/quorum/ticker.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimClock } from "../../src/sim/sim-clock.ts";

/** A clock whose timers fire late while `stallMs` is set, as those of a process that stood still. */
class StallingClock extends SimClock implements Clock {
  stallMs = 0;

  override setTimer(delayMs: number, callback: () => void): { cancel(): void } {
    const late = delayMs > 0 ? this.stallMs : 0;
    if (delayMs > 0) this.stallMs = 0;
    return super.setTimer(delayMs + late, callback);
  }
}

test("ticks come at their interval until it is stopped", async () => {
  const scheduler = new Scheduler();
  let count = 0;
  const ticker = new Ticker(
    { tickMs: 10 },
    { clock: new SimClock({}, { scheduler }), onTick: () => count++ },
  );
  ticker.start();
  await scheduler.advance(105);
  expect(count).toBe(10);
  ticker.stop();
  await scheduler.advance(100);
  expect(count).toBe(10);
});

test("after a stall there is one tick, and it comes after what was received meanwhile (H32)", async () => {
  const scheduler = new Scheduler();
  const clock = new StallingClock({}, { scheduler });
  const events: string[] = [];
  clock.stallMs = 500;
  const ticker = new Ticker({ tickMs: 10 }, { clock, onTick: () => events.push("tick") });
  ticker.start();
  // Input that became ready during the stall is handled in the same turn as the timer, behind it.
  scheduler.schedule(510, () => events.push("message"));
  await scheduler.advance(515);
  expect(events).toEqual(["message", "tick"]);
  await scheduler.advance(10);
  expect(events).toEqual(["message", "tick", "tick"]);
  ticker.stop();
});
