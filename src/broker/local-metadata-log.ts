import { assert } from "../base/assert.ts";
import { Deferred } from "../base/deferred.ts";
import { errorMessage, LograftError, operationError } from "../base/errors.ts";
import type { MetadataEntry, MetadataLog } from "../controller/metadata-log.ts";
import { readIfPresent, writeAtomically } from "../log/checkpoint-file.ts";
import { decodeMetadataRecords, encodeMetadataRecords } from "../metadata/record-codec.ts";
import type { MetadataRecord } from "../metadata/records.ts";
import { GENESIS_HASH } from "../metadata/running-hash.ts";
import type { KeyValueOperation, KeyValueStore } from "../platform/key-value.ts";
import type { Platform } from "../platform/platform.ts";
import { DiskReserve } from "./disk-reserve.ts";
import {
  encodeEntry,
  encodeTail,
  entryKey,
  HEADER_KEY,
  indexOfKey,
  parseEntry,
  parseTail,
} from "./metadata-entry.ts";
import type { LogTail, Parsed } from "./metadata-entry.ts";

export interface LocalMetadataLogOptions {
  /** Data directory of the broker; the store is `metadata` in it, the tail file `metadata-tail` beside that. */
  readonly directory: string;
  /** Appends that may wait for a flush, 1024 by default; beyond it they are refused with BUFFER_EXHAUSTED. */
  readonly maxWaiting?: number;
  /** Room that is kept on the disk for what must be written when it is full; 0, the default, keeps none. */
  readonly reserveBytes?: number;
}

interface WaitingAppend {
  readonly records: Buffer;
  /** Without it a full disk could not be made room on, or the broker not be started to do so. */
  readonly isUrgent: boolean;
  readonly done: Deferred<{ readonly index: number }>;
}

const EMPTY_TAIL: LogTail = { lastIndex: 0, lastHash: GENESIS_HASH };
/** Bytes of entries in one batch of the store; what waits beyond goes into the next. */
const MAX_FLUSH_BYTES = 8 * 1024 * 1024;

/** What must be free beside the entries: LevelDB does not survive a write that finds no room. */
const MIN_FREE_BYTES = 256 * 1024;

/**
 * The metadata log of a broker without a quorum: one writer, one synced batch for everything that waited while the last
 * one was written. Format and checks are in `metadata-entry`.
 */
export class LocalMetadataLog implements MetadataLog {
  readonly #directory: string;
  readonly #storePath: string;
  readonly #tailPath: string;
  readonly #maxWaiting: number;
  readonly #disk: Platform["disk"];
  readonly #store: KeyValueStore;
  readonly #reserve: DiskReserve;
  #reserving: Promise<void> = Promise.resolve();
  /** What is durable in the store. */
  #tail: LogTail = EMPTY_TAIL;
  #mirrored: LogTail = EMPTY_TAIL;
  #isReplayed = false;
  #waiting: WaitingAppend[] = [];
  #writing: Promise<void> | undefined;
  #failure: LograftError | undefined;
  #closing: Promise<void> | undefined;

  private constructor(
    options: LocalMetadataLogOptions,
    disk: Platform["disk"],
    store: KeyValueStore,
    reserve: DiskReserve,
  ) {
    this.#directory = options.directory;
    this.#reserve = reserve;
    this.#storePath = storePathOf(options.directory);
    this.#tailPath = `${options.directory}/metadata-tail`;
    this.#maxWaiting = options.maxWaiting ?? 1024;
    this.#disk = disk;
    this.#store = store;
  }

  /** Opens or makes the store. @throws LograftError DATA_DIR_LOCKED, DISK_READ_FAILED. */
  static async open(
    options: LocalMetadataLogOptions,
    deps: { readonly platform: Pick<Platform, "disk" | "openKeyValue"> },
  ): Promise<LocalMetadataLog> {
    const { disk } = deps.platform;
    const { directory, reserveBytes = 0 } = options;
    const reserve = new DiskReserve({ directory, sizeBytes: reserveBytes }, { disk });
    // LevelDB writes as it opens.
    if ((await freeBytesIn(disk, directory)) < reserveBytes) await reserve.release();
    const store = await deps.platform.openKeyValue(storePathOf(directory));
    return new LocalMetadataLog(options, disk, store, reserve);
  }

  get lastIndex(): number {
    return this.#tail.lastIndex;
  }

  async replayAll(visit: (entry: MetadataEntry) => void): Promise<void> {
    assert(!this.#isReplayed, "a metadata log is replayed once");
    const mirrored = await this.#readMirror();
    let header: LogTail | undefined;
    let tail = EMPTY_TAIL;
    for await (const [key, value] of this.#store.scan({})) {
      if (key.byteLength === 1 && key[0] === HEADER_KEY[0]) {
        header = this.#checked(parseTail(value), "the header");
        continue;
      }
      const expected = tail.lastIndex + 1;
      const index = indexOfKey(key);
      if (index === undefined) throw this.#corrupt(`a key of the store is not ours`, { index: expected });
      if (index !== expected)
        throw this.#corrupt(`entry ${expected} is missing`, { index: expected, found: index });
      const entry = this.#checked(parseEntry(tail, value), `entry ${index}`, index);
      tail = { lastIndex: entry.index, lastHash: entry.hash };
      if (entry.index === mirrored.lastIndex && entry.hash !== mirrored.lastHash) {
        throw this.#corrupt(`entry ${index} is not the one that ${this.#tailPath} tells of`, { index });
      }
      this.#visit({ index, records: this.#decode(entry.records, index) }, visit);
    }
    this.#checkEnd(tail, header ?? EMPTY_TAIL, mirrored);
    this.#tail = tail;
    this.#mirrored = mirrored;
    this.#isReplayed = true;
  }

  append(records: readonly MetadataRecord[]): Promise<{ readonly index: number }> {
    assert(this.#isReplayed, "a metadata log is replayed before the first append");
    const failure = this.#failure ?? (this.#closing === undefined ? undefined : this.#closedError());
    if (failure !== undefined) return Promise.reject(failure);
    if (this.#waiting.length >= this.#maxWaiting) {
      return Promise.reject(
        operationError(
          "BUFFER_EXHAUSTED",
          `${this.#waiting.length} metadata changes wait already; try again later`,
          {
            context: { maxWaiting: this.#maxWaiting },
            retriable: true,
          },
        ),
      );
    }
    const done = new Deferred<{ readonly index: number }>();
    const isUrgent = records.some(({ type }) => type === "RemoveTopic" || type === "BrokerRegistration");
    this.#waiting.push({ records: encodeMetadataRecords(records), isUrgent, done });
    this.#writing ??= this.#writeWaiting();
    return done.promise;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#writing;
    await this.#reserving;
    try {
      if (this.#isReplayed && this.#failure === undefined) await this.#mirror();
    } finally {
      await this.#store.close();
    }
  }

  /** Never rejects: each append learns its own outcome. */
  async #writeWaiting(): Promise<void> {
    while (this.#waiting.length > 0) {
      const { group, operations, tail, sizeBytes } = this.#nextGroup();
      const refusal = await this.#refusalByRoom(group, sizeBytes);
      if (refusal !== undefined) {
        // Nothing was written, so nothing is in doubt: the log goes on when there is room.
        for (const { done } of group) done.reject(refusal);
        continue;
      }
      try {
        await this.#store.batch(operations, { sync: true });
        const isFirst = this.#mirrored.lastIndex === 0;
        this.#tail = tail;
        // The first entry of a directory: from here on an empty store is a lost one, and must be seen as that.
        if (isFirst) await this.#mirror();
      } catch (error: unknown) {
        this.#fail(error, group);
        break;
      }
      this.#reserving = this.#reserving.then(() => this.#reserve.keep());
      let index = tail.lastIndex - group.length;
      for (const { done } of group) done.resolve({ index: ++index });
    }
    this.#writing = undefined;
  }

  async #refusalByRoom(
    group: readonly WaitingAppend[],
    sizeBytes: number,
  ): Promise<LograftError | undefined> {
    const neededBytes = MIN_FREE_BYTES + 2 * sizeBytes;
    const hasRoom = async (): Promise<boolean> =>
      (await freeBytesIn(this.#disk, this.#directory)) >= neededBytes;
    if (await hasRoom()) return undefined;
    await this.#reserving;
    const isUrgent = group.some((append) => append.isUrgent);
    if (isUrgent && (await this.#reserve.release()) && (await hasRoom())) return undefined;
    return operationError(
      "DISK_FULL",
      `the disk of ${this.#directory} is full: metadata needs ${neededBytes} free bytes; nothing was changed. ` +
        "Free space there, or delete topics",
      { context: { directory: this.#directory, neededBytes }, retriable: true },
    );
  }

  #nextGroup(): {
    group: WaitingAppend[];
    operations: KeyValueOperation[];
    tail: LogTail;
    sizeBytes: number;
  } {
    const group: WaitingAppend[] = [];
    const operations: KeyValueOperation[] = [];
    let tail = this.#tail;
    let sizeBytes = 0;
    for (const waiting of this.#waiting) {
      if (sizeBytes >= MAX_FLUSH_BYTES) break;
      const entry = encodeEntry(tail, waiting.records);
      tail = entry.tail;
      sizeBytes += entry.value.byteLength;
      operations.push({ type: "put", key: entryKey(tail.lastIndex), value: entry.value });
      group.push(waiting);
    }
    operations.push({ type: "put", key: HEADER_KEY, value: encodeTail(tail) });
    this.#waiting = this.#waiting.slice(group.length);
    return { group, operations, tail, sizeBytes };
  }

  #fail(cause: unknown, group: readonly WaitingAppend[]): void {
    const failure =
      cause instanceof LograftError
        ? cause
        : operationError("DISK_WRITE_FAILED", `cannot write ${this.#storePath}: ${errorMessage(cause)}`, {
            cause,
          });
    this.#failure = failure;
    for (const { done } of [...group, ...this.#waiting]) done.reject(failure);
    this.#waiting = [];
  }

  async #mirror(): Promise<void> {
    if (this.#mirrored.lastIndex === this.#tail.lastIndex) return;
    await writeAtomically(this.#disk, this.#tailPath, encodeTail(this.#tail));
    this.#mirrored = this.#tail;
  }

  async #readMirror(): Promise<LogTail> {
    const bytes = await readIfPresent(this.#disk, this.#tailPath);
    return bytes === undefined ? EMPTY_TAIL : this.#checked(parseTail(bytes), `the file ${this.#tailPath}`);
  }

  #checkEnd(tail: LogTail, header: LogTail, mirrored: LogTail): void {
    if (tail.lastIndex !== header.lastIndex || tail.lastHash !== header.lastHash) {
      throw this.#corrupt(`it ends at entry ${tail.lastIndex}, its header tells of ${header.lastIndex}`, {
        index: Math.min(tail.lastIndex, header.lastIndex) + 1,
      });
    }
    if (tail.lastIndex < mirrored.lastIndex) {
      throw this.#corrupt(
        `it ends at entry ${tail.lastIndex}, ${this.#tailPath} tells of ${mirrored.lastIndex}`,
        {
          index: tail.lastIndex + 1,
        },
      );
    }
  }

  #visit(entry: MetadataEntry, visit: (entry: MetadataEntry) => void): void {
    try {
      visit(entry);
    } catch (error: unknown) {
      if (!(error instanceof LograftError) || error.code !== "METADATA_CORRUPT") throw error;
      throw this.#corrupt(
        `entry ${entry.index}: ${error.message}`,
        { index: entry.index, ...error.context },
        error,
      );
    }
  }

  #decode(records: Buffer, index: number): MetadataRecord[] {
    try {
      return decodeMetadataRecords(records);
    } catch (error: unknown) {
      if (error instanceof LograftError && error.code === "DATA_DIR_VERSION") throw error;
      throw this.#corrupt(`entry ${index} cannot be read: ${errorMessage(error)}`, { index }, error);
    }
  }

  #checked<T>(parsed: Parsed<T>, what: string, index?: number): T {
    if (parsed.ok) return parsed.value;
    throw this.#corrupt(`${what} is damaged: ${parsed.reason}`, index === undefined ? {} : { index });
  }

  #corrupt(what: string, context: Readonly<Record<string, unknown>>, cause?: unknown): LograftError {
    return operationError(
      "METADATA_CORRUPT",
      `the metadata log in ${this.#storePath} cannot be trusted: ${what}; nothing was changed or deleted. ` +
        "Put the whole data directory back from a backup, or start with an empty one",
      { context: { directory: this.#storePath, ...context }, cause },
    );
  }

  #closedError(): LograftError {
    return operationError("CLOSED", `the metadata log in ${this.#storePath} is closed`);
  }
}

/** Infinity where it cannot be told: the write itself will tell. */
async function freeBytesIn(disk: Platform["disk"], directory: string): Promise<number> {
  try {
    return await disk.freeBytes(directory);
  } catch (error: unknown) {
    if (error instanceof LograftError) return Number.POSITIVE_INFINITY;
    throw error;
  }
}

function storePathOf(directory: string): string {
  return `${directory}/metadata`;
}
