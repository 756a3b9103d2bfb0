import { ProtocolError } from "./error-code.ts";

/*
 * The outline of Zstandard frames (RFC 8878, section 3.1.1): enough to find where one ends, since Node inflates the
 * first frame of its input and silently leaves the rest.
 *
 *   magic 28 b5 2f fd | descriptor 1 | window 0-1 | dictionary id 0-4 | content size 0-8
 *   blocks: header 3 (little-endian: bit 0 last, bits 1-2 type, rest size) | data   ...   checksum 4 (flag)
 */

const MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
const BLOCK_RLE = 1;
const BLOCK_RESERVED = 3;

/** The compressed frames of `source`, in order, without the skippable ones. @throws ProtocolError CORRUPT_MESSAGE. */
export function splitZstdFrames(source: Buffer): readonly Buffer[] {
  const frames: Buffer[] = [];
  let at = 0;
  while (at < source.length) {
    need(source, at, 8);
    const magic = source.readUInt32LE(at);
    if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) {
      const length = source.readUInt32LE(at + 4);
      need(source, at + 8, length);
      at += 8 + length;
      continue;
    }
    if (magic !== MAGIC) throw corrupt("no frame magic", at);
    const end = frameEnd(source, at);
    frames.push(source.subarray(at, end));
    at = end;
  }
  if (frames.length === 0) throw corrupt("no frame", 0);
  return frames;
}

function frameEnd(source: Buffer, start: number): number {
  const descriptor = source[start + 4] ?? 0;
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const sizeCode = descriptor >>> 6;
  const dictionaryCode = descriptor & 3;
  const sizeBytes = sizeCode === 0 ? (isSingleSegment ? 1 : 0) : 1 << sizeCode;
  const dictionaryBytes = dictionaryCode === 3 ? 4 : dictionaryCode;
  let at = start + 5 + (isSingleSegment ? 0 : 1) + dictionaryBytes + sizeBytes;
  for (;;) {
    need(source, at, 3);
    const header = source.readUIntLE(at, 3);
    const type = (header >>> 1) & 3;
    if (type === BLOCK_RESERVED) throw corrupt("a reserved block type", at);
    const length = type === BLOCK_RLE ? 1 : header >>> 3;
    need(source, at + 3, length);
    at += 3 + length;
    if (header & 1) break;
  }
  if (descriptor & 4) {
    need(source, at, 4);
    at += 4;
  }
  return at;
}

function need(source: Buffer, at: number, count: number): void {
  if (count > source.length - at) throw corrupt(`${count} bytes are cut off`, at);
}

function corrupt(what: string, at: number): ProtocolError {
  return new ProtocolError("CORRUPT_MESSAGE", `damaged zstd data: ${what} (at byte ${at})`, {
    context: { at },
  });
}
