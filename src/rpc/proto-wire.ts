import { operationError, type LograftError, type OperationErrorCode } from "../base/errors.ts";
import type { TopicNames } from "./topic-names.ts";

/*
 * The part of protobuf's wire format (protobuf.dev, "Encoding") that the hot codecs need: varints, zigzag, length-
 * delimited fields, and skipping what is not known. 64-bit values are numbers; one that is not exact in a number is an
 * error, never rounded.
 */

export const WIRE_VARINT = 0;
export const WIRE_FIXED64 = 1;
export const WIRE_LENGTH = 2;
export const WIRE_GROUP_START = 3;
export const WIRE_GROUP_END = 4;
export const WIRE_FIXED32 = 5;

/** Groups inside groups that a skip follows before it gives up (H71). */
const MAX_GROUP_DEPTH = 16;
const MAX_VARINT_BYTES = 10;
const TWO_32 = 0x1_0000_0000;

/** Bytes of the varint of a non-negative safe integer. */
export function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size += 1;
  return size;
}

/** Reads fields one after the other. Every method throws LograftError SERIALIZATION_FAILED on malformed input. */
export class ProtoReader {
  readonly #bytes: Buffer;
  #at: number;
  #end: number;
  /** Of the varint read last: bits 32 to 63. */
  #high = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#at = 0;
    this.#end = bytes.length;
  }

  /** The next tag (field number * 8 + wire type), 0 at the end of the message. */
  tag(): number {
    if (this.#at === this.#end) return 0;
    const tag = this.#varintLow();
    if (this.#high !== 0 || tag >>> 3 === 0) throw this.#error("a field number is out of range");
    return tag;
  }

  uint32(): number {
    return this.#varintLow();
  }

  int32(): number {
    return this.#varintLow() | 0;
  }

  sint32(): number {
    const raw = this.#varintLow();
    return (raw >>> 1) ^ -(raw & 1);
  }

  bool(): boolean {
    return this.#varintLow() !== 0 || this.#high !== 0;
  }

  uint64(): number {
    const low = this.#varintLow();
    const value = this.#high * TWO_32 + low;
    if (!Number.isSafeInteger(value)) throw this.#error("a 64-bit number is above 2^53 - 1");
    return value;
  }

  sint64(): number {
    const low = this.#varintLow();
    // Halved as two 32-bit parts: the whole zigzag number may need 54 bits where its meaning needs 53.
    const magnitude = Math.floor(this.#high / 2) * TWO_32 + ((low >>> 1) + (this.#high % 2) * 0x8000_0000);
    const value = (low & 1) === 0 ? magnitude : -magnitude - 1;
    if (!Number.isSafeInteger(value)) throw this.#error("a 64-bit number is beyond 2^53 - 1");
    return value;
  }

  /** A view of the message's memory, not a copy. */
  bytes(): Buffer {
    const length = this.#length();
    const start = this.#at;
    this.#at = start + length;
    return this.#bytes.subarray(start, this.#at);
  }

  string(): string {
    const length = this.#length();
    const start = this.#at;
    this.#at = start + length;
    return length === 0 ? "" : this.#bytes.toString("utf8", start, this.#at);
  }

  /** A string that repeats from message to message. */
  topic(names: TopicNames): string {
    const length = this.#length();
    const start = this.#at;
    this.#at = start + length;
    return names.decode(this.#bytes, start, this.#at);
  }

  /** Narrows the reader to the nested message that begins here; answers what `leave` needs. */
  enter(): number {
    const length = this.#length();
    const outerEnd = this.#end;
    this.#end = this.#at + length;
    return outerEnd;
  }

  leave(outerEnd: number): void {
    this.#end = outerEnd;
  }

  /** Steps over the value of a field that is not known, or whose wire type is not the declared one. */
  skip(tag: number): void {
    let depth = 0;
    let current = tag;
    do {
      switch (current & 7) {
        case WIRE_VARINT:
          this.#varintLow();
          break;
        case WIRE_FIXED64:
          this.#advance(8);
          break;
        case WIRE_LENGTH:
          this.#advance(this.#length());
          break;
        case WIRE_GROUP_START:
          depth += 1;
          if (depth > MAX_GROUP_DEPTH) throw this.#error("groups are nested too deep");
          break;
        case WIRE_GROUP_END:
          depth -= 1;
          if (depth < 0) throw this.#error("a group ends that did not begin");
          break;
        case WIRE_FIXED32:
          this.#advance(4);
          break;
        default:
          throw this.#error(`wire type ${current & 7} does not exist`);
      }
      if (depth === 0) return;
      current = this.tag();
    } while (current !== 0);
    throw this.#error("a group does not end");
  }

  #length(): number {
    const length = this.#varintLow();
    if (this.#high !== 0 || length > this.#end - this.#at) throw this.#error("a length passes the end");
    return length;
  }

  #advance(count: number): void {
    if (count > this.#end - this.#at) throw this.#error("a field passes the end");
    this.#at += count;
  }

  /** The low 32 bits (unsigned); the high ones go to #high. */
  #varintLow(): number {
    const bytes = this.#bytes;
    let at = this.#at;
    let low = 0;
    let high = 0;
    for (let index = 0; index < MAX_VARINT_BYTES; index++) {
      if (at >= this.#end) throw this.#error("a number passes the end");
      const byte = bytes[at] ?? 0;
      at += 1;
      const bits = byte & 0x7f;
      if (index < 4) low |= bits << (7 * index);
      else if (index === 4) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (7 * index - 32);
      if (byte < 0x80) {
        this.#at = at;
        this.#high = high >>> 0;
        return low >>> 0;
      }
    }
    throw this.#error("a number is longer than ten bytes");
  }

  #error(reason: string): LograftError<OperationErrorCode> {
    return operationError("SERIALIZATION_FAILED", `the message is not valid protobuf: ${reason}`, {
      context: { position: this.#at, messageBytes: this.#bytes.length },
    });
  }
}
