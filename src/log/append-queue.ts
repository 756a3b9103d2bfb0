import { upperBound } from "../base/binary-search.ts";
import type { Offset } from "../model/offsets.ts";
import type { AbortedTransaction } from "./transaction-index.ts";

/** What one call appended: one batch of a client, or the batches of one replication message. */
export interface QueuedAppend {
  readonly records: Buffer;
  readonly baseOffset: Offset;
  /** Exclusive. */
  readonly endOffset: Offset;
  /** Present when this append begins a new segment: the producer snapshot that stands for the log just before it. */
  readonly rollSnapshot: Buffer | undefined;
  /** Transactions whose abort markers are in `records`. */
  readonly aborted: readonly AbortedTransaction[] | undefined;
  /** The producer state has taken it in; if it fails, that state must be built again. */
  readonly hasProducer: boolean;
}

interface Waiter {
  readonly endOffset: Offset;
  readonly sizeBytes: number;
  resolve(): void;
  reject(reason: Error): void;
}

/** How far the head may run ahead in the backing array before the dead part is cut off. */
const COMPACT_AFTER = 64;

/**
 * Appends of one partition between their offset and their durability: those not yet written, and everybody who waits for
 * an end offset to be durable. Bounded by the log, which refuses appends over its limit of `pendingBytes`.
 */
export class AppendQueue {
  #unwritten: QueuedAppend[] = [];
  #unwrittenHead = 0;
  /** By end offset. */
  #waiters: Waiter[] = [];
  #waitersHead = 0;
  #pendingBytes = 0;

  /** Bytes taken in whose callers have no answer yet. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  get hasUnwritten(): boolean {
    return this.#unwrittenHead < this.#unwritten.length;
  }

  /** Some append that is not written was taken into the producer state. */
  get hasUnwrittenProducer(): boolean {
    for (let i = this.#unwrittenHead; i < this.#unwritten.length; i++) {
      if (this.#unwritten[i]?.hasProducer === true) return true;
    }
    return false;
  }

  get waiterCount(): number {
    return this.#waiters.length - this.#waitersHead;
  }

  /** Appends behind all others; resolves when durable as the log's policy says. */
  push(append: QueuedAppend): Promise<void> {
    this.#unwritten.push(append);
    return this.#wait(append.endOffset, append.records.length, this.#waiters.length);
  }

  /** For a duplicate: resolves with the original that ends at `endOffset`. */
  waitFor(endOffset: Offset): Promise<void> {
    const head = this.#waitersHead;
    const index = upperBound(this.waiterCount, (i) => this.#waiters[head + i]?.endOffset ?? 0, endOffset);
    return this.#wait(endOffset, 0, head + index);
  }

  /** Takes the appends that go into the file with one write: up to `maxBytes`, at least one, up to the next roll. */
  takeRun(maxBytes: number): QueuedAppend[] {
    let sizeBytes = 0;
    let end = this.#unwrittenHead;
    for (; end < this.#unwritten.length; end++) {
      const append = this.#unwritten[end];
      if (append === undefined) break;
      const isFirst = end === this.#unwrittenHead;
      if (!isFirst && (append.rollSnapshot !== undefined || sizeBytes + append.records.length > maxBytes))
        break;
      sizeBytes += append.records.length;
    }
    const run = this.#unwritten.slice(this.#unwrittenHead, end);
    this.#unwrittenHead = end;
    if (end === this.#unwritten.length || (end >= COMPACT_AFTER && end * 2 >= this.#unwritten.length)) {
      this.#unwritten = this.#unwritten.slice(end);
      this.#unwrittenHead = 0;
    }
    return run;
  }

  /** Answers everybody who waits for an offset up to `durableEndOffset`. */
  resolveUpTo(durableEndOffset: Offset): void {
    for (;;) {
      const waiter = this.#waiters[this.#waitersHead];
      if (waiter === undefined || waiter.endOffset > durableEndOffset) break;
      this.#waitersHead++;
      this.#pendingBytes -= waiter.sizeBytes;
      waiter.resolve();
    }
    const head = this.#waitersHead;
    if (head === this.#waiters.length || (head >= COMPACT_AFTER && head * 2 >= this.#waiters.length)) {
      this.#waiters = this.#waiters.slice(head);
      this.#waitersHead = 0;
    }
  }

  /** Fails everybody who waits for more than `endOffset`, and drops what is not written. */
  rejectBehind(endOffset: Offset, reason: Error): void {
    this.#unwritten = [];
    this.#unwrittenHead = 0;
    const head = this.#waitersHead;
    const index =
      head + upperBound(this.waiterCount, (i) => this.#waiters[head + i]?.endOffset ?? 0, endOffset);
    for (const waiter of this.#waiters.splice(index)) {
      this.#pendingBytes -= waiter.sizeBytes;
      waiter.reject(reason);
    }
  }

  #wait(endOffset: Offset, sizeBytes: number, index: number): Promise<void> {
    this.#pendingBytes += sizeBytes;
    const done = new Promise<void>((resolve, reject) => {
      const waiter: Waiter = { endOffset, sizeBytes, resolve, reject };
      if (index === this.#waiters.length) this.#waiters.push(waiter);
      else this.#waiters.splice(index, 0, waiter);
    });
    // Who appends with acks=0 does not look at it. The failure is not lost: the log's state and its log line tell of it.
    done.catch(() => undefined);
    return done;
  }
}
