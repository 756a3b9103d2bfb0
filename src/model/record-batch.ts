import { crc32c } from "../base/crc32c.ts";
import type { ErrorName } from "./error-code.ts";
import type { LeaderEpoch, Offset, ProducerEpoch, ProducerId, Timestamp } from "./offsets.ts";

/*
 * Record batch, format version 2 ("magic 2"), the one format of producer, wire, replica, disk and consumer (D4).
 * Source: Kafka protocol guide, "Record Batch"; KIP-98.
 *
 *   at size field                 in CRC   note
 *    0   8  base offset           no       patched by the leader
 *    8   4  batch length          no       bytes after this field: total - 12, at least 49
 *   12   4  partition leader epoch no      patched by the leader
 *   16   1  magic                 no       2
 *   17   4  CRC-32C               -        of the bytes from 21 to the end of the batch
 *   21   2  attributes            yes      0-2 codec, 3 log append time, 4 transactional, 5 control, 6 delete horizon
 *   23   4  last offset delta     yes      survives compaction
 *   27   8  base timestamp        yes
 *   35   8  max timestamp         yes
 *   43   8  producer id           yes      -1: none
 *   51   2  producer epoch        yes
 *   53   4  base sequence         yes
 *   57   4  record count          yes
 *   61   .  records               yes      one compressed block when a codec is set
 *
 * Torn: recovery finds a length past the end of the file or a wrong CRC and cuts there (see log/recovery).
 */

/** Bytes of the base offset and length fields: what must be read to know how long a batch is. */
export const LOG_OVERHEAD_BYTES = 12;
export const BATCH_HEADER_BYTES = 61;
export const MAGIC_V2 = 2;
/** First byte that the CRC covers. */
export const CRC_START = 21;

export const ATTRIBUTE_CODEC_MASK = 0x07;
export const ATTRIBUTE_LOG_APPEND_TIME = 0x08;
export const ATTRIBUTE_TRANSACTIONAL = 0x10;
export const ATTRIBUTE_CONTROL = 0x20;
export const ATTRIBUTE_DELETE_HORIZON = 0x40;

/* Field readers over a batch that starts at `at`; the caller has checked that BATCH_HEADER_BYTES are there. They
 * allocate nothing. 64-bit fields are read as exact numbers; a value past 2^53 shows as an unsafe integer, which
 * `checkBatchHeader` refuses, so nothing behind it needs to look again. */

/** The exact value of the signed 64-bit integer, or an unsafe integer when it is past 2^53. */
export function readInt64(buffer: Buffer, at: number): number {
  return buffer.readInt32BE(at) * 0x1_0000_0000 + buffer.readUInt32BE(at + 4);
}

export function writeInt64(buffer: Buffer, value: number, at: number): void {
  buffer.writeInt32BE(Math.floor(value / 0x1_0000_0000), at);
  buffer.writeUInt32BE(value >>> 0, at + 4);
}

export function baseOffsetOf(buffer: Buffer, at = 0): Offset {
  return readInt64(buffer, at) as Offset;
}

/** Total size in bytes, header and length field included; whatever the field says, so check before use. */
export function batchSizeOf(buffer: Buffer, at = 0): number {
  return buffer.readInt32BE(at + 8) + LOG_OVERHEAD_BYTES;
}

export function leaderEpochOf(buffer: Buffer, at = 0): LeaderEpoch {
  return buffer.readInt32BE(at + 12) as LeaderEpoch;
}

export function magicOf(buffer: Buffer, at = 0): number {
  return buffer.readInt8(at + 16);
}

export function crcOf(buffer: Buffer, at = 0): number {
  return buffer.readUInt32BE(at + 17);
}

export function attributesOf(buffer: Buffer, at = 0): number {
  return buffer.readInt16BE(at + 21);
}

export function lastOffsetDeltaOf(buffer: Buffer, at = 0): number {
  return buffer.readInt32BE(at + 23);
}

/** Offset of the last record. */
export function lastOffsetOf(buffer: Buffer, at = 0): Offset {
  return (readInt64(buffer, at) + buffer.readInt32BE(at + 23)) as Offset;
}

export function baseTimestampOf(buffer: Buffer, at = 0): Timestamp {
  return readInt64(buffer, at + 27) as Timestamp;
}

export function maxTimestampOf(buffer: Buffer, at = 0): Timestamp {
  return readInt64(buffer, at + 35) as Timestamp;
}

export function producerIdOf(buffer: Buffer, at = 0): ProducerId {
  return readInt64(buffer, at + 43) as ProducerId;
}

export function producerEpochOf(buffer: Buffer, at = 0): ProducerEpoch {
  return buffer.readInt16BE(at + 51) as ProducerEpoch;
}

export function baseSequenceOf(buffer: Buffer, at = 0): number {
  return buffer.readInt32BE(at + 53);
}

export function recordCountOf(buffer: Buffer, at = 0): number {
  return buffer.readInt32BE(at + 57);
}

/** The leader's two patches, both outside the CRC: the payload and its checksum travel unchanged (D4). */
export function patchBatch(buffer: Buffer, at: number, baseOffset: Offset, epoch: LeaderEpoch): void {
  writeInt64(buffer, baseOffset, at);
  buffer.writeInt32BE(epoch, at + 12);
}

export function isTransactionalBatch(buffer: Buffer, at = 0): boolean {
  return (attributesOf(buffer, at) & ATTRIBUTE_TRANSACTIONAL) !== 0;
}

/** Control batches (transaction markers) take an offset and are never shown to an application. */
export function isControlBatch(buffer: Buffer, at = 0): boolean {
  return (attributesOf(buffer, at) & ATTRIBUTE_CONTROL) !== 0;
}

/** True when the broker's append time, in the max timestamp field, is the time of every record. */
export function isLogAppendTime(buffer: Buffer, at = 0): boolean {
  return (attributesOf(buffer, at) & ATTRIBUTE_LOG_APPEND_TIME) !== 0;
}

/** When tombstones and markers of this batch may go, or undefined: the cleaner keeps it in the base timestamp. */
export function deleteHorizonMsOf(buffer: Buffer, at = 0): Timestamp | undefined {
  return (attributesOf(buffer, at) & ATTRIBUTE_DELETE_HORIZON) === 0
    ? undefined
    : baseTimestampOf(buffer, at);
}

/** Sequence of the last record, or -1 without sequences. Sequences wrap from 2^31-1 to 0. */
export function lastSequenceOf(buffer: Buffer, at = 0): number {
  const base = baseSequenceOf(buffer, at);
  return base < 0 ? -1 : addSequence(base, lastOffsetDeltaOf(buffer, at));
}

/** `sequence` (>= 0) moved on by `count` records. */
export function addSequence(sequence: number, count: number): number {
  return (sequence + count) % 0x8000_0000;
}

/** What `checkBatchHeader` answers; `size` is the whole batch in bytes, header included. */
export type BatchCheck =
  | { readonly ok: true; readonly size: number }
  | {
      readonly ok: false;
      /**
       * Nothing wrong in what is there, but it ends before the batch does: the cut end of a fetch answer or a torn
       * write. Never true for a batch of known size that lies.
       */
      readonly isIncomplete: boolean;
      readonly error: ErrorName;
      readonly reason: string;
    };

/** The least a record can take: seven fields of one byte. */
const MIN_RECORD_BYTES = 7;
const MAX_CODEC_ID = 4;

/**
 * Decides from its header whether the bytes at `at` can be a batch, before anything trusts a field (H47). `available`:
 * bytes from `at` that exist, in the buffer or in the file behind it; the buffer itself need only hold the header, so
 * that recovery can judge a batch before it reads it. Fewer than the batch has: `isIncomplete`. A batch longer than `maxBatchBytes` is refused whether or not its bytes are there. Does not look at the CRC or the records.
 * Errors: CORRUPT_MESSAGE, MESSAGE_TOO_LARGE, UNSUPPORTED_FOR_MESSAGE_FORMAT (magic 0 and 1),
 * UNSUPPORTED_COMPRESSION_TYPE.
 */
export function checkBatchHeader(
  buffer: Buffer,
  at: number,
  available: number,
  maxBatchBytes: number,
): BatchCheck {
  const held = Math.min(available, buffer.length - at);
  if (held < BATCH_HEADER_BYTES) {
    // What is there of the fixed fields is still checked, so that rubbish at a log's end is not taken for a torn write.
    if (held >= LOG_OVERHEAD_BYTES) {
      const sizeFault = checkSize(batchSizeOf(buffer, at), maxBatchBytes);
      if (sizeFault !== undefined) return sizeFault;
    }
    return incomplete(`${Math.max(held, 0)} bytes are too few for a batch header of ${BATCH_HEADER_BYTES}`);
  }
  // Magic first: in formats 0 and 1 it is at the same place and everything behind it differs.
  const magic = magicOf(buffer, at);
  if (magic === 0 || magic === 1) {
    return refuse(
      "UNSUPPORTED_FOR_MESSAGE_FORMAT",
      `message format ${magic} is not supported, only format 2`,
    );
  }
  if (magic !== MAGIC_V2) return refuse("CORRUPT_MESSAGE", `magic byte is ${magic}, not 2`);
  const size = batchSizeOf(buffer, at);
  const fault = checkSize(size, maxBatchBytes) ?? checkFields(buffer, at, size);
  if (fault !== undefined) return fault;
  if (available < size) return incomplete(`a batch of ${size} bytes has only ${available}`);
  return { ok: true, size };
}

/** True when the stored CRC is that of the bytes. The header has been checked and the whole batch is in the buffer. */
export function verifyBatchCrc(buffer: Buffer, at = 0): boolean {
  return computeBatchCrc(buffer, at) === crcOf(buffer, at);
}

/** The CRC that belongs into a batch: of the bytes from the attributes to its end. */
export function computeBatchCrc(buffer: Buffer, at = 0): number {
  return crc32c(buffer.subarray(at + CRC_START, at + batchSizeOf(buffer, at)));
}

function checkSize(size: number, maxBatchBytes: number): BatchCheck | undefined {
  if (size < BATCH_HEADER_BYTES) {
    return refuse(
      "CORRUPT_MESSAGE",
      `length field says ${size} bytes, a header alone has ${BATCH_HEADER_BYTES}`,
    );
  }
  if (size > maxBatchBytes) {
    return refuse("MESSAGE_TOO_LARGE", `the batch has ${size} bytes, ${maxBatchBytes} are allowed`);
  }
  return undefined;
}

function checkFields(buffer: Buffer, at: number, size: number): BatchCheck | undefined {
  const codecId = attributesOf(buffer, at) & ATTRIBUTE_CODEC_MASK;
  if (codecId > MAX_CODEC_ID) {
    return refuse("UNSUPPORTED_COMPRESSION_TYPE", `compression type ${codecId} is not known`);
  }
  const base = baseOffsetOf(buffer, at);
  const lastDelta = lastOffsetDeltaOf(buffer, at);
  // The next offset has to be exact too, hence the 1.
  if (base < 0 || !Number.isSafeInteger(base) || !Number.isSafeInteger(base + Math.max(lastDelta, 0) + 1)) {
    return refuse("CORRUPT_MESSAGE", "the base offset is negative or past 2^53-1");
  }
  if (
    !Number.isSafeInteger(baseTimestampOf(buffer, at)) ||
    !Number.isSafeInteger(maxTimestampOf(buffer, at))
  ) {
    return refuse("CORRUPT_MESSAGE", "a timestamp is past 2^53-1");
  }
  const producerId = producerIdOf(buffer, at);
  if (producerId < -1 || !Number.isSafeInteger(producerId)) {
    return refuse("CORRUPT_MESSAGE", "the producer id is below -1 or past 2^53-1");
  }
  if (producerEpochOf(buffer, at) < -1 || baseSequenceOf(buffer, at) < -1) {
    return refuse("CORRUPT_MESSAGE", "the producer epoch or the base sequence is below -1");
  }
  return checkCount(buffer, at, size, codecId, lastDelta);
}

function checkCount(
  buffer: Buffer,
  at: number,
  size: number,
  codecId: number,
  lastDelta: number,
): BatchCheck | undefined {
  const count = recordCountOf(buffer, at);
  // Compaction leaves holes, so the delta may be greater than the count says, never smaller.
  if (count < 0 || lastDelta < 0 || count > lastDelta + 1) {
    return refuse("CORRUPT_MESSAGE", `${count} records cannot end at offset delta ${lastDelta}`);
  }
  const payloadBytes = size - BATCH_HEADER_BYTES;
  const isImpossible =
    codecId === 0 ? count * MIN_RECORD_BYTES > payloadBytes : count > 0 && payloadBytes === 0;
  if (isImpossible) {
    return refuse("CORRUPT_MESSAGE", `${count} records cannot be in ${payloadBytes} bytes`);
  }
  return undefined;
}

function refuse(error: ErrorName, reason: string): BatchCheck {
  return { ok: false, isIncomplete: false, error, reason };
}

function incomplete(reason: string): BatchCheck {
  return { ok: false, isIncomplete: true, error: "CORRUPT_MESSAGE", reason };
}
