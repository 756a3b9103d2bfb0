import { ProtocolError } from "../model/error-code.ts";
import { decodeMarkerBatch } from "../model/control-record.ts";
import type { TransactionOutcome } from "../model/control-record.ts";
import type { ProducerId } from "../model/offsets.ts";
import { baseOffsetOf, lastOffsetOf, producerIdOf, recordCountOf } from "../model/record-batch.ts";
import type { AbortedTransaction } from "./transaction-index.ts";

/** What a marker means for the compacted log. */
export interface MarkerFate {
  /** No record of its transaction is left before it: it may go once its time is up. */
  readonly isUnneeded: boolean;
  /** The entry that the transaction index keeps for it. */
  readonly aborted: AbortedTransaction | undefined;
}

const KEPT: MarkerFate = { isUnneeded: false, aborted: undefined };

/**
 * Follows the transactions of a log, batch by batch from its beginning, while it is compacted: which records belong to
 * an aborted one, and which markers have records before them. Every transaction it meets must have ended in the part of
 * the log that its lists of aborted ones cover.
 */
export class CompactTransactions {
  #listed: readonly AbortedTransaction[] = [];
  #next = 0;
  readonly #aborted = new Map<ProducerId, { readonly transaction: AbortedTransaction; isSeen: boolean }>();
  readonly #committed = new Set<ProducerId>();

  /** Aborted transactions with records in the segment that comes next, those that began before included. */
  beginSegment(aborted: readonly AbortedTransaction[]): void {
    this.#listed = aborted.toSorted((a, b) => a.firstOffset - b.firstOffset);
    this.#next = 0;
  }

  /** A data batch of a transaction. True: it was aborted, so its records are to be dropped. */
  onData(buffer: Buffer, at: number): boolean {
    this.#advance(lastOffsetOf(buffer, at));
    const producerId = producerIdOf(buffer, at);
    const aborted = this.#aborted.get(producerId);
    if (aborted === undefined) {
      this.#committed.add(producerId);
      return false;
    }
    aborted.isSeen = true;
    return true;
  }

  /** A control batch. What is not a marker, or cannot be read, is kept. */
  onControl(buffer: Buffer, at: number): MarkerFate {
    this.#advance(lastOffsetOf(buffer, at));
    const outcome = outcomeOf(buffer, at);
    if (outcome === undefined) return KEPT;
    if (outcome === "empty") return { isUnneeded: true, aborted: undefined };
    const producerId = producerIdOf(buffer, at);
    if (outcome === "commit") return { ...KEPT, isUnneeded: !this.#committed.delete(producerId) };
    const ended = this.#aborted.get(producerId);
    this.#aborted.delete(producerId);
    const isIts = ended?.isSeen === true && ended.transaction.lastOffset === baseOffsetOf(buffer, at);
    return { isUnneeded: !isIts, aborted: isIts ? ended.transaction : undefined };
  }

  #advance(lastOffset: number): void {
    for (; this.#next < this.#listed.length; this.#next++) {
      const transaction = this.#listed[this.#next];
      if (transaction === undefined || transaction.firstOffset > lastOffset) return;
      // One that reaches over several segments is listed for each of them.
      if (this.#aborted.get(transaction.producerId)?.transaction.firstOffset === transaction.firstOffset)
        continue;
      this.#aborted.set(transaction.producerId, { transaction, isSeen: false });
    }
  }
}

/** "empty": an earlier compaction left the batch without its marker. Undefined: a control batch of another kind. */
function outcomeOf(buffer: Buffer, at: number): TransactionOutcome | "empty" | undefined {
  if (recordCountOf(buffer, at) === 0) return "empty";
  try {
    return decodeMarkerBatch(buffer, at)?.outcome;
  } catch (error: unknown) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}
