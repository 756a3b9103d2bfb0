import type { Clock } from "../platform/clock.ts";

/**
 * Listeners by event name, typed by a map of name to argument. Listeners run at once, in the order they were added. What one
 * throws is its owner's uncaught exception, thrown when the caller is done: it never stops who emits half way.
 */
export class Emitter<Events extends object> {
  readonly #clock: Clock;
  readonly #listeners = new Map<keyof Events, Set<(event: never) => void>>();

  constructor(deps: { readonly clock: Clock }) {
    this.#clock = deps.clock;
  }

  /** Answers the function that removes the listener. Adding one twice has no effect. */
  on<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
    };
  }

  off<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): void {
    this.#listeners.get(name)?.delete(listener);
  }

  emit<Name extends keyof Events>(name: Name, event: Events[Name]): void {
    const listeners = this.#listeners.get(name) as Set<(event: Events[Name]) => void> | undefined;
    if (listeners === undefined) return;
    for (const listener of listeners) {
      try {
        listener(event);
      } catch (error: unknown) {
        this.#clock.defer(() => {
          throw error;
        });
      }
    }
  }

  clear(): void {
    this.#listeners.clear();
  }
}
