import fc from "fast-check";
import { expect, test } from "vitest";
import { entryBytes, RaftLog } from "../../src/raft/raft-log.ts";
import type { Entry, SnapshotMeta } from "../../src/raft/types.ts";
import { voterSet } from "./replica.ts";

const EMPTY: SnapshotMeta = { index: 0, term: 0, voters: [] };

/** Entries of these terms, the first at `first`. */
function entries(first: number, ...terms: readonly number[]): Entry[] {
  return terms.map((term, at) => ({ index: first + at, term, kind: "data", data: Buffer.from(`${term}`) }));
}

function snapshot(index: number, term: number): SnapshotMeta {
  return { index, term, voters: voterSet("1") };
}

function indexes(list: readonly Entry[]): number[] {
  return list.map(({ index }) => index);
}

/** Writes all there is, as a disk that is done at once. */
function writeAll(log: RaftLog): void {
  log.beginWrite();
  log.finishWrite();
}

test("a log knows the terms of its entries and of the one before, and of no others", () => {
  const log = new RaftLog(snapshot(10, 2), entries(11, 2, 3), 10);
  expect([9, 10, 11, 12, 13].map((index) => log.termAt(index))).toEqual([undefined, 2, 2, 3, undefined]);
  expect([log.lastIndex, log.lastTerm, log.commit, log.durableIndex]).toEqual([12, 3, 10, 12]);
});

test("a log is covered by one with a later last term, or the same and at least as long (§3.6.1)", () => {
  const log = new RaftLog(EMPTY, entries(1, 1, 2, 2), 0);
  expect(log.isCoveredBy(3, 2)).toBe(true);
  expect(log.isCoveredBy(4, 2)).toBe(true);
  expect(log.isCoveredBy(1, 3)).toBe(true);
  expect(log.isCoveredBy(2, 2)).toBe(false);
  expect(log.isCoveredBy(9, 1)).toBe(false);
});

test("a slice is bounded by bytes, but holds one entry at least", () => {
  const list = entries(1, 1, 1, 1, 1);
  const one = entryBytes(list[0] ?? list[1]!);
  const log = new RaftLog(EMPTY, list, 0);
  expect(indexes(log.slice(2, 0))).toEqual([2]);
  expect(indexes(log.slice(2, one * 2))).toEqual([2, 3]);
  expect(indexes(log.slice(2, one * 9))).toEqual([2, 3, 4]);
  expect(log.slice(5, one)).toEqual([]);
});

test("the search for agreement finds the largest index whose term is not after the wanted one", () => {
  const terms = fc
    .array(fc.integer({ min: 1, max: 4 }), { maxLength: 12 })
    .map((list) => list.toSorted((a, b) => a - b));
  fc.assert(
    fc.property(terms, fc.nat(14), fc.nat(5), (list, index, term) => {
      const log = new RaftLog(EMPTY, entries(1, ...list), 0);
      let expected = Math.min(index, log.lastIndex);
      while ((log.termAt(expected) ?? 0) > term) expected--;
      expect(log.lastNotAfter(index, term)).toBe(expected);
    }),
  );
});

test("behind a snapshot the search stops where the log begins", () => {
  const log = new RaftLog(snapshot(10, 5), entries(11, 6, 6), 10);
  expect(log.lastNotAfter(12, 4)).toBe(10);
  expect(log.lastNotAfter(7, 4)).toBe(7);
});

test("entries are durable when their write is done, and are handed out as committed only then", () => {
  const log = new RaftLog(EMPTY, [], 0);
  log.append(entries(1, 1, 1));
  log.commitTo(2);
  expect(log.takeCommitted()).toEqual([]);
  expect(indexes(log.beginWrite().entries)).toEqual([1, 2]);
  log.append(entries(3, 1));
  expect(log.durableIndex).toBe(0);
  log.finishWrite();
  expect(log.durableIndex).toBe(2);
  expect(indexes(log.takeCommitted())).toEqual([1, 2]);
  expect(log.takeCommitted()).toEqual([]);
  expect(log.isUnwritten).toBe(true);
});

test("a write that ends after its entries were cut off does not make their successors durable (H5)", () => {
  const log = new RaftLog(EMPTY, entries(1, 1), 0);
  log.append(entries(2, 2, 2, 2));
  log.beginWrite();
  log.truncate(2);
  log.append(entries(3, 3, 3));
  log.truncate(3);
  log.append(entries(4, 4));
  log.finishWrite();
  expect(log.durableIndex).toBe(2);
  const next = log.beginWrite();
  expect(next.truncateAfter).toBe(2);
  expect(next.entries.map(({ index, term }) => [index, term])).toEqual([
    [3, 3],
    [4, 4],
  ]);
  log.finishWrite();
  expect(log.durableIndex).toBe(4);
});

test("cutting off what the disk never had needs no cut of the disk", () => {
  const log = new RaftLog(EMPTY, entries(1, 1), 0);
  log.append(entries(2, 2));
  log.truncate(1);
  expect(log.isUnwritten).toBe(false);
  log.truncate(0);
  expect(log.isUnwritten).toBe(true);
  expect(log.beginWrite()).toEqual({ truncateAfter: 0, entries: [] });
});

test("what is committed is never cut off (H4)", () => {
  const log = new RaftLog(EMPTY, entries(1, 1, 1), 1);
  log.truncate(1);
  expect(() => log.truncate(0)).toThrow("below the commit index");
});

test("gaps, falling terms and commits past the end are broken invariants", () => {
  const log = new RaftLog(EMPTY, entries(1, 2), 0);
  expect(() => log.append(entries(3, 2))).toThrow("out of order");
  expect(() => log.append(entries(2, 1))).toThrow("out of order");
  expect(() => log.commitTo(2)).toThrow("not there");
  expect(() => new RaftLog(EMPTY, entries(1, 1), 2)).toThrow("not there");
});

test("the uncommitted bytes follow appends, cuts and commits", () => {
  const list = entries(1, 1, 1, 1);
  const one = entryBytes(list[0] ?? list[1]!);
  const log = new RaftLog(EMPTY, list, 1);
  expect(log.uncommittedBytes).toBe(2 * one);
  log.truncate(2);
  expect(log.uncommittedBytes).toBe(one);
  log.commitTo(2);
  expect(log.uncommittedBytes).toBe(0);
});

test("a snapshot of its own lets the entries go but for those that followers may still need", () => {
  const log = new RaftLog(EMPTY, entries(1, 1, 1, 2, 2, 3), 4);
  log.takeCommitted();
  log.compact(snapshot(4, 2), 2);
  expect([1, 2, 3, 4, 5].map((index) => log.termAt(index))).toEqual([undefined, 1, 2, 2, 3]);
  expect(log.snapshot.index).toBe(4);
  log.compact(snapshot(3, 2), 0);
  expect(log.snapshot.index).toBe(4);
  expect(() => log.compact(snapshot(5, 3), 0)).toThrow("not applied");
});

test("an installed snapshot keeps what follows where the logs agree (H9)", () => {
  const log = new RaftLog(EMPTY, entries(1, 1, 1, 2, 2), 1);
  expect(log.install(snapshot(3, 2))).toBe(true);
  expect([log.commit, log.lastIndex, log.durableIndex, log.termAt(2)]).toEqual([3, 4, 4, undefined]);
  expect(log.isUnwritten).toBe(false);
  expect(log.takeCommitted()).toEqual([]);
});

test("an installed snapshot takes the place of a log that contradicts it, and the disk is cut behind it (H9)", () => {
  const log = new RaftLog(EMPTY, entries(1, 1, 1, 1, 1), 1);
  expect(log.install(snapshot(3, 2))).toBe(false);
  expect([log.commit, log.lastIndex, log.lastTerm, log.durableIndex]).toEqual([3, 3, 2, 3]);
  expect(log.beginWrite()).toEqual({ truncateAfter: 3, entries: [] });
});

test("a cut that the disk still waits for stays behind the snapshot that was installed meanwhile", () => {
  const log = new RaftLog(EMPTY, entries(1, 1, 1, 1, 1), 1);
  log.truncate(3);
  log.append(entries(4, 2));
  expect(log.install(snapshot(2, 1))).toBe(true);
  const write = log.beginWrite();
  expect([write.truncateAfter, indexes(write.entries)]).toEqual([3, [4]]);
});

test("entries before an installed snapshot need not be written any more, those behind it do", () => {
  const log = new RaftLog(EMPTY, [], 0);
  log.append(entries(1, 1, 1, 1));
  expect(log.install(snapshot(2, 1))).toBe(true);
  expect(log.durableIndex).toBe(2);
  expect(indexes(log.beginWrite().entries)).toEqual([3]);
});

test("an older snapshot, or one during a write, is refused (H9)", () => {
  const log = new RaftLog(EMPTY, entries(1, 1, 1), 2);
  expect(() => log.install(snapshot(2, 1))).toThrow("committed already");
  log.append(entries(3, 1));
  log.beginWrite();
  expect(() => log.install(snapshot(9, 1))).toThrow("during a write");
});

test("after any cuts, appends and writes the disk has what the log has", () => {
  const steps = fc.array(
    fc.record({ kind: fc.constantFrom("append", "cut", "begin", "end"), size: fc.nat(3) }),
    {
      maxLength: 60,
    },
  );
  fc.assert(
    fc.property(steps, (list) => {
      const log = new RaftLog(EMPTY, [], 0);
      let disk: readonly Entry[] = [];
      let pending: ReturnType<RaftLog["beginWrite"]> | undefined;
      let term = 1;
      const end = (): void => {
        if (pending === undefined) return;
        const { truncateAfter = Infinity, entries: more } = pending;
        disk = [...disk.filter(({ index }) => index <= truncateAfter), ...more];
        pending = undefined;
        log.finishWrite();
      };
      for (const { kind, size } of list) {
        if (kind === "append") log.append(entries(log.lastIndex + 1, ...Array<number>(size).fill(term++)));
        if (kind === "cut") log.truncate(Math.max(0, log.lastIndex - size));
        if (kind === "begin" && pending === undefined) pending = log.beginWrite();
        if (kind === "end") end();
        const durable = disk.filter(({ index }) => index <= log.durableIndex);
        expect(durable.map((entry) => entry.term)).toEqual(durable.map(({ index }) => log.termAt(index)));
        expect(durable.length).toBe(log.durableIndex);
      }
      end();
      writeAll(log);
      expect(log.durableIndex).toBe(log.lastIndex);
    }),
  );
});
