import { assert } from "./assert.ts";

/** Called once when the bytes it asked for were charged on its behalf. */
export type BudgetWaiter = () => void;

/**
 * A process-wide bound on bytes that were received and are not yet dealt with. Who finds it exhausted stops reading its
 * source until called back; nothing is refused (H70, H74). First come, first served, so that a large request is not
 * starved by small ones. A request larger than the whole budget is granted when nothing else is held.
 */
export class ByteBudget {
  readonly limitBytes: number;
  #usedBytes = 0;
  /** Insertion order is the order of service. Bounded by the number of streams: each waits for one message at most. */
  readonly #waiting = new Map<BudgetWaiter, number>();

  constructor(limitBytes: number) {
    assert(Number.isSafeInteger(limitBytes) && limitBytes > 0, "a byte budget is a positive count", {
      limitBytes,
    });
    this.limitBytes = limitBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Sources that are stopped. */
  get waitingCount(): number {
    return this.#waiting.size;
  }

  /** Charges now (true), or later, by calling `waiter` (false). One waiter waits for one request at a time. */
  take(sizeBytes: number, waiter: BudgetWaiter): boolean {
    assert(sizeBytes >= 0, "a negative charge", { sizeBytes });
    assert(!this.#waiting.has(waiter), "a waiter waits twice");
    if (this.#waiting.size === 0 && this.#fits(sizeBytes)) {
      this.#usedBytes += sizeBytes;
      return true;
    }
    this.#waiting.set(waiter, sizeBytes);
    return false;
  }

  /** Takes a waiter out of the queue; nothing was charged for it. No effect when it was served already. */
  cancel(waiter: BudgetWaiter): void {
    if (this.#waiting.delete(waiter)) this.#serve();
  }

  /** Gives back what was charged. */
  release(sizeBytes: number): void {
    assert(sizeBytes >= 0 && sizeBytes <= this.#usedBytes, "more was released than is held", {
      sizeBytes,
      usedBytes: this.#usedBytes,
    });
    this.#usedBytes -= sizeBytes;
    this.#serve();
  }

  #fits(sizeBytes: number): boolean {
    return this.#usedBytes === 0 || this.#usedBytes + sizeBytes <= this.limitBytes;
  }

  #serve(): void {
    // A waiter may take, cancel or release while it is called, so the queue is looked at afresh each time.
    for (;;) {
      const next = this.#waiting.entries().next();
      if (next.done === true) return;
      const [waiter, sizeBytes] = next.value;
      if (!this.#fits(sizeBytes)) return;
      this.#waiting.delete(waiter);
      this.#usedBytes += sizeBytes;
      waiter();
    }
  }
}
