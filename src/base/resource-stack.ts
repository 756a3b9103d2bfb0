import { operationError } from "./errors.ts";

/** Closes one resource. */
export type Closer = () => Promise<void> | void;

/**
 * What a class opened, closed in reverse order. Every closer runs even if others fail; a single failure is thrown as it
 * is, several as an AggregateError in the order of closing.
 */
export class ResourceStack implements AsyncDisposable {
  #closers: Closer[] = [];
  #closing: Promise<void> | undefined;

  get isClosed(): boolean {
    return this.#closing !== undefined;
  }

  /** Owns `resource` from now on and answers it. @throws LograftError CLOSED when the stack is closed: close it yourself. */
  use<T extends AsyncDisposable | Disposable>(resource: T): T {
    this.defer(async () => {
      if (Symbol.asyncDispose in resource) await resource[Symbol.asyncDispose]();
      else resource[Symbol.dispose]();
    });
    return resource;
  }

  /** Runs `closer` when the stack closes. @throws LograftError CLOSED. */
  defer(closer: Closer): void {
    if (this.isClosed) throw operationError("CLOSED", "a resource was given to a closed owner");
    this.#closers.push(closer);
  }

  /** Gives everything to a new stack and leaves this one empty: for a constructor that succeeded half way to the end. */
  move(): ResourceStack {
    if (this.isClosed) throw operationError("CLOSED", "a closed stack has nothing to give");
    const moved = new ResourceStack();
    moved.#closers = this.#closers;
    this.#closers = [];
    return moved;
  }

  /** Idempotent: later calls wait for, and fail like, the first. */
  close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #closeAll(): Promise<void> {
    const errors: unknown[] = [];
    for (let closer = this.#closers.pop(); closer !== undefined; closer = this.#closers.pop()) {
      try {
        await closer();
      } catch (error: unknown) {
        errors.push(error);
      }
    }
    if (errors.length > 1) throw new AggregateError(errors, `${errors.length} resources failed to close`);
    if (errors.length === 1) throw errors[0];
  }
}
