import { assert } from "../base/assert.ts";
import type { Logger } from "../base/logger.ts";
import type { Disk, DiskFile } from "../platform/disk.ts";

/** Limits of the cache. */
export interface FileHandleCacheOptions {
  /** Files kept open. Handles in use are never closed, so the true bound is this or the number in use. */
  readonly maxOpen: number;
}

/** What a file is wanted for; one opened for "write" also serves readers. */
export type HandleMode = "read" | "write";

/** An open file that is held until `FileHandleCache.release`. */
export interface FileHandle {
  readonly file: DiskFile;
}

interface CachedHandle extends FileHandle {
  readonly mode: HandleMode;
  users: number;
  /** No longer in the cache: closed as soon as nobody uses it. */
  isForgotten: boolean;
}

/**
 * Open segment files, the longest unused closed first: an idle partition holds none (a broker has far more segments than
 * file descriptors). Whoever holds a handle keeps the file readable even after its name is gone (H50).
 */
export class FileHandleCache {
  readonly #maxOpen: number;
  readonly #disk: Disk;
  readonly #logger: Logger;
  readonly #open = new Map<string, CachedHandle>();
  /** Handles nobody uses, the longest unused first. */
  readonly #idle = new Map<string, CachedHandle>();
  readonly #opening = new Map<string, Promise<CachedHandle>>();
  readonly #closing = new Set<Promise<void>>();

  constructor(options: FileHandleCacheOptions, deps: { readonly disk: Disk; readonly logger: Logger }) {
    assert(options.maxOpen > 0, "no room for an open file", { ...options });
    this.#maxOpen = options.maxOpen;
    this.#disk = deps.disk;
    this.#logger = deps.logger;
  }

  /** Files open now. */
  get openCount(): number {
    return this.#open.size;
  }

  /** A held handle if the file is open already. */
  tryAcquire(path: string, mode: HandleMode): FileHandle | undefined {
    const handle = this.#open.get(path);
    if (handle === undefined || (mode === "write" && handle.mode === "read")) return undefined;
    if (handle.users === 0) this.#idle.delete(path);
    handle.users++;
    return handle;
  }

  /** A held handle; the file must exist. Callers `release` it. @throws LograftError DISK_READ_FAILED. */
  async acquire(path: string, mode: HandleMode): Promise<FileHandle> {
    for (;;) {
      const held = this.tryAcquire(path, mode);
      if (held !== undefined) return held;
      const opening = this.#opening.get(path) ?? this.#startOpening(path, mode);
      // Another caller's opening may turn out to be for reading only, or be evicted before this one runs: look again.
      await opening;
    }
  }

  /** Takes a file that the caller has just created; it is held as by `acquire`. */
  adopt(file: DiskFile): FileHandle {
    const handle: CachedHandle = { file, mode: "write", users: 1, isForgotten: false };
    this.#forgetHandle(file.path);
    this.#open.set(file.path, handle);
    this.#evict();
    return handle;
  }

  release(handle: FileHandle): void {
    const cached = handle as CachedHandle;
    assert(cached.users > 0, "a file handle was released twice", { path: cached.file.path });
    cached.users--;
    if (cached.users > 0) return;
    if (cached.isForgotten) {
      this.#close(cached);
      return;
    }
    this.#idle.set(cached.file.path, cached);
    this.#evict();
  }

  /** The path is about to mean another file or none. Holders keep their handle; it is closed behind the last one. */
  forget(path: string): void {
    this.#forgetHandle(path);
  }

  /** Closes what is idle and waits for closes under way. Handles still held are closed by their release. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#opening.values());
    for (const path of this.#open.keys()) this.#forgetHandle(path);
    await Promise.all(this.#closing);
  }

  #startOpening(path: string, mode: HandleMode): Promise<CachedHandle> {
    const opening = this.#openFile(path, mode).finally(() => this.#opening.delete(path));
    this.#opening.set(path, opening);
    return opening;
  }

  async #openFile(path: string, mode: HandleMode): Promise<CachedHandle> {
    const file = await this.#disk.open(path, mode);
    const handle: CachedHandle = { file, mode, users: 0, isForgotten: false };
    this.#forgetHandle(path);
    this.#open.set(path, handle);
    this.#idle.set(path, handle);
    // Not evicted here: its opener would find it gone and open it again.
    return handle;
  }

  #evict(): void {
    for (const [path, handle] of this.#idle) {
      if (this.#open.size <= this.#maxOpen) return;
      this.#idle.delete(path);
      this.#open.delete(path);
      this.#close(handle);
    }
  }

  #forgetHandle(path: string): void {
    const handle = this.#open.get(path);
    if (handle === undefined) return;
    this.#open.delete(path);
    this.#idle.delete(path);
    handle.isForgotten = true;
    if (handle.users === 0) this.#close(handle);
  }

  #close(handle: CachedHandle): void {
    const closing = handle.file
      .close()
      .catch((error: unknown) => {
        // Whatever had to be durable was synced before; a failed close loses nothing but the descriptor.
        this.#logger.warn("a segment file could not be closed", {
          path: handle.file.path,
          err: error,
        });
      })
      .finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }
}
