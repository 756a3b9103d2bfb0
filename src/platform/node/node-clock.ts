import { performance } from "node:perf_hooks";
import { sleepOn } from "../../base/abort.ts";
import type { Clock, Timer } from "../clock.ts";

/** Node's own timers fire at once for anything longer than a signed 32-bit number of milliseconds. */
const MAX_NODE_DELAY_MS = 0x7fff_ffff;

/** The machine's clock. Timers do not keep the process alive. */
export class NodeClock implements Clock {
  wallMs(): number {
    return Date.now();
  }

  monotonicMs(): number {
    return performance.now();
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    return new NodeTimer(performance.now() + delayMs, callback);
  }

  defer(callback: () => void): void {
    setImmediate(callback);
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, delayMs, signal);
  }
}

/**
 * Never fires before its due time by the monotonic clock. Node's timers count whole milliseconds of the event loop's
 * time and may come up to one early, which would make a deadline check in the callback fail and wait again.
 */
class NodeTimer implements Timer {
  readonly #dueMs: number;
  readonly #callback: () => void;
  #handle: NodeJS.Timeout;

  constructor(dueMs: number, callback: () => void) {
    this.#dueMs = dueMs;
    this.#callback = callback;
    this.#handle = this.#arm();
  }

  cancel(): void {
    clearTimeout(this.#handle);
  }

  #arm(): NodeJS.Timeout {
    const restMs = Math.ceil(this.#dueMs - performance.now());
    const delayMs = Math.min(Math.max(restMs, 0), MAX_NODE_DELAY_MS);
    return setTimeout(() => this.#fire(), delayMs).unref();
  }

  #fire(): void {
    if (performance.now() < this.#dueMs) this.#handle = this.#arm();
    else this.#callback();
  }
}
