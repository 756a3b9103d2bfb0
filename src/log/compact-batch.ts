import { allocUnsafe } from "../base/bytes.ts";
import { varintSize, writeVarint } from "../base/varint.ts";
import { codecOf, compress } from "../model/compression.ts";
import { ProtocolError } from "../model/error-code.ts";
import { NO_TIMESTAMP } from "../model/offsets.ts";
import {
  ATTRIBUTE_CODEC_MASK,
  ATTRIBUTE_DELETE_HORIZON,
  attributesOf,
  baseOffsetOf,
  BATCH_HEADER_BYTES,
  computeBatchCrc,
  deleteHorizonMsOf,
  isLogAppendTime,
  LOG_OVERHEAD_BYTES,
  recordCountOf,
  writeInt64,
} from "../model/record-batch.ts";
import { DEFAULT_MAX_INFLATED_BYTES, RecordReader } from "../model/record-reader.ts";
import type { RecordView } from "../model/record.ts";

/** By what the records of a data batch are kept. */
export interface RetentionOfKeys {
  readonly nowMs: number;
  /** `delete.retention.ms`. */
  readonly deleteRetentionMs: number;
  /** Whether no later record has the key of this one. */
  isLatest(record: RecordView): boolean;
}

/** "keep": as it stands; "drop": not at all; else the batch that takes its place. */
export type CompactedBatch = "keep" | "drop" | Buffer;

/** Room for the longest form of a record's length, timestamp delta and offset delta. */
const MAX_RECORD_FRONT_BYTES = 1 + 5 + 10 + 5 + 5;

/**
 * Leaves in a data batch the records that are the last of their key, and tombstones until their time is up. Base offset,
 * last offset delta, sequence, producer, leader epoch and codec stay, so no offset changes and the producer's sequences
 * are still told. A tombstone that is kept for the first time dates its batch: from the delete horizon on it may go
 * (Kafka's KIP-534). A batch without records is dropped unless `mustStay`; one whose records cannot be read is kept whole.
 */
export function compactBatch(
  batch: Buffer,
  at: number,
  mustStay: boolean,
  retention: RetentionOfKeys,
): CompactedBatch {
  if (recordCountOf(batch, at) === 0) return mustStay ? "keep" : "drop";
  let picked: PickedRecords;
  try {
    picked = pickRecords(batch, at, retention);
  } catch (error: unknown) {
    if (error instanceof ProtocolError) return "keep";
    throw error;
  }
  const { records, total, hasTombstone } = picked;
  if (records.length === 0) return mustStay ? emptyBatch(batch, at) : "drop";
  const mustDate = hasTombstone && deleteHorizonMsOf(batch, at) === undefined;
  if (records.length === total && !mustDate) return "keep";
  return rewrite(batch, at, records, mustDate ? retention.nowMs + retention.deleteRetentionMs : undefined);
}

/**
 * The batch with its header only, which tells its producer's sequences and where the log goes on. Without a time: a
 * search for the newest record must not be led to it.
 */
export function emptyBatch(batch: Buffer, at: number): Buffer {
  const sealed = seal(batch, at, Buffer.alloc(0), 0);
  writeInt64(sealed, NO_TIMESTAMP, 35);
  sealed.writeUInt32BE(computeBatchCrc(sealed), 17);
  return sealed;
}

/** A marker's batch, dated: from `horizonMs` on it may go. Undefined when it cannot be read. */
export function datedMarker(batch: Buffer, at: number, horizonMs: number): Buffer | undefined {
  try {
    const { records } = pickRecords(batch, at, ALL_RECORDS);
    return rewrite(batch, at, records, horizonMs);
  } catch (error: unknown) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

const ALL_RECORDS: RetentionOfKeys = { nowMs: 0, deleteRetentionMs: 0, isLatest: () => true };

interface PickedRecord {
  readonly view: RecordView;
  /** Where it begins and ends in the inflated records, its length field included. */
  readonly start: number;
  readonly end: number;
}

interface PickedRecords {
  readonly records: readonly PickedRecord[];
  readonly total: number;
  readonly hasTombstone: boolean;
}

function pickRecords(batch: Buffer, at: number, retention: RetentionOfKeys): PickedRecords {
  const reader = new RecordReader(batch, at, { maxInflatedBytes: DEFAULT_MAX_INFLATED_BYTES });
  const horizonMs = reader.deleteHorizonMs;
  const isOverdue = horizonMs !== undefined && retention.nowMs >= horizonMs;
  const records: PickedRecord[] = [];
  let total = 0;
  let hasTombstone = false;
  let start: number | undefined;
  for (let view = reader.next(); view !== undefined; view = reader.next()) {
    start ??= view.buffer === batch ? at + BATCH_HEADER_BYTES : 0;
    const end = recordEnd(view.buffer, start);
    total++;
    const isTombstone = view.valueLength < 0;
    if (retention.isLatest(view) && !(isTombstone && isOverdue)) {
      records.push({ view, start, end });
      hasTombstone ||= isTombstone;
    }
    start = end;
  }
  return { records, total, hasTombstone };
}

/** The reader has checked the length that is decoded here once more. */
function recordEnd(buffer: Buffer, start: number): number {
  let at = start;
  let encoded = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = buffer[at++] ?? 0;
    encoded |= (byte & 0x7f) << shift;
    if (byte < 0x80) return at + (encoded >>> 1);
  }
}

function rewrite(
  batch: Buffer,
  at: number,
  records: readonly PickedRecord[],
  horizonMs: number | undefined,
): Buffer {
  let room = 0;
  for (const { start, end } of records) room += end - start + MAX_RECORD_FRONT_BYTES;
  const payload = allocUnsafe(room);
  let filled = 0;
  let maxTimestamp = Number.NEGATIVE_INFINITY;
  const baseOffset = baseOffsetOf(batch, at);
  for (const { view, start, end } of records) {
    maxTimestamp = Math.max(maxTimestamp, view.timestamp);
    if (horizonMs === undefined) filled += view.buffer.copy(payload, filled, start, end);
    else filled = writeMoved(payload, filled, view, end, baseOffset, horizonMs);
  }
  const codec = codecOf(attributesOf(batch, at) & ATTRIBUTE_CODEC_MASK) ?? "none";
  const sealed = seal(batch, at, compress(codec, payload.subarray(0, filled)), records.length);
  if (!isLogAppendTime(batch, at)) writeInt64(sealed, maxTimestamp, 35);
  if (horizonMs !== undefined) {
    sealed.writeInt16BE(attributesOf(batch, at) | ATTRIBUTE_DELETE_HORIZON, 21);
    writeInt64(sealed, horizonMs, 27);
  }
  sealed.writeUInt32BE(computeBatchCrc(sealed), 17);
  return sealed;
}

/** The record with its time told from another base. Key, value and headers are copied as they stand. */
function writeMoved(
  payload: Buffer,
  start: number,
  view: RecordView,
  end: number,
  baseOffset: number,
  baseTimestamp: number,
): number {
  const timestampDelta = view.timestamp - baseTimestamp;
  const offsetDelta = view.offset - baseOffset;
  const bodyBytes =
    1 +
    varintSize(timestampDelta) +
    varintSize(offsetDelta) +
    varintSize(view.keyLength) +
    (end - view.keyStart);
  let at = writeVarint(payload, bodyBytes, start);
  payload[at++] = 0;
  at = writeVarint(payload, timestampDelta, at);
  at = writeVarint(payload, offsetDelta, at);
  at = writeVarint(payload, view.keyLength, at);
  return at + view.buffer.copy(payload, at, view.keyStart, end);
}

/** The header of `batch` over other records. The caller computes the CRC. */
function seal(batch: Buffer, at: number, records: Buffer, count: number): Buffer {
  const sealed = allocUnsafe(BATCH_HEADER_BYTES + records.length);
  batch.copy(sealed, 0, at, at + BATCH_HEADER_BYTES);
  records.copy(sealed, BATCH_HEADER_BYTES);
  sealed.writeInt32BE(sealed.length - LOG_OVERHEAD_BYTES, 8);
  sealed.writeInt32BE(count, 57);
  return sealed;
}
