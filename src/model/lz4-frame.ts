import { allocUnsafe } from "../base/bytes.ts";
import { ProtocolError } from "./error-code.ts";
import { xxHash32 } from "./xx-hash32.ts";

/*
 * LZ4 frame, version 01. Source: LZ4 frame format description 1.6.4 and LZ4 block format description (public).
 *
 *   magic 04 22 4d 18 | FLG | BD | content size 8 (flag) | dictionary id 4 (flag) | header checksum 1
 *   blocks: size 4 (little-endian, top bit: stored as it is) | data | checksum 4 (flag)   ...   end mark 00000000
 *   content checksum 4 (flag)
 *
 * A payload may hold several frames, and skippable ones (magic 50..5f 2a 4d 18) between them. Every field is checked
 * before it is used, memory grows with what was really inflated, and the cap holds before the copy that would pass it.
 */

const MAGIC = 0x184d2204;
const SKIPPABLE_MAGIC = 0x184d2a50;
const FLAG_BLOCK_CHECKSUM = 0x10;
const FLAG_CONTENT_SIZE = 0x08;
const FLAG_CONTENT_CHECKSUM = 0x04;
const FLAG_RESERVED = 0x02;
const FLAG_DICTIONARY = 0x01;
const STORED_BLOCK = 0x8000_0000;
const MIN_MATCH = 4;

/** Inflates all frames of `source`. @throws ProtocolError CORRUPT_MESSAGE, or MESSAGE_TOO_LARGE past `maxBytes`. */
export function decompressLz4Frames(source: Buffer, maxBytes: number): Buffer {
  return new Lz4Decoder(source, maxBytes).run();
}

class Lz4Decoder {
  readonly #source: Buffer;
  readonly #maxBytes: number;
  #at = 0;
  #target: Buffer;
  #size = 0;

  constructor(source: Buffer, maxBytes: number) {
    this.#source = source;
    this.#maxBytes = maxBytes;
    this.#target = allocUnsafe(Math.min(maxBytes, Math.max(1024, source.length * 4)));
  }

  run(): Buffer {
    if (this.#source.length === 0) throw corrupt("no frame", 0);
    while (this.#at < this.#source.length) {
      const magic = this.#uint32();
      if (magic === MAGIC) this.#frame();
      else if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) this.#skip(this.#uint32());
      else throw corrupt("no frame magic", this.#at - 4);
    }
    return this.#target.subarray(0, this.#size);
  }

  #frame(): void {
    const headerAt = this.#at;
    const flags = this.#byte();
    const descriptor = this.#byte();
    if (flags >>> 6 !== 1 || (flags & FLAG_RESERVED) !== 0) throw corrupt("unknown frame version", headerAt);
    const sizeCode = (descriptor >>> 4) & 7;
    if (sizeCode < 4 || (descriptor & 0x8f) !== 0) throw corrupt("unknown block size", headerAt);
    if (flags & FLAG_DICTIONARY) throw corrupt("a dictionary is needed", headerAt);
    const declaredSize = flags & FLAG_CONTENT_SIZE ? this.#contentSize() : undefined;
    const headerHash = (xxHash32(this.#source, headerAt, this.#at) >>> 8) & 0xff;
    if (this.#byte() !== headerHash) throw corrupt("wrong header checksum", headerAt);
    const frameStart = this.#size;
    this.#blocks(flags, 1 << (8 + 2 * sizeCode));
    const frameSize = this.#size - frameStart;
    if (declaredSize !== undefined && declaredSize !== frameSize) {
      throw corrupt(`content size ${declaredSize} declared, ${frameSize} found`, headerAt);
    }
    if (flags & FLAG_CONTENT_CHECKSUM && this.#uint32() !== xxHash32(this.#target, frameStart, this.#size)) {
      throw corrupt("wrong content checksum", this.#at - 4);
    }
  }

  #blocks(flags: number, maxBlockBytes: number): void {
    for (;;) {
      const field = this.#uint32();
      if (field === 0) return;
      const isStored = field >= STORED_BLOCK;
      const length = isStored ? field - STORED_BLOCK : field;
      if (length > maxBlockBytes) throw corrupt(`a block of ${length} bytes`, this.#at - 4);
      const start = this.#at;
      this.#skip(length);
      if (flags & FLAG_BLOCK_CHECKSUM) {
        const hash = xxHash32(this.#source, start, start + length);
        if (this.#uint32() !== hash) throw corrupt("wrong block checksum", start);
      }
      if (isStored) this.#copyStored(start, length);
      else this.#inflateBlock(start, start + length, maxBlockBytes);
    }
  }

  #copyStored(start: number, length: number): void {
    this.#reserve(length);
    this.#target.set(this.#source.subarray(start, start + length), this.#size);
    this.#size += length;
  }

  /**
   * One compressed block: tokens of (literal length, match length), each 4 bits with 255-continuation. Matches may
   * reach back into earlier blocks of the payload, which covers linked blocks as well as independent ones.
   */
  #inflateBlock(start: number, end: number, maxBlockBytes: number): void {
    const source = this.#source;
    const sizeLimit = this.#size + maxBlockBytes;
    let at = start;
    for (;;) {
      if (at >= end) throw corrupt("a block ends without its last literals", at);
      const token = source[at++] ?? 0;
      let literals = token >>> 4;
      if (literals === 15) {
        let more = 255;
        while (more === 255) {
          if (at >= end) throw corrupt("a literal length is cut off", at);
          more = source[at++] ?? 0;
          literals += more;
        }
      }
      if (literals > end - at) throw corrupt(`${literals} literals are cut off`, at);
      if (literals > 0) {
        this.#reserve(literals);
        copyLiterals(source, at, this.#target, this.#size, literals);
        at += literals;
        this.#size += literals;
      }
      if (at === end) break;
      if (end - at < 2) throw corrupt("a match offset is cut off", at);
      const distance = (source[at] ?? 0) | ((source[at + 1] ?? 0) << 8);
      at += 2;
      if (distance === 0 || distance > this.#size) throw corrupt(`match distance ${distance}`, at - 2);
      let length = (token & 15) + MIN_MATCH;
      if ((token & 15) === 15) {
        let more = 255;
        while (more === 255) {
          if (at >= end) throw corrupt("a match length is cut off", at);
          more = source[at++] ?? 0;
          length += more;
        }
      }
      if (this.#size + length > sizeLimit) throw corrupt("a block inflates past its bound", at);
      this.#reserve(length);
      copyMatch(this.#target, this.#size, distance, length);
      this.#size += length;
    }
    if (this.#size > sizeLimit) throw corrupt("a block inflates past its bound", end);
  }

  /** Declared sizes are only checked against the cap; memory is taken when the bytes come. */
  #contentSize(): number {
    const low = this.#uint32();
    const size = this.#uint32() * 0x1_0000_0000 + low;
    if (this.#size + size > this.#maxBytes) throw tooLarge(this.#maxBytes);
    return size;
  }

  #reserve(count: number): void {
    const needed = this.#size + count;
    if (needed <= this.#target.length) return;
    if (needed > this.#maxBytes) throw tooLarge(this.#maxBytes);
    const grown = allocUnsafe(Math.min(this.#maxBytes, Math.max(needed, this.#target.length * 2)));
    grown.set(this.#target.subarray(0, this.#size));
    this.#target = grown;
  }

  #byte(): number {
    this.#skip(1);
    return this.#source[this.#at - 1] ?? 0;
  }

  #uint32(): number {
    this.#skip(4);
    return this.#source.readUInt32LE(this.#at - 4);
  }

  #skip(count: number): void {
    if (count > this.#source.length - this.#at) throw corrupt(`${count} bytes are cut off`, this.#at);
    this.#at += count;
  }
}

/** Copies `length` bytes; a call into the runtime pays off only for long runs. */
export function copyLiterals(source: Buffer, from: number, target: Buffer, to: number, length: number): void {
  if (length > 48) {
    source.copy(target, to, from, from + length);
    return;
  }
  for (let i = 0; i < length; i++) target[to + i] = source[from + i] ?? 0;
}

/** Repeats what was written `distance` bytes before; source and target may overlap, which makes runs. */
export function copyMatch(target: Buffer, to: number, distance: number, length: number): void {
  const from = to - distance;
  if (distance >= length && length > 48) {
    target.copyWithin(to, from, from + length);
    return;
  }
  if (distance === 1 && length > 48) {
    target.fill(target[from] ?? 0, to, to + length);
    return;
  }
  for (let i = 0; i < length; i++) target[to + i] = target[from + i] ?? 0;
}

function corrupt(what: string, at: number): ProtocolError {
  return new ProtocolError("CORRUPT_MESSAGE", `damaged lz4 data: ${what} (at byte ${at})`, {
    context: { at },
  });
}

function tooLarge(maxBytes: number): ProtocolError {
  return new ProtocolError("MESSAGE_TOO_LARGE", `lz4 data inflates past the limit of ${maxBytes} bytes`, {
    context: { maxBytes },
  });
}
