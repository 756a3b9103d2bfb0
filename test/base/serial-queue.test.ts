import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { Deferred } from "../../src/base/deferred.ts";
import { SerialQueue } from "../../src/base/serial-queue.ts";

test("tasks run one at a time in the order of the calls", async () => {
  const queue = new SerialQueue({ maxWaiting: 10 });
  const log: string[] = [];
  const task = (name: string) => async (): Promise<string> => {
    log.push(`${name} starts`);
    await Promise.resolve();
    log.push(`${name} ends`);
    return name;
  };
  expect(await Promise.all(["a", "b", "c"].map((name) => queue.run(task(name))))).toEqual(["a", "b", "c"]);
  expect(log).toEqual(["a starts", "a ends", "b starts", "b ends", "c starts", "c ends"]);
});

test("the first task starts within the call", () => {
  let hasStarted = false;
  void new SerialQueue({ maxWaiting: 0 }).run(() => {
    hasStarted = true;
  });
  expect(hasStarted).toBe(true);
});

test("a task that fails, by throw or rejection, does not stop the next", async () => {
  const queue = new SerialQueue({ maxWaiting: 10 });
  const results = await Promise.allSettled([
    queue.run(() => {
      throw new Error("thrown");
    }),
    queue.run(() => Promise.reject(new Error("rejected"))),
    queue.run(() => 3),
  ]);
  expect(results).toMatchObject([
    { reason: { message: "thrown" } },
    { reason: { message: "rejected" } },
    { value: 3 },
  ]);
});

test("at the bound a task is refused with a retriable error", async () => {
  const queue = new SerialQueue({ maxWaiting: 1 });
  const gate = new Deferred<void>();
  const running = queue.run(() => gate.promise);
  const waiting = queue.run(() => 2);
  await expect(queue.run(() => 3)).rejects.toMatchObject({ code: "BUFFER_EXHAUSTED", retriable: true });
  gate.resolve();
  await running;
  expect(await waiting).toBe(2);
  expect(await queue.run(() => 4)).toBe(4);
});

test("a signal takes a waiting task out and leaves a running one alone", async () => {
  const queue = new SerialQueue({ maxWaiting: 5 });
  const gate = new Deferred<number>();
  const controller = new AbortController();
  const running = queue.run(() => gate.promise, controller.signal);
  let hasRun = false;
  const waiting = queue.run(() => {
    hasRun = true;
  }, controller.signal);
  controller.abort(new Error("stop"));
  await expect(waiting).rejects.toThrow("stop");
  gate.resolve(1);
  expect(await running).toBe(1);
  await queue.idle();
  expect(hasRun).toBe(false);
  await expect(queue.run(() => 1, controller.signal)).rejects.toThrow("stop");
  expect(getEventListeners(controller.signal, "abort")).toHaveLength(0);
});

test("close rejects the waiting, waits for the running, refuses the new", async () => {
  const queue = new SerialQueue({ maxWaiting: 5 });
  const gate = new Deferred<number>();
  const running = queue.run(() => gate.promise);
  const waiting = queue.run(() => 2);
  let isClosed = false;
  const closing = queue.close().then(() => {
    isClosed = true;
  });
  await expect(waiting).rejects.toMatchObject({ code: "CLOSED" });
  await expect(queue.run(() => 3)).rejects.toMatchObject({ code: "CLOSED" });
  expect(isClosed).toBe(false);
  gate.resolve(1);
  expect(await running).toBe(1);
  await closing;
  await queue.close();
});
