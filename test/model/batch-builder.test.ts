import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { BatchBuilder, singleRecordBatchBytes, writeProducer } from "../../src/model/batch-builder.ts";
import { CODECS } from "../../src/model/compression.ts";
import type { ProducerEpoch, ProducerId } from "../../src/model/offsets.ts";
import {
  attributesOf,
  baseSequenceOf,
  baseTimestampOf,
  isTransactionalBatch,
  leaderEpochOf,
  maxTimestampOf,
  producerEpochOf,
  producerIdOf,
  recordCountOf,
  verifyBatchCrc,
} from "../../src/model/record-batch.ts";
import { decodeRecords } from "../../src/model/record-reader.ts";
import { anyRecord, batch, record } from "./batches.ts";

test("the size is exact before the batch is built", () => {
  fc.assert(
    fc.property(fc.array(anyRecord, { minLength: 1, maxLength: 8 }), (records) => {
      const builder = new BatchBuilder({ codec: "none", targetBytes: 1_000_000 });
      for (const { timestamp, key, value, headers } of records)
        builder.tryAppend(timestamp, key, value, headers);
      expect(builder.recordCount).toBe(records.length);
      expect(builder.build().length).toBe(builder.sizeBytes);
    }),
  );
});

test("the size of a single record is foretold", () => {
  fc.assert(
    fc.property(anyRecord, (given) => {
      expect(singleRecordBatchBytes(given.key, given.value, given.headers)).toBe(
        batch({ records: [given] }).length,
      );
    }),
  );
});

describe("a full batch", () => {
  test("refuses a record at the first byte too many and is unchanged by that", () => {
    const one = singleRecordBatchBytes(null, "12345");
    const builder = new BatchBuilder({ codec: "none", targetBytes: one + 12 });
    expect(builder.tryAppend(1, null, "12345")).toBe(true);
    expect(builder.tryAppend(1, null, "123456")).toBe(false);
    expect(builder.sizeBytes).toBe(one);
    expect(builder.tryAppend(1, null, "12345")).toBe(true);
    expect(builder.sizeBytes).toBe(one + 12);
    expect(decodeRecords(builder.build())).toHaveLength(2);
  });

  test("an empty batch takes one record past the target, up to the maximum", () => {
    const builder = new BatchBuilder({ codec: "none", targetBytes: 100, maxBytes: 10_000 });
    expect(builder.tryAppend(1, null, Buffer.alloc(10_000))).toBe(false);
    expect(builder.tryAppend(1, null, Buffer.alloc(9_000))).toBe(true);
    expect(builder.tryAppend(1, null, "")).toBe(false);
    expect(builder.build().length).toBeLessThanOrEqual(10_000);
  });
});

test("base and max timestamp are those of the first and the latest record", () => {
  const records = [100, 50, 300, 200].map((timestamp) => record({ timestamp }));
  const bytes = batch({ records });
  expect(baseTimestampOf(bytes)).toBe(100);
  expect(maxTimestampOf(bytes)).toBe(300);
});

test("without a producer the fields say none, and the epoch is the leader's to write", () => {
  const bytes = batch({ count: 2 });
  expect([producerIdOf(bytes), producerEpochOf(bytes), baseSequenceOf(bytes), leaderEpochOf(bytes)]).toEqual([
    -1, -1, -1, -1,
  ]);
});

test.each(CODECS)("a batch of codec %s can be numbered again and keeps its records", (codec) => {
  const bytes = batch({ count: 4, codec });
  const before = decodeRecords(bytes);
  writeProducer(bytes, {
    producerId: (2 ** 40) as ProducerId,
    producerEpoch: 9 as ProducerEpoch,
    baseSequence: 17,
    isTransactional: true,
  });
  expect(verifyBatchCrc(bytes)).toBe(true);
  expect([producerIdOf(bytes), producerEpochOf(bytes), baseSequenceOf(bytes)]).toEqual([2 ** 40, 9, 17]);
  expect(isTransactionalBatch(bytes)).toBe(true);
  expect(attributesOf(bytes) & 7).toBe(CODECS.indexOf(codec));
  expect(decodeRecords(bytes)).toEqual(before);
});

describe("a builder that is used again", () => {
  test("leaves the batches that it made alone, small and large ones", () => {
    const builder = new BatchBuilder({ codec: "none", targetBytes: 100_000 });
    const batches = [10, 5000, 90_000, 10].map((size, index) => {
      builder.reset();
      builder.tryAppend(index, null, Buffer.alloc(size, index + 1));
      return builder.build();
    });
    for (const [index, bytes] of batches.entries()) {
      expect(verifyBatchCrc(bytes), `batch ${index}`).toBe(true);
      expect(decodeRecords(bytes)[0]?.value?.every((byte) => byte === index + 1)).toBe(true);
    }
  });

  test("forgets records and producer", () => {
    const builder = new BatchBuilder({ codec: "none", targetBytes: 1000 });
    builder.setProducer({
      producerId: 1 as ProducerId,
      producerEpoch: 1 as ProducerEpoch,
      baseSequence: 1,
      isTransactional: true,
    });
    builder.tryAppend(999, "a", "b");
    builder.build();
    builder.reset();
    expect([builder.recordCount, builder.sizeBytes]).toEqual([0, 61]);
    builder.tryAppend(5, "c", "d");
    const bytes = builder.build();
    expect([producerIdOf(bytes), recordCountOf(bytes), maxTimestampOf(bytes)]).toEqual([-1, 1, 5]);
  });

  test("takes neither a record nor a build between build and reset, nor a build of nothing", () => {
    const builder = new BatchBuilder({ codec: "none", targetBytes: 1000 });
    expect(() => builder.build()).toThrow(/build takes records/);
    builder.tryAppend(1, null, "a");
    builder.build();
    expect(() => builder.build()).toThrow(/once/);
    expect(() => builder.tryAppend(1, null, "a")).toThrow(/without reset/);
  });
});

test("a timestamp that is not a whole number of milliseconds is refused", () => {
  const builder = new BatchBuilder({ codec: "none", targetBytes: 1000 });
  for (const timestamp of [0.5, NaN, 2 ** 53]) {
    expect(() => builder.tryAppend(timestamp, null, null)).toThrow(
      expect.objectContaining({ code: "INVALID_ARGUMENT" }) as unknown as Error,
    );
  }
});

test("plain Uint8Array views are written from their own range", () => {
  const large = new Uint8Array(100).fill(1);
  large.fill(2, 10, 90);
  for (const [start, end] of [
    [10, 20],
    [10, 90],
  ] as const) {
    const [decoded] = decodeRecords(batch({ records: [record({ value: large.subarray(start, end) })] }));
    expect(decoded?.value).toEqual(Buffer.alloc(end - start, 2));
  }
});
