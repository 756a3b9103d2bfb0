import { Deferred } from "../base/deferred.ts";

/**
 * Runs one write of a file at a time. Whoever asks while one runs shares the next: thousands of partitions that change
 * the same checkpoint cost two writes, not thousands.
 */
export class CoalescedWrite {
  readonly #write: () => Promise<void>;
  #isRunning = false;
  #next: Deferred<void> | undefined;

  /** `write` reads the state when it is called, so that it holds what was set before `request`. */
  constructor(write: () => Promise<void>) {
    this.#write = write;
  }

  /** Resolves when a write that began after this call has ended. Rejects with its failure. */
  request(): Promise<void> {
    if (this.#isRunning) {
      this.#next ??= new Deferred();
      return this.#next.promise;
    }
    return this.#run();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    try {
      await this.#write();
    } finally {
      this.#isRunning = false;
      const next = this.#next;
      this.#next = undefined;
      if (next !== undefined) {
        this.#run().then(
          () => next.resolve(),
          (error: unknown) => next.reject(error instanceof Error ? error : new Error(String(error))),
        );
      }
    }
  }
}
