import { assert } from "./assert.ts";

/** Shape of a retry schedule. */
export interface BackoffOptions {
  /** Middle of the first delay, > 0. */
  readonly initialMs: number;
  /** Bound of the middle; the jitter may pass it by its own fraction. */
  readonly maxMs: number;
  /** Growth from one delay to the next, >= 1. Default 2. */
  readonly multiplier?: number;
  /** Each delay is spread uniformly over middle * (1 - jitter) to middle * (1 + jitter). In 0..1, default 0.2 (KIP-580). */
  readonly jitter?: number;
}

/** Delays between attempts: exponential, bounded, spread so that those who failed together do not return together. */
export class Backoff {
  readonly #initialMs: number;
  readonly #maxMs: number;
  readonly #multiplier: number;
  readonly #jitter: number;
  readonly #random: { fraction(): number };
  #attempts = 0;
  #middleMs: number;

  constructor(options: BackoffOptions, deps: { readonly random: { fraction(): number } }) {
    this.#initialMs = options.initialMs;
    this.#maxMs = options.maxMs;
    this.#multiplier = options.multiplier ?? 2;
    this.#jitter = options.jitter ?? 0.2;
    assert(options.initialMs > 0, "a backoff starts above zero", { ...options });
    assert(options.maxMs >= options.initialMs, "a backoff's bound is below its start", { ...options });
    assert(this.#multiplier >= 1, "a backoff does not shrink", { ...options });
    assert(this.#jitter >= 0 && this.#jitter <= 1, "jitter is a fraction", { ...options });
    this.#random = deps.random;
    this.#middleMs = options.initialMs;
  }

  /** Calls of `nextMs` since the start or the last `reset`. */
  get attempts(): number {
    return this.#attempts;
  }

  /** The delay before the next attempt, in milliseconds. */
  nextMs(): number {
    const spread = this.#jitter * (2 * this.#random.fraction() - 1);
    const delayMs = this.#middleMs * (1 + spread);
    this.#attempts += 1;
    this.#middleMs = Math.min(this.#maxMs, this.#middleMs * this.#multiplier);
    return delayMs;
  }

  /** Back to the first delay: after a success. */
  reset(): void {
    this.#attempts = 0;
    this.#middleMs = this.#initialMs;
  }
}
