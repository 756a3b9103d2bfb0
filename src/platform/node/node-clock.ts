import { performance } from "node:perf_hooks";
import { sleepOn } from "../../base/abort.ts";
import type { Clock, Timer } from "../clock.ts";

/** Node's own timers fire at once for anything longer than a signed 32-bit number of milliseconds. */
const MAX_NODE_DELAY_MS = 0x7fff_ffff;

/**
 * The machine's clock. By default its timers do not keep the process alive: a server lives by its listener. A client
 * whose only pending thing may be a retry or a linger asks for timers that do.
 */
export class NodeClock implements Clock {
  readonly #keepsAlive: boolean;

  constructor(options: { readonly keepsAlive: boolean } = { keepsAlive: false }) {
    this.#keepsAlive = options.keepsAlive;
  }

  wallMs(): number {
    return Date.now();
  }

  monotonicMs(): number {
    return performance.now();
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    return new NodeTimer(performance.now() + delayMs, this.#keepsAlive, callback);
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
  readonly #keepsAlive: boolean;
  readonly #callback: () => void;
  #handle: NodeJS.Timeout;

  constructor(dueMs: number, keepsAlive: boolean, callback: () => void) {
    this.#dueMs = dueMs;
    this.#keepsAlive = keepsAlive;
    this.#callback = callback;
    this.#handle = this.#arm();
  }

  cancel(): void {
    clearTimeout(this.#handle);
  }

  #arm(): NodeJS.Timeout {
    const restMs = Math.ceil(this.#dueMs - performance.now());
    const delayMs = Math.min(Math.max(restMs, 0), MAX_NODE_DELAY_MS);
    const handle = setTimeout(() => this.#fire(), delayMs);
    return this.#keepsAlive ? handle : handle.unref();
  }

  #fire(): void {
    if (performance.now() < this.#dueMs) this.#handle = this.#arm();
    else this.#callback();
  }
}
