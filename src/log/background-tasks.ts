import type { Logger } from "../base/logger.ts";
import type { Clock, Timer } from "../platform/clock.ts";

/** Work that a timer starts: owns the promises, reports what fails, and ends with its owner. */
export class BackgroundTasks {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #timers = new Set<Timer>();
  readonly #running = new Set<Promise<void>>();
  #isClosed = false;

  constructor(deps: { readonly clock: Clock; readonly logger: Logger }) {
    this.#clock = deps.clock;
    this.#logger = deps.logger;
  }

  /** Once, after the delay. Nothing happens after `close`. */
  after(delayMs: number, what: string, task: () => Promise<void>): void {
    if (this.#isClosed) return;
    const timer = this.#clock.setTimer(delayMs, () => {
      this.#timers.delete(timer);
      const running = task()
        .catch((error: unknown) => this.#logger.warn(`${what} failed`, { err: error }))
        .finally(() => this.#running.delete(running));
      this.#running.add(running);
    });
    this.#timers.add(timer);
  }

  /** Again and again, `intervalMs` after the end of the time before. */
  every(intervalMs: number, what: string, task: () => Promise<void>): void {
    this.after(intervalMs, what, async () => {
      try {
        await task();
      } finally {
        this.every(intervalMs, what, task);
      }
    });
  }

  /** Starts nothing any more and waits for what runs. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    await Promise.all(this.#running);
  }
}
