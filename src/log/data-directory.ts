import { operationError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { randomTopicId } from "../model/ids.ts";
import type { Offset } from "../model/offsets.ts";
import { topicPartitionKey } from "../model/topic-partition.ts";
import type { TopicPartition, TopicPartitionKey } from "../model/topic-partition.ts";
import type { Disk } from "../platform/disk.ts";
import type { Random } from "../platform/random.ts";
import { formatOffsetCheckpoint, isTemporaryName, parseOffsetCheckpoint, readIfPresent, writeAtomically } from "./checkpoint-file.ts";
import { isDeletedDirName, parsePartitionDirName } from "./file-names.ts";
import { formatMeta, META_FILE, parseMeta } from "./meta-file.ts";
import type { DirectoryMeta } from "./meta-file.ts";
import { formatMarker, parseMarker, SHUTDOWN_MARKER_FILE } from "./shutdown-marker.ts";
import type { ShutdownMarker } from "./shutdown-marker.ts";

export const LOCK_FILE = ".lock";
export const RECOVERY_POINT_FILE = "recovery-point-offset-checkpoint";
export const LOG_START_FILE = "log-start-offset-checkpoint";

/** What is in a data directory. */
export interface DirectoryListing {
  readonly partitions: ReadonlyMap<TopicPartitionKey, TopicPartition>;
  /** Directories of deleted partitions that are still to be removed. */
  readonly deleted: readonly string[];
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
   * Reads `meta.properties`, or makes it in a new directory. @throws LograftError DATA_DIR_VERSION, METADATA_CORRUPT (also
   * when partitions are there without it), CONFIG_INVALID when it is another node's or another cluster's.
   */
  async identify(nodeId: number, clusterId: string | undefined, random: Random): Promise<DirectoryMeta> {
    const path = `${this.path}/${META_FILE}`;
    const text = (await readIfPresent(this.#disk, path))?.toString();
    if (text === undefined) {
      if ((await this.list()).partitions.size > 0) {
        throw operationError("METADATA_CORRUPT", `${path} is missing beside partitions; restore it, nothing was touched`, {
          context: { path },
        });
      }
      const meta = { nodeId, clusterId, directoryId: randomTopicId(random.bytes(16)) };
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
    if (clusterId === undefined || meta.clusterId !== undefined) return meta;
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
    await writeAtomically(this.#disk, `${this.path}/${SHUTDOWN_MARKER_FILE}`, Buffer.from(formatMarker(marker)));
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
