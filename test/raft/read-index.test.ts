import { expect, test } from "vitest";
import { ReadIndex } from "../../src/raft/read-index.ts";

test("reads that came together share a round, and wait for its answers (§6.4)", () => {
  const reads = new ReadIndex();
  reads.add(1, 10);
  reads.add(2, 11);
  expect(reads.isRoundDue).toBe(true);
  reads.beginRound();
  expect([reads.isRoundDue, reads.round]).toEqual([false, 1]);
  reads.add(3, 12);
  expect(reads.confirm(0)).toEqual([]);
  expect(reads.confirm(1)).toEqual([
    { token: 1, index: 10 },
    { token: 2, index: 11 },
  ]);
  reads.beginRound();
  expect(reads.confirm(2)).toEqual([{ token: 3, index: 12 }]);
  expect(reads.isRoundDue).toBe(false);
});

test("a round that was answered before a read was asked for does not let it go (H10)", () => {
  const reads = new ReadIndex();
  reads.add(1, 10);
  reads.beginRound();
  reads.add(2, 10);
  expect(reads.confirm(1)).toEqual([{ token: 1, index: 10 }]);
});

test("with leadership all waiting reads are lost", () => {
  const reads = new ReadIndex();
  reads.add(1, 10);
  expect(reads.abandon()).toEqual([{ token: 1, index: undefined }]);
  expect(reads.confirm(Infinity)).toEqual([]);
});

test("no more than some thousand reads wait", () => {
  const reads = new ReadIndex();
  for (let token = 0; token < 4096; token++) expect(reads.add(token, 1)).toBe(true);
  expect(reads.add(4096, 1)).toBe(false);
  expect(reads.confirm(Infinity)).toHaveLength(4096);
  expect(reads.add(4096, 1)).toBe(true);
});
