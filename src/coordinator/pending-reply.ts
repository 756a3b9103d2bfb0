import { abortReason } from "../base/abort.ts";
import { assert } from "../base/assert.ts";
import { Deferred } from "../base/deferred.ts";
import type { ReplyTo } from "./shard.ts";

/** The part of a pending reply that does not know what is answered. */
export interface Waiter {
  /** What the shard answered may go out. */
  release(): void;
  /** There will be no answer. Does nothing when there was one, or nobody waits any more. */
  fail(error: Error): void;
}

/**
 * Somebody who waits for an answer. Three steps: made, answered by the shard, released when what the answer relies on is
 * committed. A caller who gives up is forgotten at once; what the shard answers later goes nowhere.
 */
export class PendingReply<Response> implements ReplyTo<Response>, Waiter {
  declare readonly response?: Response;
  readonly #result = new Deferred<Response>();
  readonly #signal: AbortSignal | undefined;
  readonly #onSettled: (reply: Waiter) => void;
  #answer: { readonly value: Response } | undefined;

  /** @param onSettled released, failed or given up: nobody waits any more. */
  constructor(signal: AbortSignal | undefined, onSettled: (reply: Waiter) => void) {
    this.#signal = signal;
    this.#onSettled = onSettled;
    signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** Rejects with the error of `fail`, or the reason of the signal. */
  get promise(): Promise<Response> {
    return this.#result.promise;
  }

  /** What the shard says; once. It stays here until `release`. */
  answer(value: Response): void {
    assert(this.#answer === undefined, "a request was answered twice", { value });
    this.#answer = { value };
  }

  release(): void {
    if (this.#result.isSettled || this.#answer === undefined) return;
    this.#settle();
    this.#result.resolve(this.#answer.value);
  }

  fail(error: Error): void {
    if (this.#result.isSettled) return;
    this.#settle();
    this.#result.reject(error);
  }

  #settle(): void {
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#onSettled(this);
  }

  readonly #onAbort = (): void => {
    if (this.#signal !== undefined) this.fail(abortReason(this.#signal));
  };
}
