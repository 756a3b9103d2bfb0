import { describe, expect, test } from "vitest";
import type { Clock } from "../../src/platform/clock.ts";

/** A clock under test and what makes its time pass. */
export interface ClockFixture {
  readonly clock: Clock;
  /** Lets `promise` settle, moving time as far as it needs. */
  readonly settle: <T>(promise: Promise<T>) => Promise<T>;
}

/** What every clock does, real or simulated. */
export function clockContract(name: string, create: () => ClockFixture): void {
  describe(`${name} keeps the clock contract`, () => {
    test("a timer fires once, not before its due time by the monotonic clock", async () => {
      const { clock, settle } = create();
      for (const delayMs of [0, 0.3, 1, 2.7, 5]) {
        const dueMs = clock.monotonicMs() + delayMs;
        let count = 0;
        await settle(
          new Promise<void>((resolve) => {
            clock.setTimer(delayMs, () => {
              count += 1;
              resolve();
            });
          }),
        );
        await settle(clock.sleep(2));
        expect(clock.monotonicMs()).toBeGreaterThanOrEqual(dueMs);
        expect(count, `delay ${delayMs}`).toBe(1);
      }
    });

    test("a cancelled timer never fires, and cancelling again or after it fired does nothing", async () => {
      const { clock, settle } = create();
      const fired: string[] = [];
      const early = clock.setTimer(1, () => fired.push("early"));
      const cancelled = clock.setTimer(1, () => fired.push("cancelled"));
      cancelled.cancel();
      cancelled.cancel();
      await settle(clock.sleep(4));
      early.cancel();
      expect(fired).toEqual(["early"]);
    });

    test("timers fire in the order of their due times", async () => {
      const { clock, settle } = create();
      const fired: number[] = [];
      for (const delayMs of [12, 2, 7]) clock.setTimer(delayMs, () => fired.push(delayMs));
      await settle(clock.sleep(20));
      expect(fired).toEqual([2, 7, 12]);
    });

    test("a deferred call runs later than the code and the promises at hand", async () => {
      const { clock, settle } = create();
      const order: string[] = [];
      const done = new Promise<void>((resolve) => {
        clock.defer(() => {
          order.push("deferred");
          resolve();
        });
      });
      void Promise.resolve().then(() => order.push("promise"));
      order.push("code");
      await settle(done);
      expect(order).toEqual(["code", "promise", "deferred"]);
    });

    test("a sleep ends with the signal's reason when it is aborted first", async () => {
      const { clock, settle } = create();
      const controller = new AbortController();
      const reason = new Error("stop");
      const sleeping = clock.sleep(60_000, controller.signal);
      controller.abort(reason);
      await expect(settle(sleeping)).rejects.toBe(reason);
      await expect(settle(clock.sleep(1, controller.signal))).rejects.toBe(reason);
    });

    test("wall time is a whole number of milliseconds", () => {
      const { clock } = create();
      expect(Number.isSafeInteger(clock.wallMs())).toBe(true);
      expect(clock.wallMs()).toBeGreaterThan(1_700_000_000_000);
    });
  });
}
