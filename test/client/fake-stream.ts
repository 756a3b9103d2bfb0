import { RPC_CODES, rpcStatus, type RpcStatus } from "../../src/rpc/status.ts";
import type { ByteStream } from "../../src/rpc/stream/byte-stream.ts";
import type { Clock } from "../../src/platform/clock.ts";

/** The broker's side of a fake stream. */
export interface FakeStreamServer {
  onMessage(stream: FakeStream, message: Buffer): void;
  onGone(stream: FakeStream): void;
}

/** A stream between the SDK and a fake broker: messages arrive after a latency, in order, unless it is cut. */
export class FakeStream implements ByteStream {
  readonly method: string;
  readonly peer: string;
  readonly metadata = new Map<string, string>();
  readonly bufferedBytes = 0;
  readonly #clock: Clock;
  readonly #latencyMs: number;
  readonly #server: FakeStreamServer;
  readonly #controller = new AbortController();
  /** `send` answers this; true by default. */
  takesMore = true;
  sentCount = 0;
  #onMessage: ((message: Buffer) => void) | undefined;
  #onClose: ((status: RpcStatus) => void) | undefined;
  #onDrain: (() => void) | undefined;
  isClosed = false;

  constructor(
    options: { readonly method: string; readonly peer: string; readonly latencyMs: number },
    deps: { readonly clock: Clock; readonly server: FakeStreamServer },
  ) {
    this.method = options.method;
    this.peer = options.peer;
    this.#latencyMs = options.latencyMs;
    this.#clock = deps.clock;
    this.#server = deps.server;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  onMessage(handler: (message: Buffer) => void): void {
    this.#onMessage = handler;
  }

  onEnd(): void {
    // The fake broker never half-closes.
  }

  onClose(handler: (status: RpcStatus) => void): void {
    this.#onClose = handler;
  }

  onDrain(handler: () => void): void {
    this.#onDrain = handler;
  }

  send(chunks: readonly Uint8Array[]): boolean {
    if (this.isClosed) return false;
    this.sentCount++;
    const message = Buffer.concat(chunks);
    this.#clock.setTimer(this.#latencyMs, () => {
      if (!this.isClosed) this.#server.onMessage(this, message);
    });
    return this.takesMore;
  }

  pause(): void {
    // The SDK never pauses a stream: it holds back credit.
  }

  resume(): void {
    // See pause.
  }

  end(): void {
    // The SDK cancels.
  }

  cancel(): void {
    this.close(rpcStatus("CANCELLED", "cancelled"));
  }

  /** Broker to client. */
  answer(chunks: readonly Uint8Array[]): void {
    const message = Buffer.concat(chunks);
    this.#clock.setTimer(this.#latencyMs, () => {
      if (!this.isClosed) this.#onMessage?.(message);
    });
  }

  /** The connection is lost, or the broker ends the call. */
  close(status: RpcStatus = { code: RPC_CODES.UNAVAILABLE, message: "connection reset" }): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#server.onGone(this);
    this.#controller.abort();
    this.#onClose?.(status);
  }

  drain(): void {
    this.takesMore = true;
    this.#onDrain?.();
  }
}
