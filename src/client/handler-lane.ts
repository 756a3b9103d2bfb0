import type { RunOptions } from "./consumer-types.ts";
import type { HandlerCalls } from "./handler-calls.ts";
import type { TakenBatch } from "./taken-batch.ts";

/** The handling of one partition's records in one `run`. */
export interface HandlerLane {
  /** Another batch may be added. */
  readonly hasRoom: boolean;
  /** Nothing is being handled. */
  readonly isIdle: boolean;
  add(taken: TakenBatch): void;
}

/** Who hears of a lane. */
export interface HandlerLaneListener {
  /** There is room again, or nothing is left. */
  onChange(lane: HandlerLane): void;
  /** A handler failed for good: the run is to end. */
  onFailure(error: unknown): void;
}

/** One batch at a time, its records in order. */
export class SerialLane implements HandlerLane {
  readonly #options: RunOptions;
  readonly #calls: HandlerCalls;
  readonly #listener: HandlerLaneListener;
  #isBusy = false;

  constructor(
    options: RunOptions,
    deps: { readonly calls: HandlerCalls; readonly listener: HandlerLaneListener },
  ) {
    this.#options = options;
    this.#calls = deps.calls;
    this.#listener = deps.listener;
  }

  get hasRoom(): boolean {
    return !this.#isBusy;
  }

  get isIdle(): boolean {
    return !this.#isBusy;
  }

  add(taken: TakenBatch): void {
    this.#isBusy = true;
    const work = this.#options.eachBatch === undefined ? this.#eachMessage(taken) : this.#eachBatch(taken);
    // Both release the batch on every path; what they throw ends the run.
    void work
      .catch((error: unknown) => this.#listener.onFailure(error))
      .finally(() => {
        this.#isBusy = false;
        this.#listener.onChange(this);
      });
  }

  async #eachBatch(taken: TakenBatch): Promise<void> {
    const { batch } = taken;
    const { eachBatch } = this.#options;
    using context = this.#calls.context(taken);
    let nextOffset = batch.firstOffset;
    try {
      const what = `a batch of ${taken.key} from offset ${batch.firstOffset}`;
      const outcome = await this.#calls.call(taken, what, () => eachBatch?.(batch, context));
      if (outcome === "processed") {
        nextOffset = batch.lastOffset + 1;
        taken.processed(nextOffset);
      }
    } finally {
      taken.release(nextOffset);
    }
  }

  async #eachMessage(taken: TakenBatch): Promise<void> {
    const { batch } = taken;
    const { eachMessage } = this.#options;
    using context = this.#calls.context(taken);
    let nextOffset = batch.firstOffset;
    let isLeft = false;
    try {
      for (const record of batch) {
        isLeft = this.#calls.mustStop(taken);
        if (isLeft) break;
        const what = `offset ${record.offset} of ${taken.key}`;
        const outcome = await this.#calls.call(taken, what, () => eachMessage?.(record, context));
        isLeft = outcome === "left";
        if (isLeft) break;
        nextOffset = record.offset + 1;
        taken.processed(nextOffset);
      }
      if (!isLeft) {
        // Also behind records that a compaction took away.
        nextOffset = batch.lastOffset + 1;
        taken.processed(nextOffset);
      }
    } finally {
      taken.release(nextOffset);
    }
  }
}
