import * as fs from "node:fs/promises";
import { dirname } from "node:path";
import { Level } from "level";
import { errorMessage, operationError } from "../../base/errors.ts";
import type { LograftError, OperationErrorCode } from "../../base/errors.ts";
import { SerialQueue } from "../../base/serial-queue.ts";
import type { KeyValueOperation, KeyValueRange, KeyValueStore } from "../key-value.ts";
import { refuseDamagedLogs } from "./level-log-check.ts";
import { NodeDisk } from "./node-disk.ts";
import { accessAdvice } from "./path-owner.ts";

/** Batches that may wait for the one being written; a caller that waits for its own never comes near. */
const MAX_WAITING_BATCHES = 1024;
/** Entries fetched from LevelDB in one trip to the thread pool. */
const SCAN_BATCH = 256;

/**
 * Opens (making it if missing) the LevelDB store in this directory.
 * @throws LograftError DATA_DIR_LOCKED while another process, or another opener here, has it; DISK_READ_FAILED;
 * METADATA_CORRUPT when a log of it is damaged before its end, and then nothing was changed.
 */
export async function openLevelKeyValue(path: string): Promise<KeyValueStore> {
  const disk = new NodeDisk();
  await disk.makeDir(path);
  await refuseDamagedLogs(path);
  const level = new Level<Uint8Array, Uint8Array>(path, {
    keyEncoding: "view",
    valueEncoding: "view",
    // Entries are small and hashed or checksummed by their owner; compression would cost time and save little.
    compression: false,
  });
  try {
    await level.open();
  } catch (error: unknown) {
    throw openError(path, error);
  }
  // LevelDB syncs its directory only along with a manifest, so the name of the write-ahead log it just made, and of the
  // directory itself, could vanish in a power cut with every synced batch in it (H14).
  await disk.syncDir(path);
  await disk.syncDir(dirname(await fs.realpath(path)));
  return new LevelKeyValue(path, level);
}

/** Renames a closed store, over nothing. @throws LograftError DISK_WRITE_FAILED. */
export async function moveLevelKeyValue(from: string, to: string): Promise<void> {
  const disk = new NodeDisk();
  if ((await disk.stat(to)) !== undefined) {
    throw operationError("DISK_WRITE_FAILED", `cannot rename the store ${from}: ${to} is there already`, {
      context: { path: from, to },
    });
  }
  await disk.rename(from, to);
  await disk.syncDir(dirname(to));
}

/**
 * One writer, in order: LevelDB runs overlapping batches in any order (H11). After a failed write nothing more is
 * written: whether the failed batch is on the disk is known only after reopening (H15).
 */
class LevelKeyValue implements KeyValueStore {
  readonly #path: string;
  readonly #level: Level<Uint8Array, Uint8Array>;
  readonly #writer = new SerialQueue({ maxWaiting: MAX_WAITING_BATCHES });
  #failure: LograftError | undefined;
  #closed: Promise<void> | undefined;

  constructor(path: string, level: Level<Uint8Array, Uint8Array>) {
    this.#path = path;
    this.#level = level;
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    this.#checkOpen();
    try {
      return await this.#level.get(key);
    } catch (error: unknown) {
      throw this.#error("DISK_READ_FAILED", "read", error);
    }
  }

  async batch(operations: readonly KeyValueOperation[], options: { readonly sync: boolean }): Promise<void> {
    this.#checkOpen();
    await this.#writer.run(() => this.#write(operations, options.sync));
  }

  scan(range: KeyValueRange): AsyncIterable<readonly [Uint8Array, Uint8Array]> {
    this.#checkOpen();
    // LevelDB takes the snapshot when the iterator is made, so it is made here and not at the first step.
    const iterator = this.#level.iterator({
      ...(range.from === undefined ? {} : { gte: range.from }),
      ...(range.to === undefined ? {} : { lt: range.to }),
      fillCache: false,
    });
    const fail = (error: unknown): LograftError => this.#error("DISK_READ_FAILED", "scan", error);
    return {
      async *[Symbol.asyncIterator]() {
        try {
          for (;;) {
            const entries = await iterator.nextv(SCAN_BATCH).catch((error: unknown) => {
              throw fail(error);
            });
            if (entries.length === 0) return;
            yield* entries;
          }
        } finally {
          await iterator.close();
        }
      },
    };
  }

  async compactRange(range: Required<KeyValueRange>): Promise<void> {
    this.#checkOpen();
    await this.#writer.run(async () => {
      try {
        if (!isCompactable(this.#level)) return;
        // The first pass writes to tables what is still in memory, the deletions too; the second merges those tables.
        for (let pass = 0; pass < 2; pass++) await this.#level.compactRange(range.from, range.to);
      } catch (error: unknown) {
        throw this.#error("DISK_WRITE_FAILED", "compact", error);
      }
    });
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await this.#writer.close(closedError(this.#path));
    await this.#level.close();
  }

  async #write(operations: readonly KeyValueOperation[], sync: boolean): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      await this.#level.batch(operations.map(toLevelOperation), { sync });
    } catch (error: unknown) {
      this.#failure = this.#error("DISK_WRITE_FAILED", "write", error);
      throw this.#failure;
    }
  }

  #checkOpen(): void {
    if (this.#closed !== undefined) throw closedError(this.#path);
  }

  #error(code: OperationErrorCode, action: string, cause: unknown): LograftError {
    return operationError(
      code,
      `cannot ${action} the store ${this.#path}: ${errorMessage(cause)}; restart, which verifies it`,
      { context: { path: this.#path, syscall: action }, cause },
    );
  }
}

/** What the store is in Node, which the types of `level`, made for browsers too, do not tell. */
interface Compactable {
  compactRange(from: Uint8Array, to: Uint8Array): Promise<void>;
}

function isCompactable(level: object): level is Compactable {
  return "compactRange" in level && typeof level.compactRange === "function";
}

function toLevelOperation(
  operation: KeyValueOperation,
): { type: "put"; key: Uint8Array; value: Uint8Array } | { type: "del"; key: Uint8Array } {
  return operation.type === "put" ? operation : { type: "del", key: operation.key };
}

function openError(path: string, error: unknown): LograftError {
  // The outer error says that the store is not open, its cause why.
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const reason = cause instanceof Error && "code" in cause ? String(cause.code) : undefined;
  if (reason === "LEVEL_LOCKED") {
    return operationError(
      "DATA_DIR_LOCKED",
      `the store ${path} is open in another process or elsewhere in this one; stop that one first`,
      { context: { path }, cause: error },
    );
  }
  // LevelDB tells which of its files it was.
  const refusedPath = /IO error: (.+): Permission denied/.exec(errorMessage(cause))?.[1];
  const advice =
    (refusedPath === undefined ? undefined : accessAdvice(refusedPath, "open")) ??
    "check permissions and the device";
  return operationError(
    "DISK_READ_FAILED",
    `cannot open the store ${path}: ${errorMessage(cause)}; ${advice}, and do not repair it by hand`,
    { context: { path, ...(reason === undefined ? {} : { reason }) }, cause: error },
  );
}

function closedError(path: string): LograftError {
  return operationError("CLOSED", `the store ${path} is closed`, { context: { path } });
}
