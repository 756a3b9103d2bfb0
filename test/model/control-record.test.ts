import { expect, test } from "vitest";

import { decodeMarkerBatch, encodeMarkerBatch, type MarkerBatch } from "../../src/model/control-record.ts";
import type { LeaderEpoch, Offset, ProducerEpoch, ProducerId, Timestamp } from "../../src/model/offsets.ts";
import { checkBatchHeader, isControlBatch, verifyBatchCrc } from "../../src/model/record-batch.ts";
import { batch, record } from "./batches.ts";

const corrupt = expect.objectContaining({ code: "CORRUPT_MESSAGE" }) as unknown as Error;
const KNOWN_COMMIT =
  `000000000000002d 00000042 00000007 02 514faf4a 0030 00000000 0000018bcfe5692c 0000018bcfe5692c
  0000000000000fa1 0003 ffffffff 00000001 20 00 00 00 08 00000001 0c 000000000005 00`.replaceAll(/\s/g, "");

const commit: MarkerBatch = {
  outcome: "commit",
  coordinatorEpoch: 5,
  baseOffset: 45 as Offset,
  leaderEpoch: 7 as LeaderEpoch,
  timestamp: 1700000000300 as Timestamp,
  producerId: 4001 as ProducerId,
  producerEpoch: 3 as ProducerEpoch,
};

test("a commit marker is the known batch, byte for byte", () => {
  expect(encodeMarkerBatch(commit).toString("hex")).toBe(KNOWN_COMMIT);
});

test.each(["commit", "abort"] as const)("a marker of %s survives and is a valid control batch", (outcome) => {
  const bytes = encodeMarkerBatch({ ...commit, outcome, coordinatorEpoch: 2 ** 31 - 1 });
  expect(checkBatchHeader(bytes, 0, bytes.length, 1000).ok).toBe(true);
  expect(verifyBatchCrc(bytes)).toBe(true);
  expect(isControlBatch(bytes)).toBe(true);
  expect(decodeMarkerBatch(bytes)).toEqual({ outcome, coordinatorEpoch: 2 ** 31 - 1 });
});

test("control records of other types are none of ours", () => {
  const bytes = encodeMarkerBatch(commit);
  bytes.writeInt16BE(2, 68);
  expect(decodeMarkerBatch(bytes)).toBeUndefined();
});

test("what is not a control record is refused", () => {
  expect(() => decodeMarkerBatch(batch({ count: 1 }))).toThrow(corrupt);
  for (const records of [
    [record({ key: null })],
    [record({ key: "ab" })],
    [record({ key: Buffer.from([0, 0, 0, 1]), value: "abc" })],
    [record({ key: Buffer.from([0, 0, 0, 1]), value: null })],
    [record({ key: Buffer.from([0, 0, 0, 1]) }), record()],
  ]) {
    const bytes = batch({ records });
    bytes.writeInt16BE(0x30, 21);
    expect(() => decodeMarkerBatch(bytes)).toThrow(corrupt);
  }
});
