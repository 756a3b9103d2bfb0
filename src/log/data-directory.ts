import { operationError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { TopicId } from "../model/ids.ts";
import { randomTopicId } from "../model/ids.ts";
import type { Offset } from "../model/offsets.ts";
import { topicPartitionKey, validateTopicName } from "../model/topic-partition.ts";
import type { TopicPartition, TopicPartitionKey } from "../model/topic-partition.ts";
import { isTemporaryName, readIfPresent, writeAtomically } from "../platform/atomic-file.ts";
import type { Disk, DiskLock } from "../platform/disk.ts";
import type { Random } from "../platform/random.ts";
import { formatOffsetCheckpoint, parseOffsetCheckpoint } from "./checkpoint-file.ts";
import {
  deletedDirName,
  isDeletedDirName,
  parsePartitionDirName,
  parseSegmentFileName,
  partitionDirName,
  PARTITION_METADATA_FILE,
} from "./file-names.ts";
import { formatMeta, META_FILE, parseMeta } from "./meta-file.ts";
import type { DirectoryMeta } from "./meta-file.ts";
import { formatMarker, parseMarker, SHUTDOWN_MARKER_FILE } from "./shutdown-marker.ts";
import type { ShutdownMarker } from "./shutdown-marker.ts";
import { parsePartitionMetadata } from "./partition-metadata.ts";

export const LOCK_FILE = ".lock";
export const RECOVERY_POINT_FILE = "recovery-point-offset-checkpoint";
export const LOG_START_FILE = "log-start-offset-checkpoint";
export const CLEANER_FILE = "cleaner-offset-checkpoint";
export const GAPS_FILE = "gap-offset-checkpoint";

/** A data directory that this process has taken, and what its last owner left. */
export interface OpenedDirectory {
  readonly directory: DataDirectory;
  readonly lock: DiskLock;
  readonly meta: DirectoryMeta;
  readonly partitions: ReadonlyMap<TopicPartitionKey, TopicPartition>;
  /** Directories of deleted partitions that are still to be removed. */
  readonly deleted: readonly string[];
  readonly logStarts: Map<TopicPartitionKey, Offset>;
  readonly recoveryPoints: Map<TopicPartitionKey, Offset>;
  /** Of logs that were compacted. */
  readonly cleanOffsets: Map<TopicPartitionKey, Offset>;
  /** Of logs with gaps. */
  readonly gapBounds: Map<TopicPartitionKey, Offset>;
  /** Undefined when the last process did not stop in order. Taken away durably. */
  readonly marker: ShutdownMarker | undefined;
}

/** What is in a data directory. */
export interface DirectoryListing {
  readonly partitions: ReadonlyMap<TopicPartitionKey, TopicPartition>;
  /** Directories of deleted partitions that are still to be removed. */
  readonly deleted: readonly string[];
}

/**
 * Takes a data directory (making it if need be): its lock, its identity, its listing and checkpoints, and the marker.
 * @throws LograftError DATA_DIR_LOCKED, DATA_DIR_VERSION, METADATA_CORRUPT, CONFIG_INVALID, DISK_*.
 */
export async function openDataDirectory(
  options: {
    readonly dataDirectory: string;
    readonly nodeId: number;
    readonly clusterId?: string;
    /** See `checkRoom`. Default 0. */
    readonly minFreeBytes?: number;
  },
  deps: { readonly disk: Disk; readonly logger: Logger; readonly random: Random },
): Promise<OpenedDirectory> {
  const { disk, logger, random } = deps;
  const { dataDirectory, nodeId } = options;
  await makeDurableDir(disk, dataDirectory);
  const lock = await disk.lock(`${dataDirectory}/${LOCK_FILE}`, `node ${nodeId}`);
  try {
    const directory = new DataDirectory(dataDirectory, { disk, logger });
    await directory.checkRoom(options.minFreeBytes ?? 0);
    const meta = await directory.identify(nodeId, options.clusterId, random);
    const { partitions, deleted } = await directory.list();
    const logStarts = await directory.readCheckpoint(LOG_START_FILE);
    const recoveryPoints = await directory.readCheckpoint(RECOVERY_POINT_FILE);
    const cleanOffsets = await directory.readCheckpoint(CLEANER_FILE);
    const gapBounds = await directory.readCheckpoint(GAPS_FILE);
    // Of partitions that were deleted just before a crash: they must not hold for a new topic of the same name.
    await directory.dropUnknown(LOG_START_FILE, logStarts, partitions);
    await directory.dropUnknown(RECOVERY_POINT_FILE, recoveryPoints, partitions);
    await directory.dropUnknown(CLEANER_FILE, cleanOffsets, partitions);
    await directory.dropUnknown(GAPS_FILE, gapBounds, partitions);
    const marker = await directory.takeMarker();
    const checkpoints = { logStarts, recoveryPoints, cleanOffsets, gapBounds };
    return { directory, lock, meta, partitions, deleted, ...checkpoints, marker };
  } catch (error: unknown) {
    await lock.release();
    throw error;
  }
}

/** The small files of one data directory. Holds no state; one process at a time uses it. */
export class DataDirectory {
  readonly path: string;
  readonly #disk: Disk;
  readonly #logger: Logger;

  constructor(path: string, deps: { readonly disk: Disk; readonly logger: Logger }) {
    this.path = path;
    this.#disk = deps.disk;
    this.#logger = deps.logger;
  }

  /**
   * A new directory needs so much free space. One with data in it is opened whatever there is: its broker lets others lead
   * and can still delete, which is how room is made again. @throws LograftError DISK_FULL, not worth retrying.
   */
  async checkRoom(minFreeBytes: number): Promise<void> {
    if (minFreeBytes === 0) return;
    const freeBytes = await this.#disk.freeBytes(this.path);
    if (freeBytes >= minFreeBytes) return;
    const context = { directory: this.path, freeBytes, minFreeBytes };
    const isNew = (await this.#disk.stat(`${this.path}/${META_FILE}`)) === undefined;
    const freeMib = Math.floor(freeBytes / 2 ** 20);
    const text = `${this.path} has ${freeMib} MiB free, less than storage.min.free.bytes = ${minFreeBytes}`;
    if (!isNew) {
      this.#logger.warn(`${text}; free space there, delete topics or shorten their retention`, context);
      return;
    }
    throw operationError(
      "DISK_FULL",
      `${text}, too little to begin with; free space, choose another log.dirs or lower the setting`,
      { context },
    );
  }

  /**
   * Reads `meta.properties`, or makes it in a new directory. @throws LograftError DATA_DIR_VERSION, METADATA_CORRUPT (also
   * when partitions are there without it), CONFIG_INVALID when it is another node's or another cluster's.
   */
  async identify(nodeId: number, clusterId: string | undefined, random: Random): Promise<DirectoryMeta> {
    const path = `${this.path}/${META_FILE}`;
    const text = (await readIfPresent(this.#disk, path))?.toString();
    if (text === undefined) {
      if ((await this.list()).partitions.size > 0) {
        throw operationError(
          "METADATA_CORRUPT",
          `${path} is missing beside partitions; restore it, nothing was touched`,
          {
            context: { path },
          },
        );
      }
      // The cluster is noted when it is joined: until then a restart must not take this for a member that lost its state.
      const meta = { nodeId, clusterId: undefined, directoryId: randomTopicId(random.bytes(16)) };
      await this.saveMeta(meta);
      return meta;
    }
    const meta = parseMeta(text, path);
    if (meta.nodeId !== nodeId) {
      throw mismatch(path, "node.id", String(meta.nodeId), String(nodeId));
    }
    if (clusterId !== undefined && meta.clusterId !== undefined && meta.clusterId !== clusterId) {
      throw mismatch(path, "cluster.id", meta.clusterId, clusterId);
    }
    return meta;
  }

  /** Notes the cluster that the directory belongs to from now on. @throws LograftError CONFIG_INVALID when it is of another one. */
  async join(meta: DirectoryMeta, clusterId: string): Promise<DirectoryMeta> {
    if (meta.clusterId === clusterId) return meta;
    if (meta.clusterId !== undefined)
      throw mismatch(`${this.path}/${META_FILE}`, "cluster.id", meta.clusterId, clusterId);
    const joined = { ...meta, clusterId };
    await this.saveMeta(joined);
    return joined;
  }

  async saveMeta(meta: DirectoryMeta): Promise<void> {
    await writeAtomically(this.#disk, `${this.path}/${META_FILE}`, Buffer.from(formatMeta(meta)));
  }

  async list(): Promise<DirectoryListing> {
    const partitions = new Map<TopicPartitionKey, TopicPartition>();
    const deleted: string[] = [];
    for (const { name, isDirectory } of await this.#disk.list(this.path)) {
      if (!isDirectory) {
        if (isTemporaryName(name)) await this.#disk.remove(`${this.path}/${name}`);
        continue;
      }
      if (isDeletedDirName(name)) {
        deleted.push(`${this.path}/${name}`);
        continue;
      }
      const topicPartition = parsePartitionDirName(name);
      if (topicPartition === undefined) continue;
      partitions.set(topicPartitionKey(topicPartition.topic, topicPartition.partition), topicPartition);
    }
    return { partitions, deleted };
  }

  /** H75: only what a topic may be named becomes a path, and that has no separator. */
  pathOf(topicPartition: TopicPartition): string {
    const { topic, partition } = topicPartition;
    const validity = validateTopicName(topic);
    if (!validity.ok || !Number.isInteger(partition) || partition < 0 || partition > 0x7fffffff) {
      throw operationError(
        "INVALID_ARGUMENT",
        validity.ok ? `${partition} is not a partition number` : validity.reason,
      );
    }
    return `${this.path}/${partitionDirName(topicPartition)}`;
  }

  /**
   * Whose data a partition directory holds; undefined when there is none, or one that a crash left before anything was in
   * it. @throws LograftError METADATA_CORRUPT when there are records and it cannot be told whose.
   */
  async topicIdOf(partitionDirectory: string): Promise<TopicId | undefined> {
    if ((await this.#disk.stat(partitionDirectory)) === undefined) return undefined;
    const path = `${partitionDirectory}/${PARTITION_METADATA_FILE}`;
    const text = (await readIfPresent(this.#disk, path))?.toString();
    const found = text === undefined ? undefined : parsePartitionMetadata(text);
    if (found !== undefined) return found;
    const files = await this.#disk.list(partitionDirectory);
    if (!files.some(({ name }) => parseSegmentFileName(name)?.kind === "log")) return undefined;
    const what = text === undefined ? "missing" : "damaged";
    throw operationError(
      "METADATA_CORRUPT",
      `${path} is ${what}; restore it to say whose records these are`,
      {
        context: { path },
      },
    );
  }

  /**
   * Renames a partition directory to one that will be removed, durably (D15), if it holds this topic or nothing. Answers
   * the new path, undefined when there was none.
   */
  async moveToTrash(
    topicPartition: TopicPartition,
    topicId: TopicId,
    random: Random,
  ): Promise<{ readonly trash: string | undefined } | "other topic"> {
    const path = this.pathOf(topicPartition);
    if ((await this.#disk.stat(path)) === undefined) return { trash: undefined };
    const found = await this.topicIdOf(path);
    if (found !== undefined && found !== topicId) return "other topic";
    const trash = `${this.path}/${deletedDirName(topicPartition, Buffer.from(random.bytes(16)).toString("hex"))}`;
    await this.#disk.rename(path, trash);
    await this.#disk.syncDir(this.path);
    return { trash };
  }

  /** Takes the marker of the last process away, durably, before anything is written that it does not tell of (H27). */
  async takeMarker(): Promise<ShutdownMarker | undefined> {
    const path = `${this.path}/${SHUTDOWN_MARKER_FILE}`;
    const text = (await readIfPresent(this.#disk, path))?.toString();
    if (text === undefined) return undefined;
    await this.#disk.remove(path);
    await this.#disk.syncDir(this.path);
    return parseMarker(text);
  }

  async saveMarker(marker: ShutdownMarker): Promise<void> {
    await writeAtomically(
      this.#disk,
      `${this.path}/${SHUTDOWN_MARKER_FILE}`,
      Buffer.from(formatMarker(marker)),
    );
  }

  /** A damaged checkpoint counts as empty: recovery then looks at more, and nothing is lost (H40). */
  async readCheckpoint(name: string): Promise<Map<TopicPartitionKey, Offset>> {
    const path = `${this.path}/${name}`;
    const text = (await readIfPresent(this.#disk, path))?.toString();
    if (text === undefined) return new Map();
    const offsets = parseOffsetCheckpoint(text);
    if (offsets === undefined) this.#logger.warn("a checkpoint is damaged and not used", { path });
    return offsets ?? new Map();
  }

  /** Removes the entries of partitions without a directory, from the map and from the file. */
  async dropUnknown(
    name: string,
    offsets: Map<TopicPartitionKey, Offset>,
    partitions: DirectoryListing["partitions"],
  ): Promise<void> {
    const before = offsets.size;
    for (const key of offsets.keys()) if (!partitions.has(key)) offsets.delete(key);
    if (offsets.size < before) await this.saveCheckpoint(name, offsets);
  }

  async saveCheckpoint(name: string, offsets: ReadonlyMap<TopicPartitionKey, Offset>): Promise<void> {
    await writeAtomically(this.#disk, `${this.path}/${name}`, Buffer.from(formatOffsetCheckpoint(offsets)));
  }
}

function mismatch(path: string, field: string, found: string, configured: string): Error {
  return operationError(
    "CONFIG_INVALID",
    `${path} says ${field}=${found}, the configuration says ${configured}; point the broker to its own data directory`,
    { context: { path, field, found, configured } },
  );
}

/** Makes a directory and its missing parents, each of whose names survives a power cut (H49). */
async function makeDurableDir(disk: Disk, path: string): Promise<void> {
  const made: string[] = [];
  for (let at = path; (await disk.stat(at)) === undefined; at = parentOf(at)) made.push(at);
  if (made.length === 0) return;
  await disk.makeDir(path);
  for (const name of made.reverse()) await disk.syncDir(parentOf(name));
}

function parentOf(path: string): string {
  const separator = path.lastIndexOf("/");
  return separator < 0 ? "." : path.slice(0, Math.max(separator, 1));
}
