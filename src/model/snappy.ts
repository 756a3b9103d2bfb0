import { allocUnsafe } from "../base/bytes.ts";
import { ProtocolError } from "./error-code.ts";
import { copyLiterals, copyMatch } from "./lz4-frame.ts";

/*
 * Snappy in the two forms found in Kafka batches. Source: Snappy compressed format description (public).
 *
 *   raw      one block: uvarint inflated length, then literals and copies (librdkafka, franz-go)
 *   xerial   magic 82 "SNAPPY" 00 | version i32 1 | compatible i32 1 | chunks: length i32, raw block (Java, sarama)
 *
 * A raw block declares its length in front, so the cap is checked before memory is taken; and it cannot inflate to more
 * than 64/3 times its size, so a block that declares more lies and is refused unread.
 */

const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const XERIAL_HEADER_BYTES = 16;
/** Input bytes of one xerial block: what Java writes. */
const XERIAL_BLOCK_BYTES = 32 * 1024;
/** A copy of 64 bytes takes 3 at least (2 only up to 11). */
const MAX_EXPANSION = 22;

/** Inflates a raw or xerial payload. @throws ProtocolError CORRUPT_MESSAGE, or MESSAGE_TOO_LARGE past `maxBytes`. */
export function decompressSnappy(source: Buffer, maxBytes: number): Buffer {
  if (!isXerial(source)) {
    const length = declaredLength(source, 0, source.length, maxBytes);
    const target = allocUnsafe(length.value);
    inflateBlock(source, length.next, source.length, target, 0, length.value);
    return target;
  }
  const target = allocUnsafe(xerialLength(source, maxBytes));
  let filled = 0;
  for (let at = XERIAL_HEADER_BYTES; at < source.length;) {
    const end = at + 4 + source.readInt32BE(at);
    const length = declaredLength(source, at + 4, end, maxBytes);
    inflateBlock(source, length.next, end, target, filled, filled + length.value);
    filled += length.value;
    at = end;
  }
  return target;
}

/** Wraps raw blocks of at most 32 KiB of input in xerial framing, which every Kafka client reads. */
export function frameXerial(input: Uint8Array, compressBlock: (block: Uint8Array) => Uint8Array): Buffer {
  const blocks: Uint8Array[] = [];
  let size = XERIAL_HEADER_BYTES;
  for (let start = 0; start < input.length; start += XERIAL_BLOCK_BYTES) {
    const block = compressBlock(input.subarray(start, start + XERIAL_BLOCK_BYTES));
    blocks.push(block);
    size += 4 + block.length;
  }
  const framed = allocUnsafe(size);
  framed.set(XERIAL_MAGIC);
  framed.writeInt32BE(1, 8);
  framed.writeInt32BE(1, 12);
  let at = XERIAL_HEADER_BYTES;
  for (const block of blocks) {
    framed.writeInt32BE(block.length, at);
    framed.set(block, at + 4);
    at += 4 + block.length;
  }
  return framed;
}

/** The magic decides: a raw block that starts with 82 53 would declare 10,626 bytes and then break at the next tag. */
function isXerial(source: Buffer): boolean {
  return source.length >= XERIAL_HEADER_BYTES && source.compare(XERIAL_MAGIC, 0, 8, 0, 8) === 0;
}

/** Sum of the declared lengths, each chunk checked, so that one allocation serves all. */
function xerialLength(source: Buffer, maxBytes: number): number {
  if (source.readInt32BE(12) > 1) throw corrupt("a xerial version above 1 is needed", 12);
  let total = 0;
  for (let at = XERIAL_HEADER_BYTES; at < source.length;) {
    if (source.length - at < 4) throw corrupt("a chunk length is cut off", at);
    const chunkBytes = source.readInt32BE(at);
    if (chunkBytes <= 0 || chunkBytes > source.length - at - 4) {
      throw corrupt(`a chunk of ${chunkBytes} bytes`, at);
    }
    total += declaredLength(source, at + 4, at + 4 + chunkBytes, maxBytes - total).value;
    at += 4 + chunkBytes;
  }
  return total;
}

function declaredLength(
  source: Buffer,
  start: number,
  end: number,
  maxBytes: number,
): { readonly value: number; readonly next: number } {
  let value = 0;
  let scale = 1;
  for (let at = start; at < end && at < start + 5; at++) {
    const byte = source[at] ?? 0;
    value += (byte & 0x7f) * scale;
    scale *= 0x80;
    if (byte >= 0x80) continue;
    if (value > maxBytes) {
      throw new ProtocolError(
        "MESSAGE_TOO_LARGE",
        `snappy data of ${value} bytes is past the limit of ${maxBytes}`,
        {
          context: { value, maxBytes },
        },
      );
    }
    if (value > (end - start) * MAX_EXPANSION)
      throw corrupt(`${value} bytes cannot be in ${end - start}`, start);
    return { value, next: at + 1 };
  }
  throw corrupt("no inflated length", start);
}

/** Inflates source [start, end) into target [targetStart, targetEnd), which it has to fill exactly. */
function inflateBlock(
  source: Buffer,
  start: number,
  end: number,
  target: Buffer,
  targetStart: number,
  targetEnd: number,
): void {
  let at = start;
  let to = targetStart;
  while (at < end) {
    const tag = source[at++] ?? 0;
    const kind = tag & 3;
    let length = (tag >>> 2) + 1;
    if (kind === 0) {
      if (length > 60) {
        const extra = length - 60;
        if (extra > end - at) throw corrupt("a literal length is cut off", at);
        length = source.readUIntLE(at, extra) + 1;
        at += extra;
      }
      if (length > end - at || length > targetEnd - to) throw corrupt(`${length} literals do not fit`, at);
      copyLiterals(source, at, target, to, length);
      at += length;
      to += length;
      continue;
    }
    const offsetBytes = kind === 3 ? 4 : kind;
    if (offsetBytes > end - at) throw corrupt("a copy offset is cut off", at);
    let distance = source.readUIntLE(at, offsetBytes);
    at += offsetBytes;
    if (kind === 1) {
      length = ((tag >>> 2) & 7) + 4;
      distance |= (tag >>> 5) << 8;
    }
    if (distance === 0 || distance > to - targetStart || length > targetEnd - to) {
      throw corrupt(`a copy of ${length} bytes from ${distance} back`, at);
    }
    copyMatch(target, to, distance, length);
    to += length;
  }
  if (to !== targetEnd) throw corrupt(`${to - targetStart} of ${targetEnd - targetStart} bytes`, end);
}

function corrupt(what: string, at: number): ProtocolError {
  return new ProtocolError("CORRUPT_MESSAGE", `damaged snappy data: ${what} (at byte ${at})`, {
    context: { at },
  });
}
