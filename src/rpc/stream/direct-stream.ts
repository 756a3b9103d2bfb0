import type { Http2Stream } from "node:http2";

import { InvariantError } from "../../base/assert.ts";
import type { ByteBudget } from "../../base/byte-budget.ts";
import type { Logger } from "../../base/logger.ts";
import { OK_STATUS, rpcStatus, type RpcStatus } from "../status.ts";
import type { ByteStream, RpcMetadata } from "./byte-stream.ts";
import { chunksByteLength, frameMessage, MessageDecoder } from "./message-framing.ts";

/** Bounds of one stream of the direct lane. */
export interface DirectStreamLimits {
  /** Of a message, either way. */
  readonly maxMessageBytes: number;
  /** Unsent bytes above which `send` answers false. */
  readonly sendHighWaterBytes: number;
}

/** What the two sides share: messages in, messages out, back-pressure, and ending once. */
export abstract class DirectStream implements ByteStream {
  readonly method: string;
  readonly peer: string;
  readonly metadata: RpcMetadata;
  protected readonly http2: Http2Stream;
  readonly #logger: Logger;
  readonly #limits: DirectStreamLimits;
  readonly #budget: ByteBudget | undefined;
  readonly #controller = new AbortController();
  readonly #decoder: MessageDecoder;
  #onMessage: ((message: Buffer) => void) | undefined;
  #onEnd: (() => void) | undefined;
  #onClose: ((status: RpcStatus) => void) | undefined;
  #onDrain: (() => void) | undefined;
  #isPaused = false;
  #needsDrain = false;
  #isEnding = false;
  #isClosed = false;

  protected constructor(
    options: {
      readonly method: string;
      readonly peer: string;
      readonly metadata: RpcMetadata;
      readonly limits: DirectStreamLimits;
      readonly budget?: ByteBudget | undefined;
    },
    deps: { readonly http2: Http2Stream; readonly logger: Logger },
  ) {
    this.method = options.method;
    this.peer = options.peer;
    this.metadata = options.metadata;
    this.http2 = deps.http2;
    this.#logger = deps.logger;
    this.#limits = options.limits;
    this.#budget = options.budget;
    const { maxMessageBytes } = options.limits;
    this.#decoder = new MessageDecoder(
      options.budget === undefined ? { maxMessageBytes } : { maxMessageBytes, budget: options.budget },
      () => this.#flow(),
    );
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get bufferedBytes(): number {
    return this.#isClosed ? 0 : this.http2.writableLength;
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
    if (size > this.#limits.maxMessageBytes) {
      this.cancel(
        rpcStatus(
          "RESOURCE_EXHAUSTED",
          `a message of ${size} bytes was to be sent; the limit is ${this.#limits.maxMessageBytes}`,
        ),
      );
      return false;
    }
    const { http2 } = this;
    this.beforeSend();
    const pieces = frameMessage(chunks, size);
    const last = pieces.length - 1;
    // Corked, so that the pieces of a message go to HTTP/2 as one gathered write.
    http2.cork();
    for (const [index, piece] of pieces.entries()) {
      if (index === last) http2.write(piece, this.#onTaken);
      else http2.write(piece);
    }
    http2.uncork();
    if (http2.writableLength <= this.#limits.sendHighWaterBytes) return true;
    this.#needsDrain = true;
    return false;
  }

  pause(): void {
    if (this.#isClosed) return;
    this.#isPaused = true;
    this.http2.pause();
  }

  resume(): void {
    if (this.#isClosed) return;
    this.#isPaused = false;
    this.#flow();
  }

  abstract end(status?: RpcStatus): void;
  abstract cancel(status?: RpcStatus): void;

  /** What must be on the wire before the first message. */
  protected abstract beforeSend(): void;
  /** The other side half-closed, with whole messages only. */
  protected abstract handleEnd(): void;
  /** A client that half-closed still reads; a server that ended does not. */
  protected abstract readonly readsWhileEnding: boolean;

  /** No message is sent from now on. */
  protected markEnding(): void {
    this.#isEnding = true;
  }

  protected get isEnding(): boolean {
    return this.#isEnding;
  }

  /** Runs the code that owns this stream; what it throws ends the call. */
  protected runHandler(handler: () => void): void {
    this.#guard(handler);
  }

  /** Begins to read; called once, after the handlers of this turn are set. */
  protected startReading(): void {
    this.http2.on("data", (chunk: Buffer) => this.#receive(chunk));
    this.http2.on("end", () => {
      if (this.#isClosed) return;
      if (!this.#decoder.isInsideMessage) this.handleEnd();
      else this.handleBrokenEnd(rpcStatus("INTERNAL", "the stream ended in the middle of a message"));
    });
    if (this.#isPaused) this.http2.pause();
  }

  /** The other side half-closed inside a message. */
  protected handleBrokenEnd(status: RpcStatus): void {
    this.cancel(status);
  }

  protected notifyEnd(): void {
    this.#guard(this.#onEnd);
  }

  /** The one place where a call ends, whatever the cause; later causes change nothing. */
  protected finish(status: RpcStatus): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#decoder.dispose();
    this.#controller.abort();
    const onClose = this.#onClose;
    // A success has no text: grpc-js servers send "OK", others nothing.
    const told = status.code === OK_STATUS.code ? OK_STATUS : status;
    this.#onMessage = undefined;
    this.#onEnd = undefined;
    this.#onClose = undefined;
    this.#onDrain = undefined;
    this.#guard(onClose === undefined ? undefined : () => onClose(told));
    // What still arrives is read and dropped, so that it does not sit in the window.
    if (!this.http2.destroyed) this.http2.resume();
  }

  /** Shared by all writes, so that none makes a closure. */
  readonly #onTaken = (): void => {
    if (!this.#needsDrain || this.#isClosed) return;
    if (this.http2.writableLength > this.#limits.sendHighWaterBytes / 2) return;
    this.#needsDrain = false;
    this.#guard(this.#onDrain);
  };

  #flow(): void {
    if (!this.#isPaused && !this.#decoder.isWaiting) this.http2.resume();
  }

  #receive(chunk: Buffer): void {
    if (this.#isClosed || (this.#isEnding && !this.readsWhileEnding)) return;
    const decoder = this.#decoder;
    decoder.feed(chunk);
    try {
      for (let message = decoder.next(); message !== undefined; message = decoder.next()) {
        if (this.#onMessage === undefined) this.#budget?.release(message.length);
        else this.#onMessage(message);
        if (this.#isClosed) return;
        if (this.#isPaused) break;
      }
    } catch (error: unknown) {
      this.#fail(error);
      return;
    }
    if (decoder.refusal !== undefined) {
      this.cancel(decoder.refusal);
      return;
    }
    if (decoder.isWaiting) this.http2.pause();
    // What a paused reader has not taken goes back in front of what follows.
    const rest = decoder.takeRest();
    if (rest !== undefined) this.http2.unshift(rest);
  }

  /** Whoever owns the stream set a handler that threw: its call ends, the others and the process go on. */
  #fail(error: unknown): void {
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

  #guard(callback: (() => void) | undefined): void {
    try {
      callback?.();
    } catch (error: unknown) {
      this.#fail(error);
    }
  }
}
