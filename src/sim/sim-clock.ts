import { sleepOn } from "../base/abort.ts";
import { assert } from "../base/assert.ts";
import type { Clock, Timer } from "../platform/clock.ts";
import type { Scheduler } from "./scheduler.ts";

/** Where a simulated machine's clock stands. */
export interface SimClockOptions {
  /** Wall time at virtual time 0, in milliseconds since 1970. Default 2026-01-01T00:00:00Z. */
  readonly wallStartMs?: number;
  /** Clock milliseconds per virtual millisecond: 1.001 is a clock that runs fast. Default 1. */
  readonly rate?: number;
}

const DEFAULT_WALL_START_MS = 1_767_225_600_000;

interface ArmedTimer {
  readonly callback: () => void;
  isCancelled: boolean;
}

/** The clock of one simulated process: virtual time from the shared scheduler, its own drift and wall offset. */
export class SimClock implements Clock {
  readonly #scheduler: Scheduler;
  readonly #rate: number;
  #wallOffsetMs: number;
  #isStopped = false;
  /** Timers that came due while the process stood still; undefined while it runs. */
  #held: ArmedTimer[] | undefined;

  constructor(options: SimClockOptions, deps: { readonly scheduler: Scheduler }) {
    this.#scheduler = deps.scheduler;
    this.#rate = options.rate ?? 1;
    assert(this.#rate > 0, "a clock does not stand still or go back", { rate: this.#rate });
    this.#wallOffsetMs = options.wallStartMs ?? DEFAULT_WALL_START_MS;
  }

  /** What to add to the monotonic time to get the wall time: for a clock that follows this one after a restart. */
  get wallOffsetMs(): number {
    return this.#wallOffsetMs;
  }

  get rate(): number {
    return this.#rate;
  }

  wallMs(): number {
    return Math.floor(this.#wallOffsetMs + this.monotonicMs());
  }

  monotonicMs(): number {
    return this.#scheduler.nowMs * this.#rate;
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const armed: ArmedTimer = { callback, isCancelled: false };
    const event = this.#scheduler.schedule(this.#virtualDelay(delayMs), () => this.#fire(armed));
    return {
      cancel: () => {
        armed.isCancelled = true;
        event.cancel();
      },
    };
  }

  /** Runs after all events of this moment that were scheduled before. */
  defer(callback: () => void): void {
    this.setTimer(0, callback);
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, delayMs, signal);
  }

  /** The wall clock is set forward (or back, when negative); monotonic time and timers do not notice. */
  jumpWall(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  /** The process stands still (SIGSTOP): time goes on, and timers that come due wait for `resume`. */
  pause(): void {
    this.#held ??= [];
  }

  /** The process goes on: everything that came due meanwhile fires now, in order (H32). */
  resume(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const armed of held) this.#scheduler.schedule(0, () => this.#fire(armed));
  }

  /** The process died: no timer of this clock fires any more, and whoever sleeps on it sleeps for ever. */
  stop(): void {
    this.#isStopped = true;
  }

  #fire(armed: ArmedTimer): void {
    if (this.#isStopped || armed.isCancelled) return;
    if (this.#held === undefined) armed.callback();
    else this.#held.push(armed);
  }

  /** The virtual delay after which this clock shows at least `delayMs` more; rounding must not let a timer fire early. */
  #virtualDelay(delayMs: number): number {
    const now = this.#scheduler.nowMs;
    const target = now * this.#rate + delayMs;
    let delay = delayMs / this.#rate;
    for (let step = 1e-6; (now + delay) * this.#rate < target; step *= 2) delay += step;
    return delay;
  }
}
