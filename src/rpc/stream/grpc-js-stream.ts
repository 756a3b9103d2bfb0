import { asBuffer } from "../../base/bytes.ts";
import type { Logger } from "../../base/logger.ts";
import { LaneStream, type LaneStreamLimits, type LaneStreamOptions } from "./lane-stream.ts";

/** Bounds of one stream of the grpc-js lane. */
export type GrpcJsStreamLimits = LaneStreamLimits;

/** The part of grpc-js' two call objects that the adapter needs. */
export interface MessageCall {
  readonly destroyed: boolean;
  write(message: Buffer, onTaken: () => void): boolean;
  pause(): unknown;
  resume(): unknown;
  on(event: "data", listener: (message: Buffer) => void): unknown;
}

/** What the two sides share. grpc-js hands out whole messages through an object stream, and takes them likewise. */
export abstract class GrpcJsStream extends LaneStream {
  readonly #call: MessageCall;
  #unsentBytes = 0;
  /** Came while the budget was exhausted; delivered when there is room. */
  #held: Buffer | undefined;
  #isHeldGranted = false;

  protected constructor(
    options: LaneStreamOptions,
    deps: { readonly call: MessageCall; readonly logger: Logger },
  ) {
    super(options, deps);
    this.#call = deps.call;
  }

  protected get unsentBytes(): number {
    return this.#unsentBytes;
  }

  protected transmit(chunks: readonly Uint8Array[], sizeBytes: number): void {
    const only = chunks.length === 1 ? chunks[0] : undefined;
    // grpc-js takes one buffer for each message, and copies it once more behind its prefix.
    const message = only === undefined ? Buffer.concat(chunks, sizeBytes) : asBuffer(only);
    this.#unsentBytes += sizeBytes;
    this.#call.write(message, () => {
      this.#unsentBytes -= sizeBytes;
      this.onTaken();
    });
  }

  /** Begins to read; called once, after the handlers of this turn are set. */
  protected startReading(): void {
    this.#call.on("data", (message: Buffer) => this.#receive(message));
    if (this.isPaused) this.#call.pause();
  }

  protected stopReading(): void {
    this.#call.pause();
  }

  protected flow(): void {
    const message = this.#held;
    if (message !== undefined) {
      if (!this.#isHeldGranted) return;
      this.#held = undefined;
      this.#isHeldGranted = false;
      this.runHandler(() => this.deliver(message));
    }
    if (!this.isClosed && !this.isPaused) this.#call.resume();
  }

  protected release(): void {
    if (this.#held !== undefined) {
      if (this.#isHeldGranted) this.budget?.release(this.#held.length);
      else this.budget?.cancel(this.#onGranted);
      this.#held = undefined;
    }
    if (!this.#call.destroyed) this.#call.resume();
  }

  #receive(message: Buffer): void {
    if (this.isDeaf) return;
    if (this.budget !== undefined && !this.budget.take(message.length, this.#onGranted)) {
      this.#held = message;
      this.#call.pause();
      return;
    }
    this.runHandler(() => this.deliver(message));
  }

  readonly #onGranted = (): void => {
    this.#isHeldGranted = true;
    if (!this.isPaused) this.flow();
  };
}
