import { assert } from "../base/assert.ts";
import type { Offset } from "../model/offsets.ts";
import {
  baseOffsetOf,
  BATCH_HEADER_BYTES,
  batchSizeOf,
  checkBatchHeader,
  lastOffsetOf,
  magicOf,
  MAGIC_V2,
  verifyBatchCrc,
} from "../model/record-batch.ts";
import { readFully } from "../platform/disk.ts";
import type { DiskFile } from "../platform/disk.ts";

/**
 * Why a scan stopped before its end. "torn": the file ends inside the batch. "length": the length field is impossible.
 * "magic": not format 2. "header": offsets or counts that no writer makes. "offset": starts below what came before it.
 * "crc": the content does not match its checksum.
 */
export type ScanReason = "torn" | "length" | "magic" | "header" | "offset" | "crc";

/** The first thing in a file that is not a batch. */
export interface ScanProblem {
  readonly position: number;
  readonly reason: ScanReason;
  readonly message: string;
}

/** How a scan ended. Without a problem `validEnd` is the end that was asked for. */
export interface ScanVerdict {
  /** Position behind the last good batch: the size to keep when the rest is a torn tail. */
  readonly validEnd: number;
  readonly batchCount: number;
  /** One past the last good batch's last offset; undefined when there was no batch. */
  readonly nextOffset: Offset | undefined;
  readonly problem: ScanProblem | undefined;
}

export interface ScanOptions {
  /** A larger length field is a problem, not an allocation (H47). Default 2^31 - 1. */
  readonly maxBatchBytes?: number;
  /** Recompute the checksum of each batch. Default true. */
  readonly verifyCrc?: boolean;
  /** When given, offsets are checked: none below this one, and each batch above the one before it. */
  readonly minBaseOffset?: Offset;
  /** Bytes of one read, and of the buffer while no batch is larger. Default 1 MiB. */
  readonly bufferBytes?: number;
  /** Read into instead of a new buffer, while no batch is larger; nobody else may use it meanwhile. */
  readonly buffer?: Buffer;
  /** Called before each read with its bytes: the place to wait when the disk is not to be kept busy. */
  readonly beforeRead?: (sizeBytes: number) => Promise<void>;
  readonly signal?: AbortSignal;
}

/** The batch that a scan stands on. The fields hold until the next step; the bytes are to be copied to be kept. */
export interface BatchCursor {
  /** The batch is `buffer[at .. at + size)`. */
  readonly buffer: Buffer;
  readonly at: number;
  readonly size: number;
  /** Position of the batch in its file. */
  readonly position: number;
}

const DEFAULT_BUFFER_BYTES = 1024 * 1024;
const MAX_INT32 = 0x7fffffff;

/**
 * Walks the batches of a part of a file in large sequential reads. Nothing is allocated for a batch: the reader is its
 * own cursor. Use `for` over memory inside `for` over the disk:
 *
 *     while (await reader.fill()) while (reader.next()) use(reader.buffer, reader.at, reader.size);
 *
 * Memory: one buffer of `bufferBytes`, or of the largest batch, which is never more than the part of the file scanned.
 */
export class BatchReader implements BatchCursor {
  readonly #file: DiskFile;
  readonly #maxBatchBytes: number;
  readonly #verifyCrc: boolean;
  readonly #bufferBytes: number;
  readonly #signal: AbortSignal | undefined;
  readonly #beforeRead: ((sizeBytes: number) => Promise<void>) | undefined;
  /** Position in the file of `buffer[0]`. */
  #start: number;
  #end: number;
  #filled = 0;
  /** Index in the buffer of the first byte that no batch has used. */
  #unread = 0;
  /** Size of the batch at `#unread` when it is known and not wholly in memory. */
  #wanted = 0;
  #minBaseOffset: number;
  #nextOffset: Offset | undefined;
  #batchCount = 0;
  #problem: ScanProblem | undefined;

  buffer: Buffer;
  at = 0;
  size = 0;
  position: number;

  /** Scans `[fromPosition, endPosition)`; a file that turns out shorter is scanned to its end. */
  constructor(file: DiskFile, fromPosition: number, endPosition: number, options: ScanOptions = {}) {
    assert(fromPosition >= 0 && fromPosition <= endPosition, "not a range", { fromPosition, endPosition });
    this.#file = file;
    this.#start = fromPosition;
    this.#end = endPosition;
    this.#maxBatchBytes = options.maxBatchBytes ?? MAX_INT32;
    this.#verifyCrc = options.verifyCrc ?? true;
    this.#minBaseOffset = options.minBaseOffset ?? Number.NEGATIVE_INFINITY;
    this.#bufferBytes = Math.max(BATCH_HEADER_BYTES, options.bufferBytes ?? DEFAULT_BUFFER_BYTES);
    this.#signal = options.signal;
    this.#beforeRead = options.beforeRead;
    this.position = fromPosition;
    this.buffer = options.buffer ?? Buffer.alloc(Math.min(this.#bufferBytes, endPosition - fromPosition));
  }

  /** Reads on. False at the end of the range or at a problem. @throws LograftError DISK_READ_FAILED. */
  async fill(): Promise<boolean> {
    this.#signal?.throwIfAborted();
    if (this.#problem !== undefined) return false;
    const kept = this.#filled - this.#unread;
    const from = this.#start + this.#filled;
    const rest = this.#end - from;
    if (rest === 0) {
      if (kept > 0) this.#fail("torn", `${kept} bytes are left, too few for a batch`);
      return false;
    }
    this.#makeRoom(kept, kept + rest);
    const want = Math.min(this.buffer.length - kept, rest);
    if (this.#beforeRead !== undefined) await this.#beforeRead(want);
    const count = await readFully(this.#file, this.buffer.subarray(kept, kept + want), from);
    if (count < want) this.#end = from + count;
    this.#filled = kept + count;
    return this.#filled > 0;
  }

  /** Steps to the next batch in memory. False: call `fill`. */
  next(): boolean {
    if (this.#problem !== undefined) return false;
    const at = this.#unread;
    const available = this.#filled - at;
    if (available < BATCH_HEADER_BYTES) return false;
    const buffer = this.buffer;
    const size = batchSizeOf(buffer, at);
    if (size < BATCH_HEADER_BYTES || size > this.#maxBatchBytes) {
      return this.#fail("length", `a batch of ${size} bytes; allowed are 61 to ${this.#maxBatchBytes}`);
    }
    const magic = magicOf(buffer, at);
    if (magic !== MAGIC_V2) return this.#fail("magic", `format ${magic} where 2 is expected`);
    if (available < size) {
      const position = this.#start + at;
      if (position + size > this.#end) {
        return this.#fail("torn", `a batch of ${size} bytes with ${this.#end - position} bytes left`);
      }
      this.#wanted = size;
      return false;
    }
    return this.#checkContent(at, size) && this.#advance(at, size);
  }

  /** What is known now; final once `fill` has answered false. */
  verdict(): ScanVerdict {
    return {
      validEnd: this.#start + this.#unread,
      batchCount: this.#batchCount,
      nextOffset: this.#nextOffset,
      problem: this.#problem,
    };
  }

  #checkContent(at: number, size: number): boolean {
    const buffer = this.buffer;
    const check = checkBatchHeader(buffer, at, size, size);
    if (!check.ok) return this.#fail("header", check.reason);
    const baseOffset = baseOffsetOf(buffer, at);
    if (baseOffset < this.#minBaseOffset) {
      return this.#fail(
        "offset",
        `base offset ${baseOffset} where at least ${this.#minBaseOffset} is expected`,
      );
    }
    if (this.#verifyCrc && !verifyBatchCrc(buffer, at)) {
      return this.#fail("crc", `the batch at offset ${baseOffset} does not match its checksum`);
    }
    return true;
  }

  #advance(at: number, size: number): true {
    this.at = at;
    this.size = size;
    this.position = this.#start + at;
    this.#unread = at + size;
    this.#wanted = 0;
    this.#batchCount++;
    const next = lastOffsetOf(this.buffer, at) + 1;
    this.#nextOffset = next as Offset;
    if (this.#minBaseOffset !== Number.NEGATIVE_INFINITY) this.#minBaseOffset = next;
    return true;
  }

  /** Moves the kept bytes to the front, of a larger buffer when the batch they begin does not fit this one. */
  #makeRoom(kept: number, atMost: number): void {
    const needed = Math.min(atMost, Math.max(this.#wanted, kept + 1));
    if (needed > this.buffer.length) {
      const larger = Buffer.alloc(Math.min(atMost, Math.max(needed, this.#bufferBytes)));
      this.buffer.copy(larger, 0, this.#unread, this.#filled);
      this.buffer = larger;
    } else if (this.#unread > 0) {
      this.buffer.copyWithin(0, this.#unread, this.#filled);
    }
    this.#start += this.#unread;
    this.#unread = 0;
    this.#filled = kept;
    this.at = 0;
    this.size = 0;
  }

  #fail(reason: ScanReason, message: string): false {
    this.#problem = { position: this.#start + this.#unread, reason, message };
    return false;
  }
}

/**
 * Calls `visit` for each batch of `[fromPosition, endPosition)` of a file, in order, until the end, the first problem,
 * or a `visit` that answers false (the batch it was called with then counts as scanned). More than a gigabyte a second
 * from the page cache, checksums included. @throws LograftError DISK_READ_FAILED; what `visit` throws.
 */
export async function scanBatches(
  file: DiskFile,
  fromPosition: number,
  endPosition: number,
  options: ScanOptions,
  visit: (batch: BatchCursor) => boolean | undefined,
): Promise<ScanVerdict> {
  const reader = new BatchReader(file, fromPosition, endPosition, options);
  while (await reader.fill()) {
    while (reader.next()) if (visit(reader) === false) return reader.verdict();
  }
  return reader.verdict();
}
