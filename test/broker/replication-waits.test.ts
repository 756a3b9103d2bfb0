import { expect, test } from "vitest";
import { ReplicationWaits } from "../../src/broker/replication-waits.ts";
import { offset } from "../../src/model/offsets.ts";

function setUp(): { waits: ReplicationWaits; told: string[]; wait: (end: number, name?: string) => void } {
  const waits = new ReplicationWaits();
  const told: string[] = [];
  const wait = (end: number, name = String(end)): void =>
    waits.add(offset(end), (isCommitted) => told.push(`${name} ${isCommitted}`));
  return { waits, told, wait };
}

test("those whose offset is passed are called back, in order, once", () => {
  const { waits, told, wait } = setUp();
  for (const end of [5, 10, 15]) wait(end);
  waits.release(offset(4));
  expect(told).toEqual([]);
  waits.release(offset(10));
  expect(told).toEqual(["5 true", "10 true"]);
  waits.release(offset(10));
  waits.release(offset(100));
  expect(told).toEqual(["5 true", "10 true", "15 true"]);
  expect(waits.size).toBe(0);
});

test("a wait for an earlier offset that comes late goes before the others", () => {
  const { waits, told, wait } = setUp();
  wait(10);
  wait(20);
  wait(10, "again");
  waits.release(offset(10));
  expect(told).toEqual(["10 true", "again true"]);
});

test("the end of the role tells all that wait", () => {
  const { waits, told, wait } = setUp();
  wait(5);
  wait(6);
  waits.release(offset(5));
  waits.rejectAll();
  waits.release(offset(100));
  expect(told).toEqual(["5 true", "6 false"]);
});

test("who waits again from within a callback is not lost", () => {
  const { waits, told, wait } = setUp();
  waits.add(offset(1), () => wait(2));
  waits.release(offset(1));
  expect(waits.size).toBe(1);
  waits.release(offset(2));
  expect(told).toEqual(["2 true"]);
});

test("a thousand waits leave nothing behind", () => {
  const { waits, told, wait } = setUp();
  for (let end = 1; end <= 1000; end++) wait(end);
  for (let end = 1; end <= 1000; end++) waits.release(offset(end));
  expect([told.length, waits.size]).toEqual([1000, 0]);
});
