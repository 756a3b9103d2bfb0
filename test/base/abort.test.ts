import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { abortable, abortReason, deadlineSignal, sleepOn, throwIfAborted } from "../../src/base/abort.ts";
import { Deferred } from "../../src/base/deferred.ts";

/** Timers fired by hand. */
class ManualTimers {
  readonly pending = new Set<() => void>();

  setTimer(_delayMs: number, callback: () => void): { cancel(): void } {
    this.pending.add(callback);
    return { cancel: () => this.pending.delete(callback) };
  }

  fire(): void {
    const due = [...this.pending];
    this.pending.clear();
    for (const callback of due) callback();
  }
}

const listenersOf = (signal: AbortSignal): number => getEventListeners(signal, "abort").length;

test("throwIfAborted throws the signal's own reason, and nothing without a fired signal", () => {
  const controller = new AbortController();
  throwIfAborted(undefined);
  throwIfAborted(controller.signal);
  const reason = new Error("stop");
  controller.abort(reason);
  expect(() => throwIfAborted(controller.signal)).toThrow(reason);
});

test("a reason that is no error becomes an ABORTED error with it as cause", () => {
  expect(abortReason(AbortSignal.abort("because"))).toMatchObject({ code: "ABORTED", cause: "because" });
});

test("abortable settles as its promise and leaves no listener", async () => {
  const { signal } = new AbortController();
  const good = new Deferred<number>();
  const bad = new Deferred<number>();
  const results = [abortable(good.promise, signal), abortable(bad.promise, signal)];
  expect(listenersOf(signal)).toBe(2);
  good.resolve(1);
  bad.reject(new Error("no"));
  expect(await Promise.allSettled(results)).toMatchObject([{ value: 1 }, { reason: { message: "no" } }]);
  expect(listenersOf(signal)).toBe(0);
});

test("abortable rejects with the reason when the signal fires first, whatever the promise does later", async () => {
  const controller = new AbortController();
  const late = new Deferred<number>();
  const result = abortable(late.promise, controller.signal);
  const reason = new Error("stop");
  controller.abort(reason);
  await expect(result).rejects.toBe(reason);
  await expect(abortable(late.promise, controller.signal)).rejects.toBe(reason);
  late.reject(new Error("nobody listens"));
  await expect(late.promise).rejects.toThrow();
});

test("a deadline signal fires with a retriable TIMEOUT and lets go of its parent", () => {
  const timers = new ManualTimers();
  const { signal: parent } = new AbortController();
  const deadline = deadlineSignal(timers, 50, parent);
  expect(deadline.signal.aborted).toBe(false);
  timers.fire();
  expect(deadline.signal.reason).toMatchObject({ code: "TIMEOUT", retriable: true });
  expect(listenersOf(parent)).toBe(0);
});

test("a deadline signal fires with its parent, also one that fired before, and frees its timer", () => {
  const timers = new ManualTimers();
  const controller = new AbortController();
  const reason = new Error("stop");
  const before = deadlineSignal(timers, 50, controller.signal);
  controller.abort(reason);
  const after = deadlineSignal(timers, 50, controller.signal);
  expect([before.signal.reason, after.signal.reason]).toEqual([reason, reason]);
  expect(timers.pending.size).toBe(0);
});

test("a disposed deadline signal never fires and holds nothing", () => {
  const timers = new ManualTimers();
  const controller = new AbortController();
  let signal: AbortSignal;
  {
    using deadline = deadlineSignal(timers, 50, controller.signal);
    signal = deadline.signal;
    expect(timers.pending.size).toBe(1);
  }
  controller.abort();
  expect(signal.aborted).toBe(false);
  expect(timers.pending.size).toBe(0);
});

test("a sleep resolves with its timer or rejects with its signal, and holds nothing afterwards", async () => {
  const timers = new ManualTimers();
  const controller = new AbortController();
  const slept = sleepOn(timers, 5, controller.signal);
  timers.fire();
  await slept;
  expect(listenersOf(controller.signal)).toBe(0);
  const stopped = sleepOn(timers, 5, controller.signal);
  controller.abort(new Error("stop"));
  await expect(stopped).rejects.toThrow("stop");
  expect(timers.pending.size).toBe(0);
});
