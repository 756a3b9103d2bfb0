import { NO_OFFSET, NO_PRODUCER_EPOCH, NO_TIMESTAMP } from "../model/offsets.ts";
import type { Offset, ProducerEpoch, ProducerId, Timestamp } from "../model/offsets.ts";
import { addSequence } from "../model/record-batch.ts";
import type { ProducerEntry } from "./producer-snapshot.ts";

/** Batches of a producer that are remembered: a client has at most this many in flight (KIP-98). */
export const PRODUCER_WINDOW_BATCHES = 5;

/* Sequences run from 0 to 2^31 - 1 and begin again at 0. */
const SEQUENCE_MODULUS = 0x8000_0000;
const HALF_MODULUS = 0x4000_0000;
const NO_SEQUENCE = -1;

/** Records from one sequence up to another, counted upwards through the wrap: 0 to 2^31 - 1. */
function distance(from: number, to: number): number {
  return to >= from ? to - from : to - from + SEQUENCE_MODULUS;
}

/** A data batch as its producer's state sees it. */
export interface SequencedBatch {
  readonly producerEpoch: ProducerEpoch;
  readonly baseSequence: number;
  readonly lastSequence: number;
  readonly baseOffset: Offset;
  readonly lastOffset: Offset;
  readonly maxTimestamp: Timestamp;
}

/** A remembered batch. */
export interface WindowBatch {
  readonly baseSequence: number;
  readonly lastSequence: number;
  readonly baseOffset: Offset;
  readonly lastOffset: Offset;
  readonly timestamp: Timestamp;
}

/** One producer on one partition: its epoch, its last sequence and its last batches. */
export class ProducerWindow {
  readonly producerId: ProducerId;
  /** When it was last heard of, on the caller's clock. */
  usedMs = 0;
  #producerEpoch = NO_PRODUCER_EPOCH;
  #coordinatorEpoch = -1;
  #lastSequence = NO_SEQUENCE;
  #lastOffset = NO_OFFSET;
  #offsetDelta = 0;
  #lastTimestamp = NO_TIMESTAMP;
  /** Oldest first, at most PRODUCER_WINDOW_BATCHES. */
  readonly #batches: WindowBatch[] = [];
  /** Sequences used since the epoch or the last transaction began; Infinity when that was not seen (after a restart). */
  #usedSequences = 0;

  constructor(producerId: ProducerId) {
    this.producerId = producerId;
  }

  get producerEpoch(): ProducerEpoch {
    return this.#producerEpoch;
  }

  /** Epoch of the coordinator that wrote the last marker, -1 when there was none. */
  get coordinatorEpoch(): number {
    return this.#coordinatorEpoch;
  }

  /** Of its last batch. */
  get lastOffset(): Offset {
    return this.#lastOffset;
  }

  /** The sequence that continues this epoch. */
  get nextSequence(): number {
    return this.#lastSequence === NO_SEQUENCE ? 0 : addSequence(this.#lastSequence, 1);
  }

  /** The remembered batch with exactly these sequences. */
  find(baseSequence: number, lastSequence: number): WindowBatch | undefined {
    for (const batch of this.#batches) {
      if (batch.baseSequence === baseSequence && batch.lastSequence === lastSequence) return batch;
    }
    return undefined;
  }

  /** Whether these sequences were used, in this epoch and transaction, before the oldest remembered batch. */
  isBelowWindow(baseSequence: number, lastSequence: number): boolean {
    const oldest = this.#batches[0];
    if (oldest === undefined) return false;
    const gap = distance(lastSequence, oldest.baseSequence);
    if (gap === 0 || gap > HALF_MODULUS) return false;
    return distance(baseSequence, this.#lastSequence) < this.#usedSequences;
  }

  /** Remembers a data batch; one of another epoch begins anew. */
  add(batch: SequencedBatch): void {
    const { baseSequence, lastSequence, baseOffset, lastOffset, maxTimestamp } = batch;
    this.#enterEpoch(batch.producerEpoch);
    if (baseSequence !== this.nextSequence) this.#usedSequences = Number.POSITIVE_INFINITY;
    this.#usedSequences += distance(baseSequence, lastSequence) + 1;
    this.#lastSequence = lastSequence;
    this.#lastOffset = lastOffset;
    this.#offsetDelta = lastOffset - baseOffset;
    this.#lastTimestamp = maxTimestamp;
    this.#batches.push({ baseSequence, lastSequence, baseOffset, lastOffset, timestamp: maxTimestamp });
    if (this.#batches.length > PRODUCER_WINDOW_BATCHES) this.#batches.shift();
  }

  /** The last sequence stays, for the next transaction of this epoch continues it; the remembered batches go (H58). */
  endTransaction(producerEpoch: ProducerEpoch, coordinatorEpoch: number, timestamp: Timestamp): void {
    this.#enterEpoch(producerEpoch);
    this.#coordinatorEpoch = coordinatorEpoch;
    this.#lastTimestamp = timestamp;
    this.#batches.length = 0;
    this.#usedSequences = 0;
  }

  /** Takes a snapshot's entry in a fresh object. */
  restore(entry: ProducerEntry): void {
    const { lastSequence, lastOffset, offsetDelta, lastTimestamp } = entry;
    this.#producerEpoch = entry.producerEpoch;
    this.#coordinatorEpoch = entry.coordinatorEpoch;
    this.#lastSequence = lastSequence;
    this.#lastOffset = lastOffset;
    this.#offsetDelta = offsetDelta;
    this.#lastTimestamp = lastTimestamp;
    const isAfterMarker = entry.coordinatorEpoch >= 0 && entry.transactionFirstOffset === undefined;
    if (isAfterMarker || lastSequence === NO_SEQUENCE) return;
    this.#usedSequences = Number.POSITIVE_INFINITY;
    this.#batches.push({
      baseSequence: distance(offsetDelta, lastSequence),
      lastSequence,
      baseOffset: (lastOffset - offsetDelta) as Offset,
      lastOffset,
      timestamp: lastTimestamp,
    });
  }

  /** Takes the batches before the one that a snapshot kept, if they lead up to it. Oldest first. */
  recall(batches: readonly WindowBatch[]): void {
    const kept = this.#batches[0];
    const last = batches.at(-1);
    if (this.#batches.length !== 1 || kept === undefined || last === undefined) return;
    if (last.lastOffset !== kept.lastOffset || last.lastSequence !== kept.lastSequence) return;
    this.#batches.splice(0, 1, ...batches.slice(-PRODUCER_WINDOW_BATCHES));
  }

  /** What a snapshot keeps. */
  entry(transactionFirstOffset: Offset | undefined): ProducerEntry {
    return {
      producerId: this.producerId,
      producerEpoch: this.#producerEpoch,
      lastSequence: this.#lastSequence,
      lastOffset: this.#lastOffset,
      offsetDelta: this.#offsetDelta,
      lastTimestamp: this.#lastTimestamp,
      coordinatorEpoch: this.#coordinatorEpoch,
      transactionFirstOffset,
    };
  }

  #enterEpoch(producerEpoch: ProducerEpoch): void {
    if (producerEpoch === this.#producerEpoch) return;
    this.#producerEpoch = producerEpoch;
    this.#lastSequence = NO_SEQUENCE;
    this.#lastOffset = NO_OFFSET;
    this.#offsetDelta = 0;
    this.#batches.length = 0;
    this.#usedSequences = 0;
  }
}
