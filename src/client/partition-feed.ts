import { abortable } from "../base/abort.ts";
import { Deferred } from "../base/deferred.ts";
import type { LograftError } from "../base/errors.ts";
import { topicPartitionKey, type TopicPartitionKey } from "../model/topic-partition.ts";
import type { ClientContext } from "./client-context.ts";
import type { ConsumedBatch } from "./consumed-batch.ts";
import type {
  ConsumerEvents,
  PartitionLag,
  ResolvedConsumerOptions,
  StartPosition,
  TopicPartitionRef,
} from "./consumer-types.ts";
import { Emitter } from "./emitter.ts";
import { isLograftError } from "./errors.ts";
import { Fetcher, type FetcherListener } from "./fetcher.ts";
import type { GroupHost } from "./group-consumer.ts";
import type { GroupPartition } from "./group-partition.ts";
import type { PartitionReader } from "./partition-reader.ts";
import { PassingTrouble } from "./passing-trouble.ts";
import { StallWatch } from "./stall-watch.ts";
import { type BatchSource, TakenBatch } from "./taken-batch.ts";

/** The group that decides over the partitions. */
export interface FeedOwner {
  /** Why it cannot go on. */
  readonly failure: LograftError | undefined;
  partitionOf(key: TopicPartitionKey): GroupPartition | undefined;
  onPositioned(reader: PartitionReader): void;
}

/** The partitions that a consumer reads and what was fetched of them: one stream of batches, from each in turn. */
export class PartitionFeed implements FetcherListener, BatchSource, GroupHost {
  readonly #context: ClientContext;
  readonly #emitter: Emitter<ConsumerEvents>;
  readonly #fetcher: Fetcher;
  readonly #stallWatch: StallWatch;
  readonly #readers = new Map<TopicPartitionKey, PartitionReader>();
  /** Readers with fetched records, in turn. */
  readonly #ready = new Set<PartitionReader>();
  readonly #news: Emitter<{ readonly news: undefined }>;
  #wake = new Deferred<void>();
  readonly #trouble = new PassingTrouble();
  #fatal: LograftError | undefined;
  #isClosed = false;
  /** Set once, for the member of a group. */
  owner: FeedOwner | undefined;

  constructor(
    options: ResolvedConsumerOptions,
    deps: { readonly context: ClientContext; readonly emitter: Emitter<ConsumerEvents> },
  ) {
    this.#context = deps.context;
    this.#emitter = deps.emitter;
    this.#news = new Emitter(deps.context);
    this.#fetcher = new Fetcher(options, { context: deps.context, listener: this });
    this.#stallWatch = new StallWatch(
      { stalledAfterMs: options.stalledAfterMs },
      {
        clock: deps.context.clock,
        readers: () => this.#readers.values(),
        onStalled: (partitions) => this.emit("stalled", { partitions }),
      },
    );
  }

  get assignment(): TopicPartitionRef[] {
    return [...this.#readers.values()].map(refOf);
  }

  /** Those that were told to be stalled and have given nothing since. */
  get stalled(): TopicPartitionRef[] {
    return [...this.#readers.values()].filter(({ isStalled }) => isStalled).map(refOf);
  }

  get lag(): PartitionLag[] {
    return [...this.#readers.values()].map(({ topic, partition, position, highWatermark, lag }) => ({
      topic,
      partition,
      position,
      highWatermark: highWatermark < 0 ? undefined : highWatermark,
      lag,
    }));
  }

  get prefetchBytes(): number {
    return this.#fetcher.prefetchBytes;
  }

  /** Begins to tell of partitions that stand still. Idempotent. */
  watch(): void {
    this.#stallWatch.start();
  }

  reader({ topic, partition }: TopicPartitionRef): PartitionReader | undefined {
    return this.#readers.get(topicPartitionKey(topic, partition));
  }

  /** A partition that is there already stays as it is. */
  add(topic: string, partition: number, from: StartPosition): void {
    const key = topicPartitionKey(topic, partition);
    if (!this.#readers.has(key)) this.#readers.set(key, this.#fetcher.add(topic, partition, from));
  }

  seek(reader: PartitionReader, position: StartPosition): void {
    // A position outside the partition ended the reading; with another one it may go on.
    this.#fatal = undefined;
    this.#fetcher.seek(reader, position);
  }

  pause(reader: PartitionReader): void {
    if (!reader.isPaused) this.#fetcher.pause(reader);
  }

  resume(reader: PartitionReader): void {
    if (reader.isPaused && this.#isOurs(reader)) this.#fetcher.resume(reader);
  }

  onMetadata(): void {
    // Topics of a group stay in use although nothing asks for them while all goes well.
    for (const { topic } of this.#readers.values()) this.#context.metadata.topic(topic);
    this.#fetcher.onMetadata();
  }

  /** Fetches and gives nothing more; the readers are still known. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#stallWatch.close();
    this.#fetcher.close();
    this.#ready.clear();
    this.#signalWake();
  }

  take(accepts?: (key: string) => boolean): TakenBatch | undefined {
    if (this.#isClosed) return undefined;
    this.#throwFatal();
    for (const reader of this.#ready) {
      const key = topicPartitionKey(reader.topic, reader.partition);
      if (accepts?.(key) === false) continue;
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
      if (batch === undefined) continue;
      const goBack = (nextOffset: number): void => this.#fetcher.seek(reader, nextOffset);
      return new TakenBatch(batch, { reader, key, partition: this.owner?.partitionOf(key), goBack });
    }
    return undefined;
  }

  async waitForData(signal: AbortSignal | undefined): Promise<boolean> {
    if (this.#isClosed) return false;
    if (this.#ready.size === 0 && this.#failure === undefined) await abortable(this.#wake.promise, signal);
    return !this.#isClosed;
  }

  onNews(listener: () => void): () => void {
    return this.#news.on("news", listener);
  }

  onReady(reader: PartitionReader): void {
    if (!this.#isOurs(reader)) return;
    this.#ready.add(reader);
    this.#signalWake();
  }

  onPositioned(reader: PartitionReader): void {
    this.owner?.onPositioned(reader);
  }

  onRetriedError(error: LograftError): void {
    this.#context.logger.debug("a consumer tries again", { err: error });
    const nowMs = this.#context.clock.monotonicMs();
    if (this.#trouble.isWorthTelling(error, nowMs)) this.emit("error", error);
  }

  onFatal(error: LograftError): void {
    if (this.owner !== undefined && error.code === "INCONSISTENT_TOPIC_ID") {
      // The coordinator knows the new topic as another one: it takes the old partitions and gives the new ones.
      this.onRetriedError(error);
      return;
    }
    this.#fatal ??= error;
    this.#signalWake();
  }

  emit<Name extends keyof ConsumerEvents>(name: Name, event: ConsumerEvents[Name]): void {
    this.#emitter.emit(name, event);
  }

  addReader(topic: string, partition: number): PartitionReader {
    const reader = this.#fetcher.add(topic, partition, undefined);
    this.#readers.set(topicPartitionKey(topic, partition), reader);
    return reader;
  }

  startReader(reader: PartitionReader, start: StartPosition): void {
    this.#fetcher.seek(reader, start);
  }

  holdReader(reader: PartitionReader): void {
    this.#ready.delete(reader);
    this.#fetcher.pause(reader);
  }

  removeReader(reader: PartitionReader): void {
    const key = topicPartitionKey(reader.topic, reader.partition);
    this.#ready.delete(reader);
    this.#fetcher.remove(reader);
    if (this.#readers.get(key) === reader) this.#readers.delete(key);
  }

  get #failure(): LograftError | undefined {
    return this.owner?.failure ?? this.#fatal;
  }

  #throwFatal(): void {
    const failure = this.#failure;
    if (failure !== undefined) throw failure;
  }

  /** Not on its way to another member of the group. */
  #isOurs(reader: PartitionReader): boolean {
    if (this.owner === undefined) return true;
    const partition = this.owner.partitionOf(topicPartitionKey(reader.topic, reader.partition));
    return partition?.phase === "active" && partition.reader === reader;
  }

  #signalWake(): void {
    const wake = this.#wake;
    this.#wake = new Deferred();
    wake.resolve();
    this.#news.emit("news", undefined);
  }
}

function refOf({ topic, partition }: TopicPartitionRef): TopicPartitionRef {
  return { topic, partition };
}
