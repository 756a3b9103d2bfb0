import * as fs from "node:fs";
import { assert } from "../../base/assert.ts";
import { operationError } from "../../base/errors.ts";
import type { LograftError } from "../../base/errors.ts";
import type { DiskAction } from "../disk-error.ts";
import type { DiskFile } from "../disk.ts";
import { wrapDiskError } from "./node-errors.ts";

/** POSIX guarantees 16 and Linux has 1024; the rest of a longer list is left to the caller's loop as a short write. */
const MAX_CHUNKS = 1000;
/** Node takes lengths below 2^31 only; a longer read or write is cut short. */
const MAX_TRANSFER_BYTES = 0x4000_0000;

/**
 * A file descriptor. Closing waits for the calls in flight: the number of a descriptor closed under a running write may
 * be given to another file at once, and the write would land there.
 */
export class NodeFile implements DiskFile {
  readonly path: string;
  readonly #descriptor: number;
  #inFlight = 0;
  #isClosing = false;
  #closed: Promise<void> | undefined;
  #onQuiet: (() => void) | undefined;
  #syncFailure: LograftError | undefined;

  constructor(path: string, descriptor: number) {
    this.path = path;
    this.#descriptor = descriptor;
  }

  write(chunks: readonly Uint8Array[], position: number): Promise<number> {
    assertPosition(position);
    return new Promise((resolve, reject) => {
      if (!this.#begin(reject)) return;
      const done = (error: Error | null, written: number): void => {
        this.#end();
        if (error === null) resolve(written);
        else reject(this.#wrap("write", "write", error));
      };
      const only = chunks[0];
      if (only === undefined) {
        done(null, 0);
      } else if (chunks.length === 1) {
        fs.write(this.#descriptor, only, 0, Math.min(only.byteLength, MAX_TRANSFER_BYTES), position, done);
      } else {
        const few = chunks.length <= MAX_CHUNKS ? chunks : chunks.slice(0, MAX_CHUNKS);
        fs.writev(this.#descriptor, few, position, done);
      }
    });
  }

  read(target: Uint8Array, position: number): Promise<number> {
    assertPosition(position);
    return new Promise((resolve, reject) => {
      if (!this.#begin(reject)) return;
      const length = Math.min(target.byteLength, MAX_TRANSFER_BYTES);
      fs.read(this.#descriptor, target, 0, length, position, (error, count) => {
        this.#end();
        if (error === null) resolve(count);
        else reject(this.#wrap("read", "read", error));
      });
    });
  }

  truncate(sizeBytes: number): Promise<void> {
    assertPosition(sizeBytes);
    return new Promise((resolve, reject) => {
      if (!this.#begin(reject)) return;
      fs.ftruncate(this.#descriptor, sizeBytes, (error) => {
        this.#end();
        if (error === null) resolve();
        else reject(this.#wrap("write", "ftruncate", error));
      });
    });
  }

  /**
   * Fails for ever once it failed: the kernel marks the pages clean after a failed sync, so a second one would report
   * success for data that is gone (H45).
   */
  sync(): Promise<void> {
    if (this.#syncFailure !== undefined) return Promise.reject(this.#syncFailure);
    return new Promise((resolve, reject) => {
      if (!this.#begin(reject)) return;
      fs.fdatasync(this.#descriptor, (error) => {
        this.#end();
        if (error === null) {
          resolve();
        } else {
          this.#syncFailure ??= this.#wrap("sync", "fdatasync", error);
          reject(this.#syncFailure);
        }
      });
    });
  }

  sizeBytes(): Promise<number> {
    return new Promise((resolve, reject) => {
      if (!this.#begin(reject)) return;
      fs.fstat(this.#descriptor, (error, stats) => {
        this.#end();
        if (error === null) resolve(stats.size);
        else reject(this.#wrap("read", "fstat", error));
      });
    });
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#isClosing = true;
    if (this.#inFlight > 0) {
      await new Promise<void>((resolve) => {
        this.#onQuiet = resolve;
      });
    }
    await new Promise<void>((resolve, reject) => {
      fs.close(this.#descriptor, (error) => {
        if (error === null || error === undefined) resolve();
        else reject(this.#wrap("write", "close", error));
      });
    });
  }

  #begin(reject: (error: Error) => void): boolean {
    if (this.#isClosing) {
      reject(operationError("CLOSED", `${this.path} is closed`, { context: { path: this.path } }));
      return false;
    }
    this.#inFlight += 1;
    return true;
  }

  #end(): void {
    this.#inFlight -= 1;
    if (this.#inFlight === 0) this.#onQuiet?.();
  }

  #wrap(action: DiskAction, syscall: string, cause: Error): LograftError {
    return wrapDiskError(action, this.path, syscall, cause);
  }
}

function assertPosition(position: number): void {
  assert(Number.isSafeInteger(position) && position >= 0, "a file position is not a whole number", {
    position,
  });
}
