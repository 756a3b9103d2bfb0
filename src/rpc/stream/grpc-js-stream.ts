import { InvariantError } from "../../base/assert.ts";
import type { ByteBudget } from "../../base/byte-budget.ts";
import { asBuffer } from "../../base/bytes.ts";
import type { Logger } from "../../base/logger.ts";
import { OK_STATUS, rpcStatus, type RpcStatus } from "../status.ts";
import type { ByteStream, RpcMetadata } from "./byte-stream.ts";
import { chunksByteLength } from "./message-framing.ts";

/** Bounds of one stream of the grpc-js lane. */
export interface GrpcJsStreamLimits {
  readonly maxMessageBytes: number;
  /** Unsent bytes above which `send` answers false. */
  readonly sendHighWaterBytes: number;
}

/** The part of grpc-js' two call objects that the adapter needs. */
export interface MessageCall {
  readonly destroyed: boolean;
  write(message: Buffer, onTaken: () => void): boolean;
  pause(): unknown;
  resume(): unknown;
  on(event: "data", listener: (message: Buffer) => void): unknown;
}

/** What the two sides share. grpc-js hands out whole messages through an object stream, and takes them likewise. */
export abstract class GrpcJsStream implements ByteStream {
  readonly method: string;
  readonly metadata: RpcMetadata;
  readonly #call: MessageCall;
  readonly #limits: GrpcJsStreamLimits;
  readonly #budget: ByteBudget | undefined;
  readonly #logger: Logger;
  readonly #controller = new AbortController();
  #onMessage: ((message: Buffer) => void) | undefined;
  #onEnd: (() => void) | undefined;
  #onClose: ((status: RpcStatus) => void) | undefined;
  #onDrain: (() => void) | undefined;
  #bufferedBytes = 0;
  #needsDrain = false;
  #isPaused = false;
  /** Came while the budget was exhausted; delivered when there is room. */
  #held: Buffer | undefined;
  #isHeldGranted = false;
  #isEnding = false;
  #isClosed = false;

  protected constructor(
    options: {
      readonly method: string;
      readonly metadata: RpcMetadata;
      readonly limits: GrpcJsStreamLimits;
      readonly budget?: ByteBudget | undefined;
    },
    deps: { readonly call: MessageCall; readonly logger: Logger },
  ) {
    this.method = options.method;
    this.metadata = options.metadata;
    this.#call = deps.call;
    this.#limits = options.limits;
    this.#budget = options.budget;
    this.#logger = deps.logger;
  }

  abstract readonly peer: string;

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get bufferedBytes(): number {
    return this.#isClosed ? 0 : this.#bufferedBytes;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  onMessage(handler: (message: Buffer) => void): void {
    this.#onMessage = handler;
  }

  onEnd(handler: () => void): void {
    this.#onEnd = handler;
  }

  onClose(handler: (status: RpcStatus) => void): void {
    this.#onClose = handler;
  }

  onDrain(handler: () => void): void {
    this.#onDrain = handler;
  }

  send(chunks: readonly Uint8Array[]): boolean {
    if (this.#isClosed || this.#isEnding) return false;
    const size = chunksByteLength(chunks);
    if (size > this.#limits.maxMessageBytes) {
      this.cancel(
        rpcStatus(
          "RESOURCE_EXHAUSTED",
          `a message of ${size} bytes was to be sent; the limit is ${this.#limits.maxMessageBytes}`,
        ),
      );
      return false;
    }
    const only = chunks.length === 1 ? chunks[0] : undefined;
    // grpc-js takes one buffer for each message, and copies it once more behind its prefix.
    const message = only === undefined ? Buffer.concat(chunks, size) : asBuffer(only);
    this.#bufferedBytes += size;
    this.#call.write(message, () => this.#taken(size));
    if (this.#bufferedBytes <= this.#limits.sendHighWaterBytes) return true;
    this.#needsDrain = true;
    return false;
  }

  pause(): void {
    if (this.#isClosed) return;
    this.#isPaused = true;
    this.#call.pause();
  }

  resume(): void {
    if (this.#isClosed) return;
    this.#isPaused = false;
    this.#flow();
  }

  abstract end(status?: RpcStatus): void;
  abstract cancel(status?: RpcStatus): void;

  protected get isPaused(): boolean {
    return this.#isPaused;
  }

  protected get isEnding(): boolean {
    return this.#isEnding;
  }

  protected markEnding(): void {
    this.#isEnding = true;
  }

  /** A client that half-closed still reads; a server that ended does not. */
  protected abstract readonly readsWhileEnding: boolean;

  /** Begins to read; called once, after the handlers of this turn are set. */
  protected startReading(): void {
    this.#call.on("data", (message: Buffer) => this.#receive(message));
    if (this.#isPaused) this.#call.pause();
  }

  /** Runs the code that owns this stream; what it throws ends the call. */
  protected runHandler(handler: (() => void) | undefined): void {
    try {
      handler?.();
    } catch (error: unknown) {
      // A broken invariant is a bug of ours, not of one call: it is never caught to go on.
      if (error instanceof InvariantError) throw error;
      this.#logger.error("a stream handler failed", {
        method: this.method,
        peer: this.peer,
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      });
      this.cancel(
        rpcStatus("INTERNAL", "the call failed by an internal error; see the log of the side that ended it"),
      );
    }
  }

  protected notifyEnd(): void {
    this.runHandler(this.#onEnd);
  }

  /** The one place where a call ends, whatever the cause; later causes change nothing. */
  protected finish(status: RpcStatus): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#held !== undefined) {
      if (this.#isHeldGranted) this.#budget?.release(this.#held.length);
      else this.#budget?.cancel(this.#onGranted);
      this.#held = undefined;
    }
    this.#controller.abort();
    const onClose = this.#onClose;
    // A success has no text: grpc-js servers send "OK", others nothing.
    const told = status.code === OK_STATUS.code ? OK_STATUS : status;
    this.#onMessage = undefined;
    this.#onEnd = undefined;
    this.#onClose = undefined;
    this.#onDrain = undefined;
    this.runHandler(onClose === undefined ? undefined : () => onClose(told));
    if (!this.#call.destroyed) this.#call.resume();
  }

  #receive(message: Buffer): void {
    if (this.#isClosed || (this.#isEnding && !this.readsWhileEnding)) return;
    if (this.#budget !== undefined && !this.#budget.take(message.length, this.#onGranted)) {
      this.#held = message;
      this.#call.pause();
      return;
    }
    this.#deliver(message);
  }

  #deliver(message: Buffer): void {
    if (this.#onMessage === undefined) {
      this.#budget?.release(message.length);
      return;
    }
    const onMessage = this.#onMessage;
    this.runHandler(() => onMessage(message));
  }

  readonly #onGranted = (): void => {
    this.#isHeldGranted = true;
    if (!this.#isPaused) this.#flow();
  };

  #flow(): void {
    const message = this.#held;
    if (message !== undefined) {
      if (!this.#isHeldGranted) return;
      this.#held = undefined;
      this.#isHeldGranted = false;
      this.#deliver(message);
    }
    if (!this.#isClosed && !this.#isPaused) this.#call.resume();
  }

  #taken(size: number): void {
    this.#bufferedBytes -= size;
    if (!this.#needsDrain || this.#isClosed) return;
    if (this.#bufferedBytes > this.#limits.sendHighWaterBytes / 2) return;
    this.#needsDrain = false;
    this.runHandler(this.#onDrain);
  }
}
