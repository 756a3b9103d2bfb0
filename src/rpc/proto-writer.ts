import { assert } from "../base/assert.ts";
import { varintSize, WIRE_LENGTH, WIRE_VARINT } from "./proto-wire.ts";
import type { TopicNames } from "./topic-names.ts";

/** Record bytes to send: one buffer, or several that are sent one after the other. Never copied. */
export type RecordBytes = Uint8Array | readonly Uint8Array[];

/** Total bytes. */
export function recordByteLength(records: RecordBytes): number {
  if (records instanceof Uint8Array) return records.byteLength;
  let total = 0;
  for (const chunk of records) total += chunk.byteLength;
  return total;
}

/**
 * Writes one message as chunks: small headers of our own memory, and between them the caller's record bytes as they are.
 * Fields that hold their default are left out, as proto3 asks. The scratch memory is reused from message to message,
 * which is why a message is written without interruption, from `begin` to `finish`.
 */
export class ProtoWriter {
  #scratch = Buffer.alloc(1024);
  #at = 0;
  /** Scratch positions at which attached bytes come in, and those bytes. */
  readonly #cuts: number[] = [];
  readonly #attached: RecordBytes[] = [];

  begin(): void {
    this.#at = 0;
    this.#cuts.length = 0;
    this.#attached.length = 0;
  }

  /** The message; chunks of zero length do not occur. */
  finish(): Uint8Array[] {
    const header = Buffer.from(this.#scratch.subarray(0, this.#at));
    const chunks: Uint8Array[] = [];
    let from = 0;
    for (const [index, cut] of this.#cuts.entries()) {
      if (cut > from) chunks.push(header.subarray(from, cut));
      from = cut;
      const attached = this.#attached[index] ?? [];
      if (attached instanceof Uint8Array) chunks.push(attached);
      else for (const chunk of attached) if (chunk.byteLength > 0) chunks.push(chunk);
    }
    if (this.#at > from) chunks.push(from === 0 ? header : header.subarray(from));
    this.#attached.length = 0;
    return chunks;
  }

  uint(field: number, value: number): void {
    if (value === 0) return;
    assert(Number.isSafeInteger(value) && value > 0, "not an unsigned number", { field, value });
    this.#reserve(20);
    this.#varint(field * 8 + WIRE_VARINT);
    this.#varint(value);
  }

  /** int32: a negative number takes ten bytes, by protobuf's rule. */
  int32(field: number, value: number): void {
    if (value >= 0) {
      this.uint(field, value);
      return;
    }
    assert(Number.isInteger(value) && value >= -0x8000_0000, "not an int32", { field, value });
    this.#reserve(20);
    this.#varint(field * 8 + WIRE_VARINT);
    let low = value;
    for (let index = 0; index < 4; index++) {
      this.#scratch[this.#at++] = (low & 0x7f) | 0x80;
      low >>= 7;
    }
    this.#scratch[this.#at++] = (low & 0x0f) | 0xf0;
    for (let index = 0; index < 4; index++) this.#scratch[this.#at++] = 0xff;
    this.#scratch[this.#at++] = 0x01;
  }

  /** sint32 and sint64. */
  sint(field: number, value: number): void {
    if (value === 0) return;
    assert(Number.isSafeInteger(value), "not a signed number", { field, value });
    this.#reserve(20);
    this.#varint(field * 8 + WIRE_VARINT);
    // The zigzag number has one bit more than fits exactly, so its lowest seven bits are taken off first.
    const magnitude = value < 0 ? -(value + 1) : value;
    const low = (magnitude % 64) * 2 + (value < 0 ? 1 : 0);
    const rest = Math.floor(magnitude / 64);
    this.#scratch[this.#at++] = rest === 0 ? low : low | 0x80;
    if (rest > 0) this.#varint(rest);
  }

  bool(field: number, value: boolean): void {
    if (value) this.uint(field, 1);
  }

  string(field: number, value: string): void {
    if (value === "") return;
    const size = Buffer.byteLength(value, "utf8");
    this.#reserve(20 + size);
    this.#varint(field * 8 + WIRE_LENGTH);
    this.#varint(size);
    this.#at += this.#scratch.write(value, this.#at, "utf8");
  }

  topic(field: number, value: string, names: TopicNames): void {
    if (value === "") return;
    const bytes = names.encode(value);
    this.#reserve(20 + bytes.length);
    this.#varint(field * 8 + WIRE_LENGTH);
    this.#varint(bytes.length);
    this.#scratch.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** Begins a nested message; answers what `close` needs. Its attached bytes must come after `close`. */
  open(field: number): number {
    this.#reserve(20);
    this.#varint(field * 8 + WIRE_LENGTH);
    return this.#at;
  }

  /**
   * Ends a nested message whose last field, the records, has only been announced (`records`): its bytes follow.
   * The length goes in front by moving the few bytes written so far.
   */
  close(mark: number, records?: RecordBytes): void {
    const attachedSize = records === undefined ? 0 : recordByteLength(records);
    const written = this.#at - mark;
    const lengthSize = varintSize(written + attachedSize);
    this.#reserve(lengthSize);
    this.#scratch.copyWithin(mark + lengthSize, mark, this.#at);
    this.#at = mark;
    this.#varint(written + attachedSize);
    this.#at += written;
    if (records !== undefined && attachedSize > 0) {
      this.#cuts.push(this.#at);
      this.#attached.push(records);
    }
  }

  /** Tag and length of a bytes field whose content `close` attaches; it must be the last field written. */
  recordsHeader(field: number, records: RecordBytes): void {
    const size = recordByteLength(records);
    if (size === 0) return;
    this.#reserve(20);
    this.#varint(field * 8 + WIRE_LENGTH);
    this.#varint(size);
  }

  #varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.#scratch[this.#at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#scratch[this.#at++] = rest;
  }

  #reserve(count: number): void {
    const needed = this.#at + count;
    if (needed <= this.#scratch.length) return;
    const larger = Buffer.alloc(Math.max(needed, this.#scratch.length * 2));
    this.#scratch.copy(larger, 0, 0, this.#at);
    this.#scratch = larger;
  }
}
