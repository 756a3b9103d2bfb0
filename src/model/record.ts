import type { Offset, Timestamp } from "./offsets.ts";

/** A header of a record. Keys may repeat and keep their order; a value may be null. */
export interface RecordHeader {
  readonly key: string;
  readonly value: Uint8Array | null;
}

/** A record taken out of its batch: plain values, no link to how it was stored. */
export interface DecodedRecord {
  readonly offset: Offset;
  readonly timestamp: Timestamp;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly RecordHeader[];
}

const NO_HEADERS: readonly RecordHeader[] = [];

/**
 * One record inside the inflated payload of its batch: positions, checked when it was read, and getters that make views
 * when asked. The views share memory with the batch, so what is kept longer than the batch is to be copied. A null
 * key or value has length -1.
 */
export class RecordView implements DecodedRecord {
  readonly offset: Offset;
  readonly timestamp: Timestamp;
  readonly buffer: Buffer;
  readonly keyStart: number;
  readonly keyLength: number;
  readonly valueStart: number;
  readonly valueLength: number;
  readonly headerCount: number;

  /** For `RecordReader` only: the positions must have been checked. Headers start where the value ends. */
  constructor(
    offset: Offset,
    timestamp: Timestamp,
    buffer: Buffer,
    keyStart: number,
    keyLength: number,
    valueStart: number,
    valueLength: number,
    headerCount: number,
  ) {
    this.offset = offset;
    this.timestamp = timestamp;
    this.buffer = buffer;
    this.keyStart = keyStart;
    this.keyLength = keyLength;
    this.valueStart = valueStart;
    this.valueLength = valueLength;
    this.headerCount = headerCount;
  }

  /** A new view on each access. */
  get key(): Buffer | null {
    return this.keyLength < 0 ? null : this.buffer.subarray(this.keyStart, this.keyStart + this.keyLength);
  }

  /** A new view on each access. */
  get value(): Buffer | null {
    return this.valueLength < 0
      ? null
      : this.buffer.subarray(this.valueStart, this.valueStart + this.valueLength);
  }

  /** Decoded on each access; one shared empty list when there are none. */
  get headers(): readonly RecordHeader[] {
    return this.headerCount === 0 ? NO_HEADERS : this.#decodeHeaders();
  }

  /** A record that owns its bytes and may be kept. */
  toOwned(): DecodedRecord {
    return {
      offset: this.offset,
      timestamp: this.timestamp,
      key: owned(this.key),
      value: owned(this.value),
      headers: this.headers.map((header) => ({ key: header.key, value: owned(header.value) })),
    };
  }

  #decodeHeaders(): RecordHeader[] {
    const headers: RecordHeader[] = [];
    let at = this.valueStart + Math.max(this.valueLength, 0);
    // The reader walked over these very fields and refused what does not hold: lengths are small and in bounds here.
    const length = (): number => {
      let encoded = 0;
      for (let shift = 0; ; shift += 7) {
        const byte = this.buffer[at++] ?? 0;
        encoded |= (byte & 0x7f) << shift;
        if (byte < 0x80) return (encoded >>> 1) ^ -(encoded & 1);
      }
    };
    // The count of headers is a varint in front of them; its value is known, so it is skipped.
    length();
    for (let index = 0; index < this.headerCount; index++) {
      const keyLength = length();
      const key = this.buffer.toString("utf8", at, at + keyLength);
      at += keyLength;
      const valueLength = length();
      const value = valueLength < 0 ? null : this.buffer.subarray(at, at + valueLength);
      at += Math.max(valueLength, 0);
      headers.push({ key, value });
    }
    return headers;
  }
}

function owned(bytes: Uint8Array | null): Buffer | null {
  return bytes === null ? null : Buffer.from(bytes);
}
