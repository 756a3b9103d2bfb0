import { InvariantError } from "../../base/assert.ts";
import type { ByteBudget } from "../../base/byte-budget.ts";
import type { Logger } from "../../base/logger.ts";
import { requestIdOf } from "../request-id.ts";
import { OK_STATUS, rpcStatus, type RpcStatus } from "../status.ts";
import type { ByteStream, RpcMetadata } from "./byte-stream.ts";
import { chunksByteLength } from "./message-framing.ts";

/** Bounds of one stream, on either lane. */
export interface LaneStreamLimits {
  /** Of a message, either way. */
  readonly maxMessageBytes: number;
  /** Unsent bytes above which `send` answers false. */
  readonly sendHighWaterBytes: number;
}

export interface LaneStreamOptions {
  readonly method: string;
  readonly metadata: RpcMetadata;
  readonly limits: LaneStreamLimits;
  /** Charged with each message that comes; its owner releases it. */
  readonly budget?: ByteBudget | undefined;
}

/** What all four kinds of stream share: two lanes, two sides. Handlers, back-pressure, and ending once. */
export abstract class LaneStream implements ByteStream {
  readonly method: string;
  readonly metadata: RpcMetadata;
  protected readonly limits: LaneStreamLimits;
  protected readonly budget: ByteBudget | undefined;
  readonly #logger: Logger;
  readonly #controller = new AbortController();
  #onMessage: ((message: Buffer) => void) | undefined;
  #onEnd: (() => void) | undefined;
  #onClose: ((status: RpcStatus) => void) | undefined;
  #onDrain: (() => void) | undefined;
  #isPaused = false;
  #needsDrain = false;
  #isEnding = false;
  #isClosed = false;

  protected constructor(options: LaneStreamOptions, deps: { readonly logger: Logger }) {
    this.method = options.method;
    this.metadata = options.metadata;
    this.limits = options.limits;
    this.budget = options.budget;
    this.#logger = deps.logger;
  }

  abstract readonly peer: string;

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get bufferedBytes(): number {
    return this.#isClosed ? 0 : this.unsentBytes;
  }

  /** The call is over, locally. */
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
    const { maxMessageBytes, sendHighWaterBytes } = this.limits;
    if (size > maxMessageBytes) {
      const text = `a message of ${size} bytes was to be sent; the limit is ${maxMessageBytes}`;
      this.cancel(rpcStatus("RESOURCE_EXHAUSTED", text));
      return false;
    }
    this.transmit(chunks, size);
    if (this.unsentBytes <= sendHighWaterBytes) return true;
    this.#needsDrain = true;
    return false;
  }

  pause(): void {
    if (this.#isClosed) return;
    this.#isPaused = true;
    this.stopReading();
  }

  resume(): void {
    if (this.#isClosed) return;
    this.#isPaused = false;
    this.flow();
  }

  abstract end(status?: RpcStatus): void;
  abstract cancel(status?: RpcStatus): void;

  /** Bytes given to the transport that it has not taken. */
  protected abstract readonly unsentBytes: number;
  /** A client that half-closed still reads; a server that ended does not. */
  protected abstract readonly readsWhileEnding: boolean;
  /** Gives one message of `sizeBytes` to the transport, which calls `onTaken` when it has taken it. */
  protected abstract transmit(chunks: readonly Uint8Array[], sizeBytes: number): void;
  protected abstract stopReading(): void;
  /** Reads on, unless something else than `pause` forbids it. */
  protected abstract flow(): void;
  /** The call is over: lets go of what was received and not delivered, and reads the rest away. */
  protected abstract release(): void;

  protected get isPaused(): boolean {
    return this.#isPaused;
  }

  protected get isEnding(): boolean {
    return this.#isEnding;
  }

  /** Nothing that comes is wanted any more. */
  protected get isDeaf(): boolean {
    return this.#isClosed || (this.#isEnding && !this.readsWhileEnding);
  }

  /** No message is sent from now on. */
  protected markEnding(): void {
    this.#isEnding = true;
  }

  /** The transport took some of what was sent. */
  protected onTaken(): void {
    if (!this.#needsDrain || this.#isClosed || this.unsentBytes > this.limits.sendHighWaterBytes / 2) return;
    this.#needsDrain = false;
    this.runHandler(this.#onDrain);
  }

  /** Hands a message over. What its handler throws is the caller's to guard: one guard serves many messages. */
  protected deliver(message: Buffer): void {
    if (this.#onMessage === undefined) this.budget?.release(message.length);
    else this.#onMessage(message);
  }

  protected notifyEnd(): void {
    this.runHandler(this.#onEnd);
  }

  /** Runs the code that owns this stream; what it throws ends the call, while the others and the process go on. */
  protected runHandler(handler: (() => void) | undefined): void {
    try {
      handler?.();
    } catch (error: unknown) {
      this.fail(error);
    }
  }

  protected fail(error: unknown): void {
    // A broken invariant is a bug of ours, not of one call: it is never caught to go on.
    if (error instanceof InvariantError) throw error;
    this.#logger.error("a stream handler failed", {
      method: this.method,
      peer: this.peer,
      requestId: requestIdOf(this),
      err: error,
      stack: error instanceof Error ? error.stack : undefined,
    });
    this.cancel(
      rpcStatus("INTERNAL", "the call failed by an internal error; see the log of the side that ended it"),
    );
  }

  /** The one place where a call ends, whatever the cause; later causes change nothing. */
  protected finish(status: RpcStatus): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#controller.abort();
    const onClose = this.#onClose;
    // A success has no text: grpc-js servers send "OK", others nothing.
    const told = status.code === OK_STATUS.code ? OK_STATUS : status;
    this.#onMessage = undefined;
    this.#onEnd = undefined;
    this.#onClose = undefined;
    this.#onDrain = undefined;
    this.runHandler(onClose === undefined ? undefined : () => onClose(told));
    this.release();
  }
}
