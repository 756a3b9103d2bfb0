import { Interruption } from "./interruption.ts";

/**
 * Stops a command when the program that started it is gone. The parent keeps a pipe to stdin open and writes nothing
 * into it; however the parent ends, kill -9 included, the system closes the pipe. Disposing lets go of stdin.
 */
export class ParentWatch implements Disposable {
  /** Fires with `signal`, or with an Interruption when stdin ends. */
  readonly signal: AbortSignal;
  readonly #stdin: NodeJS.ReadStream;
  readonly #gone = new AbortController();

  constructor(options: { readonly stdin: NodeJS.ReadStream; readonly signal: AbortSignal }) {
    this.#stdin = options.stdin;
    this.signal = AbortSignal.any([options.signal, this.#gone.signal]);
    // Reading is what makes the end of the pipe known; "error" is the same news (a reset on some systems).
    this.#stdin.on("end", this.#onEnd).on("error", this.#onEnd).resume();
  }

  [Symbol.dispose](): void {
    this.#stdin.off("end", this.#onEnd);
    // The end of the pipe may still come as an error.
    this.#stdin.destroy();
  }

  readonly #onEnd = (): void => this.#gone.abort(new Interruption("SIGTERM"));
}
