import { LograftError } from "./errors.ts";
import { MAX_VARINT_BYTES, writeUvarint, writeVarint } from "./varint.ts";

/** The codes that decoding outside data answers; the same name as Kafka's error for a damaged message. */
export type BytesErrorCode = "CORRUPT_MESSAGE";

/** The one home of uninitialised memory: the caller writes every byte before anyone reads one. */
export function allocUnsafe(sizeBytes: number): Buffer {
  return Buffer.allocUnsafe(sizeBytes);
}

/** The same memory as a `Buffer`; nothing is copied. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A copy that shares no memory with `bytes`, for what must outlive a socket buffer. Not from the shared pool. */
export function copyBytes(bytes: Uint8Array): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.byteLength);
  copy.set(bytes);
  return copy;
}

const MAX_INT64_HIGH = 0x7fffffff;
/** Fatal: overlong forms, surrogates and cut sequences are refused rather than replaced. */
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Reads big-endian fields from bytes of unknown origin. Every read checks what is left before it touches or allocates
 * anything. @throws LograftError CORRUPT_MESSAGE (the position in its context) when a field is cut off, a 64-bit number
 * is not exact in a double, a varint is too long, or text is not UTF-8.
 */
export class ByteReader {
  readonly buffer: Buffer;
  readonly end: number;
  #at: number;

  /** Reads `bytes` from `start` (inclusive) to `end` (exclusive). Views returned later share its memory. */
  constructor(bytes: Uint8Array, start = 0, end: number = bytes.byteLength) {
    this.buffer = asBuffer(bytes);
    this.end = Math.min(end, bytes.byteLength);
    this.#at = start;
  }

  get position(): number {
    return this.#at;
  }

  get remaining(): number {
    return this.end - this.#at;
  }

  skip(count: number): void {
    this.#take(count);
  }

  int8(): number {
    return this.buffer.readInt8(this.#take(1));
  }

  uint8(): number {
    return this.buffer.readUInt8(this.#take(1));
  }

  int16(): number {
    return this.buffer.readInt16BE(this.#take(2));
  }

  uint16(): number {
    return this.buffer.readUInt16BE(this.#take(2));
  }

  int32(): number {
    return this.buffer.readInt32BE(this.#take(4));
  }

  uint32(): number {
    return this.buffer.readUInt32BE(this.#take(4));
  }

  /** A signed 64-bit number that a double holds exactly; anything past 2^53-1 is refused, never rounded. */
  int64(): number {
    const at = this.#take(8);
    const value = this.buffer.readInt32BE(at) * 0x1_0000_0000 + this.buffer.readUInt32BE(at + 4);
    if (!Number.isSafeInteger(value)) throw corrupt("a 64-bit number is past 2^53-1", at);
    return value;
  }

  /** As `int64`, for a field whose greatest value (2^63-1) means "no limit": that one reads as Infinity. */
  int64OrInfinity(): number {
    if (
      this.remaining >= 8 &&
      this.buffer.readInt32BE(this.#at) === MAX_INT64_HIGH &&
      this.buffer.readUInt32BE(this.#at + 4) === 0xffffffff
    ) {
      this.#at += 8;
      return Infinity;
    }
    return this.int64();
  }

  float64(): number {
    return this.buffer.readDoubleBE(this.#take(8));
  }

  /** False for 0, true for anything else. */
  bool(): boolean {
    return this.uint8() !== 0;
  }

  /** Unsigned LEB128 of at most 5 bytes, below 2^32. */
  uvarint(): number {
    const at = this.#at;
    const value = this.#leb128(5);
    if (value > 0xffffffff) throw corrupt("an unsigned varint is past 32 bits", at);
    return value;
  }

  /** Unsigned LEB128 of at most 10 bytes, exact up to 2^53-1. */
  uvarlong(): number {
    return this.#leb128(10);
  }

  /** Zigzag LEB128 in the range of a signed 32-bit number. */
  varint(): number {
    const at = this.#at;
    const encoded = this.#leb128(5);
    if (encoded > 0xffffffff) throw corrupt("a varint is past 32 bits", at);
    return (encoded >>> 1) ^ -(encoded & 1);
  }

  /** Zigzag LEB128 of at most 10 bytes, exact from -(2^53-1) to 2^53-1. */
  varlong(): number {
    const start = this.#at;
    const first = this.uint8();
    let magnitude = (first & 0x7e) >>> 1;
    if (first >= 0x80) magnitude += this.#leb128(9) * 64;
    // The sign is the lowest bit, so the magnitude alone stays below 2^53 where the zigzag number would not.
    const value = first & 1 ? -magnitude - 1 : magnitude;
    if (!Number.isSafeInteger(value)) throw corrupt("a varlong is past 2^53-1", start);
    return value;
  }

  /** A view of the next `count` bytes; it shares memory with the input. */
  bytes(count: number): Buffer {
    const at = this.#take(count);
    return this.buffer.subarray(at, at + count);
  }

  /** `count` bytes of strict UTF-8. */
  utf8(count: number): string {
    const at = this.#take(count);
    const text = this.buffer.toString("utf8", at, at + count);
    // Broken input shows as U+FFFD; only then is the slower strict decoder asked whether it was really there.
    if (!text.includes("\ufffd")) return text;
    try {
      return strictUtf8.decode(this.buffer.subarray(at, at + count));
    } catch (cause) {
      throw corrupt("text is not UTF-8", at, cause);
    }
  }

  /** Bytes behind an unsigned varint that counts them (our own formats). */
  sizedBytes(): Buffer {
    return this.bytes(this.uvarint());
  }

  /** Text behind an unsigned varint that counts its bytes (our own formats). */
  sizedUtf8(): string {
    return this.utf8(this.uvarint());
  }

  /** For formats without room for growth: refuses bytes after the last field. */
  expectEnd(): void {
    if (this.#at !== this.end) throw corrupt(`${this.remaining} bytes follow the last field`, this.#at);
  }

  #take(count: number): number {
    const at = this.#at;
    // `count` may come from the data: negative and fractional counts are refused with the long ones.
    if (!(count >= 0 && count <= this.end - at)) {
      throw corrupt(`a field of ${count} bytes is cut off, ${this.end - at} are left`, at);
    }
    this.#at = at + count;
    return at;
  }

  #leb128(maxBytes: number): number {
    const start = this.#at;
    let value = 0;
    let scale = 1;
    for (let count = 1; count <= maxBytes; count++) {
      const byte = this.uint8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) throw corrupt("a varint is past 2^53-1", start);
        return value;
      }
      scale *= 0x80;
    }
    throw corrupt(`a varint is longer than ${maxBytes} bytes`, start);
  }
}

/**
 * Writes big-endian fields into one growing buffer. Values out of range are a bug of the caller and throw a RangeError
 * (from `Buffer`) or, for the 64-bit and varint forms, a LograftError INVALID_ARGUMENT.
 */
export class ByteWriter {
  #buffer: Buffer;
  #at = 0;

  /** `initialBytes`: capacity before the first growth. */
  constructor(initialBytes = 256) {
    this.#buffer = allocUnsafe(initialBytes);
  }

  /** Bytes written. */
  get length(): number {
    return this.#at;
  }

  /** What was written, without a copy. Valid until the next write or `reset`. */
  view(): Buffer {
    return this.#buffer.subarray(0, this.#at);
  }

  /** What was written, copied into a buffer of its own. */
  toBuffer(): Buffer {
    return copyBytes(this.view());
  }

  /** Forgets what was written and keeps the memory. */
  reset(): void {
    this.#at = 0;
  }

  int8(value: number): void {
    const at = this.#room(1);
    this.#buffer.writeInt8(value, at);
  }

  uint8(value: number): void {
    const at = this.#room(1);
    this.#buffer.writeUInt8(value, at);
  }

  int16(value: number): void {
    const at = this.#room(2);
    this.#buffer.writeInt16BE(value, at);
  }

  uint16(value: number): void {
    const at = this.#room(2);
    this.#buffer.writeUInt16BE(value, at);
  }

  int32(value: number): void {
    const at = this.#room(4);
    this.#buffer.writeInt32BE(value, at);
  }

  uint32(value: number): void {
    const at = this.#room(4);
    this.#buffer.writeUInt32BE(value, at);
  }

  int64(value: number): void {
    requireSafe(value);
    const at = this.#room(8);
    this.#buffer.writeInt32BE(Math.floor(value / 0x1_0000_0000), at);
    this.#buffer.writeUInt32BE(value >>> 0, at + 4);
  }

  /** As `int64`; Infinity becomes 2^63-1, the mark for "no limit". */
  int64OrInfinity(value: number): void {
    if (value !== Infinity) {
      this.int64(value);
      return;
    }
    const at = this.#room(8);
    this.#buffer.writeInt32BE(MAX_INT64_HIGH, at);
    this.#buffer.writeUInt32BE(0xffffffff, at + 4);
  }

  float64(value: number): void {
    const at = this.#room(8);
    this.#buffer.writeDoubleBE(value, at);
  }

  bool(value: boolean): void {
    this.uint8(value ? 1 : 0);
  }

  /** Unsigned LEB128; `value` in 0..2^53-1 (a reader of `uvarint` takes 32 bits of it). */
  uvarint(value: number): void {
    requireSafe(value);
    if (value < 0) throw new LograftError("INVALID_ARGUMENT", `an unsigned varint cannot hold ${value}`);
    const at = this.#room(MAX_VARINT_BYTES);
    this.#at = writeUvarint(this.#buffer, value, at);
  }

  /** Zigzag LEB128; the same bytes serve as Kafka's varint and varlong. */
  varint(value: number): void {
    requireSafe(value);
    const at = this.#room(MAX_VARINT_BYTES);
    this.#at = writeVarint(this.#buffer, value, at);
  }

  bytes(value: Uint8Array): void {
    const at = this.#room(value.byteLength);
    this.#buffer.set(value, at);
  }

  /** UTF-8 without a length. Lone surrogates become U+FFFD. */
  utf8(value: string): void {
    const size = Buffer.byteLength(value, "utf8");
    const at = this.#room(size);
    this.#buffer.write(value, at, size, "utf8");
  }

  /** An unsigned varint that counts the bytes, then the bytes. */
  sizedBytes(value: Uint8Array): void {
    this.uvarint(value.byteLength);
    this.bytes(value);
  }

  /** An unsigned varint that counts the bytes, then the text as UTF-8. */
  sizedUtf8(value: string): void {
    this.uvarint(Buffer.byteLength(value, "utf8"));
    this.utf8(value);
  }

  /** Overwrites four bytes written before: for lengths known only afterwards. */
  patchInt32(value: number, at: number): void {
    this.#requireWritten(at, 4);
    this.#buffer.writeInt32BE(value, at);
  }

  /** As `patchInt32`, for checksums. */
  patchUint32(value: number, at: number): void {
    this.#requireWritten(at, 4);
    this.#buffer.writeUInt32BE(value, at);
  }

  #requireWritten(at: number, count: number): void {
    if (at < 0 || at + count > this.#at) {
      throw new LograftError("INVALID_ARGUMENT", `no ${count} bytes were written at ${at} yet`);
    }
  }

  /** Makes room for `count` more bytes and answers where they go. It may replace the buffer: call it before using that. */
  #room(count: number): number {
    const at = this.#at;
    const needed = at + count;
    if (needed > this.#buffer.length) {
      const grown = allocUnsafe(Math.max(needed, this.#buffer.length * 2));
      grown.set(this.#buffer.subarray(0, at));
      this.#buffer = grown;
    }
    this.#at = needed;
    return at;
  }
}

function requireSafe(value: number): void {
  if (!Number.isSafeInteger(value)) {
    throw new LograftError("INVALID_ARGUMENT", `${value} is not an exact integer`, { context: { value } });
  }
}

function corrupt(message: string, at: number, cause?: unknown): LograftError<BytesErrorCode> {
  return new LograftError("CORRUPT_MESSAGE", `${message} (at byte ${at})`, { context: { at }, cause });
}
