import { describe, expect, test } from "vitest";
import { compactBatch, emptyBatch } from "../../src/log/compact-batch.ts";
import { CODECS } from "../../src/model/compression.ts";
import {
  baseOffsetOf,
  baseSequenceOf,
  checkBatchHeader,
  deleteHorizonMsOf,
  lastOffsetOf,
  lastSequenceOf,
  leaderEpochOf,
  maxTimestampOf,
  patchBatch,
  producerIdOf,
  recordCountOf,
  verifyBatchCrc,
} from "../../src/model/record-batch.ts";
import type { LeaderEpoch } from "../../src/model/offsets.ts";
import { decodeRecords } from "../../src/model/record-reader.ts";
import { reseal } from "./batches.ts";
import { keyed } from "./compaction.ts";
import type { KeyedOptions, KeyedRecord } from "./compaction.ts";
import { at } from "./engine.ts";

const RECORDS: readonly KeyedRecord[] = [
  { key: "a", value: "1", timestamp: 5000 },
  { key: "b", value: "2".repeat(200), timestamp: 9000 },
  { key: "c", value: null, timestamp: 7000 },
  { key: "d", value: "4", timestamp: 4000 },
];

function batch(options: KeyedOptions = {}): Buffer {
  const bytes = keyed(RECORDS, { producer: { baseSequence: 70 }, ...options });
  patchBatch(bytes, 0, at(100), 3 as LeaderEpoch);
  return bytes;
}

function kept(
  keys: string,
  bytes: Buffer,
  nowMs = 10_000,
  mustStay = false,
): ReturnType<typeof compactBatch> {
  return compactBatch(bytes, 0, mustStay, {
    nowMs,
    deleteRetentionMs: 500,
    isLatest: ({ key }) => keys.includes(String(key)),
  });
}

function rewritten(result: ReturnType<typeof compactBatch>): Buffer {
  if (typeof result === "string") throw new Error(`the batch was not rewritten: ${result}`);
  expect(checkBatchHeader(result, 0, result.length, result.length)).toEqual({
    ok: true,
    size: result.length,
  });
  expect(verifyBatchCrc(result)).toBe(true);
  return result;
}

/** Everything about a batch that compaction leaves. */
function identity(bytes: Buffer): unknown {
  return [
    baseOffsetOf(bytes),
    lastOffsetOf(bytes),
    leaderEpochOf(bytes),
    producerIdOf(bytes),
    baseSequenceOf(bytes),
    lastSequenceOf(bytes),
  ];
}

describe.each(CODECS)("a batch with codec %s", (codec) => {
  test("keeps offsets, times, headers and identity of the records that stay", () => {
    const original = batch({ codec });
    const result = rewritten(kept("ad", original));
    expect(identity(result)).toEqual(identity(original));
    const all = decodeRecords(original);
    expect(decodeRecords(result)).toEqual([all[0], all[3]]);
    expect(maxTimestampOf(result)).toBe(5000);
    expect(result.readInt16BE(21)).toBe(original.readInt16BE(21));
  });

  test("with a tombstone that stays is dated once, and told the same records", () => {
    const original = batch({ codec });
    const dated = rewritten(kept("abcd", original));
    expect(deleteHorizonMsOf(dated)).toBe(10_500);
    expect(decodeRecords(dated)).toEqual(decodeRecords(original));
    expect(identity(dated)).toEqual(identity(original));
    expect(kept("abcd", dated, 10_499)).toBe("keep");
    const later = rewritten(kept("abcd", dated, 10_500));
    expect(decodeRecords(later).map(({ key }) => String(key))).toEqual(["a", "b", "d"]);
    expect(deleteHorizonMsOf(later)).toBe(10_500);
    expect(decodeRecords(later).map(({ timestamp }) => timestamp)).toEqual([5000, 9000, 4000]);
  });
});

test("a batch that loses nothing stays as it is, byte for byte", () => {
  expect(kept("ab", keyed(RECORDS.slice(0, 2)))).toBe("keep");
});

test("a batch that loses all goes, or leaves its header where it must stay", () => {
  const original = batch({ codec: "zstd" });
  expect(kept("", original)).toBe("drop");
  const empty = rewritten(kept("", original, 10_000, true));
  expect(empty).toHaveLength(61);
  expect(recordCountOf(empty)).toBe(0);
  expect(identity(empty)).toEqual(identity(original));
  expect(decodeRecords(empty)).toEqual([]);
  expect(kept("", empty, 10_000, true)).toBe("keep");
  expect(kept("", empty)).toBe("drop");
  expect(emptyBatch(original, 0)).toEqual(empty);
});

test("a batch in the middle of a buffer is read and rewritten as one alone", () => {
  const original = batch();
  const between = Buffer.concat([Buffer.alloc(33, 9), original, Buffer.alloc(20, 9)]);
  const retention = {
    nowMs: 1,
    deleteRetentionMs: 500,
    isLatest: ({ key }: { readonly key: Buffer | null }) => String(key) === "d",
  };
  expect(compactBatch(between, 33, false, retention)).toEqual(compactBatch(original, 0, false, retention));
});

test("records with the broker's time keep it, whatever base they are told from", () => {
  const original = batch();
  original.writeInt16BE(original.readInt16BE(21) | 0x08, 21);
  reseal(original);
  const result = rewritten(kept("cd", original));
  expect(decodeRecords(result).map(({ timestamp }) => timestamp)).toEqual([9000, 9000]);
});

test("a batch whose checksum is right and whose records are nonsense is kept whole", () => {
  const original = batch();
  original.fill(0xff, 61, 70);
  expect(kept("a", reseal(original))).toBe("keep");
});
