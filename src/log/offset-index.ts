import { assert } from "../base/assert.ts";
import { floorIndex, lowerBound } from "../base/binary-search.ts";
import type { Offset } from "../model/offsets.ts";
import { EntryTable } from "./entry-table.ts";

/*
 * Offset index, `<base offset>.index`: where some of a segment's batches lie. Kafka's format, big-endian.
 *
 *   at  size field
 *    0    4  last offset of a batch, minus the segment's base offset
 *    4    4  position of that batch's first byte in the segment
 *
 * Both grow strictly and the first entry is above zero in both: the batch at position 0 needs none. Sparse: an offset
 * without an entry is found by reading on from the greatest entry below it. A cache: damaged or doubtful, it is built
 * again from the segment (H48).
 */

/** An entry; the offset is the last one of the batch at the position. */
export interface OffsetPosition {
  readonly offset: Offset;
  readonly position: number;
}

/** Kafka's segment.index.bytes. */
export const DEFAULT_INDEX_MAX_BYTES = 10 * 1024 * 1024;

const ENTRY_BYTES = 8;
const MAX_INT32 = 0x7fffffff;

/** The offset index of one segment, whole in memory. */
export class OffsetIndex {
  readonly baseOffset: Offset;
  readonly #table: EntryTable;

  /** `maxBytes` bounds the file; a segment whose index is full is to be closed. */
  constructor(baseOffset: Offset, maxBytes: number = DEFAULT_INDEX_MAX_BYTES, content?: Buffer) {
    this.baseOffset = baseOffset;
    this.#table = new EntryTable(ENTRY_BYTES, maxBytes, content);
  }

  /**
   * Reads a file's content (copied). Undefined when it cannot be the index of a segment of `logSizeBytes`: a part of an
   * entry, not growing, zero filled, past the segment's end. That an entry points to a batch only reading it there shows.
   */
  static parse(
    baseOffset: Offset,
    bytes: Buffer,
    logSizeBytes: number,
    maxBytes: number = DEFAULT_INDEX_MAX_BYTES,
  ): OffsetIndex | undefined {
    if (bytes.length % ENTRY_BYTES !== 0) return undefined;
    let lastRelative = 0;
    let lastPosition = 0;
    for (let at = 0; at < bytes.length; at += ENTRY_BYTES) {
      const relative = bytes.readInt32BE(at);
      const position = bytes.readInt32BE(at + 4);
      if (relative <= lastRelative || position <= lastPosition || position >= logSizeBytes) return undefined;
      lastRelative = relative;
      lastPosition = position;
    }
    return new OffsetIndex(baseOffset, maxBytes, bytes);
  }

  get entryCount(): number {
    return this.#table.count;
  }

  get isFull(): boolean {
    return this.#table.isFull;
  }

  /** Offset of the last entry; the base offset when empty. */
  get lastOffset(): Offset {
    const count = this.#table.count;
    return count === 0 ? this.baseOffset : this.#offsetAt(count - 1);
  }

  /** Position of the last entry; 0 when empty. */
  get lastPosition(): number {
    const count = this.#table.count;
    return count === 0 ? 0 : this.#positionAt(count - 1);
  }

  /** Whether this offset can be told relative to the base: within 2^31 - 1 of it. A segment must be rolled before. */
  canHold(offset: Offset): boolean {
    return offset >= this.baseOffset && offset - this.baseOffset <= MAX_INT32;
  }

  /** Adds an entry: `offset` the last one of the batch at `position`; both above the entry before. */
  append(offset: Offset, position: number): void {
    const { lastOffset, lastPosition } = this;
    assert(offset > lastOffset && this.canHold(offset), "index offset does not grow", { offset, lastOffset });
    assert(position > lastPosition && position <= MAX_INT32, "index position does not grow", {
      position,
      lastPosition,
    });
    const at = this.#table.add();
    this.#table.buffer.writeInt32BE(offset - this.baseOffset, at);
    this.#table.buffer.writeInt32BE(position, at + 4);
  }

  /** The greatest entry at or below `target`, else the segment's beginning: read on from there. */
  lookup(target: Offset): OffsetPosition {
    const relative = target - this.baseOffset;
    const index = floorIndex(this.#table.count, (i) => this.#relativeAt(i), relative);
    return index < 0 ? { offset: this.baseOffset, position: 0 } : this.entry(index);
  }

  /**
   * The lowest known position of a batch that lies behind `position` by at least `bytes`, undefined when the index knows
   * none: an upper bound for one read of about that size, ending between two batches.
   */
  upperPosition(position: number, bytes: number): number | undefined {
    const index = lowerBound(this.#table.count, (i) => this.#positionAt(i), position + bytes);
    return index === this.#table.count ? undefined : this.#positionAt(index);
  }

  /** Drops the entries of batches that end at or behind `offset`. */
  truncateTo(offset: Offset): void {
    const relative = offset - this.baseOffset;
    this.#table.truncate(lowerBound(this.#table.count, (i) => this.#relativeAt(i), relative));
  }

  entry(index: number): OffsetPosition {
    return { offset: this.#offsetAt(index), position: this.#positionAt(index) };
  }

  /** Exact file content; a view that is valid until the next change. */
  bytes(): Buffer {
    return this.#table.view();
  }

  #relativeAt(index: number): number {
    return this.#table.buffer.readInt32BE(this.#table.at(index));
  }

  #offsetAt(index: number): Offset {
    return (this.baseOffset + this.#relativeAt(index)) as Offset;
  }

  #positionAt(index: number): number {
    return this.#table.buffer.readInt32BE(this.#table.at(index) + 4);
  }
}
