import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { LograftError } from "../../src/base/errors.ts";
import { CODECS } from "../../src/model/compression.ts";
import type { LeaderEpoch, Offset } from "../../src/model/offsets.ts";
import { checkBatchHeader, patchBatch, verifyBatchCrc, writeInt64 } from "../../src/model/record-batch.ts";
import { decodeRecords, RecordReader } from "../../src/model/record-reader.ts";
import { anyRecords, asBytes, batch, record } from "./batches.ts";

const corrupt = expect.objectContaining({ code: "CORRUPT_MESSAGE" }) as unknown as Error;
const LIMIT = { maxInflatedBytes: 1_000_000 };

/** The batch of Kafka's own decoders: base offset 42, epoch 7, three records, a tombstone and headers among them. */
const KNOWN_BATCH = Buffer.from(
  `000000000000002a 0000005d 00000007 02 0696eed8 0000 00000002 0000018bcfe56800 0000018bcfe568fa
   ffffffffffffffff ffff ffffffff 00000003
   20 00 00 00 04 6b31 04 7631 02 04 6831 04 0102
   18 00 0a 02 01 0c 68c3a96c6c6f 00
   1a 00 f403 04 04 6b31 01 02 04 6832 01`.replaceAll(/\s/g, ""),
  "hex",
);

/** A batch around hand-made record bytes. */
function around(recordsHex: string, count: number, lastOffsetDelta = count - 1): Buffer {
  const records = Buffer.from(recordsHex.replaceAll(" ", ""), "hex");
  const bytes = Buffer.alloc(61 + records.length);
  bytes.set(batch({ count: 1 }).subarray(0, 61));
  bytes.set(records, 61);
  bytes.writeInt32BE(bytes.length - 12, 8);
  bytes.writeInt32BE(lastOffsetDelta, 23);
  bytes.writeInt32BE(count, 57);
  return bytes;
}

test("the known batch decodes to its records and has a valid CRC", () => {
  expect(KNOWN_BATCH.length).toBe(105);
  expect(verifyBatchCrc(KNOWN_BATCH)).toBe(true);
  expect(decodeRecords(KNOWN_BATCH)).toEqual([
    {
      offset: 42,
      timestamp: 1700000000000,
      key: Buffer.from("k1"),
      value: Buffer.from("v1"),
      headers: [{ key: "h1", value: Buffer.from([1, 2]) }],
    },
    { offset: 43, timestamp: 1700000000005, key: null, value: Buffer.from("héllo"), headers: [] },
    {
      offset: 44,
      timestamp: 1700000000250,
      key: Buffer.from("k1"),
      value: null,
      headers: [{ key: "h2", value: null }],
    },
  ]);
});

test("the same records build the known batch, byte for byte", () => {
  const bytes = batch({
    records: [
      record({ key: "k1", value: "v1", headers: [{ key: "h1", value: Uint8Array.of(1, 2) }] }),
      record({ timestamp: 1700000000005, value: "héllo" }),
      record({ timestamp: 1700000000250, key: "k1", value: null, headers: [{ key: "h2", value: null }] }),
    ],
  });
  patchBatch(bytes, 0, 42 as Offset, 7 as LeaderEpoch);
  expect(bytes.toString("hex")).toBe(KNOWN_BATCH.toString("hex"));
});

test.each(CODECS)("any records survive a batch of codec %s", (codec) => {
  fc.assert(
    fc.property(anyRecords, (records) => {
      const bytes = batch({ records, codec });
      expect(checkBatchHeader(bytes, 0, bytes.length, 10_000_000)).toEqual({ ok: true, size: bytes.length });
      expect(verifyBatchCrc(bytes)).toBe(true);
      const expected = records.map((given, index) => ({
        offset: index,
        timestamp: given.timestamp,
        key: asBytes(given.key),
        value: asBytes(given.value),
        headers: given.headers.map(({ key, value }) => ({
          key: Buffer.from(key).toString(),
          value: value === null ? null : Buffer.from(value),
        })),
      }));
      expect(decodeRecords(bytes)).toEqual(expected);
    }),
    { numRuns: 60 },
  );
});

test.each(CODECS)("a cut batch of codec %s never yields a wrong record", (codec) => {
  const bytes = batch({ count: 20, codec });
  const whole = decodeRecords(bytes);
  for (let length = 61; length < bytes.length; length++) {
    const cut = Buffer.from(bytes.subarray(0, length));
    cut.writeInt32BE(length - 12, 8);
    // Against the length of a liar the records are all there is: what is read before the error has to be right.
    let read = 0;
    expect(() => {
      const reader = new RecordReader(cut, 0, LIMIT);
      for (let next = reader.next(); next !== undefined; next = reader.next()) {
        expect(next.toOwned()).toEqual(whole[read++]);
      }
    }, `${length} bytes`).toThrow(corrupt);
  }
});

test.each(CODECS)(
  "random damage to a batch of codec %s ends in an error of ours or in records, never in another way",
  (codec) => {
    const good = batch({ count: 30, codec });
    const damage = fc.array(fc.tuple(fc.nat({ max: good.length - 62 }), fc.integer({ min: 1, max: 255 })), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(damage, (flips) => {
        const bytes = Buffer.from(good);
        for (const [at, mask] of flips) bytes[61 + at] = (bytes[61 + at] ?? 0) ^ mask;
        try {
          expect(decodeRecords(bytes, 0, LIMIT)).toHaveLength(30);
        } catch (error) {
          expect(error).toBeInstanceOf(LograftError);
          expect(error).toMatchObject({
            code: expect.stringMatching(/^(CORRUPT_MESSAGE|MESSAGE_TOO_LARGE)$/) as unknown,
          });
        }
      }),
      { numRuns: 300 },
    );
  },
);

describe("records that do not hold together", () => {
  test.each([
    ["a record length past the batch", "10 00 00 00 01 01 00", 1],
    ["a negative record length", "01 00 00 00 01 01 00", 1],
    ["a record length that ends inside a field", "06 00 00 00 01 01 00", 1],
    ["a record longer than its fields", "0e 00 00 00 01 01 00 00", 1],
    ["a record without fields", "00 00 00 00 00 00 00", 1],
    ["a key length past the record", "0c 00 00 00 7f 01 00", 1],
    ["a key length of -2", "0c 00 00 00 03 01 00", 1],
    ["a value length past the record", "0c 00 00 00 01 02 00", 1],
    ["a value length of 2^31-1", "14 00 00 00 01 feffffff0f 00", 1],
    ["a negative count of headers", "0c 00 00 00 01 01 01", 1],
    ["more headers than bytes", "0c 00 00 00 01 01 40", 1],
    ["a header with a null key", "10 00 00 00 01 01 02 01 01", 1],
    ["a header value past the record", "10 00 00 00 01 01 02 00 04", 1],
    ["a varint of six bytes", "ffffffffff01 00 00 00 01 01 00", 1],
    ["a varint past 32 bits", "ffffffff1f 00 00 00 01 01 00", 1],
    ["a timestamp delta of 11 bytes", "20 00 ffffffffffffffffffff01 00 01 01 00", 1],
    ["a timestamp delta of 2^63-1", "1e 00 feffffffffffffffff01 00 01 01 00", 1],
    ["an offset delta past the last one", "0c 00 00 02 01 01 00", 1],
    ["a negative offset delta", "0c 00 00 01 01 01 00", 1],
    ["an offset delta that repeats", "0c 00 00 00 01 01 00 0c 00 00 00 01 01 00", 2],
    ["fewer records than the header promises", "0c 00 00 00 01 01 00", 2],
    ["more bytes than the records take", "0c 00 00 00 01 01 00 00", 1],
  ])("%s is refused", (_, hex, count) => {
    expect(() => decodeRecords(around(hex, count))).toThrow(corrupt);
  });

  test("the error names the batch, the record and the byte", () => {
    const bytes = around("0c 00 00 00 01 01 00 0c 00 00 02 7f 01 00", 2);
    patchBatch(bytes, 0, 1234 as Offset, 0 as LeaderEpoch);
    expect(() => decodeRecords(bytes)).toThrow(
      /record 1 of the batch at offset 1234, byte 73: a key length of -64/,
    );
  });

  test("an error stays when the reader is asked again", () => {
    const reader = new RecordReader(around("0c 00 00 00 01 01 00 ff", 1), 0, LIMIT);
    expect(reader.next()?.value).toBeNull();
    expect(() => reader.next()).toThrow(corrupt);
    expect(() => reader.next()).toThrow(corrupt);
  });
});

test("holes that compaction left between offsets are kept", () => {
  const bytes = around("0c 00 00 04 01 01 00 0c 00 00 0a 01 01 00", 2, 9);
  expect(decodeRecords(bytes).map(({ offset }) => offset)).toEqual([2, 5]);
});

test("a batch that compaction emptied has no records, with a codec too", () => {
  const bytes = around("", 0, 4);
  bytes.writeInt16BE(4, 21);
  expect(decodeRecords(bytes)).toEqual([]);
});

test("log append time replaces the time of every record", () => {
  const bytes = Buffer.from(batch({ records: [record({ timestamp: 5 }), record({ timestamp: 9 })] }));
  bytes.writeInt16BE(0x08, 21);
  writeInt64(bytes, 777, 35);
  expect(decodeRecords(bytes).map(({ timestamp }) => timestamp)).toEqual([777, 777]);
});

test("record times are base plus delta with a delete horizon as well", () => {
  const bytes = Buffer.from(batch({ records: [record({ timestamp: 500 }), record({ timestamp: 400 })] }));
  bytes.writeInt16BE(0x40, 21);
  const reader = new RecordReader(bytes, 0, LIMIT);
  expect(reader.deleteHorizonMs).toBe(500);
  expect([reader.next()?.timestamp, reader.next()?.timestamp]).toEqual([500, 400]);
});

test("a batch inside a larger buffer is read from its place", () => {
  const inner = batch({ count: 2, codec: "zstd" });
  const bytes = Buffer.concat([Buffer.alloc(11, 0xaa), inner, Buffer.alloc(5, 0xbb)]);
  expect(decodeRecords(bytes, 11)).toEqual(decodeRecords(inner));
});

test("views share memory with the batch and owned records do not", () => {
  const bytes = Buffer.from(
    batch({ records: [record({ key: "k", value: "v", headers: [{ key: "h", value: Buffer.from("x") }] })] }),
  );
  const view = new RecordReader(bytes, 0, LIMIT).next();
  const owned = view?.toOwned();
  bytes.fill(0x7a, 61);
  expect(view?.value?.toString()).toBe("z");
  expect(owned).toMatchObject({
    key: Buffer.from("k"),
    value: Buffer.from("v"),
    headers: [{ value: Buffer.from("x") }],
  });
});

test.each(CODECS)("records that inflate past the limit are refused for codec %s", (codec) => {
  const bytes = batch({ records: [record({ value: Buffer.alloc(100_000) })], codec });
  if (codec === "none") return;
  expect(() => decodeRecords(bytes, 0, { maxInflatedBytes: 50_000 })).toThrow(
    expect.objectContaining({ code: "MESSAGE_TOO_LARGE" }) as unknown as Error,
  );
});
