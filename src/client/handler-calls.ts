import { Backoff, type BackoffOptions } from "../base/backoff.ts";
import { errorMessage, type LograftError, operationError } from "../base/errors.ts";
import type { Clock } from "../platform/clock.ts";
import type { Random } from "../platform/random.ts";
import type { HandlerContext, RunOptions } from "./consumer-types.ts";
import { isLograftError } from "./errors.ts";
import { within } from "./producer-types.ts";
import type { TakenBatch } from "./taken-batch.ts";

/** What calling handlers needs of its surroundings. */
export interface HandlerDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** A handler failed and is called again, or what it failed on is left behind. */
  readonly onRetriedError: (error: LograftError) => void;
}

/** What becomes of a piece of work: it counts as processed, or it stays to be done by whoever reads it next. */
export type HandlerOutcome = "processed" | "left";

const SKIPPED = "it is left behind as if it were processed";
const DEFAULT_BACKOFF: BackoffOptions = { initialMs: 100, maxMs: 10_000 };

/** Calls handlers by the policy of one `run`: how often again, after what pauses, and what then. */
export class HandlerCalls {
  readonly #attempts: number;
  readonly #backoff: BackoffOptions;
  readonly #onError: "retry" | "skip" | "stop";
  readonly #stopping: AbortSignal;
  readonly #deps: HandlerDeps;

  /** `stopping`: the run ends. @throws LograftError INVALID_ARGUMENT. */
  constructor(options: RunOptions, stopping: AbortSignal, deps: HandlerDeps) {
    this.#attempts = within("retry.attempts", options.retry?.attempts ?? 0, 0, Number.MAX_SAFE_INTEGER);
    const { initialMs, maxMs, ...rest } = { ...DEFAULT_BACKOFF, ...options.retry?.backoff };
    this.#backoff = {
      ...rest,
      initialMs: within("retry.backoff.initialMs", initialMs, 1, 2 ** 31),
      maxMs: Math.max(initialMs, within("retry.backoff.maxMs", maxMs, 1, 2 ** 31)),
    };
    this.#onError = options.onError ?? "stop";
    this.#stopping = stopping;
    this.#deps = deps;
  }

  /** Nothing more may be begun: the run ends, or the partition goes. */
  mustStop(taken: TakenBatch): boolean {
    return this.#stopping.aborted || taken.isOver;
  }

  /** The signal for handlers of this batch. Dispose it when they are done. */
  context(taken: TakenBatch): HandlerContext & Disposable {
    const { lost } = taken;
    if (lost === undefined) return { signal: this.#stopping, [Symbol.dispose]: nothing };
    return linked(this.#stopping, lost);
  }

  /** @throws what the handler threw last, when the policy is to stop. */
  async call(taken: TakenBatch, what: string, handler: () => Promise<void> | void): Promise<HandlerOutcome> {
    let backoff: Backoff | undefined;
    for (let attempt = 0; ; attempt++) {
      try {
        await handler();
        return "processed";
      } catch (error: unknown) {
        if (this.#isCalledOff(taken)) {
          // It may have failed because it was told to end; to skip it then would lose it.
          this.#report(error, what, "it is left: the run ends, or the partition is lost");
          return "left";
        }
        const isLast = attempt >= this.#attempts && this.#onError !== "retry";
        if (isLast && this.#onError === "stop") throw error;
        this.#report(error, what, isLast ? SKIPPED : "it is tried again");
        if (isLast) return "processed";
      }
      backoff ??= new Backoff(this.#backoff, this.#deps);
      if (!(await this.#pause(taken, backoff.nextMs()))) return "left";
    }
  }

  /** The signal of the handler's context has fired. */
  #isCalledOff({ lost }: TakenBatch): boolean {
    return this.#stopping.aborted || lost?.aborted === true;
  }

  #report(error: unknown, what: string, fate: string): void {
    const isSkipped = fate === SKIPPED;
    const code = isLograftError(error) ? error.code : "ABORTED";
    const text = `the handler failed on ${what} (${fate}): ${errorMessage(error)}`;
    const context = { code, isSkipped };
    this.#deps.onRetriedError(
      operationError("ABORTED", text, { cause: error, context, retriable: !isSkipped }),
    );
  }

  /** False when there is nothing to go on with. */
  async #pause(taken: TakenBatch, pauseMs: number): Promise<boolean> {
    if (this.mustStop(taken)) return false;
    using ended = linked(this.#stopping, taken.ending);
    try {
      await this.#deps.clock.sleep(pauseMs, ended.signal);
    } catch (error: unknown) {
      if (!ended.signal.aborted) throw error;
    }
    return !this.mustStop(taken);
  }
}

/** A signal that fires with either, and leaves no listener behind. */
function linked(first: AbortSignal, second: AbortSignal | undefined): HandlerContext & Disposable {
  const controller = new AbortController();
  const fire = (): void => controller.abort(first.aborted ? first.reason : second?.reason);
  if (first.aborted || second?.aborted === true) fire();
  first.addEventListener("abort", fire, { once: true });
  second?.addEventListener("abort", fire, { once: true });
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      first.removeEventListener("abort", fire);
      second?.removeEventListener("abort", fire);
    },
  };
}

function nothing(): void {
  // The signal of the run is nobody's to dispose of.
}
