import { ProtocolError } from "./error-code.ts";
import { checkBatchHeader, verifyBatchCrc } from "./record-batch.ts";

/** What a walk over batches is held against. */
export interface BatchIteratorOptions {
  /** A batch longer than this is damage. */
  readonly maxBatchBytes: number;
  /** Compute the CRC of each batch: once wherever bytes enter a process. */
  readonly verifyCrc: boolean;
  /** First byte; default 0. */
  readonly start?: number;
  /** End (exclusive) of the bytes to look at; default the end of the buffer. */
  readonly end?: number;
}

/**
 * Walks over concatenated batches without allocating for them:
 * `while (batches.next()) use(buffer, batches.at, batches.size)`. The last batch may be cut off, as in the answer to a
 * fetch: the walk ends before it, and `at` is then where the rest begins.
 */
export class BatchIterator {
  readonly buffer: Buffer;
  readonly #maxBatchBytes: number;
  readonly #verifyCrc: boolean;
  readonly #end: number;
  #at: number;
  #size = 0;

  constructor(buffer: Buffer, options: BatchIteratorOptions) {
    this.buffer = buffer;
    this.#maxBatchBytes = options.maxBatchBytes;
    this.#verifyCrc = options.verifyCrc;
    this.#end = Math.min(options.end ?? buffer.length, buffer.length);
    this.#at = options.start ?? 0;
  }

  /** Where the current batch starts; after the last `next()`, the first byte that belongs to no whole batch. */
  get at(): number {
    return this.#at;
  }

  /** Bytes of the current batch, header included; 0 before the first and after the last. */
  get size(): number {
    return this.#size;
  }

  /**
   * Moves to the next whole batch; false at the end. @throws ProtocolError with the error of `checkBatchHeader`, or
   * CORRUPT_MESSAGE for a wrong CRC; `context.at` is the position in the buffer. The walk stays where it was.
   */
  next(): boolean {
    const at = this.#at + this.#size;
    if (at >= this.#end) return this.#stop(at);
    const check = checkBatchHeader(this.buffer, at, this.#end - at, this.#maxBatchBytes);
    if (!check.ok) {
      if (check.isIncomplete) return this.#stop(at);
      throw new ProtocolError(check.error, `batch at byte ${at}: ${check.reason}`, { context: { at } });
    }
    if (this.#verifyCrc && !verifyBatchCrc(this.buffer, at)) {
      throw new ProtocolError("CORRUPT_MESSAGE", `batch at byte ${at}: wrong CRC`, { context: { at } });
    }
    this.#at = at;
    this.#size = check.size;
    return true;
  }

  #stop(at: number): false {
    this.#at = at;
    this.#size = 0;
    return false;
  }
}
