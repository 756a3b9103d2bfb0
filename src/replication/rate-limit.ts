/** What may go at once after a pause, as a span of the rate, in ms. */
const BURST_MS = 200;
/** Whoever has to wait waits for so much of the rate, in ms: fewer and larger frames than a batch at a time. */
const REFILL_MS = 50;
/** What sums of fractions may have lost: a byte that has come is not missing. */
const ROUNDING_BYTES = 1e-6;

/**
 * A rate in bytes per second as a bucket of tokens that everybody it holds for takes from. What is larger than the bucket
 * may go too and is owed then, so over a longer time the rate is kept whatever the size of batches. Pure; times are
 * arguments, in monotonic ms.
 */
export class RateLimit {
  #bytesPerSecond: number;
  /** Below zero: owed. */
  #tokens: number;
  #atMs: number;

  /** @param bytesPerSecond more than 0. The bucket is full. */
  constructor(bytesPerSecond: number, nowMs: number) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#tokens = this.#bytesIn(BURST_MS);
    this.#atMs = nowMs;
  }

  get bytesPerSecond(): number {
    return this.#bytesPerSecond;
  }

  /** Another rate from now on; what is owed stays owed. */
  change(bytesPerSecond: number, nowMs: number): void {
    this.#refill(nowMs);
    this.#bytesPerSecond = bytesPerSecond;
    this.#tokens = Math.min(this.#tokens, this.#bytesIn(BURST_MS));
  }

  /** How long until something may go, in whole ms; 0: now. */
  waitMs(nowMs: number): number {
    this.#refill(nowMs);
    // Not for a part of a byte: a rate of a few bytes a second must come to an end, too.
    const missing = Math.max(this.#bytesIn(REFILL_MS), 1) - this.#tokens - ROUNDING_BYTES;
    return missing <= 0 ? 0 : Math.ceil((missing / this.#bytesPerSecond) * 1000);
  }

  /** Bytes that may go now; at least 1 while `waitMs` is 0. */
  availableBytes(nowMs: number): number {
    this.#refill(nowMs);
    return Math.max(0, Math.floor(this.#tokens + ROUNDING_BYTES));
  }

  /** So many bytes go. */
  take(bytes: number): void {
    this.#tokens -= bytes;
  }

  #refill(nowMs: number): void {
    const tokens = this.#tokens + this.#bytesIn(nowMs - this.#atMs);
    this.#tokens = Math.min(tokens, Math.max(this.#bytesIn(BURST_MS), 1));
    this.#atMs = nowMs;
  }

  #bytesIn(spanMs: number): number {
    return (this.#bytesPerSecond * spanMs) / 1000;
  }
}
