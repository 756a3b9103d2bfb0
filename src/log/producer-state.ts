import { assert } from "../base/assert.ts";
import type { ErrorName } from "../model/error-code.ts";
import { addOffset } from "../model/offsets.ts";
import type { Offset, ProducerEpoch, ProducerId, Timestamp } from "../model/offsets.ts";
import { formatProducerSnapshot } from "./producer-snapshot.ts";
import type { ProducerEntry } from "./producer-snapshot.ts";
import { PRODUCER_WINDOW_BATCHES, ProducerWindow } from "./producer-window.ts";
import type { SequencedBatch, WindowBatch } from "./producer-window.ts";

/** What `check` needs of a batch that a client wants to append. */
export interface ProducedBatch {
  readonly producerId: ProducerId;
  readonly producerEpoch: ProducerEpoch;
  readonly baseSequence: number;
  readonly lastSequence: number;
  readonly isTransactional: boolean;
}

/** A transaction marker (a control batch of type commit or abort). */
export interface TransactionMarker {
  readonly type: "commit" | "abort";
  readonly coordinatorEpoch: number;
}

/** A batch that is in the log. */
export interface AppendedBatch extends ProducedBatch, SequencedBatch {
  /** Present for a transaction marker; its sequences are not looked at. */
  readonly marker?: TransactionMarker;
}

/** What to do with a batch. A duplicate is answered with the offsets of the original, once that is durable (H56). */
export type ProducerDecision =
  | { readonly kind: "append" }
  | {
      readonly kind: "duplicate";
      readonly baseOffset: Offset;
      readonly lastOffset: Offset;
      readonly timestamp: Timestamp;
    }
  | { readonly kind: "refuse"; readonly error: ErrorName; readonly message: string };

/** A transaction that a marker has just ended; an aborted one belongs in the transaction index as it stands. */
export interface CompletedTransaction {
  readonly producerId: ProducerId;
  readonly firstOffset: Offset;
  /** Offset of the marker. */
  readonly lastOffset: Offset;
  readonly isAborted: boolean;
  /** First offset of the oldest transaction still open, or the offset behind the marker. */
  readonly lastStableOffset: Offset;
}

export interface ProducerStateOptions {
  /** A producer that has been silent for so long is forgotten; several times the clients' delivery timeout (H57). */
  readonly expirationMs: number;
  /** At this many the longest silent producer without an open transaction is forgotten. Default 100,000. */
  readonly maxProducers?: number;
}

const APPEND: ProducerDecision = { kind: "append" };
const DEFAULT_MAX_PRODUCERS = 100_000;

/**
 * What one partition knows of its idempotent and transactional producers: who they are, their last five batches, their
 * open transactions (KIP-98, KIP-360). All replicas feed it the same way, by `update` for each batch of the log in order,
 * so a new leader knows what the old one knew (H55). `check` and `update` belong in one synchronous section (H56).
 *
 * Rules of `check`, in order:
 *  - unknown producer: sequence 0 begins, any other is UNKNOWN_PRODUCER_ID. (Kafka has taken any sequence here since
 *    KIP-360, which lets a retry whose state is lost in as a second copy; the client's answer to the error is a new
 *    epoch and sequence 0.)
 *  - lower epoch: INVALID_PRODUCER_EPOCH. Higher epoch: must begin at 0, else OUT_OF_ORDER_SEQUENCE_NUMBER.
 *  - one of the last five batches, first and last sequence alike: duplicate, with the original's offsets.
 *  - next in sequence: append, unless it does not fit the open transaction (INVALID_TXN_STATE).
 *  - below the window: DUPLICATE_SEQUENCE_NUMBER (clients take it as success without an offset).
 *  - anything else, and sequences of a transaction that has ended: OUT_OF_ORDER_SEQUENCE_NUMBER. The end of a
 *    transaction empties the window, so that a sequence used again for other records is refused, not swallowed (H58).
 *
 * There is no truncation: what was forgotten cannot be regained from here. After a log has been cut, `clear`, `load` the
 * newest snapshot at or below the cut, and replay up to it (H55).
 */
export class ProducerState {
  readonly #expirationMs: number;
  readonly #maxProducers: number;
  /** In the order of last use, the longest silent first. */
  readonly #producers = new Map<ProducerId, ProducerWindow>();
  /** First offsets of open transactions; in log order, so the first is the oldest. */
  readonly #openTransactions = new Map<ProducerId, Offset>();
  #newest: ProducerWindow | undefined;

  constructor(options: ProducerStateOptions) {
    this.#expirationMs = options.expirationMs;
    this.#maxProducers = options.maxProducers ?? DEFAULT_MAX_PRODUCERS;
    assert(this.#maxProducers > 0, "no room for a producer", { maxProducers: this.#maxProducers });
  }

  /** Producers known. */
  get count(): number {
    return this.#producers.size;
  }

  /** First offset of the oldest open transaction: read_committed stops there (or at the high watermark, if lower). */
  get firstUnstableOffset(): Offset | undefined {
    return this.#openTransactions.values().next().value;
  }

  /** Decides on a batch from a client; changes nothing. A batch without a producer id is always to be appended. */
  check(batch: ProducedBatch): ProducerDecision {
    if (batch.producerId < 0) return APPEND;
    const producer = this.#producers.get(batch.producerId);
    if (producer === undefined) {
      if (batch.baseSequence === 0) return APPEND;
      return refuse(
        "UNKNOWN_PRODUCER_ID",
        batch,
        "nothing is known of it here, so it must begin at sequence 0",
      );
    }
    if (batch.producerEpoch < producer.producerEpoch) {
      return refuse("INVALID_PRODUCER_EPOCH", batch, `its epoch here is ${producer.producerEpoch}`);
    }
    const isNewEpoch = batch.producerEpoch > producer.producerEpoch;
    if (!isNewEpoch) {
      const original = producer.find(batch.baseSequence, batch.lastSequence);
      if (original !== undefined) {
        const { baseOffset, lastOffset, timestamp } = original;
        return { kind: "duplicate", baseOffset, lastOffset, timestamp };
      }
    }
    const expected = isNewEpoch ? 0 : producer.nextSequence;
    if (batch.baseSequence === expected) return this.#checkTransaction(batch, isNewEpoch);
    if (!isNewEpoch && producer.isBelowWindow(batch.baseSequence, batch.lastSequence)) {
      return refuse(
        "DUPLICATE_SEQUENCE_NUMBER",
        batch,
        `older than its last ${PRODUCER_WINDOW_BATCHES} batches`,
      );
    }
    return refuse("OUT_OF_ORDER_SEQUENCE_NUMBER", batch, `sequence ${expected} is expected`);
  }

  /** Decides on a marker of a transaction coordinator; changes nothing. A repeated marker is harmless and appended. */
  checkMarker(
    producerId: ProducerId,
    producerEpoch: ProducerEpoch,
    coordinatorEpoch: number,
  ): Exclude<ProducerDecision, { readonly kind: "duplicate" }> {
    const producer = this.#producers.get(producerId);
    if (producer === undefined) return { kind: "append" };
    const name = `marker for producer ${producerId} epoch ${producerEpoch}`;
    if (producerEpoch < producer.producerEpoch) {
      const message = `${name}: its epoch here is ${producer.producerEpoch}`;
      return { kind: "refuse", error: "INVALID_PRODUCER_EPOCH", message };
    }
    if (coordinatorEpoch < producer.coordinatorEpoch) {
      const message = `${name}: coordinator epoch ${coordinatorEpoch} is below ${producer.coordinatorEpoch}`;
      return { kind: "refuse", error: "TRANSACTION_COORDINATOR_FENCED", message };
    }
    return { kind: "append" };
  }

  /**
   * Records a batch that is in the log, from whatever source: the log is the truth, nothing is refused. `nowMs` is any
   * clock that does not jump (monotonic), the same for `expire`: a record's own timestamp may be years old (H51).
   * Answers the transaction that the batch ended, if it did. Batches without a producer id change nothing.
   */
  update(batch: AppendedBatch, nowMs: number): CompletedTransaction | undefined {
    if (batch.producerId < 0) return undefined;
    const producer = this.#use(batch.producerId, nowMs);
    if (batch.marker !== undefined) return this.#endTransaction(producer, batch, batch.marker);
    producer.add(batch);
    if (batch.isTransactional && !this.#openTransactions.has(batch.producerId)) {
      this.#openTransactions.set(batch.producerId, batch.baseOffset);
    }
    return undefined;
  }

  /** Forgets producers silent for `expirationMs`, never one with an open transaction. Answers how many. */
  expire(nowMs: number): number {
    let forgotten = 0;
    for (const [id, producer] of this.#producers) {
      if (nowMs - producer.usedMs < this.#expirationMs) break;
      if (this.#openTransactions.has(id)) continue;
      this.#producers.delete(id);
      forgotten++;
    }
    return forgotten;
  }

  /** A plain copy of all producers, by id. */
  entries(): ProducerEntry[] {
    const entries: ProducerEntry[] = [];
    for (const [id, producer] of this.#producers)
      entries.push(producer.entry(this.#openTransactions.get(id)));
    return entries.sort((a, b) => a.producerId - b.producerId);
  }

  /** The content of a `.snapshot` file; name it after the log end offset it stands for. */
  snapshot(): Buffer {
    return formatProducerSnapshot(this.entries());
  }

  /** Takes the entries of a snapshot in place of all that is known. */
  load(entries: readonly ProducerEntry[], nowMs: number): void {
    this.clear();
    for (const entry of entries) this.#use(entry.producerId, nowMs).restore(entry);
    const open = entries.filter((entry) => entry.transactionFirstOffset !== undefined);
    open.sort((a, b) => (a.transactionFirstOffset ?? 0) - (b.transactionFirstOffset ?? 0));
    for (const { producerId, transactionFirstOffset } of open) {
      if (transactionFirstOffset !== undefined)
        this.#openTransactions.set(producerId, transactionFirstOffset);
    }
  }

  /** The epoch of a known producer. */
  epochOf(producerId: ProducerId): ProducerEpoch | undefined {
    return this.#producers.get(producerId)?.producerEpoch;
  }

  /** Of the last batch of a known producer. */
  lastOffsetOf(producerId: ProducerId): Offset | undefined {
    return this.#producers.get(producerId)?.lastOffset;
  }

  /** Fills a window that a snapshot left short with the batches of its producer that end with the one it kept. */
  recall(producerId: ProducerId, batches: readonly WindowBatch[]): void {
    this.#producers.get(producerId)?.recall(batches);
  }

  clear(): void {
    this.#producers.clear();
    this.#openTransactions.clear();
    this.#newest = undefined;
  }

  #checkTransaction(batch: ProducedBatch, isNewEpoch: boolean): ProducerDecision {
    const open = this.#openTransactions.get(batch.producerId);
    if (open === undefined) return APPEND;
    if (!batch.isTransactional) {
      return refuse(
        "INVALID_TXN_STATE",
        batch,
        `its transaction since offset ${open} is open, the batch is not in it`,
      );
    }
    if (!isNewEpoch) return APPEND;
    // The coordinator ends the old epoch's transaction before it lets a new epoch begin; joining the two would tear both.
    return refuse("INVALID_TXN_STATE", batch, `a transaction of an older epoch is open since offset ${open}`);
  }

  #endTransaction(
    producer: ProducerWindow,
    batch: AppendedBatch,
    marker: TransactionMarker,
  ): CompletedTransaction | undefined {
    producer.endTransaction(batch.producerEpoch, marker.coordinatorEpoch, batch.maxTimestamp);
    const firstOffset = this.#openTransactions.get(batch.producerId);
    if (firstOffset === undefined) return undefined;
    this.#openTransactions.delete(batch.producerId);
    return {
      producerId: batch.producerId,
      firstOffset,
      lastOffset: batch.lastOffset,
      isAborted: marker.type === "abort",
      lastStableOffset: this.firstUnstableOffset ?? addOffset(batch.lastOffset, 1),
    };
  }

  /** The producer, made when unknown, moved to the end of the order of use. */
  #use(id: ProducerId, nowMs: number): ProducerWindow {
    let producer = this.#producers.get(id);
    if (producer === undefined) {
      if (this.#producers.size >= this.#maxProducers) this.#forgetLongestSilent();
      producer = new ProducerWindow(id);
      this.#producers.set(id, producer);
    } else if (producer !== this.#newest) {
      this.#producers.delete(id);
      this.#producers.set(id, producer);
    }
    producer.usedMs = nowMs;
    this.#newest = producer;
    return producer;
  }

  #forgetLongestSilent(): void {
    for (const id of this.#producers.keys()) {
      if (this.#openTransactions.has(id)) continue;
      this.#producers.delete(id);
      return;
    }
  }
}

function refuse(error: ErrorName, batch: ProducedBatch, why: string): ProducerDecision {
  const { producerId, producerEpoch, baseSequence, lastSequence } = batch;
  const message = `producer ${producerId} epoch ${producerEpoch}, sequences ${baseSequence} to ${lastSequence}: ${why}`;
  return { kind: "refuse", error, message };
}
