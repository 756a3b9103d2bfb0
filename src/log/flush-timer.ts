import type { Clock, Timer } from "../platform/clock.ts";
import type { Flushable } from "./log-core.ts";

/** One timer for all logs under the flush policy "interval": only a log with something to sync is in it. */
export class FlushTimer {
  readonly #clock: Clock;
  /** Due times on the monotonic clock. */
  readonly #dirty = new Map<Flushable, number>();
  #timer: Timer | undefined;
  #timerDueMs = 0;
  #isClosed = false;

  constructor(deps: { readonly clock: Clock }) {
    this.#clock = deps.clock;
  }

  /** Logs that wait for their sync. */
  get dirtyCount(): number {
    return this.#dirty.size;
  }

  /** The log is flushed within `withinMs`; nothing changes if it waits already. */
  add(log: Flushable, withinMs: number): void {
    if (this.#isClosed || this.#dirty.has(log)) return;
    const dueMs = this.#clock.monotonicMs() + withinMs;
    this.#dirty.set(log, dueMs);
    if (this.#timer === undefined || dueMs < this.#timerDueMs) this.#arm(dueMs);
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#dirty.clear();
  }

  #arm(dueMs: number): void {
    this.#timer?.cancel();
    this.#timerDueMs = dueMs;
    this.#timer = this.#clock.setTimer(Math.max(0, dueMs - this.#clock.monotonicMs()), () => this.#fire());
  }

  #fire(): void {
    this.#timer = undefined;
    const nowMs = this.#clock.monotonicMs();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const [log, dueMs] of this.#dirty) {
      if (dueMs > nowMs) {
        nextMs = Math.min(nextMs, dueMs);
        continue;
      }
      this.#dirty.delete(log);
      // A failed flush has taken the log offline and told everybody; there is nothing left to do here.
      log.flush().catch(() => undefined);
    }
    if (nextMs !== Number.POSITIVE_INFINITY) this.#arm(nextMs);
  }
}
