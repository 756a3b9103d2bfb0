import { assert } from "../base/assert.ts";
import { floorIndex, lowerBound } from "../base/binary-search.ts";
import { NO_TIMESTAMP } from "../model/offsets.ts";
import type { Offset, Timestamp } from "../model/offsets.ts";
import { readInt64, writeInt64 } from "../model/record-batch.ts";
import { EntryTable } from "./entry-table.ts";
import { DEFAULT_INDEX_MAX_BYTES } from "./offset-index.ts";

/*
 * Time index, `<base offset>.timeindex`. Kafka's format, big-endian.
 *
 *   at  size field
 *    0    8  timestamp: the greatest of the segment so far
 *    8    4  last offset of the first batch that reached it, minus the segment's base offset
 *
 * Both grow strictly. An entry says that no record at or below its offset is younger than its timestamp, so the first
 * record at or after a time lies behind the greatest entry before that time. A cache, as the offset index (H48).
 */

/** An entry. */
export interface TimestampOffset {
  readonly timestamp: Timestamp;
  readonly offset: Offset;
}

const ENTRY_BYTES = 12;
const MAX_INT32 = 0x7fffffff;

/** The time index of one segment, whole in memory. */
export class TimeIndex {
  readonly baseOffset: Offset;
  readonly #table: EntryTable;

  constructor(baseOffset: Offset, maxBytes: number = DEFAULT_INDEX_MAX_BYTES, content?: Buffer) {
    this.baseOffset = baseOffset;
    this.#table = new EntryTable(ENTRY_BYTES, maxBytes, content);
  }

  /**
   * Reads a file's content (copied). Undefined when it cannot be the index of a segment that ends at `endOffset`
   * (exclusive): a part of an entry, not growing, zero filled, past the end.
   */
  static parse(
    baseOffset: Offset,
    bytes: Buffer,
    endOffset: Offset,
    maxBytes: number = DEFAULT_INDEX_MAX_BYTES,
  ): TimeIndex | undefined {
    if (bytes.length % ENTRY_BYTES !== 0) return undefined;
    let lastTimestamp: number = NO_TIMESTAMP;
    let lastRelative = -1;
    for (let at = 0; at < bytes.length; at += ENTRY_BYTES) {
      const timestamp = readInt64(bytes, at);
      const relative = bytes.readInt32BE(at + 8);
      if (!Number.isSafeInteger(timestamp) || timestamp <= lastTimestamp || relative <= lastRelative)
        return undefined;
      if (baseOffset + relative >= endOffset) return undefined;
      lastTimestamp = timestamp;
      lastRelative = relative;
    }
    return new TimeIndex(baseOffset, maxBytes, bytes);
  }

  get entryCount(): number {
    return this.#table.count;
  }

  get isFull(): boolean {
    return this.#table.isFull;
  }

  /** The last entry; no timestamp at the base offset when empty. */
  get lastEntry(): TimestampOffset {
    const count = this.#table.count;
    return count === 0 ? this.#beginning() : this.entry(count - 1);
  }

  /**
   * Adds an entry if the timestamp and the offset are above the last one's, which they are not while the segment's
   * greatest timestamp stays. Answers whether it did.
   */
  maybeAppend(timestamp: Timestamp, offset: Offset): boolean {
    assert(offset >= this.baseOffset && offset - this.baseOffset <= MAX_INT32, "offset not in this segment", {
      offset,
      baseOffset: this.baseOffset,
    });
    const last = this.lastEntry;
    if (timestamp <= last.timestamp) return false;
    if (this.#table.count > 0 && offset <= last.offset) return false;
    const at = this.#table.add();
    writeInt64(this.#table.buffer, timestamp, at);
    this.#table.buffer.writeInt32BE(offset - this.baseOffset, at + 8);
    return true;
  }

  /** The greatest entry at or before `target`, else no timestamp at the base offset: read on from that offset. */
  lookup(target: Timestamp): TimestampOffset {
    const index = floorIndex(this.#table.count, (i) => this.#timestampAt(i), target);
    return index < 0 ? this.#beginning() : this.entry(index);
  }

  /** Drops the entries at or behind `offset`. */
  truncateTo(offset: Offset): void {
    this.#table.truncate(lowerBound(this.#table.count, (i) => this.#offsetAt(i), offset));
  }

  entry(index: number): TimestampOffset {
    return { timestamp: this.#timestampAt(index), offset: this.#offsetAt(index) };
  }

  /** Exact file content; a view that is valid until the next change. */
  bytes(): Buffer {
    return this.#table.view();
  }

  #beginning(): TimestampOffset {
    return { timestamp: NO_TIMESTAMP, offset: this.baseOffset };
  }

  #timestampAt(index: number): Timestamp {
    return readInt64(this.#table.buffer, this.#table.at(index)) as Timestamp;
  }

  #offsetAt(index: number): Offset {
    return (this.baseOffset + this.#table.buffer.readInt32BE(this.#table.at(index) + 8)) as Offset;
  }
}
