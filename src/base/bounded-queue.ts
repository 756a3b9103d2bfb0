import { abortReason } from "./abort.ts";
import { assert } from "./assert.ts";
import { Deferred } from "./deferred.ts";
import { operationError } from "./errors.ts";

/** Limits of a queue, both inclusive. */
export interface BoundedQueueOptions {
  readonly maxCount: number;
  /** Sum of the sizes given to `tryPush`. Default: no limit. */
  readonly maxBytes?: number;
}

interface Entry<T> {
  readonly item: T;
  readonly sizeBytes: number;
}

/** How far the head may run ahead in the backing array before the dead part is cut off. */
const COMPACT_AFTER = 1024;

/**
 * A first-in-first-out queue bounded by count and by bytes. At the bound it refuses (`tryPush` answers false) and the
 * source pauses on `waitForSpace`. An item larger than `maxBytes` is let in when the queue is empty: refusing it for
 * ever would block its source, so the true byte bound is `maxBytes` or one item.
 */
export class BoundedQueue<T> {
  readonly #maxCount: number;
  readonly #maxBytes: number;
  #entries: (Entry<T> | undefined)[] = [];
  #head = 0;
  #sizeBytes = 0;
  #closeReason: Error | undefined;
  readonly #takers = new Set<Deferred<T>>();
  readonly #spaceWaiters = new Set<Deferred<void>>();

  constructor(options: BoundedQueueOptions) {
    assert(options.maxCount >= 1, "a queue needs room for one item", { maxCount: options.maxCount });
    this.#maxCount = options.maxCount;
    this.#maxBytes = options.maxBytes ?? Number.POSITIVE_INFINITY;
  }

  get length(): number {
    return this.#entries.length - this.#head;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** True when even an item of no bytes would be refused. */
  get isFull(): boolean {
    return this.length >= this.#maxCount || this.#sizeBytes >= this.#maxBytes;
  }

  get isClosed(): boolean {
    return this.#closeReason !== undefined;
  }

  /** Appends, or answers false at the bound or after `close`; a refused item is not kept. */
  tryPush(item: T, sizeBytes = 0): boolean {
    assert(sizeBytes >= 0, "an item has a negative size", { sizeBytes });
    if (this.isClosed) return false;
    const [taker] = this.#takers;
    if (taker !== undefined) {
      // A waiting taker means that the queue is empty, so order is kept by handing over directly.
      this.#takers.delete(taker);
      taker.resolve(item);
      return true;
    }
    if (!this.#fits(sizeBytes)) return false;
    this.#entries.push({ item, sizeBytes });
    this.#sizeBytes += sizeBytes;
    return true;
  }

  /** The oldest item without removing it. */
  peek(): T | undefined {
    return this.#entries[this.#head]?.item;
  }

  /** Removes the oldest item; undefined when empty. Works after `close`, so that what was accepted can be drained. */
  shift(): T | undefined {
    const entry = this.#entries[this.#head];
    if (entry === undefined) return undefined;
    this.#entries[this.#head] = undefined;
    this.#head += 1;
    this.#sizeBytes -= entry.sizeBytes;
    if (this.#head === this.#entries.length) {
      this.#entries = [];
      this.#head = 0;
    } else if (this.#head >= COMPACT_AFTER && this.#head * 2 >= this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
    this.#wakeSpaceWaiters();
    return entry.item;
  }

  /** The oldest item, waiting for one. Takers are served in order. @throws LograftError CLOSED; the reason of `signal`. */
  async take(signal?: AbortSignal): Promise<T> {
    if (this.length > 0) return this.shift() as T;
    if (this.#closeReason !== undefined) throw this.#closeReason;
    return this.#wait(this.#takers, signal);
  }

  /**
   * Resolves when an item of `sizeBytes` would be let in. Several sources may wake for one free place, so each tries
   * again with `tryPush` and waits again when refused. @throws LograftError CLOSED; the reason of `signal`.
   */
  async waitForSpace(sizeBytes: number, signal?: AbortSignal): Promise<void> {
    for (;;) {
      if (this.#closeReason !== undefined) throw this.#closeReason;
      if (this.#fits(sizeBytes)) return;
      await this.#wait(this.#spaceWaiters, signal);
    }
  }

  /** Refuses new items and rejects all who wait, with `reason` or CLOSED. Items inside stay for `shift`. Idempotent. */
  close(reason?: Error): void {
    if (this.#closeReason !== undefined) return;
    const error = reason ?? operationError("CLOSED", "the queue was closed");
    this.#closeReason = error;
    for (const waiters of [this.#takers, this.#spaceWaiters]) {
      for (const waiter of waiters) waiter.reject(error);
      waiters.clear();
    }
  }

  /** Removes all items and answers them, oldest first. */
  drain(): T[] {
    const items: T[] = [];
    for (let entry = this.#entries[this.#head]; entry !== undefined; entry = this.#entries[this.#head]) {
      items.push(entry.item);
      this.shift();
    }
    return items;
  }

  #fits(sizeBytes: number): boolean {
    if (this.length === 0) return true;
    return this.length < this.#maxCount && this.#sizeBytes + sizeBytes <= this.#maxBytes;
  }

  #wakeSpaceWaiters(): void {
    if (this.#spaceWaiters.size === 0 || this.isFull) return;
    for (const waiter of this.#spaceWaiters) waiter.resolve();
    this.#spaceWaiters.clear();
  }

  async #wait<V>(waiters: Set<Deferred<V>>, signal: AbortSignal | undefined): Promise<V> {
    if (signal?.aborted === true) throw abortReason(signal);
    const waiter = new Deferred<V>();
    waiters.add(waiter);
    if (signal === undefined) return waiter.promise;
    // Leaving the set on abort, in the same turn, keeps an item from being handed to a taker that has gone.
    const onAbort = (): void => {
      if (waiters.delete(waiter)) waiter.reject(abortReason(signal));
    };
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      return await waiter.promise;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }
}
