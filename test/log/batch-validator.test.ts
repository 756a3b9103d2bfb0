import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { stampAppendTime, validateProducedBatches } from "../../src/log/batch-validator.ts";
import type { BatchRules } from "../../src/log/batch-validator.ts";
import { validateRecordsInside } from "../../src/log/record-validator.ts";
import { batchSizeOf, maxTimestampOf, verifyBatchCrc } from "../../src/model/record-batch.ts";
import { decodeRecords } from "../../src/model/record-reader.ts";
import type { Timestamp } from "../../src/model/offsets.ts";
import { batch, marker, reseal } from "./batches.ts";
import { corpusFile, corpusPartitions } from "./corpus.ts";

const NOW = 1_700_000_000_000;

function rules(changes: Partial<BatchRules> = {}): BatchRules {
  return {
    maxBatchBytes: 1_048_588,
    timestampType: "CreateTime",
    beforeMaxMs: Number.POSITIVE_INFINITY,
    afterMaxMs: 3_600_000,
    nowMs: NOW,
    compacted: false,
    ...changes,
  };
}

/** "ok", or the error's name and message. */
function judge(bytes: Buffer, changes: Partial<BatchRules> = {}): string {
  const result = validateProducedBatches(bytes, rules(changes));
  return result.ok ? "ok" : `${result.error}: ${result.message}`;
}

describe("validateProducedBatches", () => {
  test("passes a plain batch untouched and tells what is in it", () => {
    const bytes = batch({
      count: 3,
      producerId: 9,
      producerEpoch: 2,
      baseSequence: 0x7fffffff,
      attributes: 0x10,
    });
    const before = Buffer.from(bytes);
    expect(validateProducedBatches(bytes, rules())).toEqual({
      ok: true,
      sizeBytes: bytes.length,
      recordCount: 3,
      maxTimestamp: NOW,
      logAppendTimeMs: -1,
      producerId: 9,
      producerEpoch: 2,
      baseSequence: 0x7fffffff,
      lastSequence: 1,
      isTransactional: true,
    });
    expect(bytes).toEqual(before);
  });

  test("passes what real clients sent", () => {
    let count = 0;
    for (const partition of corpusPartitions.filter((name) => name !== "logappend-0")) {
      const log = corpusFile(`${partition}/00000000000000000000.log`);
      for (let at = 0; at < log.length; at += batchSizeOf(log, at)) {
        const bytes = Buffer.from(log.subarray(at, at + batchSizeOf(log, at)));
        if ((bytes.readInt16BE(21) & 0x20) !== 0) continue;
        expect(judge(bytes, { nowMs: 1_900_000_000_000 }), partition).toBe("ok");
        count++;
      }
    }
    expect(count).toBeGreaterThan(100);
  });

  test("a plain batch may have base sequence 0: the producer id tells an idempotent one", () => {
    expect(judge(batch({ baseSequence: 0 }))).toBe("ok");
  });

  test("wants exactly one batch", () => {
    expect(judge(Buffer.alloc(0))).toMatch(/^INVALID_RECORD: there is no batch/);
    expect(judge(Buffer.concat([batch(), batch()]))).toMatch(
      /^INVALID_RECORD: the first batch has 72 of 144 bytes/,
    );
  });

  test("refuses damage before anything else: length, magic, CRC (H47)", () => {
    const bytes = batch();
    expect(judge(bytes.subarray(0, 60))).toMatch(/^CORRUPT_MESSAGE/);
    expect(judge(bytes.subarray(0, bytes.length - 1))).toMatch(/^CORRUPT_MESSAGE/);
    const flipped = Buffer.from(bytes);
    flipped[65] = 0xee;
    expect(judge(flipped)).toMatch(/^CORRUPT_MESSAGE: .*CRC/);
    const old = Buffer.from(bytes);
    old[16] = 1;
    expect(judge(old)).toMatch(/^UNSUPPORTED_FOR_MESSAGE_FORMAT/);
  });

  test("names size and limit of a batch that is too large", () => {
    expect(judge(batch(), { maxBatchBytes: 70 })).toMatch(/^MESSAGE_TOO_LARGE: .*72.*70/);
  });

  test("refuses counts that do not fit each other", () => {
    expect(judge(batch({ count: 0, lastOffsetDelta: 0 }))).toMatch(/^(INVALID_RECORD|CORRUPT_MESSAGE)/);
    expect(judge(batch({ count: 2, lastOffsetDelta: 5 }))).toBe(
      "INVALID_RECORD: the last offset delta is 5 where 2 records make 1",
    );
  });

  test("refuses flags that are not a producer's: control, append time, unknown bits", () => {
    expect(judge(marker({ baseOffset: 0, producerId: 1, outcome: "commit" }))).toMatch(
      /^INVALID_RECORD: the control bit/,
    );
    expect(judge(batch({ attributes: 0x08 }))).toMatch(/^INVALID_TIMESTAMP/);
    expect(judge(batch({ attributes: 0x40 }))).toMatch(/^INVALID_RECORD: attributes 0x40/);
    expect(judge(batch({ attributes: -0x8000 }))).toMatch(/^INVALID_RECORD: attributes 0x8000/);
    expect(judge(batch({ attributes: 0x05 }))).toMatch(/^UNSUPPORTED_COMPRESSION_TYPE/);
  });

  test("refuses a producer id without epoch or sequence, and a transaction without a producer id", () => {
    expect(judge(batch({ producerId: 5, producerEpoch: 0 }))).toMatch(
      /^INVALID_RECORD: producer 5 has base sequence -1/,
    );
    expect(judge(batch({ producerId: 5, baseSequence: 0 }))).toMatch(
      /^INVALID_RECORD: producer 5 has epoch -1/,
    );
    expect(judge(batch({ attributes: 0x10 }))).toMatch(/^INVALID_RECORD: a transactional batch/);
  });

  test("refuses times out of bounds, naming time and bound (KIP-937)", () => {
    expect(judge(batch({ baseTimestamp: NOW - 1000 }), { beforeMaxMs: 1000 })).toBe("ok");
    expect(judge(batch({ baseTimestamp: NOW - 1001 }), { beforeMaxMs: 1000 })).toBe(
      "INVALID_TIMESTAMP: base timestamp 1699999998999 is before 1699999999000, the oldest that is allowed now",
    );
    expect(judge(batch({ maxTimestamp: NOW + 3_600_000 }))).toBe("ok");
    expect(judge(batch({ maxTimestamp: NOW + 3_600_001 }))).toMatch(
      /^INVALID_TIMESTAMP: max timestamp 1700003600001 is after/,
    );
    expect(judge(batch({ maxTimestamp: NOW - 1 }))).toMatch(/^INVALID_TIMESTAMP/);
    expect(judge(batch({ baseTimestamp: -2, maxTimestamp: 5 }))).toMatch(/^INVALID_TIMESTAMP/);
    expect(judge(batch({ baseTimestamp: -1, maxTimestamp: -1 }), { beforeMaxMs: 0 })).toBe("ok");
  });

  test("LogAppendTime stamps flag, max timestamp and CRC in place, whatever the times were", () => {
    const bytes = batch({ count: 2, baseTimestamp: 5, maxTimestamp: 7 });
    const result = validateProducedBatches(bytes, rules({ timestampType: "LogAppendTime", beforeMaxMs: 0 }));
    expect(result).toMatchObject({ ok: true, maxTimestamp: NOW, logAppendTimeMs: NOW });
    expect(verifyBatchCrc(bytes)).toBe(true);
    expect(maxTimestampOf(bytes)).toBe(NOW);
    expect(decodeRecords(bytes).map((record) => record.timestamp)).toEqual([NOW, NOW]);
  });

  test("stamps as Kafka does: the batches of Kafka's LogAppendTime topic come out byte for byte", () => {
    const log = corpusFile("logappend-0/00000000000000000000.log");
    for (let at = 0; at < log.length; at += batchSizeOf(log, at)) {
      const stored = log.subarray(at, at + batchSizeOf(log, at));
      const sent = Buffer.from(stored);
      sent.writeInt16BE(sent.readInt16BE(21) & ~0x08, 21);
      stampAppendTime(reseal(sent), maxTimestampOf(stored) as Timestamp);
      expect(sent).toEqual(stored);
    }
  });

  test("a compacted topic needs a key in every record", () => {
    expect(judge(batch({ count: 2 }), { compacted: true })).toBe("ok");
    expect(judge(batch({ count: 2, key: null }), { compacted: true })).toMatch(
      /^INVALID_RECORD: record 0 has no key/,
    );
    expect(judge(batch({ count: 2, key: null }))).toBe("ok");
  });

  test("never throws, and passes nothing whose bytes behind the CRC are not as sent", () => {
    const valid = batch({ count: 3, producerId: 4, producerEpoch: 0, baseSequence: 0 });
    const flip = fc.record({ at: fc.nat(valid.length - 1), mask: fc.integer({ min: 1, max: 255 }) });
    fc.assert(
      fc.property(
        fc.array(flip, { minLength: 1, maxLength: 4 }),
        fc.nat(valid.length),
        fc.boolean(),
        (flips, cut, compacted) => {
          const bytes = Buffer.from(valid);
          for (const { at, mask } of flips) bytes[at] = (bytes[at] ?? 0) ^ mask;
          const result = validateProducedBatches(
            bytes.subarray(0, valid.length - (cut % 3)),
            rules({ compacted }),
          );
          if (result.ok) expect(bytes.subarray(16)).toEqual(valid.subarray(16));
        },
      ),
    );
  });
});

describe("validateRecordsInside", () => {
  const within = {
    needsKeys: true,
    timestampType: "CreateTime",
    beforeMaxMs: 1000,
    afterMaxMs: 1000,
    nowMs: NOW,
  } as const;

  test("passes the records of every codec that real clients sent", () => {
    for (const partition of corpusPartitions) {
      const log = corpusFile(`${partition}/00000000000000000000.log`);
      const first = log.subarray(0, batchSizeOf(log));
      const anyTime = { ...within, needsKeys: false, beforeMaxMs: Infinity, afterMaxMs: Infinity };
      expect(validateRecordsInside(first, anyTime), partition).toEqual({ ok: true });
    }
  });

  test("looks at each record's own time", () => {
    const late = batch({ baseTimestamp: NOW + 990, recordTimestampDelta: 20, maxTimestamp: NOW + 990 });
    expect(validateRecordsInside(late, within)).toMatchObject({ ok: false, error: "INVALID_TIMESTAMP" });
    expect(validateRecordsInside(late, { ...within, timestampType: "LogAppendTime" })).toEqual({ ok: true });
  });

  test("refuses offset deltas that do not count up, and bytes left over", () => {
    const gap = batch({ count: 2, lastOffsetDelta: 3 });
    // The delta of the second record, 3 as a varint: records have 11 bytes.
    gap[61 + 11 + 3] = 6;
    const bytes = reseal(gap);
    expect(validateRecordsInside(bytes, within)).toMatchObject({ ok: false });
    const fewer = batch({ count: 2, lastOffsetDelta: 1 });
    fewer.writeInt32BE(1, 57);
    expect(validateRecordsInside(reseal(fewer), within)).toMatchObject({
      ok: false,
      error: "CORRUPT_MESSAGE",
    });
  });

  test("inflates no further than its bound", () => {
    const log = corpusFile("java-gzip-0/00000000000000000000.log");
    const result = validateRecordsInside(log.subarray(0, batchSizeOf(log)), {
      ...within,
      maxInflatedBytes: 100,
    });
    expect(result).toMatchObject({ ok: false, error: "MESSAGE_TOO_LARGE" });
  });

  test("flipped bytes in the records of any codec are refused or harmless, never thrown", () => {
    const anyTime = { ...within, needsKeys: false, beforeMaxMs: Infinity, afterMaxMs: Infinity };
    for (const partition of [
      "rd-none-0",
      "rd-gzip-0",
      "rd-snappy-0",
      "java-snappy-0",
      "rd-lz4-0",
      "rd-zstd-0",
    ]) {
      const log = corpusFile(`${partition}/00000000000000000000.log`);
      const valid = log.subarray(0, batchSizeOf(log));
      let refused = 0;
      fc.assert(
        fc.property(
          fc.integer({ min: 61, max: valid.length - 1 }),
          fc.integer({ min: 1, max: 255 }),
          (at, mask) => {
            const bytes = Buffer.from(valid);
            bytes[at] = (bytes[at] ?? 0) ^ mask;
            if (!validateRecordsInside(bytes, anyTime).ok) refused++;
          },
        ),
        { numRuns: 60 },
      );
      expect(refused, partition).toBeGreaterThan(0);
    }
  });
});
