import { Deferred } from "../base/deferred.ts";
import { operationError } from "../base/errors.ts";
import type { Clock, Timer } from "../platform/clock.ts";

/** Somebody who waits until certain versions of some partitions' positions are committed, for a bounded time. */
export class CommitWaiter {
  /** @throws what one of them was refused for, TIMEOUT (retriable). */
  readonly done: Promise<void>;
  readonly #result = new Deferred<void>();
  /** By partition key. */
  readonly #wanted: Map<string, number>;
  readonly #timer: Timer;

  constructor(wanted: Map<string, number>, timeoutMs: number, clock: Clock) {
    this.#wanted = wanted;
    this.done = this.#result.promise;
    this.#timer = clock.setTimer(timeoutMs, () => {
      const what = [...wanted.keys()].slice(0, 5).join(", ");
      this.fail(
        operationError("TIMEOUT", `commit of ${what}: not done within ${timeoutMs} ms`, { retriable: true }),
      );
    });
  }

  /** The coordinator has this version, and so all older ones. */
  onAcknowledged(key: string, version: number): void {
    const wanted = this.#wanted.get(key);
    if (wanted === undefined || version < wanted) return;
    this.#wanted.delete(key);
    if (this.#wanted.size > 0) return;
    this.#timer.cancel();
    this.#result.resolve();
  }

  /** Answers whether this one waited for it. */
  onRefused(key: string, error: Error): boolean {
    if (!this.#wanted.has(key)) return false;
    this.fail(error);
    return true;
  }

  fail(error: Error): void {
    this.#timer.cancel();
    this.#result.reject(error);
  }
}
