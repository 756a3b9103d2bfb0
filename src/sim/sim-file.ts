import { assert } from "../base/assert.ts";
import { operationError } from "../base/errors.ts";
import type { DiskAction } from "../platform/disk-error.ts";
import type { DiskFile } from "../platform/disk.ts";
import type { DiskFaults, DiskOperation } from "./disk-faults.ts";
import type { FileNode } from "./disk-nodes.ts";
import { ErrnoError } from "./disk-tree.ts";

/** What an open file needs of its disk. */
export interface SimFileHost {
  readonly faults: DiskFaults;
  /** Waits out latency and slowness, runs `effect`, wraps an ErrnoError. */
  run<T>(action: DiskAction, operation: DiskOperation, path: string, effect: () => T): Promise<T>;
  /** Counts the operation and lets armed faults strike. @throws SimulatedCrash, ErrnoError */
  admit(operation: DiskOperation, path: string): void;
  /** The number of the latest operation that took effect. */
  lastSequence(): number;
  nextSequence(): number;
  /** Bytes by which files may still grow. */
  freeBytes(): number;
  resized(byBytes: number): void;
  onClose(node: FileNode): void;
}

/** A handle to a file of a simulated disk. */
export class SimFile implements DiskFile {
  readonly path: string;
  readonly #node: FileNode;
  readonly #isWritable: boolean;
  readonly #host: SimFileHost;
  readonly #inFlight = new Set<Promise<unknown>>();
  #closed: Promise<void> | undefined;

  constructor(path: string, node: FileNode, isWritable: boolean, host: SimFileHost) {
    this.path = path;
    this.#node = node;
    this.#isWritable = isWritable;
    this.#host = host;
    node.handles += 1;
  }

  write(chunks: readonly Uint8Array[], position: number): Promise<number> {
    assertPosition(position);
    return this.#run("write", "write", () => {
      this.#checkWritable();
      this.#host.admit("write", this.path);
      let wanted = 0;
      for (const chunk of chunks) wanted += chunk.byteLength;
      if (wanted === 0) return 0;
      const sizeBefore = this.#node.cache.sizeBytes;
      const roomBytes = Math.max(0, sizeBefore + this.#host.freeBytes() - position);
      const count = Math.min(roomBytes, this.#host.faults.writableBytes(this.path, wanted));
      if (count === 0) throw new ErrnoError("ENOSPC");
      const pending = {
        kind: "write",
        sequence: this.#host.nextSequence(),
        path: this.path,
        position,
        sizeBytes: count,
      } as const;
      const mediumPosition = Math.max(0, position + this.#host.faults.displacementFor(this.path));
      this.#node.write(pending, firstBytes(chunks, count), mediumPosition);
      this.#host.resized(this.#node.cache.sizeBytes - sizeBefore);
      return count;
    });
  }

  read(target: Uint8Array, position: number): Promise<number> {
    assertPosition(position);
    return this.#run("read", "read", () => {
      this.#host.admit("read", this.path);
      return this.#node.cache.read(target, position);
    });
  }

  truncate(sizeBytes: number): Promise<void> {
    assertPosition(sizeBytes);
    return this.#run("write", "truncate", () => {
      this.#checkWritable();
      this.#host.admit("truncate", this.path);
      const growth = sizeBytes - this.#node.cache.sizeBytes;
      if (growth > this.#host.freeBytes()) throw new ErrnoError("ENOSPC");
      const sequence = this.#host.nextSequence();
      this.#node.truncate({ kind: "truncate", sequence, path: this.path, sizeBytes });
      this.#host.resized(growth);
    });
  }

  /**
   * Covers what had taken effect when it was called: a write that was still under way is not in it. After a failure a
   * second sync succeeds and the data is lost all the same, as on a real kernel.
   */
  sync(): Promise<void> {
    const sequence = this.#host.lastSequence();
    return this.#run("sync", "sync", () => {
      try {
        this.#host.admit("sync", this.path);
      } catch (error: unknown) {
        if (error instanceof ErrnoError) this.#node.loseUnsynced(sequence);
        throw error;
      }
      this.#node.sync(sequence);
    });
  }

  sizeBytes(): Promise<number> {
    return this.#run("read", "stat", () => {
      this.#host.admit("stat", this.path);
      return this.#node.cache.sizeBytes;
    });
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await Promise.allSettled(this.#inFlight);
    this.#node.handles -= 1;
    this.#host.onClose(this.#node);
  }

  async #run<T>(action: DiskAction, operation: DiskOperation, effect: () => T): Promise<T> {
    if (this.#closed !== undefined) {
      throw operationError("CLOSED", `${this.path} is closed`, { context: { path: this.path } });
    }
    const result = this.#host.run(action, operation, this.path, effect);
    this.#inFlight.add(result);
    try {
      return await result;
    } finally {
      this.#inFlight.delete(result);
    }
  }

  #checkWritable(): void {
    if (!this.#isWritable) throw new ErrnoError("EBADF");
  }
}

/** A copy of the first `count` bytes: the caller may reuse its buffers as soon as the write is answered. */
function firstBytes(chunks: readonly Uint8Array[], count: number): Uint8Array {
  const data = new Uint8Array(count);
  let filled = 0;
  for (const chunk of chunks) {
    if (filled === count) break;
    const part = chunk.subarray(0, count - filled);
    data.set(part, filled);
    filled += part.byteLength;
  }
  return data;
}

function assertPosition(position: number): void {
  assert(Number.isSafeInteger(position) && position >= 0, "a file position is not a whole number", {
    position,
  });
}
