import { expect, test } from "vitest";
import { DurableLogs } from "../../../src/sim/invariants/durable-log.ts";
import type { DurableLog } from "../../../src/sim/invariants/durable-log.ts";
import { Ledger } from "../../../src/sim/invariants/ledger.ts";
import type { Entry } from "../../../src/raft/types.ts";
import { entry, replica, StoreWriter } from "./fixture.ts";

function logOf(machine: number, entries: readonly Entry[]): DurableLog {
  const logs = new DurableLogs();
  const change = logs.apply(machine, new StoreWriter(machine).batch(entries));
  if (change === undefined) throw new Error("no log");
  return change.log;
}

test("entries of one index and term are the same everywhere, with the same one before them", () => {
  const ledger = new Ledger();
  ledger.observe(replica(0), entry(5, 2, "x"), 1);
  ledger.observe(replica(1), entry(5, 2, "x"), 1);
  ledger.observe(replica(1), entry(5, 3, "y"), 2);
  expect(() => ledger.observe(replica(2), entry(5, 2, "other"), 1)).toThrow(/LogMatching.*differ/);
  expect(() => ledger.observe(replica(2), entry(5, 2, "x"), 2)).toThrow(/LogMatching.*before it/);
});

test("the committed prefix grows without gaps and never changes", () => {
  const ledger = new Ledger();
  const log = logOf(0, [entry(1, 1), entry(2, 1), entry(3, 2)]);
  expect(ledger.commit(log, 1, 2, 1).map(({ index }) => index)).toEqual([1, 2]);
  expect(ledger.commit(log, 3, 3, 2).map(({ index }) => index)).toEqual([3]);
  expect(ledger.commit(logOf(1, [entry(1, 1), entry(2, 1)]), 1, 2, 2)).toEqual([]);
  expect(() => ledger.commit(logOf(2, [entry(1, 1), entry(2, 2)]), 1, 2, 2)).toThrow(/OneCommittedPrefix/);
  expect(ledger.commitIndex).toBe(3);
});

test("a leader may contradict what was committed only in a later term than its own", () => {
  const ledger = new Ledger();
  ledger.commit(logOf(0, [entry(1, 3)]), 1, 1, 3);
  ledger.sentByLeader(replica(1), entry(1, 2, "old"), 2);
  ledger.sentByLeader(replica(1), entry(1, 3), 4);
  expect(() => ledger.sentByLeader(replica(1), entry(1, 2, "old"), 4)).toThrow(/LeaderCompleteness/);
});

test("a snapshot stands for the committed prefix", () => {
  const ledger = new Ledger();
  ledger.commit(logOf(0, [entry(1, 1), entry(2, 2)]), 1, 2, 2);
  ledger.snapshot(replica(1), 2, 2);
  expect(() => ledger.snapshot(replica(1), 2, 1)).toThrow(/another history/);
  expect(() => ledger.snapshot(replica(1), 3, 2)).toThrow(/not committed/);
});
