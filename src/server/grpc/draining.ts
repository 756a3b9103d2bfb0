import { operationError, type LograftError } from "../../base/errors.ts";

/**
 * Tells the long streams that the broker is about to stop. A stream that waits for its client's next message would hold
 * the stop up until it is cut, and the client would not know that it should turn to another broker.
 */
export class Draining {
  readonly #watchers = new Set<() => void>();
  #isDraining = false;

  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** Calls `watcher` when the stop begins, at once if it has. Answers the function that forgets it. */
  onDrain(watcher: () => void): () => void {
    if (this.#isDraining) {
      watcher();
      return () => undefined;
    }
    this.#watchers.add(watcher);
    return () => {
      this.#watchers.delete(watcher);
    };
  }

  /** Idempotent. */
  begin(): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    for (const watcher of this.#watchers) watcher();
    this.#watchers.clear();
  }
}

/** What a client is told whose stream ends because the broker stops. */
export function stoppingError(): LograftError {
  return operationError("CLOSED", "the broker is stopping; ask another one", { retriable: true });
}
