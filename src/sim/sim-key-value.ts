import { operationError } from "../base/errors.ts";
import type { LograftError } from "../base/errors.ts";
import type { Clock } from "../platform/clock.ts";
import type { KeyValueOperation, KeyValueRange, KeyValueStore } from "../platform/key-value.ts";
import type { Random } from "../platform/random.ts";
import { normalizePath } from "./disk-tree.ts";
import { CrashPoint } from "./simulated-crash.ts";
import { SortedBytes } from "./sorted-bytes.ts";

/** How a simulated store behaves besides its contract. */
export interface SimKeyValueDeps {
  readonly crashPoint?: CrashPoint;
  /** How long the next batch takes; asked once for each. Default: no time. */
  readonly latency?: { readonly clock: Clock; nextMs(): number };
  /** Told of each batch when it becomes durable, the one that a crash leaves included. */
  readonly onDurable?: (path: string, operations: readonly KeyValueOperation[]) => void;
}

/** Decides how many of a store's unsynced batches, in order of writing, a power cut leaves: 0..`count`. */
export type BatchCrashPolicy = (path: string, count: number) => number;

/** What is kept of one store while no process has it open, and what a power cut may take of it. */
interface Medium {
  durable: SortedBytes;
  current: SortedBytes;
  unsynced: (readonly KeyValueOperation[])[];
  failure: { readonly errno: string; readonly isApplied: boolean } | undefined;
}

/**
 * The key-value stores of one simulated process. Like LevelDB's write-ahead log, a store loses only a suffix of its
 * unsynced batches in a power cut, and a synced batch makes all before it durable.
 */
export class SimKeyValueStorage {
  readonly #deps: SimKeyValueDeps;
  readonly #crashPoint: CrashPoint;
  readonly #open = new Set<string>();
  #media = new Map<string, Medium>();

  constructor(deps: SimKeyValueDeps = {}) {
    this.#deps = deps;
    this.#crashPoint = deps.crashPoint ?? new CrashPoint();
  }

  /** Opens (making it if missing) a store. @throws LograftError DATA_DIR_LOCKED, SimulatedCrash. */
  async open(path: string): Promise<KeyValueStore> {
    this.#crashPoint.check();
    const key = normalizePath(path);
    if (this.#open.has(key)) {
      throw operationError("DATA_DIR_LOCKED", `the store ${path} is open already; close that one first`, {
        context: { path },
      });
    }
    this.#open.add(key);
    return new SimKeyValue(path, this.#medium(path), { ...this.#deps, crashPoint: this.#crashPoint }, () =>
      this.#open.delete(key),
    );
  }

  /** Renames a closed store at once and for good, over an empty place. @throws LograftError DATA_DIR_LOCKED, SimulatedCrash. */
  async move(from: string, to: string): Promise<void> {
    this.#crashPoint.hit();
    const [source, target] = [normalizePath(from), normalizePath(to)];
    if (this.#open.has(source) || this.#open.has(target)) {
      throw operationError("DATA_DIR_LOCKED", `the store ${from} is open; close it first`, {
        context: { path: from },
      });
    }
    if (this.has(to)) {
      throw operationError("DISK_WRITE_FAILED", `cannot rename the store ${from}: ${to} is there already`, {
        context: { path: from, to },
      });
    }
    const medium = this.#medium(from);
    this.#media.delete(source);
    this.#media.set(target, medium);
  }

  /** Whether a store was ever made there. */
  has(path: string): boolean {
    return this.#media.has(normalizePath(path));
  }

  /** Batches that a power cut could take, over all stores. */
  get unsyncedCount(): number {
    let count = 0;
    for (const medium of this.#media.values()) count += medium.unsynced.length;
    return count;
  }

  /**
   * The next batch of this store fails, and after it every other, until the store is opened again. Whether the failed
   * batch is there afterwards is not known to the process: `isApplied` decides.
   */
  failNextBatch(path: string, errno = "EIO", isApplied = false): void {
    this.#medium(path).failure = { errno, isApplied };
  }

  /** A record vanishes without a word, as LevelDB drops those whose checksum does not match (H13). */
  loseRecord(path: string, key: Uint8Array): void {
    const medium = this.#medium(path);
    for (const image of [medium.durable, medium.current]) image.apply([{ type: "delete", key }]);
  }

  /** The stores in and below this directory are gone. For the time between two processes. */
  wipe(path: string): void {
    const root = normalizePath(path);
    for (const key of this.#media.keys()) {
      if (key === root || key.startsWith(`${root}/`)) this.#media.delete(key);
    }
  }

  /** Power cut. Answers the stores after the restart. */
  crash(policy: BatchCrashPolicy, deps?: SimKeyValueDeps): SimKeyValueStorage {
    const after = new SimKeyValueStorage(deps);
    for (const [path, medium] of this.#media) {
      const image = medium.durable.copy();
      const keptCount = policy(path, medium.unsynced.length);
      for (const batch of medium.unsynced.slice(0, keptCount)) {
        image.apply(batch);
        this.#deps.onDurable?.(path, batch);
      }
      after.#media.set(path, newMedium(image));
    }
    this.#crashPoint.crash();
    return after;
  }

  /** The process is killed and the machine lives: every batch is there. */
  crashKeepingAll(deps?: SimKeyValueDeps): SimKeyValueStorage {
    return this.crash((_path, count) => count, deps);
  }

  /** Power cut that takes everything not synced. */
  crashDroppingAll(deps?: SimKeyValueDeps): SimKeyValueStorage {
    return this.crash(() => 0, deps);
  }

  #medium(path: string): Medium {
    const key = normalizePath(path);
    const known = this.#media.get(key);
    if (known !== undefined) return known;
    const made = newMedium(new SortedBytes());
    this.#media.set(key, made);
    return made;
  }
}

/** A random number of a store's unsynced batches survives. */
export function randomBatchCrash(random: Random): BatchCrashPolicy {
  return (_path, count) => random.below(count + 1);
}

class SimKeyValue implements KeyValueStore {
  readonly #path: string;
  readonly #medium: Medium;
  readonly #deps: SimKeyValueDeps & { readonly crashPoint: CrashPoint };
  readonly #onClose: () => void;
  #failure: LograftError | undefined;
  #isClosed = false;

  constructor(
    path: string,
    medium: Medium,
    deps: SimKeyValueDeps & { readonly crashPoint: CrashPoint },
    onClose: () => void,
  ) {
    this.#path = path;
    this.#medium = medium;
    this.#deps = deps;
    this.#onClose = onClose;
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    this.#checkOpen();
    return copied(this.#medium.current.get(key));
  }

  async batch(operations: readonly KeyValueOperation[], options: { readonly sync: boolean }): Promise<void> {
    this.#checkOpen();
    if (this.#failure !== undefined) throw this.#failure;
    const { crashPoint, latency, onDurable } = this.#deps;
    crashPoint.hit();
    const medium = this.#medium;
    const { failure } = medium;
    if (failure !== undefined) {
      medium.failure = undefined;
      if (failure.isApplied) write(medium, operations);
      this.#failure = operationError(
        "DISK_WRITE_FAILED",
        `cannot write the store ${this.#path}: ${failure.errno}; restart, which verifies it`,
        { context: { path: this.#path, errno: failure.errno } },
      );
      throw this.#failure;
    }
    const written = write(medium, operations);
    const delayMs = latency?.nextMs() ?? 0;
    if (latency !== undefined && delayMs > 0) {
      await latency.clock.sleep(delayMs);
      crashPoint.check();
    }
    if (!options.sync) return;
    // What was written after this batch, while it took its time, is not covered by its sync.
    for (const batch of medium.unsynced.splice(0, medium.unsynced.indexOf(written) + 1)) {
      medium.durable.apply(batch);
      onDurable?.(this.#path, batch);
    }
  }

  scan(range: KeyValueRange): AsyncIterable<readonly [Uint8Array, Uint8Array]> {
    this.#checkOpen();
    const entries = this.#medium.current.range(range);
    const check = (): void => this.#checkOpen();
    return {
      async *[Symbol.asyncIterator]() {
        for (const [key, value] of entries) {
          check();
          yield [key, value] as const;
        }
      },
    };
  }

  /** A map in memory has no room to give back. */
  async compactRange(_range: Required<KeyValueRange>): Promise<void> {
    this.#checkOpen();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#onClose();
  }

  #checkOpen(): void {
    this.#deps.crashPoint.check();
    if (!this.#isClosed) return;
    throw operationError("CLOSED", `the store ${this.#path} is closed`, { context: { path: this.#path } });
  }
}

function newMedium(durable: SortedBytes): Medium {
  return { durable, current: durable.copy(), unsynced: [], failure: undefined };
}

/** Keys and values are copied: the caller may reuse its buffers. */
function write(medium: Medium, operations: readonly KeyValueOperation[]): readonly KeyValueOperation[] {
  const batch = operations.map((operation) =>
    operation.type === "put"
      ? { type: "put" as const, key: new Uint8Array(operation.key), value: new Uint8Array(operation.value) }
      : { type: "delete" as const, key: new Uint8Array(operation.key) },
  );
  medium.current.apply(batch);
  medium.unsynced.push(batch);
  return batch;
}

/** A Buffer's own `slice` is a view: what leaves the store must not share its memory. */
function copied(bytes: Uint8Array | undefined): Uint8Array | undefined {
  return bytes === undefined ? undefined : new Uint8Array(bytes);
}
