import type { Clock, Timer } from "../platform/clock.ts";
import type { TopicPartitionRef } from "./consumer-types.ts";
import type { PartitionReader } from "./partition-reader.ts";

/** Tells of partitions that give nothing although there is something to give, or though nobody can say. */
export class StallWatch {
  readonly #stalledAfterMs: number;
  readonly #deps: {
    readonly clock: Clock;
    readonly readers: () => Iterable<PartitionReader>;
    readonly onStalled: (partitions: TopicPartitionRef[]) => void;
  };
  #timer: Timer | undefined;

  constructor(
    options: { readonly stalledAfterMs: number },
    deps: {
      readonly clock: Clock;
      readonly readers: () => Iterable<PartitionReader>;
      readonly onStalled: (partitions: TopicPartitionRef[]) => void;
    },
  ) {
    this.#stalledAfterMs = options.stalledAfterMs;
    this.#deps = deps;
  }

  /** Idempotent. */
  start(): void {
    this.#timer ??= this.#arm();
  }

  close(): void {
    this.#timer?.cancel();
  }

  #arm(): Timer {
    return this.#deps.clock.setTimer(this.#stalledAfterMs / 2, () => {
      this.#timer = this.#arm();
      this.#look();
    });
  }

  #look(): void {
    const silentSinceMs = this.#deps.clock.monotonicMs() - this.#stalledAfterMs;
    const stalled: TopicPartitionRef[] = [];
    for (const reader of this.#deps.readers()) {
      const hasNews = reader.hasData || reader.lastNewsMs > silentSinceMs;
      const isAtEnd = reader.lane !== undefined && reader.lag === 0;
      if (reader.isPaused || reader.isStalled || hasNews || isAtEnd) continue;
      reader.isStalled = true;
      stalled.push({ topic: reader.topic, partition: reader.partition });
    }
    if (stalled.length > 0) this.#deps.onStalled(stalled);
  }
}
