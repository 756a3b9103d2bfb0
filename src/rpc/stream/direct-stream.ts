import type { Http2Stream } from "node:http2";

import type { Logger } from "../../base/logger.ts";
import { rpcStatus, type RpcStatus } from "../status.ts";
import { LaneStream, type LaneStreamLimits, type LaneStreamOptions } from "./lane-stream.ts";
import { frameMessage, MessageDecoder } from "./message-framing.ts";

/** Bounds of one stream of the direct lane. */
export type DirectStreamLimits = LaneStreamLimits;

/** What the two sides of the direct lane share: gRPC's framing on an HTTP/2 stream. */
export abstract class DirectStream extends LaneStream {
  readonly peer: string;
  protected readonly http2: Http2Stream;
  readonly #decoder: MessageDecoder;

  protected constructor(
    options: LaneStreamOptions & { readonly peer: string },
    deps: { readonly http2: Http2Stream; readonly logger: Logger },
  ) {
    super(options, deps);
    this.peer = options.peer;
    this.http2 = deps.http2;
    const { maxMessageBytes } = options.limits;
    this.#decoder = new MessageDecoder(
      options.budget === undefined ? { maxMessageBytes } : { maxMessageBytes, budget: options.budget },
      () => this.flow(),
    );
  }

  protected get unsentBytes(): number {
    return this.http2.writableLength;
  }

  /** What must be on the wire before the first message. */
  protected abstract beforeSend(): void;
  /** The other side half-closed, with whole messages only. */
  protected abstract handleEnd(): void;

  protected transmit(chunks: readonly Uint8Array[], sizeBytes: number): void {
    const { http2 } = this;
    this.beforeSend();
    const pieces = frameMessage(chunks, sizeBytes);
    const last = pieces.length - 1;
    // Corked, so that the pieces of a message go to HTTP/2 as one gathered write.
    http2.cork();
    for (const [index, piece] of pieces.entries()) {
      if (index === last) http2.write(piece, this.#onWritten);
      else http2.write(piece);
    }
    http2.uncork();
  }

  /** Begins to read; called once, after the handlers of this turn are set. */
  protected startReading(): void {
    this.http2.on("data", (chunk: Buffer) => this.#receive(chunk));
    this.http2.on("end", () => {
      if (this.isClosed) return;
      if (!this.#decoder.isInsideMessage) this.handleEnd();
      else this.handleBrokenEnd(rpcStatus("INTERNAL", "the stream ended in the middle of a message"));
    });
    if (this.isPaused) this.http2.pause();
  }

  /** The other side half-closed inside a message. */
  protected handleBrokenEnd(status: RpcStatus): void {
    this.cancel(status);
  }

  protected stopReading(): void {
    this.http2.pause();
  }

  protected flow(): void {
    if (!this.isPaused && !this.#decoder.isWaiting) this.http2.resume();
  }

  protected release(): void {
    this.#decoder.dispose();
    // What still arrives is read and dropped, so that it does not sit in the window.
    if (!this.http2.destroyed) this.http2.resume();
  }

  /** Shared by all writes, so that none makes a closure. */
  readonly #onWritten = (): void => this.onTaken();

  #receive(chunk: Buffer): void {
    if (this.isDeaf) return;
    const decoder = this.#decoder;
    decoder.feed(chunk);
    try {
      for (let message = decoder.next(); message !== undefined; message = decoder.next()) {
        this.deliver(message);
        if (this.isClosed) return;
        if (this.isPaused) break;
      }
    } catch (error: unknown) {
      this.fail(error);
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
}
