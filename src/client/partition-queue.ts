import { assert } from "../base/assert.ts";
import type { Backoff } from "../base/backoff.ts";
import { addSequence } from "../model/record-batch.ts";
import type { Timer } from "../platform/clock.ts";
import type { ProducerBatch, ProducerSession } from "./producer-batch.ts";

/** A batch with its partition. */
export type PartitionBatch = ProducerBatch<PartitionQueue>;

/** What carries a partition's batches to a broker. */
export interface PartitionLane {
  /** Partitions that have something to send to this broker, in turn. */
  readonly ready: Set<PartitionQueue>;
  /** Sends as much as may be sent now. */
  pump(): void;
}

/** What decides whether a partition may send. */
export interface SendRules {
  readonly idempotent: boolean;
  readonly maxInFlight: number;
}

/**
 * The batches of one partition, in order, and their sequence numbers (KIP-98). Two rules keep the order whatever fails:
 *
 * - After a batch came back, nothing is sent until all others in flight have been answered; then all go again, in order.
 * - When a sequence number is lost (a batch failed for good), those behind it cannot be accepted any more: the partition
 *   starts a new session, but only after each batch that a broker may already have was settled in the old one. Giving
 *   such a batch a new number would write it twice (H54, H58).
 */
export class PartitionQueue {
  readonly topic: string;
  readonly partition: number;
  readonly #rules: SendRules;
  readonly backoff: Backoff;
  open: PartitionBatch | undefined;
  lane: PartitionLane | undefined;
  /** Set while it waits to be sent again. */
  muteTimer: Timer | undefined;
  /** Finished batches to send, by order. */
  readonly #waiting: PartitionBatch[] = [];
  /** Sent and not answered, by order; may hold batches that were given up. */
  readonly #inFlight: PartitionBatch[] = [];
  #session: ProducerSession | undefined;
  #nextSequence = 0;
  #isRecovering = false;
  #isSessionLost = false;
  /** No broker accepts a batch of this session with a higher order: one before it was refused for good. */
  #refusedFromOrder = Number.POSITIVE_INFINITY;

  constructor(
    options: { readonly topic: string; readonly partition: number; readonly rules: SendRules },
    deps: { readonly backoff: Backoff },
  ) {
    this.topic = options.topic;
    this.partition = options.partition;
    this.#rules = options.rules;
    this.backoff = deps.backoff;
  }

  get session(): ProducerSession | undefined {
    return this.#session;
  }

  get inFlightCount(): number {
    return this.#inFlight.length;
  }

  /** True when nothing of this partition is left to send or to be answered. */
  get isIdle(): boolean {
    return this.open === undefined && this.#waiting.length === 0 && this.#inFlight.length === 0;
  }

  /** True when the next batch cannot go before a session is given (`beginSession`). */
  get needsSession(): boolean {
    return this.#rules.idempotent && this.#session === undefined && this.#hasSomething();
  }

  /** True when a batch more would have to wait for an answer. */
  get isSaturated(): boolean {
    return this.#waiting.length + this.#inFlight.length >= this.#maxInFlight;
  }

  /** True when `next` has something to send. */
  get isReady(): boolean {
    if (this.muteTimer !== undefined) return false;
    if (this.#inFlight.length >= this.#maxInFlight) return false;
    if (this.#isRecovering && this.#inFlight.length > 0) return false;
    if (this.#isSessionLost) return this.#firstIndefinite() !== undefined;
    return this.#hasSomething();
  }

  /** Finishes the open batch and queues it. Its sequence is assigned here when nothing before it lacks one. */
  seal(): void {
    const batch = this.open;
    if (batch === undefined) return;
    this.open = undefined;
    const last = this.#waiting.at(-1);
    const canSequence =
      this.#session !== undefined &&
      !this.#isSessionLost &&
      (last === undefined || last.session === this.#session);
    if (canSequence) this.#assign(batch, this.#session, true);
    else batch.finish(undefined, -1);
    this.#waiting.push(batch);
  }

  /** The batch to send next, finished and in sequence; undefined when nothing may be sent now. It stays queued. */
  next(): PartitionBatch | undefined {
    if (!this.isReady || this.needsSession) return undefined;
    if (this.#isSessionLost) return this.#firstIndefinite();
    if (this.#waiting.length === 0) this.seal();
    const batch = this.#waiting[0];
    if (batch === undefined) return undefined;
    if (this.#session !== undefined && batch.session !== this.#session)
      this.#assign(batch, this.#session, false);
    return batch;
  }

  /** The batch goes out. */
  take(batch: PartitionBatch): void {
    this.#remove(this.#waiting, batch);
    batch.attempts++;
    this.#insert(this.#inFlight, batch);
  }

  /** The batch was answered with something that calls for another attempt. */
  requeue(batch: PartitionBatch): void {
    if (this.#remove(this.#inFlight, batch)) this.#isRecovering = true;
    if (batch.session === this.#session && batch.order > this.#refusedFromOrder) batch.isIndefinite = false;
    this.#insert(this.#waiting, batch);
    this.#afterAnswer();
  }

  /**
   * The batch is over. `isSequenceLost`: its sequence numbers may never be seen by a broker, so those behind cannot be
   * accepted. A batch in flight that is given up stays until its answer, which is then passed here again.
   */
  settle(batch: PartitionBatch, isSequenceLost: boolean): void {
    if (this.open === batch) this.open = undefined;
    this.#remove(this.#waiting, batch);
    this.#remove(this.#inFlight, batch);
    if (isSequenceLost) this.loseSession(batch);
    this.#afterAnswer();
  }

  /** As `settle`, for a batch that is in flight and is no longer waited for. */
  abandonInFlight(batch: PartitionBatch): void {
    this.loseSession(batch);
  }

  /** The numbers given out from `batch` on are unusable. No effect when the batch is of an earlier session. */
  loseSession(batch: PartitionBatch): void {
    if (!this.#rules.idempotent || this.#session === undefined || batch.session !== this.#session) return;
    this.#isSessionLost = true;
    if (!batch.isIndefinite) this.#refusedFromOrder = Math.min(this.#refusedFromOrder, batch.order);
  }

  /** Starts to number from 0. */
  beginSession(session: ProducerSession): void {
    assert(this.#session === undefined, "a session begins while another is in use");
    this.#session = session;
    this.#nextSequence = 0;
  }

  isInFlight(batch: PartitionBatch): boolean {
    return this.#inFlight.includes(batch);
  }

  /** True when an older batch of the same session is not settled: its failure may be why this one was refused. */
  hasOlderUnsettled(batch: PartitionBatch): boolean {
    const isOlder = (other: PartitionBatch): boolean =>
      other.order < batch.order && other.session === batch.session;
    return this.#inFlight.some(isOlder) || this.#waiting.some(isOlder);
  }

  /** Everything that is not in flight, oldest first. */
  unsent(): PartitionBatch[] {
    const { open } = this;
    return open === undefined || open.recordCount === 0 ? [...this.#waiting] : [...this.#waiting, open];
  }

  #assign(batch: PartitionBatch, session: ProducerSession | undefined, isNew: boolean): void {
    assert(session !== undefined, "a sequence without a session");
    assert(!batch.isIndefinite, "a batch that may be written got a new sequence", { order: batch.order });
    if (isNew) batch.finish(session, this.#nextSequence);
    else batch.stamp(session, this.#nextSequence);
    this.#nextSequence = addSequence(this.#nextSequence, batch.recordCount);
  }

  #afterAnswer(): void {
    if (this.#inFlight.length > 0) return;
    this.#isRecovering = false;
    if (!this.#isSessionLost) return;
    this.#settleDoubts();
    if (this.#firstIndefinite() !== undefined) return;
    this.#isSessionLost = false;
    this.#refusedFromOrder = Number.POSITIVE_INFINITY;
    this.#session = undefined;
    this.#nextSequence = 0;
  }

  /**
   * With nothing in flight: a broker accepts a sequence only after all before it, so behind a batch that it has not
   * got, whatever was sent cannot have been written either. What idempotence proves is no longer "unknown" (H77).
   */
  #settleDoubts(): void {
    let isRefused = false;
    for (const batch of this.#waiting) {
      if (batch.session !== this.#session) continue;
      if (isRefused || batch.order > this.#refusedFromOrder) batch.isIndefinite = false;
      if (!batch.isIndefinite) isRefused = true;
    }
  }

  /** After a failure one batch goes ahead: what breaks a whole row of them again and again may let one pass. */
  get #maxInFlight(): number {
    return this.backoff.attempts > 0 ? 1 : this.#rules.maxInFlight;
  }

  #hasSomething(): boolean {
    return this.#waiting.length > 0 || this.open?.isDue === true;
  }

  #firstIndefinite(): PartitionBatch | undefined {
    return this.#waiting.find((batch) => batch.isIndefinite);
  }

  #remove(list: PartitionBatch[], batch: PartitionBatch): boolean {
    const at = list[0] === batch ? 0 : list.indexOf(batch);
    if (at === -1) return false;
    if (at === 0) list.shift();
    else list.splice(at, 1);
    return true;
  }

  #insert(list: PartitionBatch[], batch: PartitionBatch): void {
    let at = list.length;
    if (at === 0 || (list[at - 1]?.order ?? 0) < batch.order) {
      list.push(batch);
      return;
    }
    while (at > 0 && (list[at - 1]?.order ?? 0) > batch.order) at--;
    list.splice(at, 0, batch);
  }
}
