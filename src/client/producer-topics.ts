import { Backoff } from "../base/backoff.ts";
import { errorMessage, operationError, type LograftError } from "../base/errors.ts";
import type { ClientContext } from "./client-context.ts";
import { isLograftError } from "./errors.ts";
import type { TopicInfo } from "./metadata-cache.ts";
import { PartitionQueue } from "./partition-queue.ts";
import type { ResolvedProducerOptions } from "./producer-types.ts";
import { Builders, type TopicQueue } from "./topic-queue.ts";

/** Hears whether a topic became known. */
export interface ProducerTopicsListener {
  onTopicLoaded(topic: TopicQueue): void;
  /** The topic was forgotten; the next record for it asks again. */
  onTopicFailed(topic: TopicQueue, error: LograftError): void;
}

/** Topics that one producer writes. */
const MAX_TOPICS = 100_000;

/** The topics of one producer, each asked for at its first record and kept up with the cluster. */
export class ProducerTopics {
  readonly #options: ResolvedProducerOptions;
  readonly #context: ClientContext;
  readonly #listener: ProducerTopicsListener;
  readonly #signal: AbortSignal;
  readonly #topics = new Map<string, TopicQueue>();
  #loadingCount = 0;

  constructor(
    options: ResolvedProducerOptions,
    deps: {
      readonly context: ClientContext;
      readonly listener: ProducerTopicsListener;
      /** Aborted when the producer closes. */
      readonly signal: AbortSignal;
    },
  ) {
    this.#options = options;
    this.#context = deps.context;
    this.#listener = deps.listener;
    this.#signal = deps.signal;
  }

  /** Topics that are being asked for. */
  get loadingCount(): number {
    return this.#loadingCount;
  }

  all(): Iterable<TopicQueue> {
    return this.#topics.values();
  }

  /** The topic; one that is not known is asked for. @throws LograftError INVALID_ARGUMENT for one topic too many. */
  of(name: string): TopicQueue {
    const topic = this.#topics.get(name) ?? this.#add(name);
    if (topic.info === undefined && !topic.isLoading) {
      topic.isLoading = true;
      this.#loadingCount++;
      void this.#load(topic); // Never rejects: the listener is told.
    }
    return topic;
  }

  /** Metadata was refreshed: topics in use may have grown. */
  onMetadata(): void {
    for (const topic of this.#topics.values()) {
      const info = topic.info === undefined ? undefined : this.#context.metadata.topic(topic.name);
      if (info !== undefined && info !== topic.info) this.#learn(topic, info);
    }
  }

  #add(name: string): TopicQueue {
    if (this.#topics.size >= MAX_TOPICS) {
      throw operationError(
        "INVALID_ARGUMENT",
        `one producer writes at most ${MAX_TOPICS} topics; use another producer`,
      );
    }
    const topic: TopicQueue = {
      name,
      info: undefined,
      partitions: [],
      sticky: undefined,
      builders: new Builders(this.#options, 0),
      waiting: new Set(),
      isLoading: false,
      isRefusing: false,
    };
    this.#topics.set(name, topic);
    return topic;
  }

  async #load(topic: TopicQueue): Promise<void> {
    let failure: unknown;
    try {
      const info = await this.#context.metadata.waitForTopic(topic.name, {
        timeoutMs: this.#options.deliveryTimeoutMs,
        allowAutoCreate: this.#options.allowAutoCreate,
        signal: this.#signal,
      });
      this.#learn(topic, info);
    } catch (error: unknown) {
      failure = error;
    }
    topic.isLoading = false;
    this.#loadingCount--;
    if (this.#signal.aborted) return;
    if (failure === undefined) {
      this.#listener.onTopicLoaded(topic);
      return;
    }
    this.#topics.delete(topic.name);
    const error = isLograftError(failure)
      ? failure
      : operationError("CONNECTION_FAILED", errorMessage(failure));
    this.#listener.onTopicFailed(topic, error);
  }

  /** Partitions are added as the topic grows, never taken away: one that is gone answers with an error. */
  #learn(topic: TopicQueue, info: TopicInfo): void {
    if (topic.info?.maxMessageBytes !== info.maxMessageBytes) {
      topic.builders = new Builders(this.#options, info.maxMessageBytes);
    }
    topic.info = info;
    for (let partition = topic.partitions.length; partition < info.partitions.length; partition++) {
      const backoff = new Backoff(this.#context.retry, this.#context);
      topic.partitions.push(
        new PartitionQueue({ topic: topic.name, partition, rules: this.#options }, { backoff }),
      );
    }
  }
}
