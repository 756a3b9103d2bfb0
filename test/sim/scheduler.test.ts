import fc from "fast-check";
import { expect, test } from "vitest";
import { SeededRandom } from "../../src/platform/random.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimClock } from "../../src/sim/sim-clock.ts";

test("events run by due time, those of one moment in the order of scheduling, cancelled ones never", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ delay: fc.nat({ max: 20 }), isCancelled: fc.boolean() }), { maxLength: 60 }),
      async (plans) => {
        const scheduler = new Scheduler();
        const run: number[] = [];
        const timers = plans.map(({ delay }, index) => scheduler.schedule(delay, () => run.push(index)));
        plans.forEach(({ isCancelled }, index) => {
          if (isCancelled) timers[index]?.cancel();
        });
        await scheduler.runUntilIdle();
        const expected = plans
          .map((plan, index) => ({ ...plan, index }))
          .filter((plan) => !plan.isCancelled)
          .sort((a, b) => a.delay - b.delay || a.index - b.index);
        expect(run).toEqual(expected.map((plan) => plan.index));
        expect(scheduler.pendingCount).toBe(0);
      },
    ),
    { numRuns: 40 },
  );
});

test("many cancelled events are dropped from the heap without disturbing the others", async () => {
  const scheduler = new Scheduler();
  const run: number[] = [];
  for (let i = 0; i < 2_000; i++) {
    const timer = scheduler.schedule((i * 7919) % 2_000, () => run.push(i));
    if (i % 4 !== 0) timer.cancel();
  }
  expect(scheduler.pendingCount).toBe(500);
  await scheduler.runUntilIdle();
  expect(run).toHaveLength(500);
  expect(run.map((i) => (i * 7919) % 2_000)).toEqual(
    run.map((i) => (i * 7919) % 2_000).sort((a, b) => a - b),
  );
});

test("all promise continuations of one event run before the next event", async () => {
  const scheduler = new Scheduler();
  const order: string[] = [];
  const chain = async (name: string): Promise<void> => {
    for (let i = 0; i < 50; i++) await Promise.resolve();
    order.push(name);
  };
  for (const name of ["a", "b", "c"])
    scheduler.schedule(1, () => void chain(name).then(() => order.push(`${name}!`)));
  await scheduler.advance(1);
  expect(order).toEqual(["a", "a!", "b", "b!", "c", "c!"]);
});

test("advance runs what is due, what that schedules within the span, and stands at its end", async () => {
  const scheduler = new Scheduler();
  const at: number[] = [];
  const again = (): void => {
    at.push(scheduler.nowMs);
    scheduler.schedule(4, again);
  };
  scheduler.schedule(4, again);
  await scheduler.advance(10);
  expect(at).toEqual([4, 8]);
  expect(scheduler.nowMs).toBe(10);
  await scheduler.advance(2);
  expect(at).toEqual([4, 8, 12]);
});

test("runUntil stops at the event that makes the condition true, and times out in virtual time", async () => {
  const scheduler = new Scheduler();
  let ticks = 0;
  const tick = (): void => {
    ticks += 1;
    scheduler.schedule(10, tick);
  };
  scheduler.schedule(10, tick);
  await scheduler.runUntil(() => ticks === 3, 1_000);
  expect(scheduler.nowMs).toBe(30);
  await expect(scheduler.runUntil(() => false, 100)).rejects.toMatchObject({ code: "TIMEOUT" });
});

test("waiting for what nobody will do is told at once", async () => {
  const scheduler = new Scheduler();
  await expect(scheduler.settle(new Promise(() => undefined), 60_000)).rejects.toThrow(
    /nothing is left to run/,
  );
});

test("settle answers and fails as its promise does", async () => {
  const scheduler = new Scheduler();
  const clock = new SimClock({}, { scheduler });
  expect(
    await scheduler.settle(
      clock.sleep(500).then(() => 7),
      1_000,
    ),
  ).toBe(7);
  const failing = clock.sleep(5).then(() => Promise.reject(new Error("no")));
  await expect(scheduler.settle(failing, 1_000)).rejects.toThrow("no");
});

test("a timer re-armed with no delay ends the run instead of hanging it", async () => {
  const scheduler = new Scheduler({ maxEventsPerRun: 100 });
  const again = (): void => {
    scheduler.schedule(0, again);
  };
  again();
  await expect(scheduler.advance(1)).rejects.toThrow(/without an end/);
});

test("the scheduler is driven by one party only", async () => {
  const scheduler = new Scheduler();
  const running = scheduler.advance(1);
  await expect(scheduler.advance(1)).rejects.toThrow(/runs already/);
  await running;
});

test("two runs of one seed have the same fingerprint, another seed another", async () => {
  const run = async (seed: number): Promise<number> => {
    const scheduler = new Scheduler();
    const clock = new SimClock({}, { scheduler });
    const random = new SeededRandom(seed);
    const worker = async (): Promise<void> => {
      for (let i = 0; i < 20; i++) await clock.sleep(random.fraction() * 10);
    };
    void worker();
    void worker();
    await scheduler.runUntilIdle();
    return scheduler.fingerprint;
  };
  expect(await run(1)).toBe(await run(1));
  expect(await run(1)).not.toBe(await run(2));
});
