import { expect, test } from "vitest";
import { entryKey } from "../../../src/quorum/store-format.ts";
import { DurableLogs } from "../../../src/sim/invariants/durable-log.ts";
import { entry, replica, StoreWriter } from "./fixture.ts";

test("a log is followed through appends and truncations, with term and vote", () => {
  const logs = new DurableLogs();
  const store = new StoreWriter(0);
  logs.apply(0, store.batch([entry(1, 1), entry(2, 1), entry(3, 1)], { term: 1, vote: replica(2) }));
  const log = logs.of(replica(0));
  expect(log).toMatchObject({ term: 1, vote: replica(2), lastIndex: 3, machine: 0, isLost: false });
  const change = logs.apply(0, store.batch([entry(2, 2, "other")], { term: 2 }));
  expect(change?.isTruncated).toBe(true);
  expect(log).toMatchObject({ term: 2, vote: undefined, lastIndex: 2 });
  expect([log?.termAt(1), log?.termAt(2), log?.termAt(3)]).toEqual([1, 2, undefined]);
  expect([log?.has(2, 1), log?.has(2, 2)]).toEqual([false, true]);
});

test("an entry that does not follow from the one before it is a violation", () => {
  const logs = new DurableLogs();
  logs.apply(0, new StoreWriter(0).batch([entry(1, 1), entry(2, 1)]));
  const other = new StoreWriter(0);
  other.batch([entry(1, 1, "another history"), entry(2, 1)]);
  expect(() => logs.apply(0, other.batch([entry(3, 1)]))).toThrow(/DurableLogIsWhole/);
});

test("a batch without a header is none of the log, and another replica on the machine ends the one before", () => {
  const logs = new DurableLogs();
  logs.apply(0, new StoreWriter(0).batch([entry(1, 1)]));
  expect(logs.apply(0, [{ type: "delete", key: entryKey(1) }])).toBeUndefined();
  expect(logs.onMachine(0)?.id).toBe(replica(0));
  logs.lost(0);
  expect(logs.onMachine(0)).toBeUndefined();
  expect(logs.of(replica(0))?.isLost).toBe(true);
  expect(logs.of(replica(0))?.lastIndex).toBe(1);
});
