import { assert } from "../base/assert.ts";
import { allocUnsafe, copyBytes } from "../base/bytes.ts";
import { LograftError } from "../base/errors.ts";
import { varintSize, writeVarint } from "../base/varint.ts";
import { codecId, compress, type Codec } from "./compression.ts";
import { NO_PRODUCER_EPOCH, NO_PRODUCER_ID, type ProducerEpoch, type ProducerId } from "./offsets.ts";
import {
  ATTRIBUTE_TRANSACTIONAL,
  attributesOf,
  BATCH_HEADER_BYTES,
  computeBatchCrc,
  LOG_OVERHEAD_BYTES,
  MAGIC_V2,
  writeInt64,
} from "./record-batch.ts";
import type { RecordHeader } from "./record.ts";

/** A key or value as an application gives it; text is written as UTF-8. */
export type RecordData = Uint8Array | string | null;

/** What a builder makes. */
export interface BatchBuilderOptions {
  readonly codec: Codec;
  /** For gzip (1-9) and zstd (1-22); default the codec's own. */
  readonly level?: number;
  /** The batch is full when a further record would take it past this size before compression. */
  readonly targetBytes: number;
  /** No record is taken that alone would pass this size; at least `targetBytes`. Default `targetBytes`. */
  readonly maxBytes?: number;
}

/** Who writes a batch: for idempotence and transactions. */
export interface BatchProducer {
  readonly producerId: ProducerId;
  readonly producerEpoch: ProducerEpoch;
  /** Sequence of the first record; the others count on from it. */
  readonly baseSequence: number;
  readonly isTransactional: boolean;
}

const NO_PRODUCER: BatchProducer = {
  producerId: NO_PRODUCER_ID,
  producerEpoch: NO_PRODUCER_EPOCH,
  baseSequence: -1,
  isTransactional: false,
};

const INITIAL_BYTES = 4096;
/** Up to this length a plain loop copies faster than a call into the runtime. */
const LOOP_COPY_BYTES = 24;
const NO_HEADERS: readonly RecordHeader[] = [];

/**
 * Collects records of one partition and makes a batch of them. The hot path of the producer: fields go straight into
 * one growing buffer, nothing is kept per record. Use: `tryAppend` until it answers false, `build`, `reset`, again.
 */
export class BatchBuilder {
  readonly #codec: Codec;
  readonly #level: number | undefined;
  readonly #targetBytes: number;
  readonly #maxBytes: number;
  #buffer: Buffer = allocUnsafe(INITIAL_BYTES);
  #at = BATCH_HEADER_BYTES;
  #count = 0;
  #baseTimestamp = 0;
  #maxTimestamp = 0;
  #producer: BatchProducer = NO_PRODUCER;
  #isBuilt = false;

  constructor(options: BatchBuilderOptions) {
    this.#codec = options.codec;
    this.#level = options.level;
    this.#targetBytes = options.targetBytes;
    this.#maxBytes = Math.max(options.maxBytes ?? options.targetBytes, options.targetBytes);
  }

  get recordCount(): number {
    return this.#count;
  }

  /** Bytes of the batch before compression, header included. */
  get sizeBytes(): number {
    return this.#at;
  }

  /** Sets the producer fields of the next `build`; may be called before or after the records are added. */
  setProducer(producer: BatchProducer): void {
    this.#producer = producer;
  }

  /**
   * Adds a record, or answers false and changes nothing: the batch has no room for it (build, reset, try again), or, if
   * it is empty, the record is larger than any batch may be. `timestamp`: ms since 1970, an exact integer.
   * @throws LograftError INVALID_ARGUMENT for a timestamp that is not.
   */
  tryAppend(
    timestamp: number,
    key: RecordData,
    value: RecordData,
    headers: readonly RecordHeader[] = NO_HEADERS,
  ): boolean {
    assert(!this.#isBuilt, "a record was appended after build without reset");
    const timestampDelta = this.#count === 0 ? 0 : timestamp - this.#baseTimestamp;
    if (!Number.isSafeInteger(timestamp) || !Number.isSafeInteger(timestampDelta)) {
      throw new LograftError("INVALID_ARGUMENT", `${timestamp} is not a timestamp in whole milliseconds`);
    }
    const keyLength = lengthOf(key);
    const valueLength = lengthOf(value);
    const bodyBytes =
      1 +
      varintSize(timestampDelta) +
      varintSize(this.#count) +
      varintSize(keyLength) +
      varintSize(valueLength) +
      (keyLength > 0 ? keyLength : 0) +
      (valueLength > 0 ? valueLength : 0) +
      (headers.length === 0 ? 1 : headersSize(headers));
    const needed = this.#at + varintSize(bodyBytes) + bodyBytes;
    if (needed > (this.#count === 0 ? this.#maxBytes : this.#targetBytes)) return false;
    if (needed > this.#buffer.length) this.#grow(needed);

    const buffer = this.#buffer;
    let at = writeVarint(buffer, bodyBytes, this.#at);
    buffer[at++] = 0;
    at = writeVarint(buffer, timestampDelta, at);
    at = writeVarint(buffer, this.#count, at);
    at = writeVarint(buffer, keyLength, at);
    at = writeData(buffer, key, keyLength, at);
    at = writeVarint(buffer, valueLength, at);
    at = writeData(buffer, value, valueLength, at);
    if (headers.length === 0) buffer[at++] = 0;
    else at = writeHeaders(buffer, headers, at);

    if (this.#count === 0) {
      this.#baseTimestamp = timestamp;
      this.#maxTimestamp = timestamp;
    } else if (timestamp > this.#maxTimestamp) {
      this.#maxTimestamp = timestamp;
    }
    this.#at = at;
    this.#count++;
    return true;
  }

  /**
   * The finished batch, base offset 0 and leader epoch -1 (the leader patches both). It is the caller's: the builder
   * does not touch its memory again. Call `reset` before the next record. With at least one record.
   */
  build(): Buffer {
    assert(this.#count > 0 && !this.#isBuilt, "build takes records, once", { count: this.#count });
    this.#isBuilt = true;
    const batch = this.#codec === "none" ? this.#takeRecords() : this.#compressRecords();
    this.#writeHeader(batch);
    writeProducer(batch, this.#producer);
    return batch;
  }

  /** Starts the next batch, without a producer. */
  reset(): void {
    this.#at = BATCH_HEADER_BYTES;
    this.#count = 0;
    this.#producer = NO_PRODUCER;
    this.#isBuilt = false;
  }

  /**
   * Hands the buffer over when it is well filled and copies out of it when it is not: a batch in flight should not
   * hold much more memory than it has bytes.
   */
  #takeRecords(): Buffer {
    const used = this.#buffer.subarray(0, this.#at);
    if (this.#at * 2 < this.#buffer.length) return copyBytes(used);
    this.#buffer = allocUnsafe(this.#buffer.length);
    return used;
  }

  #compressRecords(): Buffer {
    const compressed = compress(
      this.#codec,
      this.#buffer.subarray(BATCH_HEADER_BYTES, this.#at),
      this.#level,
    );
    const batch = allocUnsafe(BATCH_HEADER_BYTES + compressed.length);
    batch.set(compressed, BATCH_HEADER_BYTES);
    return batch;
  }

  #writeHeader(batch: Buffer): void {
    writeInt64(batch, 0, 0);
    batch.writeInt32BE(batch.length - LOG_OVERHEAD_BYTES, 8);
    batch.writeInt32BE(-1, 12);
    batch.writeInt8(MAGIC_V2, 16);
    batch.writeUInt32BE(0, 17);
    batch.writeInt16BE(codecId(this.#codec), 21);
    batch.writeInt32BE(this.#count - 1, 23);
    writeInt64(batch, this.#baseTimestamp, 27);
    writeInt64(batch, this.#maxTimestamp, 35);
    batch.writeInt32BE(this.#count, 57);
  }

  #grow(needed: number): void {
    const limit = Math.max(this.#maxBytes, needed);
    const grown = allocUnsafe(Math.min(limit, Math.max(needed, this.#buffer.length * 2)));
    grown.set(this.#buffer.subarray(0, this.#at));
    this.#buffer = grown;
  }
}

/**
 * Writes the producer fields of a finished batch and computes its CRC: for an idempotent producer that has to number a
 * batch again under a new epoch. Only before the batch was given to anyone, or when it is known that none appended it.
 */
export function writeProducer(batch: Buffer, producer: BatchProducer): void {
  const attributes = attributesOf(batch) & ~ATTRIBUTE_TRANSACTIONAL;
  batch.writeInt16BE(attributes | (producer.isTransactional ? ATTRIBUTE_TRANSACTIONAL : 0), 21);
  writeInt64(batch, producer.producerId, 43);
  batch.writeInt16BE(producer.producerEpoch, 51);
  batch.writeInt32BE(producer.baseSequence, 53);
  batch.writeUInt32BE(computeBatchCrc(batch), 17);
}

/** Bytes that a batch of this one record takes before compression: to refuse one that can never be sent. */
export function singleRecordBatchBytes(
  key: RecordData,
  value: RecordData,
  headers: readonly RecordHeader[] = NO_HEADERS,
): number {
  const keyLength = lengthOf(key);
  const valueLength = lengthOf(value);
  // Attributes, timestamp delta 0 and offset delta 0 take one byte each.
  const bodyBytes =
    3 +
    varintSize(keyLength) +
    varintSize(valueLength) +
    Math.max(keyLength, 0) +
    Math.max(valueLength, 0) +
    headersSize(headers);
  return BATCH_HEADER_BYTES + varintSize(bodyBytes) + bodyBytes;
}

function lengthOf(data: RecordData): number {
  if (data === null) return -1;
  return typeof data === "string" ? Buffer.byteLength(data, "utf8") : data.byteLength;
}

function headersSize(headers: readonly RecordHeader[]): number {
  let size = varintSize(headers.length);
  for (const { key, value } of headers) {
    const keyLength = Buffer.byteLength(key, "utf8");
    const valueLength = lengthOf(value);
    size += varintSize(keyLength) + keyLength + varintSize(valueLength) + Math.max(valueLength, 0);
  }
  return size;
}

function writeHeaders(buffer: Buffer, headers: readonly RecordHeader[], start: number): number {
  let at = writeVarint(buffer, headers.length, start);
  for (const { key, value } of headers) {
    const keyLength = Buffer.byteLength(key, "utf8");
    at = writeVarint(buffer, keyLength, at);
    at = writeData(buffer, key, keyLength, at);
    const valueLength = lengthOf(value);
    at = writeVarint(buffer, valueLength, at);
    at = writeData(buffer, value, valueLength, at);
  }
  return at;
}

function writeData(buffer: Buffer, data: RecordData, length: number, at: number): number {
  if (data === null || length === 0) return at;
  if (typeof data === "string") {
    buffer.write(data, at, length, "utf8");
  } else if (length <= LOOP_COPY_BYTES) {
    for (let i = 0; i < length; i++) buffer[at + i] = data[i] ?? 0;
  } else {
    buffer.set(data, at);
  }
  return at + length;
}
