import { abortable } from "../base/abort.ts";
import { Deferred } from "../base/deferred.ts";
import { operationError } from "../base/errors.ts";

interface Proposed {
  readonly term: number;
  readonly committed: Deferred<void>;
}

/** Entries this leader appended and whose commit somebody waits for, by index. */
export class PendingProposals {
  readonly #byIndex = new Map<number, Proposed>();

  get size(): number {
    return this.#byIndex.size;
  }

  /** The promise may be left alone: its rejection is then taken as seen. */
  add(index: number, term: number): Promise<void> {
    const committed = new Deferred<void>();
    committed.promise.catch(() => undefined);
    this.#byIndex.set(index, { term, committed });
    return committed.promise;
  }

  /** This entry is committed and applied. `lost`: for the proposal whose place another entry took. */
  applied(index: number, term: number, lost: () => Error): void {
    const proposed = this.#byIndex.get(index);
    if (proposed === undefined) return;
    this.#byIndex.delete(index);
    if (proposed.term === term) proposed.committed.resolve();
    else proposed.committed.reject(lost());
  }

  /** What becomes of all others is not known here any more. */
  rejectAll(reason: () => Error): void {
    for (const { committed } of this.#byIndex.values()) committed.reject(reason());
    this.#byIndex.clear();
  }
}

interface Waiter {
  readonly offset: number;
  readonly reached: Deferred<void>;
}

/** Those who wait until an offset is applied. */
export class OffsetWaiters {
  readonly #maxWaiting: number;
  readonly #waiters = new Set<Waiter>();
  #closeReason: Error | undefined;

  constructor(options: { readonly maxWaiting: number }) {
    this.#maxWaiting = options.maxWaiting;
  }

  /** @throws LograftError BUFFER_EXHAUSTED; the reason of `signal` or of `rejectAll`. */
  async wait(offset: number, signal: AbortSignal): Promise<void> {
    if (this.#closeReason !== undefined) throw this.#closeReason;
    if (this.#waiters.size >= this.#maxWaiting) {
      throw operationError(
        "BUFFER_EXHAUSTED",
        `${this.#waiters.size} callers wait for metadata already; try again`,
        {
          retriable: true,
        },
      );
    }
    const waiter = { offset, reached: new Deferred<void>() };
    this.#waiters.add(waiter);
    try {
      await abortable(waiter.reached.promise, signal);
    } finally {
      this.#waiters.delete(waiter);
    }
  }

  reached(offset: number): void {
    for (const waiter of this.#waiters) if (waiter.offset <= offset) waiter.reached.resolve();
  }

  /** Nothing will be applied any more. */
  rejectAll(reason: Error): void {
    this.#closeReason = reason;
    for (const { reached } of this.#waiters) reached.reject(reason);
  }
}
