import { BatchBuilder } from "../model/batch-builder.ts";
import type { Random } from "../platform/random.ts";
import type { BuilderPool, FlushWait, SendWaiter } from "./producer-batch.ts";
import type { TopicInfo } from "./metadata-cache.ts";
import type { PartitionQueue } from "./partition-queue.ts";
import type { ProducerRecord, ResolvedProducerOptions } from "./producer-types.ts";

/** A record of `send` that found no room, or no metadata. */
export interface WaitingSend {
  readonly record: ProducerRecord;
  readonly waiter: SendWaiter;
  readonly deadlineMs: number;
  flushes: FlushWait[] | undefined;
}

/** A topic as the producer sees it. */
export interface TopicQueue {
  readonly name: string;
  /** Undefined until the cluster was asked. */
  info: TopicInfo | undefined;
  partitions: PartitionQueue[];
  /** Where records go that may go anywhere. */
  sticky: PartitionQueue | undefined;
  builders: BuilderPool;
  /** Sends in the order of their calls. */
  waiting: Set<WaitingSend>;
  isLoading: boolean;
  /** A record was refused while the topic was not known. */
  isRefusing: boolean;
}

/** Moves on to another partition than the last one, if there is one, preferring those that have a leader. */
export function stick(topic: TopicQueue, random: Random): PartitionQueue | undefined {
  const { partitions, info, sticky } = topic;
  const led = partitions.filter((queue) => (info?.partitions[queue.partition]?.leaderId ?? -1) >= 0);
  const from = led.length > 0 ? led : partitions;
  const others = from.length > 1 ? from.filter((queue) => queue !== sticky) : from;
  topic.sticky = others[random.below(Math.max(1, others.length))];
  return topic.sticky;
}

/** Free builders kept, each with memory for a batch; more than that were open at once, which is over. */
const MAX_FREE_BUILDERS = 16;

/** Builders of one shape. A builder keeps its grown buffer, so the next batch does not grow one again. */
export class Builders implements BuilderPool {
  readonly #options: ResolvedProducerOptions;
  readonly #targetBytes: number;
  readonly #maxBytes: number;
  readonly #free: BatchBuilder[] = [];

  /** @param limitBytes largest batch that the topic takes; 0: not known. */
  constructor(options: ResolvedProducerOptions, limitBytes: number) {
    this.#options = options;
    this.#maxBytes = recordLimit(options, limitBytes);
    // Compressing is done at one go, on the loop that everything else runs on: such batches do not grow.
    const wanted = options.compression === "none" ? options.maxBatchSize : options.batchSize;
    this.#targetBytes = Math.min(wanted, this.#maxBytes);
  }

  take(): BatchBuilder {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    const { compression: codec, compressionLevel: level } = this.#options;
    return new BatchBuilder({
      codec,
      targetBytes: this.#targetBytes,
      maxBytes: this.#maxBytes,
      ...(level === undefined ? {} : { level }),
    });
  }

  give(builder: BatchBuilder): void {
    if (this.#free.length < MAX_FREE_BUILDERS) this.#free.push(builder);
  }
}

/**
 * Largest batch, before compression. A compressed one is smaller than what goes in by nobody knows how much, so only plain
 * ones are cut to the limit of the topic.
 */
export function recordLimit(options: ResolvedProducerOptions, limitBytes: number): number {
  const isBounded = options.compression === "none" && limitBytes > 0;
  return isBounded ? Math.min(options.maxRequestBytes, limitBytes) : options.maxRequestBytes;
}
