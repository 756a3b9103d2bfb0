import { assert } from "../base/assert.ts";
import { Histogram } from "../base/histogram.ts";
import type { Clock } from "../platform/clock.ts";
import type { DiskFile } from "../platform/disk.ts";

/** Limits of the scheduler. */
export interface SyncSchedulerOptions {
  /** Syncs at the same time. Below the size of libuv's thread pool, or they would starve all other file work (H18). */
  readonly maxConcurrent: number;
  /** For tests, which must notice it. */
  readonly areFailuresSwallowed?: boolean;
}

/** Counters since the start, for metrics and tests. */
export interface SyncStats {
  readonly completed: number;
  readonly failed: number;
  readonly running: number;
  readonly waiting: number;
}

/** How far the head may run ahead in the backing array before the dead part is cut off. */
const COMPACT_AFTER = 256;

/**
 * Bounds the fdatasyncs of all partitions of a broker. First come, first served: a partition has at most a few requests
 * waiting (its active segment, a segment being sealed), so none is starved and the queue is bounded by their number.
 */
export class SyncScheduler {
  /** How long the syncs took that succeeded, in seconds. */
  readonly durations = new Histogram();
  readonly #clock: Clock;
  readonly #maxConcurrent: number;
  readonly #areFailuresSwallowed: boolean;
  #waiting: (() => void)[] = [];
  #head = 0;
  #running = 0;
  #completed = 0;
  #failed = 0;

  constructor(options: SyncSchedulerOptions, deps: { readonly clock: Clock }) {
    assert(options.maxConcurrent > 0, "no sync could ever run", { ...options });
    this.#clock = deps.clock;
    this.#maxConcurrent = options.maxConcurrent;
    this.#areFailuresSwallowed = options.areFailuresSwallowed ?? false;
  }

  get stats(): SyncStats {
    return {
      completed: this.#completed,
      failed: this.#failed,
      running: this.#running,
      waiting: this.#waiting.length - this.#head,
    };
  }

  /** Syncs when it is this request's turn. The rejection is the file's own (DISK_SYNC_FAILED). */
  sync(file: DiskFile): Promise<void> {
    if (this.#running < this.#maxConcurrent) return this.#run(file);
    return new Promise<void>((resolve) => {
      this.#waiting.push(resolve);
    }).then(() => this.#runReserved(file));
  }

  #run(file: DiskFile): Promise<void> {
    this.#running++;
    return this.#runReserved(file);
  }

  async #runReserved(file: DiskFile): Promise<void> {
    const startMs = this.#clock.monotonicMs();
    try {
      await file.sync();
      this.durations.observeMs(this.#clock.monotonicMs() - startMs);
      this.#completed++;
    } catch (error: unknown) {
      this.#failed++;
      if (!this.#areFailuresSwallowed) throw error;
    } finally {
      this.#passOn();
    }
  }

  /** The finished sync's place goes to the next in line, without becoming free in between. */
  #passOn(): void {
    const next = this.#waiting[this.#head];
    if (next === undefined) {
      this.#running--;
      return;
    }
    this.#head++;
    if (this.#head >= COMPACT_AFTER && this.#head * 2 >= this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    }
    next();
  }
}
