import type { Clock } from "../../platform/clock.ts";
import type { RpcStatus } from "../status.ts";
import type { ByteStream, RpcMetadata } from "./byte-stream.ts";

/** A call that could not begin: it closes with its status at the end of the turn in which it was made. */
export class ClosedStream implements ByteStream {
  readonly method: string;
  readonly peer: string;
  readonly metadata: RpcMetadata;
  readonly bufferedBytes = 0;
  readonly #controller = new AbortController();
  #onClose: ((status: RpcStatus) => void) | undefined;

  constructor(
    options: {
      readonly method: string;
      readonly peer: string;
      readonly metadata: RpcMetadata;
      readonly status: RpcStatus;
    },
    deps: { readonly clock: Clock },
  ) {
    this.method = options.method;
    this.peer = options.peer;
    this.metadata = options.metadata;
    deps.clock.defer(() => {
      this.#controller.abort();
      this.#onClose?.(options.status);
    });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  onMessage(): void {
    // No message comes.
  }

  onEnd(): void {
    // Nor a half-close.
  }

  onClose(handler: (status: RpcStatus) => void): void {
    this.#onClose = handler;
  }

  onDrain(): void {
    // What is sent is dropped.
  }

  send(): boolean {
    return false;
  }

  pause(): void {
    // Nothing flows.
  }

  resume(): void {
    // Nothing flows.
  }

  end(): void {
    // It is over already.
  }

  cancel(): void {
    // It is over already; its status stays what it is.
  }
}
