import { assert } from "../base/assert.ts";
import { lowerBound } from "../base/binary-search.ts";
import type { Offset, ProducerId } from "../model/offsets.ts";
import { readInt64, writeInt64 } from "../model/record-batch.ts";
import { EntryTable } from "./entry-table.ts";

/*
 * Transaction index, `<base offset>.txnindex`: the aborted transactions whose marker lies in the segment. Kafka's
 * format, big-endian.
 *
 *   at  size field
 *    0    2  version             0
 *    2    8  producer id
 *   10    8  first offset        of the transaction; may lie in an older segment
 *   18    8  last offset         of the abort marker; grows strictly
 *   26    8  last stable offset  first offset of the oldest transaction open then, or the one behind the marker
 *
 * Truth for read_committed, not a hint: damaged, it is built again by replaying the segment through the producer state
 * that stood at its beginning, before it serves (H67).
 */

/** An aborted transaction of one producer; its records at `firstOffset` up to the marker at `lastOffset` are not to be shown. */
export interface AbortedTransaction {
  readonly producerId: ProducerId;
  readonly firstOffset: Offset;
  readonly lastOffset: Offset;
  readonly lastStableOffset: Offset;
}

const VERSION = 0;
const ENTRY_BYTES = 34;

/** The transaction index of one segment, whole in memory. */
export class TransactionIndex {
  readonly #table: EntryTable;

  constructor(content?: Buffer) {
    this.#table = new EntryTable(ENTRY_BYTES, Number.POSITIVE_INFINITY, content);
  }

  /** Reads a file's content (copied). Undefined when damaged: a part of an entry, an unknown version, impossible offsets. */
  static parse(baseOffset: Offset, bytes: Buffer): TransactionIndex | undefined {
    if (bytes.length % ENTRY_BYTES !== 0) return undefined;
    let previous = baseOffset - 1;
    for (let at = 0; at < bytes.length; at += ENTRY_BYTES) {
      if (bytes.readInt16BE(at) !== VERSION) return undefined;
      const { producerId, firstOffset, lastOffset, lastStableOffset } = readEntry(bytes, at);
      if (!Number.isSafeInteger(producerId) || producerId < 0) return undefined;
      if (!Number.isSafeInteger(lastStableOffset) || !Number.isSafeInteger(lastOffset)) return undefined;
      if (lastOffset <= previous || firstOffset < 0 || firstOffset > lastOffset) return undefined;
      if (lastStableOffset < 0 || lastStableOffset > lastOffset + 1) return undefined;
      previous = lastOffset;
    }
    return new TransactionIndex(bytes);
  }

  get entryCount(): number {
    return this.#table.count;
  }

  /** Adds a transaction whose marker lies behind the last one's. */
  append(transaction: AbortedTransaction): void {
    const { producerId, firstOffset, lastOffset, lastStableOffset } = transaction;
    const count = this.#table.count;
    assert(count === 0 || lastOffset > this.#lastOffsetAt(count - 1), "abort markers out of order", {
      lastOffset,
    });
    assert(firstOffset <= lastOffset, "a transaction ends before it begins", { firstOffset, lastOffset });
    const at = this.#table.add();
    const bytes = this.#table.buffer;
    bytes.writeInt16BE(VERSION, at);
    writeInt64(bytes, producerId, at + 2);
    writeInt64(bytes, firstOffset, at + 10);
    writeInt64(bytes, lastOffset, at + 18);
    writeInt64(bytes, lastStableOffset, at + 26);
  }

  /**
   * Aborted transactions with records in `[fetchOffset, upperBoundOffset)`. `isComplete` says that later segments hold no
   * more of them: every transaction that began below the bound had ended when the last one seen here was written.
   */
  collectAborted(
    fetchOffset: Offset,
    upperBoundOffset: Offset,
  ): { readonly aborted: AbortedTransaction[]; readonly isComplete: boolean } {
    const aborted: AbortedTransaction[] = [];
    const first = lowerBound(this.#table.count, (i) => this.#lastOffsetAt(i), fetchOffset);
    for (let index = first; index < this.#table.count; index++) {
      const transaction = this.entry(index);
      if (transaction.firstOffset < upperBoundOffset) aborted.push(transaction);
      if (transaction.lastStableOffset >= upperBoundOffset) return { aborted, isComplete: true };
    }
    return { aborted, isComplete: false };
  }

  /** Drops the transactions whose marker lies at or behind `offset`. */
  truncateTo(offset: Offset): void {
    this.#table.truncate(lowerBound(this.#table.count, (i) => this.#lastOffsetAt(i), offset));
  }

  entry(index: number): AbortedTransaction {
    return readEntry(this.#table.buffer, this.#table.at(index));
  }

  /** Exact file content; a view that is valid until the next change. */
  bytes(): Buffer {
    return this.#table.view();
  }

  #lastOffsetAt(index: number): number {
    return readInt64(this.#table.buffer, this.#table.at(index) + 18);
  }
}

function readEntry(bytes: Buffer, at: number): AbortedTransaction {
  return {
    producerId: readInt64(bytes, at + 2) as ProducerId,
    firstOffset: readInt64(bytes, at + 10) as Offset,
    lastOffset: readInt64(bytes, at + 18) as Offset,
    lastStableOffset: readInt64(bytes, at + 26) as Offset,
  };
}
