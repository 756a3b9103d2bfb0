import { abortable } from "../base/abort.ts";
import { Deferred } from "../base/deferred.ts";
import { operationError, type LograftError } from "../base/errors.ts";
import { singleRecordBatchBytes } from "../model/batch-builder.ts";
import type { RecordHeader } from "../model/record.ts";
import type { Timer } from "../platform/clock.ts";
import type { ClientContext } from "./client-context.ts";
import type { DeliveryError } from "./errors.ts";
import type { PartitionBatch, PartitionQueue } from "./partition-queue.ts";
import { murmur2Partitioner } from "./partitioner.ts";
import { ProducerBatch, type FlushWait, type SendWaiter } from "./producer-batch.ts";
import type { ProducerHeader, ProducerRecord, ResolvedProducerOptions } from "./producer-types.ts";
import { ProducerTopics, type ProducerTopicsListener } from "./producer-topics.ts";
import { checkRecord } from "./record-check.ts";
import { asDeliveryError, noSuchPartition, recordTooLarge, unsentError } from "./send-errors.ts";
import { Sender } from "./sender.ts";
import { recordLimit, stick, type TopicQueue, type WaitingSend } from "./topic-queue.ts";

/** Calls of `send` that may wait for room or metadata; each holds a record. */
const MAX_WAITING_SENDS = 100_000;

/**
 * Collects records into batches, straight into the batch of their partition. Bounded in bytes: what came in and is not
 * acknowledged. Time is read once a turn of the event loop and once a batch, not once a record.
 */
export class Accumulator implements ProducerTopicsListener {
  readonly #options: ResolvedProducerOptions;
  readonly #context: ClientContext;
  readonly #sender: Sender;
  readonly #topics: ProducerTopics;
  readonly #closing = new AbortController();
  readonly #drainWaits = new Set<Deferred<void>>();
  readonly #lingering: PartitionBatch[] = [];
  #lastTopic: TopicQueue | undefined;
  #bufferedBytes = 0;
  #waitingSends = 0;
  #nextOrder = 0;
  #isTurnOpen = false;
  #nowMs = 0;
  #wallMs = 0;
  #lingerTimer: Timer | undefined;
  #waitTimer: Timer | undefined;
  #loadFailure: LograftError | undefined;
  #firstFailure: LograftError | undefined;

  constructor(options: ResolvedProducerOptions, deps: { readonly context: ClientContext }) {
    this.#options = options;
    this.#context = deps.context;
    this.#topics = new ProducerTopics(options, {
      context: deps.context,
      listener: this,
      signal: this.#closing.signal,
    });
    this.#sender = new Sender(options, {
      context: deps.context,
      onResolved: (batch, error) => this.#onResolved(batch, error),
    });
  }

  /** Bytes of records without a verdict. */
  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  /** Takes the record, or answers false when it cannot now: no room, or the topic is not known yet. @throws as `append`. */
  tryAppend(topicName: string, record: ProducerRecord): boolean {
    checkRecord(topicName, record);
    const last = this.#lastTopic;
    const topic = last !== undefined && last.name === topicName ? last : this.#topicOf(topicName);
    if (
      topic.info === undefined ||
      this.#bufferedBytes >= this.#options.maxBufferBytes ||
      topic.waiting.size > 0
    ) {
      topic.isRefusing = true;
      return false;
    }
    this.#append(topic, record, undefined, undefined);
    return true;
  }

  /** As `tryAppend`, with the verdict told to `waiter`, and waiting for room up to the delivery timeout. */
  append(topicName: string, record: ProducerRecord, waiter: SendWaiter): void {
    checkRecord(topicName, record);
    const topic = this.#topicOf(topicName);
    if (
      topic.info !== undefined &&
      this.#bufferedBytes < this.#options.maxBufferBytes &&
      topic.waiting.size === 0
    ) {
      this.#append(topic, record, waiter, undefined);
      return;
    }
    if (this.#waitingSends >= MAX_WAITING_SENDS) {
      const message = `${MAX_WAITING_SENDS} sends wait for room already; await them, or use enqueue with drained`;
      throw unsentError("BUFFER_EXHAUSTED", message, topicName);
    }
    this.#beginTurn();
    const deadlineMs = this.#nowMs + this.#options.deliveryTimeoutMs;
    topic.waiting.add({ record, waiter, deadlineMs, flushes: undefined });
    this.#waitingSends++;
    if (this.#waitTimer === undefined) this.#armWaitTimer();
  }

  /** Resolves when a refused record may be tried again. @throws the error that keeps a topic from being known. */
  async drained(signal: AbortSignal | undefined): Promise<void> {
    if (this.#loadFailure !== undefined) throw this.#takeLoadFailure();
    if (this.#isDrained()) return;
    const wait = new Deferred<void>();
    this.#drainWaits.add(wait);
    try {
      await abortable(wait.promise, signal);
    } finally {
      this.#drainWaits.delete(wait);
    }
  }

  /** Resolves when everything taken before this call has its verdict. @throws the first failure of an enqueued record. */
  async flush(signal: AbortSignal | undefined): Promise<void> {
    const over = new Deferred<void>();
    const flush: FlushWait = { pending: 1, done: () => over.resolve() };
    for (const batch of this.#sender.unresolved) {
      flush.pending++;
      (batch.flushes ??= []).push(flush);
      this.#markDue(batch);
    }
    for (const topic of this.#topics.all()) {
      for (const send of topic.waiting) {
        flush.pending++;
        (send.flushes ??= []).push(flush);
      }
    }
    finishFlush(flush);
    this.#beginTurn();
    await abortable(over.promise, signal);
    const failure = this.#firstFailure;
    this.#firstFailure = undefined;
    if (failure !== undefined) throw failure;
  }

  /** Fails all that has no verdict with CLOSED. Idempotent. */
  close(): void {
    if (this.#closing.signal.aborted) return;
    const closed = operationError("CLOSED", "the producer is closed");
    this.#closing.abort(closed);
    for (const topic of this.#topics.all()) {
      for (const send of topic.waiting) this.#dropWaiting(topic, send, "CLOSED", "the producer was closed");
    }
    this.#sender.close();
    this.#lingerTimer?.cancel();
    this.#waitTimer?.cancel();
    for (const wait of this.#drainWaits) wait.reject(closed);
    this.#drainWaits.clear();
    this.#lingering.length = 0;
  }

  /** Metadata was refreshed. */
  onMetadata(): void {
    this.#topics.onMetadata();
  }

  onTopicLoaded(): void {
    this.#placeWaiting();
    this.#checkDrained();
  }

  onTopicFailed(topic: TopicQueue, error: LograftError): void {
    for (const send of topic.waiting) this.#dropWaiting(topic, send, error.code, error.message, error);
    if (this.#lastTopic === topic) this.#lastTopic = undefined;
    // A refused record may yet ask by `drained`; a waiting send has just been told.
    if (this.#drainWaits.size === 0 && topic.isRefusing) this.#loadFailure = error;
    for (const wait of this.#drainWaits) wait.reject(error);
    this.#drainWaits.clear();
  }

  /** @throws ProtocolError MESSAGE_TOO_LARGE, LograftError INVALID_ARGUMENT; then nothing was taken. */
  #append(
    topic: TopicQueue,
    record: ProducerRecord,
    waiter: SendWaiter | undefined,
    flushes: FlushWait[] | undefined,
  ): void {
    if (!this.#isTurnOpen) this.#beginTurn();
    let key = record.key ?? null;
    // A key is hashed as the bytes that are written, so text is encoded once, here.
    if (typeof key === "string") key = Buffer.from(key, "utf8");
    const partition = this.#choose(topic, record, key);
    const headers = record.headers === undefined ? undefined : encodeHeaders(record.headers);
    const timestamp = record.timestamp ?? this.#wallMs;
    let batch = partition.open ?? this.#open(topic, partition);
    if (!batch.builder.tryAppend(timestamp, key, record.value, headers)) {
      const neededBytes = singleRecordBatchBytes(key, record.value, headers);
      const limitBytes = recordLimit(this.#options, topic.info?.maxMessageBytes ?? 0);
      if (neededBytes > limitBytes || batch.recordCount === 0)
        throw recordTooLarge(topic.name, neededBytes, limitBytes);
      this.#seal(topic, partition);
      batch = this.#open(topic, partition);
      if (!batch.builder.tryAppend(timestamp, key, record.value, headers)) {
        throw recordTooLarge(topic.name, neededBytes, limitBytes);
      }
    }
    const { sizeBytes } = batch.builder;
    const grownBytes = sizeBytes - batch.sizeBytes;
    this.#bufferedBytes += grownBytes;
    batch.sizeBytes = sizeBytes;
    if (waiter !== undefined) {
      waiter.index = batch.recordCount;
      waiter.timestamp = timestamp;
      (batch.waiters ??= []).push(waiter);
    }
    if (batch.recordCount++ === 0) this.#begin(batch);
    if (flushes !== undefined) {
      batch.flushes = batch.flushes === undefined ? flushes : [...batch.flushes, ...flushes];
      this.#markDue(batch);
    }
    // Full when another such record would not fit: sent now, not when that record comes.
    if (sizeBytes + grownBytes > batch.turnBytes) this.#endTurnOf(topic, partition, batch);
  }

  /**
   * The batch has its size. It goes; but while all that may be in flight is, it grows on, so that a broker that syncs its
   * disk for each answer gets the more in one the longer that takes. Keyless records move on either way (KIP-480).
   */
  #endTurnOf(topic: TopicQueue, partition: PartitionQueue, batch: PartitionBatch): void {
    if (!partition.isSaturated) {
      this.#seal(topic, partition);
      return;
    }
    batch.turnBytes = batch.sizeBytes + this.#options.batchSize;
    this.#markDue(batch);
    if (topic.sticky === partition && topic.partitions.length > 1) stick(topic, this.#context.random);
  }

  #choose(topic: TopicQueue, record: ProducerRecord, key: Uint8Array | null): PartitionQueue {
    const { partitioner } = this.#options;
    let index = record.partition;
    if (index === undefined && (key !== null || partitioner !== murmur2Partitioner)) {
      const partitionCount = topic.partitions.length;
      index = partitioner({ topic: topic.name, key, value: record.value, partitionCount });
    }
    const { random, metadata } = this.#context;
    const partition = index === undefined ? (topic.sticky ?? stick(topic, random)) : topic.partitions[index];
    if (partition !== undefined) return partition;
    // It may have been added since.
    metadata.requestUpdate();
    throw noSuchPartition(topic.name, index, topic.partitions.length);
  }

  /** A batch without records; it counts from its first record on (`#begin`). */
  #open(topic: TopicQueue, partition: PartitionQueue): PartitionBatch {
    this.#nowMs = this.#context.clock.monotonicMs();
    this.#wallMs = this.#context.clock.wallMs();
    const batch = new ProducerBatch({ partition, order: this.#nextOrder++ }, topic.builders);
    batch.turnBytes = this.#options.batchSize;
    partition.open = batch;
    return batch;
  }

  #begin(batch: PartitionBatch): void {
    batch.createdMs = this.#nowMs;
    batch.deadlineMs = this.#nowMs + this.#options.deliveryTimeoutMs;
    this.#sender.track(batch);
    this.#lingering.push(batch);
    if (this.#options.lingerMs > 0 && this.#lingerTimer === undefined)
      this.#armLinger(this.#options.lingerMs);
  }

  #seal(topic: TopicQueue, partition: PartitionQueue): void {
    partition.seal();
    this.#sender.offer(partition);
    if (topic.sticky === partition && topic.partitions.length > 1) stick(topic, this.#context.random);
  }

  #markDue(batch: PartitionBatch): void {
    if (batch.partition.open !== batch) return;
    batch.isDue = true;
    this.#sender.offer(batch.partition);
  }

  /** The first record of a turn: reads the time, and arranges for sending when the turn ends. */
  #beginTurn(): void {
    if (this.#isTurnOpen) return;
    this.#isTurnOpen = true;
    this.#nowMs = this.#context.clock.monotonicMs();
    this.#wallMs = this.#context.clock.wallMs();
    // The end of the turn, not a microtask: all callbacks that this turn of the loop runs share one request, for a delay
    // of some microseconds.
    this.#context.clock.defer(() => {
      this.#isTurnOpen = false;
      if (this.#closing.signal.aborted) return;
      if (this.#options.lingerMs === 0) this.#endLinger(Number.POSITIVE_INFINITY);
      this.#sender.pump();
    });
  }

  #armLinger(delayMs: number): void {
    this.#lingerTimer = this.#context.clock.setTimer(delayMs, () => {
      this.#lingerTimer = undefined;
      const nowMs = this.#context.clock.monotonicMs();
      this.#endLinger(nowMs);
      this.#sender.pump();
      const next = this.#lingering[0];
      if (next !== undefined) this.#armLinger(this.#lingerEndOf(next) - nowMs);
    });
  }

  #lingerEndOf({ createdMs }: PartitionBatch): number {
    return createdMs + this.#options.lingerMs;
  }

  /** What has lingered until `nowMs` is due. A due batch that cannot go yet still takes records. */
  #endLinger(nowMs: number): void {
    let count = 0;
    for (const batch of this.#lingering) {
      // The very sum that the timer was set by: another one may differ by a rounding, and the timer be set for now again.
      if (this.#lingerEndOf(batch) > nowMs) break;
      count++;
      this.#markDue(batch);
    }
    this.#lingering.splice(0, count);
  }

  #onResolved(batch: PartitionBatch, error: DeliveryError | undefined): void {
    this.#bufferedBytes -= batch.sizeBytes;
    if (error !== undefined && batch.recordCount > (batch.waiters?.length ?? 0)) this.#reportFailure(error);
    if (batch.flushes !== undefined) for (const flush of batch.flushes) finishFlush(flush);
    if (this.#waitingSends > 0) this.#placeWaiting();
    if (this.#drainWaits.size > 0) this.#checkDrained();
  }

  #reportFailure(error: LograftError): void {
    this.#firstFailure ??= error;
    this.#options.onError?.(error);
  }

  #isDrained(): boolean {
    if (this.#waitingSends > 0 || this.#topics.loadingCount > 0) return false;
    return this.#bufferedBytes * 2 <= this.#options.maxBufferBytes;
  }

  #checkDrained(): void {
    if (!this.#isDrained()) return;
    for (const wait of this.#drainWaits) wait.resolve();
    this.#drainWaits.clear();
  }

  #placeWaiting(): void {
    if (this.#closing.signal.aborted) return;
    for (const topic of this.#topics.all()) {
      if (topic.info === undefined) continue;
      for (const send of topic.waiting) {
        if (this.#bufferedBytes >= this.#options.maxBufferBytes) return;
        topic.waiting.delete(send);
        this.#waitingSends--;
        try {
          this.#append(topic, send.record, send.waiter, send.flushes);
        } catch (error: unknown) {
          send.waiter.reject(asDeliveryError(error, topic.name));
          for (const flush of send.flushes ?? []) finishFlush(flush);
        }
      }
    }
  }

  #dropWaiting(topic: TopicQueue, send: WaitingSend, code: string, message: string, cause?: unknown): void {
    topic.waiting.delete(send);
    this.#waitingSends--;
    send.waiter.reject(unsentError(code, message, topic.name, cause));
    for (const flush of send.flushes ?? []) finishFlush(flush);
  }

  #armWaitTimer(): void {
    this.#waitTimer = undefined;
    let earliestMs = Number.POSITIVE_INFINITY;
    const nowMs = this.#context.clock.monotonicMs();
    for (const topic of this.#topics.all()) {
      for (const send of topic.waiting) {
        if (send.deadlineMs > nowMs) {
          earliestMs = Math.min(earliestMs, send.deadlineMs);
          break;
        }
        const message = `no room in the buffer within ${this.#options.deliveryTimeoutMs} ms; it was not sent`;
        this.#dropWaiting(topic, send, "DELIVERY_TIMEOUT", message);
      }
    }
    if (earliestMs === Number.POSITIVE_INFINITY) return;
    this.#waitTimer = this.#context.clock.setTimer(earliestMs - nowMs, () => this.#armWaitTimer());
  }

  #topicOf(name: string): TopicQueue {
    const topic = this.#topics.of(name);
    this.#lastTopic = topic;
    return topic;
  }

  #takeLoadFailure(): LograftError {
    const failure = this.#loadFailure ?? operationError("CLOSED", "the producer is closed");
    this.#loadFailure = undefined;
    return failure;
  }
}

function finishFlush(flush: FlushWait): void {
  flush.pending--;
  if (flush.pending === 0) flush.done();
}

function encodeHeaders(headers: readonly ProducerHeader[]): RecordHeader[] {
  return headers.map(({ key, value }) => ({
    key,
    value: typeof value === "string" ? Buffer.from(value, "utf8") : value,
  }));
}
