import { operationError } from "../base/errors.ts";
import type { Clock } from "../platform/clock.ts";
import { diskError } from "../platform/disk-error.ts";
import type { DiskAction } from "../platform/disk-error.ts";
import type { Disk, DiskEntry, DiskFile, DiskLock, OpenMode } from "../platform/disk.ts";
import type { Random } from "../platform/random.ts";
import { dropAll, keepAll, randomCrash } from "./crash-policy.ts";
import type { CrashPolicy, PendingOperation } from "./crash-policy.ts";
import { DiskFaults } from "./disk-faults.ts";
import type { DiskOperation } from "./disk-faults.ts";
import { DirectoryNode, FileNode } from "./disk-nodes.ts";
import { DiskTree, ErrnoError, normalizePath } from "./disk-tree.ts";
import { SimFile } from "./sim-file.ts";
import type { SimFileHost } from "./sim-file.ts";
import { CrashPoint } from "./simulated-crash.ts";

/** Shape of a simulated disk. */
export interface SimDiskOptions {
  /** Sum of file sizes it holds. Default 1 TiB. */
  readonly capacityBytes?: number;
  /** Every operation takes a random time in this range, and overlapping ones end in any order. Default: none, at once. */
  readonly latency?: { readonly minMs: number; readonly maxMs: number };
  /** The first n mutating operations work, then the process is dead (see `CrashPoint`). Default: never. */
  readonly failAfterOperations?: number;
}

/** What a simulated disk works with. */
export interface SimDiskDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** Shared with the other storage of the process; takes the place of `failAfterOperations`. */
  readonly crashPoint?: CrashPoint;
  /** Faults shared with another disk object. Default: its own, none armed. */
  readonly faults?: DiskFaults;
}

const DEFAULT_CAPACITY_BYTES = 2 ** 40;
const MUTATING: ReadonlySet<DiskOperation> = new Set([
  "create",
  "write",
  "truncate",
  "sync",
  "makeDir",
  "rename",
  "remove",
  "syncDir",
]);

/**
 * A disk in memory as one process sees it, which knows what a power cut would leave: every write, truncate and change
 * of a name stays pending until its sync. A crash ends this process's use of it (each call throws SimulatedCrash) and
 * answers the disk for the next process.
 */
export class SimDisk implements Disk {
  /** Faults of the hardware; the disk after a crash has the same. */
  readonly faults: DiskFaults;
  readonly #options: SimDiskOptions;
  readonly #deps: SimDiskDeps;
  readonly #crashPoint: CrashPoint;
  readonly #locks = new Map<string, string>();
  readonly #counts = new Map<DiskOperation, number>();
  readonly #host: SimFileHost;
  #tree = new DiskTree();
  #sequence = 0;

  constructor(options: SimDiskOptions, deps: SimDiskDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#crashPoint = deps.crashPoint ?? new CrashPoint(options.failAfterOperations);
    this.faults = deps.faults ?? new DiskFaults();
    this.#host = {
      faults: this.faults,
      run: (action, operation, path, effect) => this.#run(action, operation, path, effect),
      admit: (operation, path) => this.#admit(operation, path),
      lastSequence: () => this.#sequence,
      nextSequence: () => ++this.#sequence,
      freeBytes: () => this.#freeBytes(),
      resized: (byBytes) => this.#tree.resized(byBytes),
      onClose: (node) => this.#tree.releaseIfUnused(node),
    };
  }

  /** Mutating operations done by this process, on everything that shares its crash point. */
  get mutationCount(): number {
    return this.#crashPoint.count;
  }

  /** How often each kind of operation was let through to the disk, the failed ones included. */
  get operationCounts(): ReadonlyMap<DiskOperation, number> {
    return this.#counts;
  }

  /** What a power cut could take now, in order of sequence. Content of files without a name is not listed. */
  get pendingOperations(): readonly PendingOperation[] {
    const content = new Set(this.#tree.files().values());
    return [...[...content].flatMap((node) => node.pending), ...this.#tree.pending].sort(
      (a, b) => a.sequence - b.sequence,
    );
  }

  open(path: string, mode: OpenMode): Promise<DiskFile> {
    const action = mode === "read" || mode === "write" ? "read" : "write";
    return this.#run(action, "open", path, () => {
      this.#admit("open", path);
      const node = this.#tree.find(path);
      if (node === undefined) {
        if (action === "read") throw new ErrnoError("ENOENT");
        return new SimFile(path, this.#createFile(path), true, this.#host);
      }
      if (mode === "createNew") throw new ErrnoError("EEXIST");
      if (node.isDirectory) throw new ErrnoError("EISDIR");
      return new SimFile(path, node, mode !== "read", this.#host);
    });
  }

  stat(path: string): Promise<{ readonly sizeBytes: number; readonly isDirectory: boolean } | undefined> {
    return this.#run("read", "stat", path, () => {
      this.#admit("stat", path);
      const node = this.#findOrNothing(path);
      if (node === undefined) return undefined;
      return { sizeBytes: node.isDirectory ? 0 : node.cache.sizeBytes, isDirectory: node.isDirectory };
    });
  }

  list(path: string): Promise<readonly DiskEntry[]> {
    return this.#run("read", "list", path, () => {
      this.#admit("list", path);
      return [...this.#tree.directory(path).entries]
        .map(([name, node]) => ({ name, isDirectory: node.isDirectory }))
        .sort((a, b) => (a.name < b.name ? -1 : 1));
    });
  }

  makeDir(path: string): Promise<void> {
    return this.#run("write", "makeDir", path, () => {
      let prefix = "";
      for (const name of normalizePath(path).split("/").filter(Boolean)) {
        prefix += `/${name}`;
        const node = this.#tree.find(prefix);
        if (node?.isDirectory === false) throw new ErrnoError("EEXIST");
        if (node === undefined) this.#setName("makeDir", prefix, new DirectoryNode());
      }
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.#run("write", "rename", from, () => {
      this.#admit("rename", from);
      const node = this.#tree.find(from);
      if (node === undefined) throw new ErrnoError("ENOENT");
      const source = this.#tree.place(from);
      const target = this.#tree.place(to);
      const replaced = this.#tree.find(to);
      if (replaced === node) return;
      if (node.isDirectory && normalizePath(to).startsWith(`${normalizePath(from)}/`))
        throw new ErrnoError("EINVAL");
      if (replaced?.isDirectory === true && !node.isDirectory) throw new ErrnoError("EISDIR");
      if (replaced?.isDirectory === false && node.isDirectory) throw new ErrnoError("ENOTDIR");
      if (replaced?.isDirectory === true && replaced.entries.size > 0) throw new ErrnoError("ENOTEMPTY");
      this.#tree.change({ kind: "rename", sequence: ++this.#sequence, path: from, to }, [
        { ...source, node: undefined },
        { ...target, node },
      ]);
    });
  }

  remove(path: string): Promise<void> {
    return this.#run("write", "remove", path, () => {
      const node = this.#findOrNothing(path);
      if (node === undefined) return;
      if (node.isDirectory) throw new ErrnoError("EISDIR");
      this.#setName("remove", path, undefined);
    });
  }

  /** Each name below counts as an operation of its own, so a crash may come in the middle. */
  removeDir(path: string): Promise<void> {
    return this.#run("write", "remove", path, () => {
      const removeTree = (at: string): void => {
        const node = this.#findOrNothing(at);
        if (node === undefined) return;
        if (node.isDirectory) for (const name of [...node.entries.keys()].sort()) removeTree(`${at}/${name}`);
        this.#setName("remove", at, undefined);
      };
      removeTree(path);
    });
  }

  syncDir(path: string): Promise<void> {
    const sequence = this.#sequence;
    return this.#run("sync", "syncDir", path, () => {
      const directory = this.#tree.directory(path);
      this.#admit("syncDir", path);
      this.#tree.sync(directory, sequence);
    });
  }

  freeBytes(path: string): Promise<number> {
    return this.#run("read", "stat", path, () => {
      this.#admit("stat", path);
      if (this.#tree.find(path) === undefined) throw new ErrnoError("ENOENT");
      return this.#freeBytes();
    });
  }

  /** Held by this process until `release`; the process after a crash finds the file but nobody who holds it. */
  lock(path: string, owner: string): Promise<DiskLock> {
    const key = normalizePath(path);
    return this.#run("write", "create", path, () => {
      const holder = this.#locks.get(key);
      if (holder !== undefined) {
        throw operationError(
          "DATA_DIR_LOCKED",
          `${path} is held by process 1 (${holder}); stop that process first`,
          {
            context: { path, pid: 1, owner: holder },
          },
        );
      }
      if (this.#tree.find(path) === undefined) this.#createFile(path);
      this.#locks.set(key, owner);
      return { release: () => this.#release(key, owner) };
    });
  }

  /** Power cut: by default each pending operation is kept, lost or torn at random. Answers the disk after the restart. */
  crash(policy: CrashPolicy = randomCrash(this.#deps.random), deps?: SimDiskDeps): SimDisk {
    const after = this.imageAfter(policy, deps);
    this.#crashPoint.crash();
    return after;
  }

  /** The process is killed and the machine lives: all that was written is there. */
  crashKeepingAll(deps?: SimDiskDeps): SimDisk {
    return this.crash(keepAll, deps);
  }

  /** Power cut that takes everything not synced. */
  crashDroppingAll(deps?: SimDiskDeps): SimDisk {
    return this.crash(dropAll, deps);
  }

  /** The disk that a power cut would leave now; this one goes on. For trying many outcomes of one moment. */
  imageAfter(policy: CrashPolicy, deps?: SimDiskDeps): SimDisk {
    const { failAfterOperations: _, ...options } = this.#options;
    const { clock, random } = deps ?? this.#deps;
    const crashPoint = deps?.crashPoint ?? new CrashPoint();
    const after = new SimDisk(options, { clock, random, crashPoint, faults: this.faults });
    after.#tree = this.#tree.afterCrash(policy);
    return after;
  }

  /** Copies of all files by path, sorted: as the process sees them, or as a power cut taking all it may would leave them. */
  snapshotFiles(view: "visible" | "durable" = "visible"): Map<string, Uint8Array> {
    const tree = view === "visible" ? this.#tree : this.#tree.afterCrash(dropAll);
    return new Map([...tree.files()].map(([path, node]) => [path, node.cache.copy().view()]));
  }

  /** Bit rot: inverts one bit of a file, on the medium and in the page cache. @throws LograftError DISK_READ_FAILED. */
  flipBit(path: string, bit: number): void {
    const node = this.#findOrNothing(path);
    if (!(node instanceof FileNode)) throw diskError("read", { path, syscall: "flipBit", errno: "ENOENT" });
    node.cache.flipBit(bit);
    node.medium.flipBit(bit);
  }

  /** Other bytes than were written, on the medium and in the page cache. @throws LograftError DISK_READ_FAILED. */
  overwrite(path: string, position: number, bytes: Uint8Array): void {
    const node = this.#findOrNothing(path);
    if (!(node instanceof FileNode)) throw diskError("read", { path, syscall: "overwrite", errno: "ENOENT" });
    node.cache.write(bytes, position);
    node.medium.write(bytes, position);
  }

  async #run<T>(action: DiskAction, operation: DiskOperation, path: string, effect: () => T): Promise<T> {
    this.#crashPoint.check();
    const delayMs = this.faults.delayFor(operation, path) + this.#latencyMs();
    if (delayMs > 0) await this.#deps.clock.sleep(delayMs);
    this.#crashPoint.check();
    try {
      return effect();
    } catch (error: unknown) {
      if (!(error instanceof ErrnoError)) throw error;
      throw diskError(action, { path, syscall: operation, errno: error.errno });
    }
  }

  #admit(operation: DiskOperation, path: string): void {
    if (MUTATING.has(operation)) this.#crashPoint.hit();
    this.#counts.set(operation, (this.#counts.get(operation) ?? 0) + 1);
    const errno = this.faults.errnoFor(operation, path);
    if (errno !== undefined) throw new ErrnoError(errno);
  }

  #latencyMs(): number {
    const { latency } = this.#options;
    if (latency === undefined) return 0;
    return latency.minMs + this.#deps.random.fraction() * (latency.maxMs - latency.minMs);
  }

  #freeBytes(): number {
    return Math.max(0, (this.#options.capacityBytes ?? DEFAULT_CAPACITY_BYTES) - this.#tree.usedBytes);
  }

  #createFile(path: string): FileNode {
    const node = new FileNode();
    this.#setName("create", path, node);
    return node;
  }

  #setName(
    kind: "create" | "makeDir" | "remove",
    path: string,
    node: FileNode | DirectoryNode | undefined,
  ): void {
    const place = this.#tree.place(path);
    this.#admit(kind, path);
    this.#tree.change({ kind, sequence: ++this.#sequence, path }, [{ ...place, node }]);
  }

  #findOrNothing(path: string): FileNode | DirectoryNode | undefined {
    try {
      return this.#tree.find(path);
    } catch (error: unknown) {
      if (error instanceof ErrnoError) return undefined; // A file where a directory would be: nothing is there.
      throw error;
    }
  }

  async #release(key: string, owner: string): Promise<void> {
    if (this.#locks.get(key) !== owner) return;
    await this.remove(key);
    this.#locks.delete(key);
  }
}
