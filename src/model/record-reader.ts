import { codecOf, decompress } from "./compression.ts";
import { ProtocolError } from "./error-code.ts";
import type { Offset, Timestamp } from "./offsets.ts";
import {
  ATTRIBUTE_CODEC_MASK,
  attributesOf,
  BATCH_HEADER_BYTES,
  baseOffsetOf,
  baseTimestampOf,
  batchSizeOf,
  deleteHorizonMsOf,
  isControlBatch,
  isLogAppendTime,
  isTransactionalBatch,
  lastOffsetDeltaOf,
  maxTimestampOf,
  recordCountOf,
} from "./record-batch.ts";
import { RecordView, type DecodedRecord } from "./record.ts";

/*
 * Record, inside a batch of format 2. Source: Kafka protocol guide, "Record".
 *
 *   length varint (of what follows) | attributes 1 (0) | timestamp delta varlong | offset delta varint
 *   | key length varint (-1: null), key | value length varint (-1: null), value
 *   | header count varint, each: key length varint, key as UTF-8, value length varint (-1: null), value
 */

/** Bounds of reading a batch. */
export interface RecordReaderOptions {
  /** Most bytes that the records may have once inflated. */
  readonly maxInflatedBytes: number;
}

/** A cap for inflated batches where the caller has no bound of its own: 64 times the default of message.max.bytes. */
export const DEFAULT_MAX_INFLATED_BYTES = 64 * 1024 * 1024;

/**
 * Reads the records of one batch, one after the other: `while ((record = reader.next()) !== undefined)`. The header has
 * passed `checkBatchHeader`, and the CRC has been verified where it had to be; the records themselves are not trusted.
 * Nothing is allocated per record but its view. @throws ProtocolError CORRUPT_MESSAGE from any method when the records
 * do not hold together: a length past its record, deltas out of order or past the last one, bytes left over. Its
 * context names the base offset and the position in the inflated records.
 */
export class RecordReader {
  readonly baseOffset: Offset;
  /** Records that the header promises; exactly as many are read. */
  readonly count: number;
  readonly isControl: boolean;
  readonly isTransactional: boolean;
  /** When tombstones and markers may go, if the cleaner has set it. Record times are right with and without it. */
  readonly deleteHorizonMs: Timestamp | undefined;
  readonly #buffer: Buffer;
  readonly #end: number;
  /** Time of every record under LogAppendTime, else undefined. */
  readonly #appendTime: Timestamp | undefined;
  readonly #baseTimestamp: number;
  readonly #lastOffsetDelta: number;
  #at: number;
  #remaining: number;
  #previousDelta = -1;

  constructor(batch: Buffer, at: number, options: RecordReaderOptions) {
    const attributes = attributesOf(batch, at);
    const codec = codecOf(attributes & ATTRIBUTE_CODEC_MASK);
    if (codec === undefined) {
      throw new ProtocolError("UNSUPPORTED_COMPRESSION_TYPE", "the batch has an unknown compression type");
    }
    this.baseOffset = baseOffsetOf(batch, at);
    this.count = recordCountOf(batch, at);
    this.isControl = isControlBatch(batch, at);
    this.isTransactional = isTransactionalBatch(batch, at);
    this.deleteHorizonMs = deleteHorizonMsOf(batch, at);
    this.#appendTime = isLogAppendTime(batch, at) ? maxTimestampOf(batch, at) : undefined;
    this.#baseTimestamp = baseTimestampOf(batch, at);
    this.#lastOffsetDelta = lastOffsetDeltaOf(batch, at);
    this.#remaining = this.count;
    const end = at + batchSizeOf(batch, at);
    if (codec === "none") {
      this.#buffer = batch;
      this.#at = at + BATCH_HEADER_BYTES;
      this.#end = end;
    } else {
      const payload = batch.subarray(at + BATCH_HEADER_BYTES, end);
      // A batch that compaction emptied has a codec and no payload.
      this.#buffer =
        this.count === 0
          ? payload.subarray(0, 0)
          : decompress(codec, payload, { maxBytes: options.maxInflatedBytes });
      this.#at = 0;
      this.#end = this.#buffer.length;
    }
  }

  /** The next record, or undefined after the last one; bytes behind that one are damage. */
  next(): RecordView | undefined {
    if (this.#remaining === 0) {
      if (this.#at !== this.#end) throw this.#corrupt(`${this.#end - this.#at} bytes follow the last record`);
      return undefined;
    }
    const buffer = this.#buffer;
    const length = this.#varint(this.#end);
    const end = this.#at + length;
    if (length < 0 || end > this.#end) throw this.#corrupt(`a record length of ${length}`);
    // The attributes byte has no meaning yet: it is not checked, so that it may get one.
    if (++this.#at > end) throw this.#corrupt("a record without fields");
    const timestamp = this.#baseTimestamp + this.#varlong(end);
    if (!Number.isSafeInteger(timestamp)) throw this.#corrupt("a timestamp past 2^53-1");
    const offsetDelta = this.#varint(end);
    if (offsetDelta <= this.#previousDelta || offsetDelta > this.#lastOffsetDelta) {
      throw this.#corrupt(`offset delta ${offsetDelta} after ${this.#previousDelta}`);
    }
    const keyLength = this.#varint(end);
    const keyStart = this.#at;
    this.#pass(keyLength, end, "key");
    const valueLength = this.#varint(end);
    const valueStart = this.#at;
    this.#pass(valueLength, end, "value");
    const headerCount = this.#varint(end);
    if (headerCount !== 0) this.#passHeaders(headerCount, end);
    if (this.#at !== end) throw this.#corrupt(`${end - this.#at} bytes follow the fields of a record`);
    this.#previousDelta = offsetDelta;
    this.#remaining--;
    return new RecordView(
      (this.baseOffset + offsetDelta) as Offset,
      this.#appendTime ?? (timestamp as Timestamp),
      buffer,
      keyStart,
      keyLength,
      valueStart,
      valueLength,
      headerCount,
    );
  }

  /** Moves over `length` bytes; -1 stands for null and has none. */
  #pass(length: number, end: number, what: string): void {
    if (length < -1 || length > end - this.#at) throw this.#corrupt(`a ${what} length of ${length}`);
    if (length > 0) this.#at += length;
  }

  #passHeaders(count: number, end: number): void {
    // Each header takes two bytes at least, which bounds the loop by what is there.
    if (count < 0 || count > (end - this.#at) / 2) throw this.#corrupt(`${count} headers`);
    for (let index = 0; index < count; index++) {
      const keyLength = this.#varint(end);
      if (keyLength < 0) throw this.#corrupt("a header without a key");
      this.#pass(keyLength, end, "header key");
      this.#pass(this.#varint(end), end, "header value");
    }
  }

  /** A 32-bit zigzag varint that ends before `end`. */
  #varint(end: number): number {
    const buffer = this.#buffer;
    let at = this.#at;
    if (at >= end) throw this.#corrupt("a field is cut off");
    let byte = buffer[at++] ?? 0;
    let encoded = byte & 0x7f;
    for (let shift = 7; byte >= 0x80; shift += 7) {
      if (at >= end) throw this.#corrupt("a varint is cut off");
      byte = buffer[at++] ?? 0;
      // The fifth byte has room for four bits and nothing may follow it.
      if (shift === 28 && byte > 0x0f) throw this.#corrupt("a varint past 32 bits");
      encoded |= (byte & 0x7f) << shift;
    }
    this.#at = at;
    return (encoded >>> 1) ^ -(encoded & 1);
  }

  /** A 64-bit zigzag varint; past 2^53 it answers an unsafe integer, which the caller refuses. */
  #varlong(end: number): number {
    const buffer = this.#buffer;
    let at = this.#at;
    if (at >= end) throw this.#corrupt("a field is cut off");
    const first = buffer[at++] ?? 0;
    let magnitude = (first & 0x7e) >>> 1;
    let byte = first;
    for (let scale = 64, count = 1; byte >= 0x80; scale *= 0x80, count++) {
      if (at >= end) throw this.#corrupt("a varlong is cut off");
      if (count === 10) throw this.#corrupt("a varlong longer than 10 bytes");
      byte = buffer[at++] ?? 0;
      magnitude += (byte & 0x7f) * scale;
    }
    this.#at = at;
    return first & 1 ? -magnitude - 1 : magnitude;
  }

  #corrupt(what: string): ProtocolError {
    const context = { baseOffset: this.baseOffset, at: this.#at, record: this.count - this.#remaining };
    const where = `record ${context.record} of the batch at offset ${this.baseOffset}, byte ${this.#at}`;
    return new ProtocolError("CORRUPT_MESSAGE", `${where}: ${what}`, { context });
  }
}

/**
 * All records of one batch as plain values that own their bytes; for tools, tests and small batches. Control batches
 * are decoded like others: ask `isControlBatch` first. @throws ProtocolError as `RecordReader` does.
 */
export function decodeRecords(
  batch: Buffer,
  at = 0,
  options: RecordReaderOptions = { maxInflatedBytes: DEFAULT_MAX_INFLATED_BYTES },
): DecodedRecord[] {
  const reader = new RecordReader(batch, at, options);
  const records: DecodedRecord[] = [];
  for (let record = reader.next(); record !== undefined; record = reader.next())
    records.push(record.toOwned());
  return records;
}
