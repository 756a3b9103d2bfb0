import { assert } from "../base/assert.ts";

/** An entry of a directory. */
export interface DiskEntry {
  readonly name: string;
  readonly isDirectory: boolean;
}

/** A held lock on a data directory; released by close or by the death of the process. */
export interface DiskLock {
  release(): Promise<void>;
}

/**
 * An open file. Every call may fail with a `LograftError` of code DISK_READ_FAILED, DISK_WRITE_FAILED, DISK_FULL or
 * DISK_SYNC_FAILED whose context names the path. Calls may overlap, except that two overlapping writes to one range
 * have no defined order: the caller keeps one append in flight.
 */
export interface DiskFile {
  readonly path: string;
  /** Writes at `position`; answers the bytes written, which may be fewer than given (short write), never zero of more. */
  write(chunks: readonly Uint8Array[], position: number): Promise<number>;
  /** Fills `target` from `position`; answers the bytes read, which may be fewer than wanted; 0 only at the end. */
  read(target: Uint8Array, position: number): Promise<number>;
  truncate(sizeBytes: number): Promise<void>;
  /** fdatasync: when it resolves, the content and size survive a power cut. After a failure the file is not to be trusted. */
  sync(): Promise<void>;
  sizeBytes(): Promise<number>;
  /** Idempotent. Does not sync. */
  close(): Promise<void>;
}

/**
 * "read": must exist, never written. "write": must exist, read and write. "create": made when missing, read and write.
 * "createNew": must not exist.
 */
export type OpenMode = "read" | "write" | "create" | "createNew";

/**
 * The only way to files. Names (create, rename, remove) are durable only after `syncDir` of their parent; content only
 * after `DiskFile.sync`. Paths are absolute or relative to the process, '/'-separated.
 */
export interface Disk {
  open(path: string, mode: OpenMode): Promise<DiskFile>;
  /** Undefined when nothing is there. */
  stat(path: string): Promise<{ readonly sizeBytes: number; readonly isDirectory: boolean } | undefined>;
  /** Sorted by name. Throws DISK_READ_FAILED when it is not a directory. */
  list(path: string): Promise<readonly DiskEntry[]>;
  /** Makes the directory and its missing parents; no error when it exists. */
  makeDir(path: string): Promise<void>;
  /** Atomic; replaces a file at `to`. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file; no error when it is missing. */
  remove(path: string): Promise<void>;
  /** Removes a directory with all below it; no error when it is missing. */
  removeDir(path: string): Promise<void>;
  syncDir(path: string): Promise<void>;
  freeBytes(path: string): Promise<number>;
  /**
   * Takes the lock file of a data directory. @throws LograftError DATA_DIR_LOCKED naming the owner while another
   * living process holds it; a lock left by a dead one is taken over.
   */
  lock(path: string, owner: string): Promise<DiskLock>;
}

/** Writes all of `chunks` at `position`, however short the single writes are (H43). */
export async function writeFully(
  file: DiskFile,
  chunks: readonly Uint8Array[],
  position: number,
): Promise<void> {
  let rest = chunks;
  let at = position;
  for (;;) {
    const wanted = byteCount(rest);
    if (wanted === 0) return;
    const written = await file.write(rest, at);
    assert(written > 0 && written <= wanted, "a write reported an impossible count", { written, wanted });
    if (written === wanted) return;
    at += written;
    rest = dropBytes(rest, written);
  }
}

/** Reads until `target` is full or the file ends; answers the bytes read. */
export async function readFully(file: DiskFile, target: Uint8Array, position: number): Promise<number> {
  let filled = 0;
  while (filled < target.byteLength) {
    const count = await file.read(target.subarray(filled), position + filled);
    if (count === 0) break;
    filled += count;
  }
  return filled;
}

function byteCount(chunks: readonly Uint8Array[]): number {
  let total = 0;
  for (const chunk of chunks) total += chunk.byteLength;
  return total;
}

function dropBytes(chunks: readonly Uint8Array[], count: number): Uint8Array[] {
  const rest: Uint8Array[] = [];
  let skip = count;
  for (const chunk of chunks) {
    if (skip >= chunk.byteLength) {
      skip -= chunk.byteLength;
      continue;
    }
    rest.push(skip === 0 ? chunk : chunk.subarray(skip));
    skip = 0;
  }
  return rest;
}
