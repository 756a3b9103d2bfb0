import type { Clock, Timer } from "../platform/clock.ts";

/** Later than this many ticks is a stall: of the process, of the machine, of a long synchronous section. */
const LATE_TICKS = 2;

/**
 * Counts time for Raft. After a stall the timer fires before what was received meanwhile is handled; the tick then waits
 * until that has been, and the time that passed counts as one tick: nobody is found silent who was not heard (H32).
 */
export class Ticker {
  readonly #tickMs: number;
  readonly #clock: Clock;
  readonly #onTick: () => void;
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(
    options: { readonly tickMs: number },
    deps: { readonly clock: Clock; readonly onTick: () => void },
  ) {
    this.#tickMs = options.tickMs;
    this.#clock = deps.clock;
    this.#onTick = deps.onTick;
  }

  start(): void {
    if (this.#isStopped) return;
    const dueMs = this.#clock.monotonicMs() + this.#tickMs;
    this.#timer = this.#clock.setTimer(this.#tickMs, () => {
      const isLate = this.#clock.monotonicMs() - dueMs > LATE_TICKS * this.#tickMs;
      if (isLate) this.#clock.defer(() => this.#tick());
      else this.#tick();
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  #tick(): void {
    if (this.#isStopped) return;
    this.start();
    this.#onTick();
  }
}
