import { abortReason } from "./abort.ts";
import { assert } from "./assert.ts";
import { Deferred } from "./deferred.ts";
import { operationError } from "./errors.ts";

/** Limits of a serial queue. */
export interface SerialQueueOptions {
  /** Tasks that may wait behind the running one; beyond that `run` rejects with BUFFER_EXHAUSTED. */
  readonly maxWaiting: number;
}

interface WaitingTask {
  start(): Promise<void>;
  reject(reason: Error): void;
}

/**
 * Runs asynchronous tasks one at a time, in the order of their `run` calls; the owner of a state machine puts every
 * change through one. A task that fails does not stop those behind it. A task must not wait for another `run` of its
 * own queue: it would wait for itself.
 */
export class SerialQueue {
  readonly #maxWaiting: number;
  readonly #waiting = new Set<WaitingTask>();
  #idle: Deferred<void> | undefined;
  #isRunning = false;
  #closeReason: Error | undefined;

  constructor(options: SerialQueueOptions) {
    assert(options.maxWaiting >= 0, "a queue cannot hold fewer than no tasks", { ...options });
    this.#maxWaiting = options.maxWaiting;
  }

  /** Tasks that have not started. */
  get waitingCount(): number {
    return this.#waiting.size;
  }

  get isClosed(): boolean {
    return this.#closeReason !== undefined;
  }

  /**
   * Answers what `task` answers. It starts in this very call when nothing runs. `signal` takes a task out of the queue
   * before it has started; a running task watches the signal itself. @throws LograftError BUFFER_EXHAUSTED, CLOSED.
   */
  run<T>(task: () => Promise<T> | T, signal?: AbortSignal): Promise<T> {
    if (this.#closeReason !== undefined) return Promise.reject(this.#closeReason);
    if (signal?.aborted === true) return Promise.reject(abortReason(signal));
    if (this.#isRunning && this.#waiting.size >= this.#maxWaiting) {
      return Promise.reject(
        operationError(
          "BUFFER_EXHAUSTED",
          `${this.#waiting.size} tasks wait already; slow down and try again`,
          {
            context: { maxWaiting: this.#maxWaiting },
            retriable: true,
          },
        ),
      );
    }
    return new Promise<T>((resolve, reject) => {
      const onAbort = (): void => {
        if (signal !== undefined && this.#waiting.delete(waiting)) reject(abortReason(signal));
      };
      const waiting: WaitingTask = {
        start: async () => {
          signal?.removeEventListener("abort", onAbort);
          try {
            resolve(await task());
          } catch (error: unknown) {
            reject(
              error instanceof Error ? error : operationError("ABORTED", String(error), { cause: error }),
            );
          }
        },
        reject: (reason) => {
          signal?.removeEventListener("abort", onAbort);
          reject(reason);
        },
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#waiting.add(waiting);
      if (!this.#isRunning) void this.#drain(); // `start` never rejects: each task reports to its own caller.
    });
  }

  /** Resolves when nothing runs and nothing waits. */
  async idle(): Promise<void> {
    if (!this.#isRunning) return;
    this.#idle ??= new Deferred();
    await this.#idle.promise;
  }

  /** Rejects the waiting tasks (with `reason` or CLOSED), refuses new ones, resolves when the running one ended. */
  async close(reason?: Error): Promise<void> {
    if (this.#closeReason === undefined) {
      const error = reason ?? operationError("CLOSED", "the queue was closed before the task started");
      this.#closeReason = error;
      for (const task of this.#waiting) task.reject(error);
      this.#waiting.clear();
    }
    await this.idle();
  }

  async #drain(): Promise<void> {
    this.#isRunning = true;
    for (;;) {
      const [next] = this.#waiting;
      if (next === undefined) break;
      this.#waiting.delete(next);
      await next.start();
    }
    this.#isRunning = false;
    this.#idle?.resolve();
    this.#idle = undefined;
  }
}
