import { TurnQueue } from "../base/turn-queue.ts";
import type { ReadResult } from "../log/log-reader.ts";
import type { SentPartition } from "./sent-partition.ts";

/** Disk reads that are under way or wait to be sent, up to a frame each, of partitions known to need them. */
const MAX_READS = 4;
/** And with those of partitions that were thought to be in memory. */
const MAX_ALL_READS = 8;

/**
 * Whose batches a stream sends next. Those in memory and those on the disk wait apart, each in turns, so that a follower
 * that catches up with thousands of old segments does not slow down what is new.
 */
export class SendQueue {
  readonly #warm = new TurnQueue<SentPartition>();
  readonly #cold = new TurnQueue<SentPartition>();
  /** Read from the disk: sent before anything else is read. */
  #landed: SentPartition[] = [];
  #readCount = 0;

  /** Somebody could be served, had the stream credit. */
  get hasNext(): boolean {
    if (this.#landed.length > 0) return true;
    if (this.#cold.length > 0 && this.#readCount < MAX_READS) return true;
    return this.#warm.length > 0 && this.#readCount < MAX_ALL_READS;
  }

  /** It has, as far as is known, batches to send. One that is being read for comes back by itself. */
  push(sent: SentPartition): void {
    if (sent.isReading || sent.landed !== undefined) return;
    (sent.isCold ? this.#cold : this.#warm).push(sent);
  }

  /** What a disk read brought, if any did. */
  takeLanded(): { readonly sent: SentPartition; readonly read: ReadResult } | undefined {
    const sent = this.#landed.shift();
    const read = sent?.landed;
    if (sent === undefined || read === undefined) return undefined;
    sent.landed = undefined;
    this.#readCount -= 1;
    return { sent, read };
  }

  /** Whom to read for. Disk reads begin first, as they take longest; there are never more than a few. */
  next(): SentPartition | undefined {
    const cold = this.#readCount < MAX_READS ? this.#cold.shift() : undefined;
    return cold ?? (this.#readCount < MAX_ALL_READS ? this.#warm.shift() : undefined);
  }

  /** A disk read has begun for it. */
  began(sent: SentPartition): void {
    sent.isReading = true;
    this.#readCount += 1;
  }

  /** And has ended; what it brought is dropped when nobody waits for it any more. */
  ended(sent: SentPartition, read: ReadResult): void {
    sent.isReading = false;
    if (sent.isEnded) {
      this.#readCount -= 1;
    } else {
      sent.landed = read;
      this.#landed.push(sent);
    }
  }

  /** Drops what was read for it. */
  forget(sent: SentPartition): void {
    if (sent.landed === undefined) return;
    this.#landed = this.#landed.filter((other) => other !== sent);
    sent.landed = undefined;
    this.#readCount -= 1;
  }

  clear(): void {
    this.#warm.clear();
    this.#cold.clear();
    this.#landed = [];
  }
}
