import type { ByteBudget } from "../../base/byte-budget.ts";
import { allocUnsafe } from "../../base/bytes.ts";
import { rpcStatus, type RpcStatus } from "../status.ts";

/**
 * gRPC's message prefix ("gRPC over HTTP2", Length-Prefixed-Message):
 *
 *   byte 0      compressed flag, 0 or 1
 *   bytes 1-4   message length, big endian, unsigned
 *
 * A prefix and a message may be split over DATA frames at any byte.
 */
export const MESSAGE_PREFIX_BYTES = 5;

/** What bounds a decoder. */
export interface MessageDecoderOptions {
  /** Larger messages are refused from their prefix alone. */
  readonly maxMessageBytes: number;
  /** Charged with a message's length before its memory is taken; released by whoever the message is handed to. */
  readonly budget?: ByteBudget;
}

/**
 * Cuts a byte stream into messages. Pull: `feed` a chunk, then call `next` until it answers undefined. Each message is
 * one buffer of exactly its size and of its own memory, so a received chunk is not kept alive by a message (and one
 * message not by another beyond Node's small-buffer pool).
 */
export class MessageDecoder {
  readonly #options: MessageDecoderOptions;
  readonly #onBudget: () => void;
  readonly #prefix = Buffer.alloc(MESSAGE_PREFIX_BYTES);
  #prefixFilled = 0;
  #message: Buffer | undefined;
  #messageFilled = 0;
  #chunk: Buffer | undefined;
  #at = 0;
  #isWaiting = false;
  #isGranted = false;
  #refusal: RpcStatus | undefined;
  #isDisposed = false;

  /** @param onBudget called when the budget has room for a message that `isWaiting` stood for: read on. */
  constructor(options: MessageDecoderOptions, onBudget: () => void) {
    this.#options = options;
    this.#onBudget = onBudget;
  }

  /** Why the stream cannot go on; `next` answers undefined for ever after. */
  get refusal(): RpcStatus | undefined {
    return this.#refusal;
  }

  /** The budget is exhausted: stop reading until `onBudget`. */
  get isWaiting(): boolean {
    return this.#isWaiting;
  }

  /** A stream that ends now ends in the middle of a message. */
  get isInsideMessage(): boolean {
    return this.#prefixFilled > 0;
  }

  /** Gives the next bytes of the stream; those given before must have been used up or taken back. */
  feed(chunk: Buffer): void {
    this.#chunk = chunk;
    this.#at = 0;
  }

  /** The next whole message, or undefined: more bytes are needed, or see `refusal` and `isWaiting`. */
  next(): Buffer | undefined {
    const chunk = this.#chunk;
    if (chunk === undefined || this.#refusal !== undefined || this.#isWaiting) return undefined;
    if (this.#message === undefined) {
      if (!this.#readPrefix(chunk)) return undefined;
      const message = this.#beginMessage();
      if (message === undefined) return undefined;
      this.#message = message;
      this.#messageFilled = 0;
    }
    const message = this.#message;
    const count = Math.min(chunk.length - this.#at, message.length - this.#messageFilled);
    chunk.copy(message, this.#messageFilled, this.#at, this.#at + count);
    this.#at += count;
    this.#messageFilled += count;
    if (this.#messageFilled < message.length) return undefined;
    this.#message = undefined;
    this.#prefixFilled = 0;
    return message;
  }

  /** Takes back what was fed and not used, to be fed again later. Undefined: nothing is left. */
  takeRest(): Buffer | undefined {
    const chunk = this.#chunk;
    this.#chunk = undefined;
    return chunk === undefined || this.#at === chunk.length ? undefined : chunk.subarray(this.#at);
  }

  /** The stream is over: gives back what a half-received message was charged. Idempotent. */
  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#chunk = undefined;
    const budget = this.#options.budget;
    if (budget !== undefined) {
      if (this.#isWaiting) budget.cancel(this.#onGranted);
      else if (this.#isGranted) budget.release(this.#declaredLength());
      else if (this.#message !== undefined) budget.release(this.#message.length);
    }
    this.#message = undefined;
    this.#isWaiting = false;
    this.#isGranted = false;
  }

  readonly #onGranted = (): void => {
    this.#isWaiting = false;
    this.#isGranted = true;
    this.#onBudget();
  };

  #declaredLength(): number {
    return this.#prefix.readUInt32BE(1);
  }

  /** True when the prefix is complete and acceptable. */
  #readPrefix(chunk: Buffer): boolean {
    while (this.#prefixFilled < MESSAGE_PREFIX_BYTES) {
      if (this.#at === chunk.length) return false;
      this.#prefix[this.#prefixFilled] = chunk[this.#at] ?? 0;
      this.#prefixFilled += 1;
      this.#at += 1;
    }
    this.#refusal = this.#checkPrefix();
    return this.#refusal === undefined;
  }

  #checkPrefix(): RpcStatus | undefined {
    const flag = this.#prefix[0] ?? 0;
    if (flag === 1) {
      return rpcStatus(
        "UNIMPLEMENTED",
        "compressed messages are not accepted on this method; send identity encoding (record batches carry their own compression)",
      );
    }
    if (flag !== 0) return rpcStatus("INTERNAL", `the compressed flag of a message is ${flag}, not 0 or 1`);
    const length = this.#declaredLength();
    if (length > this.#options.maxMessageBytes) {
      return rpcStatus(
        "RESOURCE_EXHAUSTED",
        `a message of ${length} bytes is above the limit of ${this.#options.maxMessageBytes}; send smaller batches or raise message.max.bytes`,
      );
    }
    return undefined;
  }

  /** The memory of the message whose prefix was read, or undefined while the budget has no room. */
  #beginMessage(): Buffer | undefined {
    const length = this.#declaredLength();
    const budget = this.#options.budget;
    if (budget !== undefined && !this.#isGranted && !budget.take(length, this.#onGranted)) {
      this.#isWaiting = true;
      return undefined;
    }
    this.#isGranted = false;
    return allocUnsafe(length);
  }
}

/** Messages up to this size are copied into one buffer: below it, a copy is cheaper than one more piece to send. */
const JOIN_BELOW_BYTES = 4096;
/** Within a larger message, neighbours below this size are joined. */
const SMALL_CHUNK_BYTES = 1024;

/** Total bytes of a message given as chunks. */
export function chunksByteLength(chunks: readonly Uint8Array[]): number {
  let total = 0;
  for (const chunk of chunks) total += chunk.byteLength;
  return total;
}

/**
 * A message with its prefix, as the pieces to write. Large chunks are the caller's own; small ones are copied together.
 * @param size the total of `chunks`.
 */
export function frameMessage(chunks: readonly Uint8Array[], size: number): Uint8Array[] {
  if (size <= JOIN_BELOW_BYTES) {
    const whole = allocUnsafe(MESSAGE_PREFIX_BYTES + size);
    writePrefix(whole, size);
    copyInto(whole, MESSAGE_PREFIX_BYTES, chunks, 0, chunks.length);
    return [whole];
  }
  const pieces: Uint8Array[] = [];
  let index = 0;
  while (index < chunks.length || pieces.length === 0) {
    const runStart = index;
    let runBytes = 0;
    for (; index < chunks.length; index++) {
      const length = chunks[index]?.byteLength ?? 0;
      if (length >= SMALL_CHUNK_BYTES) break;
      runBytes += length;
    }
    const prefixBytes = pieces.length === 0 ? MESSAGE_PREFIX_BYTES : 0;
    if (prefixBytes + runBytes > 0) {
      const run = allocUnsafe(prefixBytes + runBytes);
      if (prefixBytes > 0) writePrefix(run, size);
      copyInto(run, prefixBytes, chunks, runStart, index);
      pieces.push(run);
    }
    const large = chunks[index];
    if (large !== undefined) pieces.push(large);
    index += 1;
  }
  return pieces;
}

function writePrefix(target: Buffer, size: number): void {
  target[0] = 0;
  target.writeUInt32BE(size, 1);
}

function copyInto(target: Buffer, at: number, chunks: readonly Uint8Array[], from: number, to: number): void {
  let position = at;
  for (let index = from; index < to; index++) {
    const chunk = chunks[index];
    if (chunk === undefined) break;
    target.set(chunk, position);
    position += chunk.byteLength;
  }
}
