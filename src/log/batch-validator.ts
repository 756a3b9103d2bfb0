import type { ErrorName } from "../model/error-code.ts";
import { NO_TIMESTAMP } from "../model/offsets.ts";
import type { ProducerEpoch, ProducerId, Timestamp } from "../model/offsets.ts";
import {
  ATTRIBUTE_CODEC_MASK,
  ATTRIBUTE_CONTROL,
  ATTRIBUTE_LOG_APPEND_TIME,
  ATTRIBUTE_TRANSACTIONAL,
  attributesOf,
  baseSequenceOf,
  baseTimestampOf,
  checkBatchHeader,
  computeBatchCrc,
  lastOffsetDeltaOf,
  lastSequenceOf,
  maxTimestampOf,
  producerEpochOf,
  producerIdOf,
  recordCountOf,
  verifyBatchCrc,
  writeInt64,
} from "../model/record-batch.ts";
import { validateRecordsInside } from "./record-validator.ts";

/** What a topic asks of the batches that producers send. */
export interface BatchRules {
  /** max.message.bytes: the whole batch, header included. */
  readonly maxBatchBytes: number;
  readonly timestampType: "CreateTime" | "LogAppendTime";
  /** How far before and after `nowMs` a record's own time may lie (KIP-937); Infinity: any. */
  readonly beforeMaxMs: number;
  readonly afterMaxMs: number;
  /** The broker's wall clock. */
  readonly nowMs: number;
  /** A compacted topic: every record needs a key, so the records are looked at. */
  readonly compacted: boolean;
}

/** A batch that may be appended; with what the producer state needs of it. */
export interface ValidBatch {
  readonly ok: true;
  readonly sizeBytes: number;
  readonly recordCount: number;
  readonly maxTimestamp: Timestamp;
  /** The time that was stamped on it, -1 under CreateTime. */
  readonly logAppendTimeMs: Timestamp;
  readonly producerId: ProducerId;
  readonly producerEpoch: ProducerEpoch;
  readonly baseSequence: number;
  readonly lastSequence: number;
  readonly isTransactional: boolean;
}

/** The message names the field, its value and the limit. */
export interface InvalidBatch {
  readonly ok: false;
  readonly error: ErrorName;
  readonly message: string;
}

/** Where the CRC and the max timestamp stand in a batch. */
const CRC_AT = 17;
const ATTRIBUTES_AT = 21;
const MAX_TIMESTAMP_AT = 35;
/** Codec, log append time, transactional: the rest is not for producers to set. */
const PRODUCER_ATTRIBUTES = ATTRIBUTE_CODEC_MASK | ATTRIBUTE_LOG_APPEND_TIME | ATTRIBUTE_TRANSACTIONAL;

/**
 * Checks what a producer sent for one partition before it may be appended: exactly one batch of format 2, its length,
 * CRC, counts, flags, producer fields and times (H47). Looks at the header and the checksum only; the records of a
 * compacted topic are decompressed and looked at too, for each needs a key. Under LogAppendTime it stamps the batch in
 * place: flag, max timestamp, CRC; base offset and leader epoch are left to the append.
 * Errors: INVALID_RECORD, CORRUPT_MESSAGE, MESSAGE_TOO_LARGE, UNSUPPORTED_COMPRESSION_TYPE,
 * UNSUPPORTED_FOR_MESSAGE_FORMAT, INVALID_TIMESTAMP.
 */
export function validateProducedBatches(buffer: Buffer, rules: BatchRules): ValidBatch | InvalidBatch {
  if (buffer.length === 0) return invalid("INVALID_RECORD", "there is no batch; exactly one is expected");
  const header = checkBatchHeader(buffer, 0, buffer.length, rules.maxBatchBytes);
  if (!header.ok) return invalid(header.error, header.reason);
  if (header.size !== buffer.length) {
    return invalid(
      "INVALID_RECORD",
      `the first batch has ${header.size} of ${buffer.length} bytes; exactly one batch is expected`,
    );
  }
  if (!verifyBatchCrc(buffer)) {
    return invalid("CORRUPT_MESSAGE", "the batch does not match its CRC-32C");
  }
  const fault =
    checkFlags(buffer) ?? checkCounts(buffer) ?? checkProducer(buffer) ?? checkTimes(buffer, rules);
  if (fault !== undefined) return fault;
  if (rules.compacted) {
    const inside = validateRecordsInside(buffer, { ...rules, needsKeys: true });
    if (!inside.ok) return inside;
  }
  const stamp = rules.timestampType === "LogAppendTime" ? (rules.nowMs as Timestamp) : NO_TIMESTAMP;
  if (stamp !== NO_TIMESTAMP) stampAppendTime(buffer, stamp);
  return {
    ok: true,
    sizeBytes: buffer.length,
    recordCount: recordCountOf(buffer),
    maxTimestamp: maxTimestampOf(buffer),
    logAppendTimeMs: stamp,
    producerId: producerIdOf(buffer),
    producerEpoch: producerEpochOf(buffer),
    baseSequence: baseSequenceOf(buffer),
    lastSequence: lastSequenceOf(buffer),
    isTransactional: (attributesOf(buffer) & ATTRIBUTE_TRANSACTIONAL) !== 0,
  };
}

/** Makes `nowMs` the time of every record of the batch, in place: flag, max timestamp, CRC. */
export function stampAppendTime(batch: Buffer, nowMs: Timestamp): void {
  batch.writeInt16BE(attributesOf(batch) | ATTRIBUTE_LOG_APPEND_TIME, ATTRIBUTES_AT);
  writeInt64(batch, nowMs, MAX_TIMESTAMP_AT);
  batch.writeUInt32BE(computeBatchCrc(batch), CRC_AT);
}

function checkFlags(batch: Buffer): InvalidBatch | undefined {
  const attributes = attributesOf(batch);
  if ((attributes & ATTRIBUTE_CONTROL) !== 0) {
    return invalid("INVALID_RECORD", "the control bit is set; only brokers write control batches");
  }
  if ((attributes & ATTRIBUTE_LOG_APPEND_TIME) !== 0) {
    return invalid("INVALID_TIMESTAMP", "the timestamp type is LogAppendTime; only brokers set it");
  }
  if ((attributes & ~PRODUCER_ATTRIBUTES) !== 0) {
    return invalid(
      "INVALID_RECORD",
      `attributes 0x${(attributes & 0xffff).toString(16)} have bits that producers leave 0`,
    );
  }
  return undefined;
}

function checkCounts(batch: Buffer): InvalidBatch | undefined {
  const count = recordCountOf(batch);
  const lastOffsetDelta = lastOffsetDeltaOf(batch);
  if (count <= 0) return invalid("INVALID_RECORD", `the record count is ${count}; at least 1 is expected`);
  if (lastOffsetDelta === count - 1) return undefined;
  return invalid(
    "INVALID_RECORD",
    `the last offset delta is ${lastOffsetDelta} where ${count} records make ${count - 1}`,
  );
}

/** The producer id tells an idempotent batch: some clients send a base sequence of 0 without one. */
function checkProducer(batch: Buffer): InvalidBatch | undefined {
  const producerId = producerIdOf(batch);
  const isTransactional = (attributesOf(batch) & ATTRIBUTE_TRANSACTIONAL) !== 0;
  if (producerId < 0) {
    return isTransactional
      ? invalid("INVALID_RECORD", "a transactional batch has no producer id")
      : undefined;
  }
  const epoch = producerEpochOf(batch);
  if (epoch < 0)
    return invalid("INVALID_RECORD", `producer ${producerId} has epoch ${epoch}; at least 0 is expected`);
  const sequence = baseSequenceOf(batch);
  if (sequence >= 0) return undefined;
  return invalid(
    "INVALID_RECORD",
    `producer ${producerId} has base sequence ${sequence}; at least 0 is expected`,
  );
}

function checkTimes(batch: Buffer, rules: BatchRules): InvalidBatch | undefined {
  if (rules.timestampType === "LogAppendTime") return undefined;
  const base = baseTimestampOf(batch);
  const max = maxTimestampOf(batch);
  if (base < NO_TIMESTAMP || max < base) {
    return invalid("INVALID_TIMESTAMP", `base timestamp ${base} and max timestamp ${max} cannot be`);
  }
  if (base !== NO_TIMESTAMP && base < rules.nowMs - rules.beforeMaxMs) {
    return invalid(
      "INVALID_TIMESTAMP",
      `base timestamp ${base} is before ${rules.nowMs - rules.beforeMaxMs}, the oldest that is allowed now`,
    );
  }
  if (max <= rules.nowMs + rules.afterMaxMs) return undefined;
  return invalid(
    "INVALID_TIMESTAMP",
    `max timestamp ${max} is after ${rules.nowMs + rules.afterMaxMs}, the latest that is allowed now`,
  );
}

function invalid(error: ErrorName, message: string): InvalidBatch {
  return { ok: false, error, message };
}
