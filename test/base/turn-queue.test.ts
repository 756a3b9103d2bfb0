import { expect, test } from "vitest";
import { TurnQueue } from "../../src/base/turn-queue.ts";

interface Item {
  readonly name: number;
  isQueued: boolean;
}

function items(count: number): Item[] {
  return Array.from({ length: count }, (_, name) => ({ name, isQueued: false }));
}

test("gives items in the order they came, each once however often it was pushed", () => {
  const queue = new TurnQueue<Item>();
  const [a, b] = items(2);
  if (a === undefined || b === undefined) throw new Error("no items");
  queue.push(a);
  queue.push(b);
  queue.push(a);
  expect(queue.length).toBe(2);
  expect(queue.shift()).toBe(a);
  queue.push(a);
  expect([queue.shift(), queue.shift(), queue.shift()]).toEqual([b, a, undefined]);
});

test("keeps its order through thousands of turns", () => {
  const queue = new TurnQueue<Item>();
  for (const item of items(3000)) queue.push(item);
  for (let turn = 0; turn < 10_000; turn++) {
    const item = queue.shift();
    if (item === undefined) throw new Error("empty");
    expect(item.name, `turn ${turn}`).toBe(turn % 3000);
    queue.push(item);
  }
  expect(queue.length).toBe(3000);
});

test("shows the first without taking it", () => {
  const queue = new TurnQueue<Item>();
  expect(queue.peek()).toBeUndefined();
  const [a, b] = items(2);
  if (a === undefined || b === undefined) throw new Error("no items");
  queue.push(a);
  queue.push(b);
  expect([queue.peek(), queue.peek(), queue.length]).toEqual([a, a, 2]);
  queue.shift();
  expect(queue.peek()).toBe(b);
});

test("forgets everything when it is cleared, and takes it again", () => {
  const queue = new TurnQueue<Item>();
  const all = items(3);
  for (const item of all) queue.push(item);
  queue.shift();
  queue.clear();
  expect(queue.length).toBe(0);
  for (const item of all) queue.push(item);
  expect(queue.length).toBe(3);
});
