import { assert } from "../base/assert.ts";
import { floorIndex } from "../base/binary-search.ts";
import { copyBytes } from "../base/bytes.ts";
import { baseOffsetOf, batchSizeOf, lastOffsetOf } from "../model/record-batch.ts";
import type { Offset } from "../model/offsets.ts";

/** Limits of the cache. */
export interface TailCacheOptions {
  /** Bytes over all partitions. */
  readonly maxBytes: number;
  readonly maxPartitionBytes: number;
}

/** Whole batches, in offset order. */
export interface TailRead {
  readonly chunks: readonly Buffer[];
  readonly sizeBytes: number;
  readonly firstOffset: Offset;
  readonly nextOffset: Offset;
}

/** What a buffer costs besides its bytes, so that the budget also bounds the number of small ones. */
const CHUNK_OVERHEAD_BYTES = 200;
/** A slice that is a smaller part than this of its memory is copied, or it would keep all of that memory alive. */
const MIN_SHARE = 0.25;
/** How far the head may run ahead in the arrays before the dead part is cut off. */
const COMPACT_AFTER = 64;

/** The end of one partition's log in memory: the very buffers that were appended. Made by `TailCache.create`. */
export class PartitionTail {
  /** Set by the cache only. */
  sizeBytes = 0;
  #chunks: Buffer[] = [];
  #baseOffsets: Offset[] = [];
  #head = 0;
  #endOffset = 0 as Offset;

  get isEmpty(): boolean {
    return this.#head === this.#chunks.length;
  }

  /** First offset held; reads below it go to the disk. */
  get startOffset(): Offset | undefined {
    return this.#baseOffsets[this.#head];
  }

  /** Where what is held ends, exclusive. */
  get endOffset(): Offset {
    return this.#endOffset;
  }

  /** Whether a read from here can be answered from memory. */
  covers(from: Offset): boolean {
    const start = this.startOffset;
    return start !== undefined && from >= start && from < this.#endOffset;
  }

  /** Whole batches from the one that holds `from`, at least one, none that ends past `endOffset` (exclusive). */
  read(from: Offset, maxBytes: number, endOffset: Offset): TailRead {
    assert(this.covers(from), "a read outside the cached tail", { from, start: this.startOffset ?? -1 });
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    let firstOffset = from;
    let nextOffset = from;
    const count = this.#chunks.length - this.#head;
    let index = this.#head + floorIndex(count, (i) => this.#baseOffsets[this.#head + i] ?? 0, from);
    for (; index < this.#chunks.length; index++) {
      const chunk = this.#chunks[index];
      if (chunk === undefined) break;
      const end = this.#baseOffsets[index + 1] ?? this.#endOffset;
      const isFirst = chunks.length === 0;
      if (!isFirst && end <= endOffset && sizeBytes + chunk.length <= maxBytes) {
        chunks.push(chunk);
        sizeBytes += chunk.length;
        nextOffset = end;
        continue;
      }
      const part = wholeBatches(chunk, from, maxBytes - sizeBytes, endOffset, isFirst);
      if (part === undefined) break;
      if (isFirst) firstOffset = part.firstOffset;
      chunks.push(part.bytes);
      sizeBytes += part.bytes.length;
      nextOffset = part.nextOffset;
      if (part.isCut) break;
    }
    return { chunks, sizeBytes, firstOffset, nextOffset };
  }

  /** @internal Returns the bytes that it costs. */
  push(chunk: Buffer, baseOffset: Offset, endOffset: Offset): number {
    assert(this.isEmpty || baseOffset === this.#endOffset, "the cached tail has a gap", { baseOffset });
    this.#chunks.push(chunk);
    this.#baseOffsets.push(baseOffset);
    this.#endOffset = endOffset;
    return chunk.length + CHUNK_OVERHEAD_BYTES;
  }

  /** @internal Drops the oldest buffer and answers what it cost. */
  shift(): number {
    const chunk = this.#chunks[this.#head];
    if (chunk === undefined) return 0;
    // The slot must not keep the memory alive until the array is compacted.
    this.#chunks[this.#head] = EMPTY;
    this.#head++;
    if (this.#head >= COMPACT_AFTER && this.#head * 2 >= this.#chunks.length) {
      this.#chunks = this.#chunks.slice(this.#head);
      this.#baseOffsets = this.#baseOffsets.slice(this.#head);
      this.#head = 0;
    }
    return chunk.length + CHUNK_OVERHEAD_BYTES;
  }

  /** @internal */
  clear(): void {
    this.#chunks = [];
    this.#baseOffsets = [];
    this.#head = 0;
  }
}

const EMPTY = Buffer.alloc(0);

/**
 * Keeps the last few MiB of each busy partition, so that followers and consumers at the tail never touch the disk. Over
 * the budget the partition that was neither written nor read for longest loses its oldest buffers first.
 */
export class TailCache {
  readonly #maxBytes: number;
  readonly #maxPartitionBytes: number;
  /** Partitions with something cached, the longest unused first. */
  readonly #tails = new Set<PartitionTail>();
  #newest: PartitionTail | undefined;
  #sizeBytes = 0;

  constructor(options: TailCacheOptions) {
    this.#maxBytes = options.maxBytes;
    this.#maxPartitionBytes = options.maxPartitionBytes;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Partitions with something cached. */
  get partitionCount(): number {
    return this.#tails.size;
  }

  create(): PartitionTail {
    return new PartitionTail();
  }

  /** Adds what was written behind what is there. The cache keeps the buffer: nobody may change it any more. */
  append(tail: PartitionTail, chunk: Buffer, baseOffset: Offset, endOffset: Offset): void {
    if (chunk.length > this.#maxPartitionBytes) {
      this.clear(tail);
      return;
    }
    // Where one buffer begins the one before it ends: a read must not go on behind a gap as if it had sent it.
    if (!tail.isEmpty && baseOffset !== tail.endOffset) this.clear(tail);
    const isSmallShare = chunk.length < chunk.buffer.byteLength * MIN_SHARE;
    this.#charge(tail, tail.push(isSmallShare ? copyBytes(chunk) : chunk, baseOffset, endOffset));
    this.touch(tail);
    while (tail.sizeBytes > this.#maxPartitionBytes) this.#charge(tail, -tail.shift());
    while (this.#sizeBytes > this.#maxBytes) this.#dropOldest();
    if (tail.isEmpty) this.#remove(tail);
  }

  /** Marks it as used now. */
  touch(tail: PartitionTail): void {
    if (tail === this.#newest || tail.isEmpty) return;
    this.#tails.delete(tail);
    this.#tails.add(tail);
    this.#newest = tail;
  }

  /** Forgets all of a partition: its log was cut, closed or deleted. */
  clear(tail: PartitionTail): void {
    this.#charge(tail, -tail.sizeBytes);
    tail.clear();
    this.#remove(tail);
  }

  #dropOldest(): void {
    const [oldest] = this.#tails;
    assert(oldest !== undefined, "cached bytes belong to no partition", { sizeBytes: this.#sizeBytes });
    this.#charge(oldest, -oldest.shift());
    if (oldest.isEmpty) this.#remove(oldest);
  }

  #remove(tail: PartitionTail): void {
    this.#tails.delete(tail);
    if (this.#newest === tail) this.#newest = undefined;
  }

  #charge(tail: PartitionTail, bytes: number): void {
    tail.sizeBytes += bytes;
    this.#sizeBytes += bytes;
  }
}

interface BatchRun {
  readonly bytes: Buffer;
  readonly firstOffset: Offset;
  readonly nextOffset: Offset;
  /** Batches behind it were left out. */
  readonly isCut: boolean;
}

/** The batches of a buffer from the one that holds `from`, within the limits; one more than the limit when `isOwed`. */
function wholeBatches(
  chunk: Buffer,
  from: Offset,
  maxBytes: number,
  endOffset: Offset,
  isOwed: boolean,
): BatchRun | undefined {
  let at = 0;
  while (at < chunk.length && lastOffsetOf(chunk, at) < from) at += batchSizeOf(chunk, at);
  const start = at;
  let lastOffset = -1;
  while (at < chunk.length) {
    const size = batchSizeOf(chunk, at);
    const isFirst = at === start;
    if (at + size - start > maxBytes && !(isFirst && isOwed)) break;
    const last = lastOffsetOf(chunk, at);
    if (last >= endOffset) break;
    lastOffset = last;
    at += size;
  }
  if (at === start) return undefined;
  return {
    bytes: start === 0 && at === chunk.length ? chunk : chunk.subarray(start, at),
    firstOffset: baseOffsetOf(chunk, start),
    nextOffset: (lastOffset + 1) as Offset,
    isCut: at < chunk.length,
  };
}
