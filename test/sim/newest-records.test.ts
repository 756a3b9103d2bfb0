import { expect, test } from "vitest";
import { patchBatch } from "../../src/model/record-batch.ts";
import type { LeaderEpoch, Offset } from "../../src/model/offsets.ts";
import { newestRecords } from "../../src/sim/newest-records.ts";
import { batch, record } from "../model/batches.ts";

function batchAt(offset: number, ...records: readonly (readonly [string, string | null])[]): Buffer {
  const bytes = batch({ records: records.map(([key, value]) => record({ key, value })) });
  patchBatch(bytes, 0, offset as Offset, 0 as LeaderEpoch);
  return bytes;
}

const written = [
  batchAt(0, ["a", "1"], ["b", "1"]),
  batchAt(2, ["a", "2"], ["c", "1"]),
  batchAt(4, ["c", null]),
];

test("a log and what compaction leaves of it say the same", () => {
  const compacted = [batchAt(1, ["b", "1"]), batchAt(2, ["a", "2"])];
  expect(newestRecords(Buffer.concat(written))).toEqual(newestRecords(Buffer.concat(compacted)));
});

test("a record that is lost, older, or at another offset is told from it", () => {
  const whole = newestRecords(Buffer.concat(written));
  const [first, second, third] = written as [Buffer, Buffer, Buffer];
  for (const other of [
    [first, third],
    [second, third],
    [first, second],
    [first, batchAt(3, ["a", "2"], ["c", "1"]), batchAt(5, ["c", null])],
  ]) {
    expect(newestRecords(Buffer.concat(other))).not.toEqual(whole);
  }
});
