import { describe, expect, test } from "vitest";

import type { LeaderEpoch, Offset, ProducerEpoch, ProducerId } from "../../src/model/offsets.ts";
import {
  addSequence,
  baseOffsetOf,
  batchSizeOf,
  checkBatchHeader,
  deleteHorizonMsOf,
  isControlBatch,
  isTransactionalBatch,
  lastOffsetOf,
  lastSequenceOf,
  leaderEpochOf,
  patchBatch,
  readInt64,
  verifyBatchCrc,
  writeInt64,
} from "../../src/model/record-batch.ts";
import { batch } from "./batches.ts";

const MAX_BYTES = 1_000_000;

function check(
  bytes: Buffer,
  available = bytes.length,
  maxBytes = MAX_BYTES,
): ReturnType<typeof checkBatchHeader> {
  return checkBatchHeader(bytes, 0, available, maxBytes);
}

/** A good batch with one field of the header overwritten. */
function tampered(change: (bytes: Buffer) => void): Buffer {
  const bytes = Buffer.from(batch({ count: 3 }));
  change(bytes);
  return bytes;
}

describe("the header check", () => {
  test("accepts a batch and says its size, at any place of a buffer", () => {
    const bytes = batch();
    expect(check(bytes)).toEqual({ ok: true, size: bytes.length });
    const shifted = Buffer.concat([Buffer.alloc(7, 0xff), bytes, Buffer.alloc(9)]);
    expect(checkBatchHeader(shifted, 7, shifted.length - 7, MAX_BYTES)).toEqual({
      ok: true,
      size: bytes.length,
    });
  });

  test("needs only the header in the buffer when the rest is known to exist", () => {
    const bytes = batch();
    const head = bytes.subarray(0, 61);
    expect(check(head, bytes.length)).toEqual({ ok: true, size: bytes.length });
    expect(check(head, bytes.length - 1)).toMatchObject({ ok: false, isIncomplete: true });
  });

  test("tells a cut batch from a damaged one at every length", () => {
    const bytes = batch();
    for (let length = 0; length < bytes.length; length++) {
      expect(check(bytes.subarray(0, length)), `${length} bytes`).toMatchObject({
        ok: false,
        isIncomplete: true,
      });
      expect(check(bytes, length), `${length} available`).toMatchObject({ ok: false, isIncomplete: true });
    }
  });

  test.each<readonly [string, string, (bytes: Buffer) => void]>([
    ["length below a header", "CORRUPT_MESSAGE", (bytes) => bytes.writeInt32BE(48, 8)],
    ["negative length", "CORRUPT_MESSAGE", (bytes) => bytes.writeInt32BE(-1, 8)],
    ["length past the limit", "MESSAGE_TOO_LARGE", (bytes) => bytes.writeInt32BE(0x7fffffff, 8)],
    ["magic 0", "UNSUPPORTED_FOR_MESSAGE_FORMAT", (bytes) => bytes.writeInt8(0, 16)],
    ["magic 1", "UNSUPPORTED_FOR_MESSAGE_FORMAT", (bytes) => bytes.writeInt8(1, 16)],
    ["magic 3", "CORRUPT_MESSAGE", (bytes) => bytes.writeInt8(3, 16)],
    ["unknown codec", "UNSUPPORTED_COMPRESSION_TYPE", (bytes) => bytes.writeInt16BE(5, 21)],
    ["negative base offset", "CORRUPT_MESSAGE", (bytes) => bytes.writeBigInt64BE(-1n, 0)],
    ["base offset past 2^53", "CORRUPT_MESSAGE", (bytes) => bytes.writeBigInt64BE(2n ** 53n, 0)],
    ["last offset past 2^53", "CORRUPT_MESSAGE", (bytes) => bytes.writeBigInt64BE(2n ** 53n - 3n, 0)],
    ["base timestamp of 2^63-1", "CORRUPT_MESSAGE", (bytes) => bytes.writeBigInt64BE(2n ** 63n - 1n, 27)],
    ["max timestamp of 2^53+1", "CORRUPT_MESSAGE", (bytes) => bytes.writeBigInt64BE(2n ** 53n + 1n, 35)],
    ["producer id of 2^63-1", "CORRUPT_MESSAGE", (bytes) => bytes.writeBigInt64BE(2n ** 63n - 1n, 43)],
    ["producer id of -2", "CORRUPT_MESSAGE", (bytes) => bytes.writeBigInt64BE(-2n, 43)],
    ["producer epoch of -2", "CORRUPT_MESSAGE", (bytes) => bytes.writeInt16BE(-2, 51)],
    ["base sequence of -2", "CORRUPT_MESSAGE", (bytes) => bytes.writeInt32BE(-2, 53)],
    ["negative record count", "CORRUPT_MESSAGE", (bytes) => bytes.writeInt32BE(-1, 57)],
    ["more records than offsets", "CORRUPT_MESSAGE", (bytes) => bytes.writeInt32BE(4, 57)],
    ["negative last offset delta", "CORRUPT_MESSAGE", (bytes) => bytes.writeInt32BE(-1, 23)],
  ])("refuses %s with %s", (_, error, change) => {
    expect(check(tampered(change))).toMatchObject({ ok: false, isIncomplete: false, error });
  });

  test("refuses more records than the bytes can hold", () => {
    const crowded = tampered((bytes) => {
      bytes.writeInt32BE(999_999, 23);
      bytes.writeInt32BE(1_000_000, 57);
    });
    expect(check(crowded)).toMatchObject({ ok: false, isIncomplete: false, error: "CORRUPT_MESSAGE" });
    const empty = Buffer.from(batch({ codec: "gzip" })).subarray(0, 61);
    empty.writeInt32BE(49, 8);
    expect(check(empty)).toMatchObject({ ok: false, isIncomplete: false, error: "CORRUPT_MESSAGE" });
  });

  test("accepts what compaction leaves: holes in the offsets, and a batch without records", () => {
    expect(check(tampered((bytes) => bytes.writeInt32BE(1000, 23))).ok).toBe(true);
    const empty = tampered((bytes) => {
      bytes.writeInt32BE(49, 8);
      bytes.writeInt32BE(0, 57);
    }).subarray(0, 61);
    expect(check(empty)).toEqual({ ok: true, size: 61 });
  });

  test("refuses a batch past the limit before its bytes are there, and one within it by one byte less", () => {
    const bytes = batch();
    expect(check(bytes, bytes.length, bytes.length).ok).toBe(true);
    expect(check(bytes, bytes.length, bytes.length - 1)).toMatchObject({ error: "MESSAGE_TOO_LARGE" });
    expect(check(bytes.subarray(0, 12), 12, bytes.length - 1)).toMatchObject({ error: "MESSAGE_TOO_LARGE" });
  });
});

test("every flipped bit of a batch is seen by the header check or the CRC, but for the fields that the leader patches", () => {
  const bytes = Buffer.from(batch({ count: 2 }));
  for (let at = 8; at < bytes.length; at++) {
    if (at >= 12 && at < 16) continue;
    for (let bit = 0; bit < 8; bit++) {
      bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
      const verdict = check(bytes);
      expect(
        verdict.ok && verdict.size === bytes.length && verifyBatchCrc(bytes),
        `byte ${at} bit ${bit}`,
      ).toBe(false);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
    }
  }
  expect(verifyBatchCrc(bytes)).toBe(true);
});

test("the leader's patches leave the CRC valid", () => {
  const bytes = Buffer.from(batch({ count: 3 }));
  patchBatch(bytes, 0, (2 ** 40 + 1) as Offset, 77 as LeaderEpoch);
  expect(baseOffsetOf(bytes)).toBe(2 ** 40 + 1);
  expect(lastOffsetOf(bytes)).toBe(2 ** 40 + 3);
  expect(leaderEpochOf(bytes)).toBe(77);
  expect(batchSizeOf(bytes)).toBe(bytes.length);
  expect(verifyBatchCrc(bytes)).toBe(true);
});

test("64-bit fields are exact up to 2^53-1 and visibly unsafe beyond", () => {
  const bytes = Buffer.alloc(8);
  for (const value of [
    0,
    -1,
    2 ** 31,
    2 ** 32 - 1,
    2 ** 32,
    2 ** 32 + 1,
    2 ** 53 - 1,
    -(2 ** 53 - 1),
    -(2 ** 32) - 1,
  ]) {
    writeInt64(bytes, value, 0);
    expect(bytes.readBigInt64BE()).toBe(BigInt(value));
    expect(readInt64(bytes, 0)).toBe(value);
  }
  for (const value of [2n ** 53n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n), -(2n ** 53n) - 1n]) {
    bytes.writeBigInt64BE(value);
    expect(Number.isSafeInteger(readInt64(bytes, 0))).toBe(false);
  }
});

test("sequences wrap from 2^31-1 to 0", () => {
  expect(addSequence(2 ** 31 - 1, 1)).toBe(0);
  const producer = { producerId: 5 as ProducerId, producerEpoch: 0 as ProducerEpoch, isTransactional: true };
  const bytes = batch({ count: 3, producer: { ...producer, baseSequence: 2 ** 31 - 2 } });
  expect(lastSequenceOf(bytes)).toBe(0);
  expect(lastSequenceOf(batch({ count: 3 }))).toBe(-1);
  expect(isTransactionalBatch(bytes)).toBe(true);
  expect(isControlBatch(bytes)).toBe(false);
});

test("the delete horizon is the base timestamp when its bit is set", () => {
  const bytes = Buffer.from(batch());
  expect(deleteHorizonMsOf(bytes)).toBeUndefined();
  bytes.writeInt16BE(0x40, 21);
  expect(deleteHorizonMsOf(bytes)).toBe(1_700_000_000_000);
});
