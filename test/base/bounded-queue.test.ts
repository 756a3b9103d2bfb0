import { getEventListeners } from "node:events";
import fc from "fast-check";
import { expect, test } from "vitest";
import { BoundedQueue } from "../../src/base/bounded-queue.ts";

test("items come out in the order they went in, bounds hold, and sizes add up", () => {
  const step = fc.oneof(
    fc.nat({ max: 9 }).map((size) => ({ size })),
    fc.constant("shift" as const),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 4_000 }), (steps) => {
      const queue = new BoundedQueue<number>({ maxCount: 1_500, maxBytes: 3_000 });
      const model: number[] = [];
      let bytes = 0;
      for (const item of steps) {
        if (item === "shift") {
          const expected = model.shift();
          bytes -= expected ?? 0;
          expect(queue.shift()).toBe(expected);
          continue;
        }
        const fits = model.length < 1_500 && (model.length === 0 || bytes + item.size <= 3_000);
        expect(queue.tryPush(item.size, item.size)).toBe(fits);
        if (fits) {
          model.push(item.size);
          bytes += item.size;
        }
        expect([queue.length, queue.sizeBytes, queue.peek()]).toEqual([model.length, bytes, model[0]]);
      }
      expect(queue.drain()).toEqual(model);
      expect(queue.sizeBytes).toBe(0);
    }),
    { numRuns: 20 },
  );
});

test("order survives the cutting of the backing array", () => {
  const queue = new BoundedQueue<number>({ maxCount: 5_000 });
  for (let i = 0; i < 4_000; i++) queue.tryPush(i);
  for (let i = 0; i < 3_000; i++) expect(queue.shift()).toBe(i);
  for (let i = 4_000; i < 5_000; i++) queue.tryPush(i);
  expect(queue.drain()).toEqual(Array.from({ length: 2_000 }, (_, i) => 3_000 + i));
});

test("at the bound an item is refused and not kept", () => {
  const queue = new BoundedQueue<string>({ maxCount: 2, maxBytes: 10 });
  expect(queue.tryPush("a", 6)).toBe(true);
  expect(queue.tryPush("b", 5)).toBe(false);
  expect(queue.tryPush("b", 4)).toBe(true);
  expect(queue.isFull).toBe(true);
  expect(queue.tryPush("c", 0)).toBe(false);
  expect(queue.drain()).toEqual(["a", "b"]);
});

test("an item larger than the byte bound goes in alone", () => {
  const queue = new BoundedQueue<string>({ maxCount: 9, maxBytes: 10 });
  expect(queue.tryPush("huge", 100)).toBe(true);
  expect(queue.tryPush("b", 1)).toBe(false);
  queue.shift();
  expect(queue.tryPush("b", 1)).toBe(true);
});

test("takers wait for items and are served in order", async () => {
  const queue = new BoundedQueue<number>({ maxCount: 1 });
  const taken = [queue.take(), queue.take()];
  expect(queue.tryPush(1)).toBe(true);
  expect(queue.tryPush(2)).toBe(true);
  expect(queue.tryPush(3)).toBe(true);
  expect(await Promise.all([...taken, queue.take()])).toEqual([1, 2, 3]);
});

test("an aborted taker takes nothing: the item goes to the next", async () => {
  const queue = new BoundedQueue<number>({ maxCount: 1 });
  const controller = new AbortController();
  const first = queue.take(controller.signal);
  const second = queue.take();
  controller.abort(new Error("stop"));
  queue.tryPush(1);
  await expect(first).rejects.toThrow("stop");
  expect(await second).toBe(1);
  await expect(queue.take(controller.signal)).rejects.toThrow("stop");
  expect(getEventListeners(controller.signal, "abort")).toHaveLength(0);
});

test("a source waits for space until an item is taken", async () => {
  const queue = new BoundedQueue<number>({ maxCount: 1 });
  await queue.waitForSpace(0);
  queue.tryPush(1);
  let hasSpace = false;
  const waiting = queue.waitForSpace(0).then(() => {
    hasSpace = true;
  });
  await Promise.resolve();
  expect(hasSpace).toBe(false);
  queue.shift();
  await waiting;
  expect(queue.tryPush(2)).toBe(true);
});

test("a source waits until its own item fits, not merely until something does", async () => {
  const queue = new BoundedQueue<string>({ maxCount: 9, maxBytes: 10 });
  for (const item of ["a", "b", "c"]) queue.tryPush(item, 3);
  const log: string[] = [];
  const waiting = queue.waitForSpace(5).then(() => log.push("fits"));
  log.push(queue.shift() ?? "");
  await Promise.resolve();
  await Promise.resolve();
  expect(queue.tryPush("big", 5)).toBe(false);
  log.push(queue.shift() ?? "");
  await waiting;
  expect(log).toEqual(["a", "b", "fits"]);
  expect(queue.tryPush("big", 5)).toBe(true);
});

test("close rejects all who wait, refuses items, and leaves what is inside", async () => {
  const full = new BoundedQueue<number>({ maxCount: 1 });
  full.tryPush(1);
  const waiting = full.waitForSpace(0);
  full.close();
  full.close(new Error("second close changes nothing"));
  await expect(waiting).rejects.toMatchObject({ code: "CLOSED" });
  expect(full.tryPush(2)).toBe(false);
  expect(await full.take()).toBe(1);
  await expect(full.take()).rejects.toMatchObject({ code: "CLOSED" });
  const empty = new BoundedQueue<number>({ maxCount: 1 });
  const taking = empty.take();
  empty.close(new Error("gone"));
  await expect(taking).rejects.toThrow("gone");
});
