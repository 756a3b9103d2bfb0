import { abortable, abortReason, throwIfAborted } from "../base/abort.ts";
import { Deferred } from "../base/deferred.ts";
import { type LograftError, operationError } from "../base/errors.ts";
import { topicPartitionKey, type TopicPartitionKey } from "../model/topic-partition.ts";
import type { Timer } from "../platform/clock.ts";
import type { ClientContext } from "./client-context.ts";
import type { ConsumedBatch, ConsumedRecord } from "./consumed-batch.ts";
import { runHandlers } from "./consumer-run.ts";
import type {
  AssignmentSpec,
  ConsumerEvents,
  ResolvedConsumerOptions,
  RunOptions,
  StartPosition,
  TopicPartitionRef,
} from "./consumer-types.ts";
import { isLograftError } from "./errors.ts";
import { Emitter } from "./emitter.ts";
import { Fetcher, type FetcherListener } from "./fetcher.ts";
import type { PartitionReader } from "./partition-reader.ts";

/** A partition's place in the assignment. */
export interface PartitionLag extends TopicPartitionRef {
  /** Offset of the next record that the application gets; undefined until it is known. */
  readonly position: number | undefined;
  /** Readable end (exclusive); undefined until it is known. */
  readonly highWatermark: number | undefined;
  /** Records in between. */
  readonly lag: number | undefined;
}

/**
 * Reads partitions that it is told to read, without a group. Nothing is fetched before the first call that needs it.
 *
 * An iteration ends only by `close` (quietly), by its signal, or by an error that no retry can heal (both thrown); lost
 * connections and moved leaders show as `error` events at most. One iteration or `run` at a time. A batch or record
 * counts as taken when it is handed out: a later iteration goes on behind it.
 */
export class Consumer implements AsyncDisposable, FetcherListener {
  readonly #options: ResolvedConsumerOptions;
  readonly #context: ClientContext;
  readonly #fetcher: Fetcher;
  readonly #emitter = new Emitter<ConsumerEvents>();
  readonly #readers = new Map<TopicPartitionKey, PartitionReader>();
  /** Readers with fetched records, in turn. */
  readonly #ready = new Set<PartitionReader>();
  readonly #closing = new AbortController();
  readonly #onClosed: (consumer: Consumer) => void;
  #stopListening: (() => void) | undefined;
  #starting: Promise<void> | undefined;
  #stallTimer: Timer | undefined;
  readonly #news = new Emitter<{ readonly news: undefined }>();
  #wake = new Deferred<void>();
  #fatal: LograftError | undefined;
  #isTaken = false;

  /** Made by `LograftClient.consumer`. */
  constructor(
    options: ResolvedConsumerOptions,
    deps: { readonly context: ClientContext; readonly onClosed: (consumer: Consumer) => void },
  ) {
    this.#options = options;
    this.#context = deps.context;
    this.#onClosed = deps.onClosed;
    this.#fetcher = new Fetcher(options, { context: deps.context, listener: this });
  }

  /** Partitions that are read; empty before the first iteration, `run` or `ready`. */
  get assignment(): TopicPartitionRef[] {
    return [...this.#readers.values()].map(({ topic, partition }) => ({ topic, partition }));
  }

  /** Bytes granted to brokers or waiting here; at most `maxPrefetchBytes`, but for a while after leaders moved. */
  get prefetchBytes(): number {
    return this.#fetcher.prefetchBytes;
  }

  /** Listens; answers the function that stops it. */
  on<Name extends keyof ConsumerEvents>(
    name: Name,
    listener: (event: ConsumerEvents[Name]) => void,
  ): () => void {
    return this.#emitter.on(name, listener);
  }

  /** Finds the partitions and starts to fetch. Called by all that need it. @throws ProtocolError for an unknown topic. */
  ready(): Promise<void> {
    if (this.#starting === undefined) {
      const starting = this.#start();
      this.#starting = starting;
      // After a failure the next call tries again.
      starting.catch(() => {
        this.#starting = undefined;
      });
    }
    return this.#starting;
  }

  /** Batches as they were stored, partition by partition in turn. @throws as the class says. */
  async *batches(options: { readonly signal?: AbortSignal } = {}): AsyncGenerator<ConsumedBatch, void> {
    this.#claim();
    try {
      if (!(await this.#isStarted(options.signal))) return;
      for (;;) {
        throwIfAborted(options.signal);
        const batch = this.take();
        if (batch !== undefined) yield batch;
        else if (!(await this.waitForData(options.signal))) return;
      }
    } finally {
      this.#isTaken = false;
    }
  }

  /** Records one by one. Faster than one turn of the loop each: only batches are waited for. @throws as `batches`. */
  async *messages(options: { readonly signal?: AbortSignal } = {}): AsyncGenerator<ConsumedRecord, void> {
    for await (const batch of this.batches(options)) {
      let nextOffset = -1;
      let moves = -1;
      const reader = this.#readers.get(topicPartitionKey(batch.topic, batch.partition));
      try {
        for (const record of batch) {
          nextOffset = record.offset + 1;
          moves = reader?.moves ?? -1;
          yield record;
          throwIfAborted(options.signal);
        }
        nextOffset = -1;
      } finally {
        // Left in the middle: the rest of the batch is not taken, unless the application moved the position meanwhile.
        const isLeft = nextOffset >= 0 && nextOffset <= batch.lastOffset;
        if (isLeft && reader !== undefined && reader.moves === moves) this.#fetcher.seek(reader, nextOffset);
      }
    }
  }

  /**
   * Hands batches or records to a handler until `signal` or `close` ends it; partitions run beside each other up to
   * `concurrency`, each in order. A handler that throws ends the run with its error after the other handlers are done;
   * the position of its partition goes back to what it had been given. @throws as `batches`.
   */
  async run(options: RunOptions): Promise<void> {
    this.#claim();
    try {
      if (await this.#isStarted(options.signal)) await runHandlers(this, options, this.#closing.signal);
    } finally {
      this.#isTaken = false;
    }
  }

  /** Goes on at another position. Records that were fetched are dropped. @throws LograftError INVALID_ARGUMENT. */
  seek(partition: TopicPartitionRef, position: StartPosition): void {
    const reader = this.#readerOf(partition);
    // A position outside the partition ended the reading; with another one it may go on.
    this.#fatal = undefined;
    this.#fetcher.seek(reader, position);
  }

  /** Default: all partitions. */
  seekToBeginning(partitions: readonly TopicPartitionRef[] = this.assignment): void {
    for (const partition of partitions) this.seek(partition, "beginning");
  }

  /** Default: all partitions. */
  seekToEnd(partitions: readonly TopicPartitionRef[] = this.assignment): void {
    for (const partition of partitions) this.seek(partition, "end");
  }

  /** Stops fetching; what was fetched is dropped and comes again after `resume`. Default: all partitions. */
  pause(partitions: readonly TopicPartitionRef[] = this.assignment): void {
    for (const partition of partitions) {
      const reader = this.#readerOf(partition);
      if (!reader.isPaused) this.#fetcher.pause(reader);
    }
  }

  /** Default: all partitions. */
  resume(partitions: readonly TopicPartitionRef[] = this.assignment): void {
    for (const partition of partitions) {
      const reader = this.#readerOf(partition);
      if (reader.isPaused) this.#fetcher.resume(reader);
    }
  }

  /** Offset of the next record that the application gets; undefined until it is known. */
  position(partition: TopicPartitionRef): number | undefined {
    return this.#readerOf(partition).position;
  }

  /** How far each partition is behind its readable end, by what the broker said last. */
  lag(): PartitionLag[] {
    return [...this.#readers.values()].map(({ topic, partition, position, highWatermark, lag }) => ({
      topic,
      partition,
      position,
      highWatermark: highWatermark < 0 ? undefined : highWatermark,
      lag,
    }));
  }

  /** Ends the iteration, the streams and the timers. Idempotent. */
  close(): Promise<void> {
    if (!this.#closing.signal.aborted) {
      this.#closing.abort(operationError("CLOSED", "the consumer is closed"));
      this.#stallTimer?.cancel();
      this.#stopListening?.();
      this.#fetcher.close();
      this.#ready.clear();
      this.#signalWake();
      this.#emitter.clear();
      this.#onClosed(this);
    }
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** The next batch of any partition that is not in `busy`; undefined when none is here. Internal. */
  take(busy?: ReadonlySet<string>): ConsumedBatch | undefined {
    this.#throwFatal();
    for (const reader of this.#ready) {
      if (busy?.has(topicPartitionKey(reader.topic, reader.partition)) === true) continue;
      this.#ready.delete(reader);
      let batch: ConsumedBatch | undefined;
      try {
        batch = reader.next();
      } catch (error: unknown) {
        if (!isLograftError(error)) throw error;
        this.#fetcher.onCorrupt(reader, error);
        this.#throwFatal();
      }
      if (reader.hasData) this.#ready.add(reader);
      if (batch !== undefined) return batch;
    }
    return undefined;
  }

  /** Waits for records, or for an error to throw; false when the consumer was closed. Internal. */
  async waitForData(signal: AbortSignal | undefined): Promise<boolean> {
    if (this.#closing.signal.aborted) return false;
    if (this.#ready.size === 0 && this.#fatal === undefined) await abortable(this.#wake.promise, signal);
    return !this.#closing.signal.aborted;
  }

  /** Calls back when records came, or the consumer failed or closed. Internal. */
  onNews(listener: () => void): () => void {
    return this.#news.on("news", listener);
  }

  onReady(reader: PartitionReader): void {
    this.#ready.add(reader);
    this.#signalWake();
  }

  onRetriedError(error: LograftError): void {
    this.#context.logger.debug("reading is tried again", { error: error.message });
    this.#emitter.emit("error", error);
  }

  onFatal(error: LograftError): void {
    this.#fatal ??= error;
    this.#signalWake();
  }

  /** False when the consumer was closed meanwhile: an iteration then ends quietly. */
  async #isStarted(signal: AbortSignal | undefined): Promise<boolean> {
    try {
      await abortable(this.ready(), signal);
    } catch (error: unknown) {
      if (!this.#closing.signal.aborted) throw error;
    }
    return !this.#closing.signal.aborted;
  }

  async #start(): Promise<void> {
    if (this.#closing.signal.aborted) throw abortReason(this.#closing.signal);
    const { metadata, requestTimeoutMs } = this.#context;
    const names = new Set(this.#options.assign.map((spec) => spec.topic));
    const options = { timeoutMs: requestTimeoutMs, allowAutoCreate: false, signal: this.#closing.signal };
    await Promise.all([...names].map((name) => metadata.waitForTopic(name, options)));
    // Partitions may have been added since the topic was asked for.
    const isKnown = ({ topic, partition = 0 }: AssignmentSpec): boolean =>
      metadata.topic(topic)?.partitions[partition] !== undefined;
    if (!this.#options.assign.every(isKnown)) await metadata.refresh(options);
    throwIfAborted(this.#closing.signal);
    for (const spec of this.#options.assign) {
      const count = metadata.topic(spec.topic)?.partitions.length ?? 0;
      if (spec.partition !== undefined && !(spec.partition >= 0 && spec.partition < count)) {
        throw operationError(
          "INVALID_ARGUMENT",
          `topic ${spec.topic} has ${count} partitions, no partition ${spec.partition}`,
        );
      }
      const partitions =
        spec.partition === undefined ? Array.from({ length: count }, (_, index) => index) : [spec.partition];
      for (const partition of partitions) this.#assign(spec.topic, partition, spec.from ?? "beginning");
    }
    this.#stopListening ??= metadata.onUpdate(() => this.#onMetadata());
    this.#stallTimer ??= this.#armStallTimer();
  }

  #assign(topic: string, partition: number, from: StartPosition): void {
    const key = topicPartitionKey(topic, partition);
    if (this.#readers.has(key)) return;
    this.#readers.set(key, this.#fetcher.add(topic, partition, from));
  }

  #onMetadata(): void {
    // Partitions that were added to a topic are read from their beginning: nothing in them was seen.
    for (const { topic, partition } of this.#options.assign) {
      const count = this.#context.metadata.topic(topic)?.partitions.length ?? 0;
      for (let index = 0; partition === undefined && index < count; index++)
        this.#assign(topic, index, "beginning");
    }
    this.#fetcher.onMetadata();
  }

  #armStallTimer(): Timer {
    const { stalledAfterMs } = this.#options;
    return this.#context.clock.setTimer(stalledAfterMs / 2, () => {
      const silentSinceMs = this.#context.clock.monotonicMs() - stalledAfterMs;
      const stalled: TopicPartitionRef[] = [];
      for (const reader of this.#readers.values()) {
        const hasNews = reader.hasData || reader.lastNewsMs > silentSinceMs;
        const isAtEnd = reader.lane !== undefined && reader.lag === 0;
        if (reader.isPaused || reader.isStalled || hasNews || isAtEnd) continue;
        reader.isStalled = true;
        stalled.push({ topic: reader.topic, partition: reader.partition });
      }
      if (stalled.length > 0) this.#emitter.emit("stalled", { partitions: stalled });
      this.#stallTimer = this.#armStallTimer();
    });
  }

  #readerOf({ topic, partition }: TopicPartitionRef): PartitionReader {
    const reader = this.#readers.get(topicPartitionKey(topic, partition));
    if (reader !== undefined) return reader;
    throw operationError(
      "INVALID_ARGUMENT",
      `${topic}-${partition} is not assigned to this consumer (await ready() first)`,
    );
  }

  #throwFatal(): void {
    if (this.#fatal !== undefined) throw this.#fatal;
  }

  #claim(): void {
    if (this.#closing.signal.aborted) throw abortReason(this.#closing.signal);
    if (this.#isTaken) {
      throw operationError(
        "INVALID_ARGUMENT",
        "this consumer is being iterated already; use another consumer",
      );
    }
    this.#isTaken = true;
  }

  #signalWake(): void {
    const wake = this.#wake;
    this.#wake = new Deferred();
    wake.resolve();
    this.#news.emit("news", undefined);
  }
}
