/** Milliseconds in which the limit counts. */
const WINDOW_MS = 1000;

export interface FencingOptions {
  /** Brokers fenced within one second while the limit holds, at least 1. */
  readonly maxPerSecond: number;
}

/** Which brokers to fence now, and when to look again for the others. */
export interface FencingChoice<Item> {
  readonly chosen: readonly Item[];
  /** Monotonic ms; undefined: all were chosen. */
  readonly retryAtMs: number | undefined;
}

/**
 * Decides how many of the brokers that seem dead are fenced at once. For a while after its activation a controller knows
 * little: many silent brokers may just as well be its own deafness, so it goes slowly then, and each one that is heard in
 * the meantime is saved (H20). Later all go together, because a rack without power must not be mourned one by one. Pure:
 * the time is an argument.
 */
export class Fencing {
  readonly #maxPerSecond: number;
  #limitedUntilMs = 0;
  /** When brokers were fenced within the last second, in order. */
  #recentMs: number[] = [];

  constructor(options: FencingOptions) {
    this.#maxPerSecond = options.maxPerSecond;
  }

  /** The limit holds from now to `untilMs`. */
  limit(untilMs: number): void {
    this.#limitedUntilMs = untilMs;
    this.#recentMs = [];
  }

  /** Takes as many of the first items as may be; those chosen count as fenced. */
  choose<Item>(items: readonly Item[], nowMs: number): FencingChoice<Item> {
    if (nowMs >= this.#limitedUntilMs) return { chosen: items, retryAtMs: undefined };
    // The same sum as in `retryAtMs`: rounded another way, the moment it names could be too early, again and again.
    this.#recentMs = this.#recentMs.filter((atMs) => nowMs < atMs + WINDOW_MS);
    const chosen = items.slice(0, Math.max(this.#maxPerSecond - this.#recentMs.length, 0));
    for (let count = chosen.length; count > 0; count--) this.#recentMs.push(nowMs);
    if (chosen.length === items.length) return { chosen, retryAtMs: undefined };
    const [oldestMs = nowMs] = this.#recentMs;
    return { chosen, retryAtMs: Math.min(oldestMs + WINDOW_MS, this.#limitedUntilMs) };
  }
}
