import type { Http2Session } from "node:http2";

import type { Clock, Timer } from "../../platform/clock.ts";

export interface KeepaliveOptions {
  /** From one answer to the next ping. */
  readonly intervalMs: number;
  /** From a ping to the verdict that the other side is gone. */
  readonly timeoutMs: number;
}

/**
 * Finds out that the other side of a connection vanished without a word (H73): detection takes at most interval +
 * timeout. A verdict that comes late, because this process itself stood still, is not counted: the answer may lie unread
 * in the socket, so the ping gets one more timeout.
 */
export class SessionKeepalive {
  readonly #session: Http2Session;
  readonly #options: KeepaliveOptions;
  readonly #clock: Clock;
  readonly #onDead: () => void;
  #timer: Timer;
  #isStopped = false;

  constructor(
    options: KeepaliveOptions,
    deps: { readonly session: Http2Session; readonly clock: Clock; readonly onDead: () => void },
  ) {
    this.#options = options;
    this.#session = deps.session;
    this.#clock = deps.clock;
    this.#onDead = deps.onDead;
    this.#timer = this.#scheduleNext();
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer.cancel();
  }

  #scheduleNext(): Timer {
    return this.#clock.setTimer(this.#options.intervalMs, () => this.#ping());
  }

  #ping(): void {
    const session = this.#session;
    if (this.#isStopped || session.destroyed || session.connecting) return;
    this.#timer = this.#await();
    // The callback also comes, with an error, when the session ends first; then there is nothing left to watch.
    session.ping((error) => {
      if (this.#isStopped || error !== null) return;
      this.#timer.cancel();
      this.#timer = this.#scheduleNext();
    });
  }

  #await(): Timer {
    const { timeoutMs } = this.#options;
    const dueMs = this.#clock.monotonicMs() + timeoutMs;
    return this.#clock.setTimer(timeoutMs, () => {
      if (this.#isStopped) return;
      if (this.#clock.monotonicMs() > dueMs + timeoutMs / 2) {
        this.#timer = this.#await();
        return;
      }
      this.#onDead();
    });
  }
}
