import { operationError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { partitionDirName, PARTITION_METADATA_FILE } from "../log/file-names.ts";
import type { LogConfig } from "../log/log-config.ts";
import { LogManager } from "../log/log-manager.ts";
import { parsePartitionMetadata } from "../log/partition-metadata.ts";
import type { MetadataImage, TopicImage } from "../metadata/image.ts";
import { effectiveTopicConfig } from "../model/configs.ts";
import type { BrokerConfig } from "../model/configs.ts";
import type { NodeId, TopicId } from "../model/ids.ts";
import type { Offset } from "../model/offsets.ts";
import type { TopicPartition } from "../model/topic-partition.ts";
import { readIfPresent } from "../platform/atomic-file.ts";
import type { Platform } from "../platform/platform.ts";
import { logSabotageOf } from "./broker-options.ts";
import type { BrokerSabotage } from "./broker-options.ts";
import { logConfigOf } from "./topic-configs.ts";

export interface StorageOptions {
  readonly nodeId: NodeId;
  readonly directory: string;
  readonly config: BrokerConfig;
  readonly sabotage?: BrokerSabotage | undefined;
}

export interface StorageDeps {
  readonly platform: Platform;
  readonly logger: Logger;
  /** Settings of a topic that the metadata knows. */
  readonly configOf: (topic: string) => LogConfig | undefined;
  /** See `LogManagerDeps`. */
  readonly highWatermarkOf: (topicPartition: TopicPartition) => Offset | undefined;
  /** A disk failed under the logs. */
  readonly onFailure: (error: Error) => void;
  /** An append found the disk full. Must only take note. */
  readonly onDiskFull: () => void;
}

/** A partition's directory that a crash left behind after its topic was deleted. */
export interface Leftover {
  readonly topicPartition: TopicPartition;
  readonly topicId: TopicId;
}

/**
 * Opens the logs in the data directory, which is locked from then on. @throws LograftError DATA_DIR_LOCKED,
 * DATA_DIR_VERSION, METADATA_CORRUPT, CONFIG_INVALID, DISK_*.
 */
export async function openLogs(options: StorageOptions, deps: StorageDeps): Promise<LogManager> {
  const { directory, nodeId, config } = options;
  const { platform, logger, configOf, highWatermarkOf, onFailure, onDiskFull } = deps;
  await refuseOlderStore(directory, platform);
  return LogManager.open(
    {
      dataDirectory: directory,
      nodeId,
      ...(config.clusterId === undefined ? {} : { clusterId: config.clusterId }),
      defaultConfig: logConfigOf(effectiveTopicConfig(config, {}), config),
      minFreeBytes: config.storageMinFreeBytes,
      maxOpenFiles: config.storageMaxOpenFiles,
      tailCacheBytes: config.storageCacheBytes,
      retentionIntervalMs: config.logRetentionCheckIntervalMs,
      scrubIntervalMs: config.logScrubIntervalMs,
      scrubBytesPerSecond: config.logScrubBytesPerSecond,
      compactionIntervalMs: config.logCleanerBackoffMs,
      compactionBytesPerSecond: config.logCleanerIoMaxBytesPerSecond,
      compactionDedupeBytes: config.logCleanerDedupeBufferSize,
      sabotage: logSabotageOf(options.sabotage),
    },
    {
      clock: platform.clock,
      disk: platform.disk,
      random: platform.random,
      logger,
      configOf,
      highWatermarkOf,
      onDirectoryOffline: onFailure,
      onDiskFull,
    },
  );
}

/**
 * The directories of partitions whose topic a committed record removed: the only ones that may go (H28). Those that no
 * metadata mentions stay.
 */
export async function findLeftovers(
  image: MetadataImage,
  removed: readonly TopicImage[],
  options: {
    readonly directory: string;
    readonly logs: LogManager;
    readonly sabotage?: BrokerSabotage | undefined;
  },
  deps: { readonly platform: Platform; readonly logger: Logger },
): Promise<readonly Leftover[]> {
  const removedIds = new Set(removed.map(({ topicId }) => topicId));
  const removedNames = new Set(removed.map(({ name }) => name));
  const leftovers: Leftover[] = [];
  let unknownCount = 0;
  for (const { topicPartition } of options.logs.list()) {
    const { topic, partition } = topicPartition;
    const isUnknown = image.topic(topic)?.partitions[partition] === undefined;
    if (isUnknown) unknownCount++;
    const isRemoved = removedNames.has(topic) || (isUnknown && options.sabotage === "deleteUnknown");
    if (!isRemoved) continue;
    const topicId = await topicIdIn(`${options.directory}/${partitionDirName(topicPartition)}`, deps);
    if (topicId === undefined || (removedNames.has(topic) && !removedIds.has(topicId))) continue;
    leftovers.push({ topicPartition, topicId });
    unknownCount--;
  }
  if (unknownCount > 0) {
    deps.logger.warn("partitions on the disk are in no metadata; they are left alone", {
      count: unknownCount,
    });
  }
  return leftovers;
}

/** Release 0.1.0 kept the metadata of its one broker in a store of its own form. */
async function refuseOlderStore(directory: string, { disk }: Platform): Promise<void> {
  const path = `${directory}/metadata`;
  if ((await disk.stat(path)) === undefined) return;
  throw operationError(
    "DATA_DIR_VERSION",
    `${path} holds the metadata of release 0.1.0, which this release does not read; nothing was changed. Start release ` +
      "0.1.0 on it, or this one with another --data-dir",
    { context: { path } },
  );
}

async function topicIdIn(
  partitionDirectory: string,
  deps: { readonly platform: Platform; readonly logger: Logger },
): Promise<TopicId | undefined> {
  try {
    const text = await readIfPresent(deps.platform.disk, `${partitionDirectory}/${PARTITION_METADATA_FILE}`);
    return text === undefined ? undefined : parsePartitionMetadata(text.toString());
  } catch (error: unknown) {
    // Whose data it is cannot be told, so it stays.
    deps.logger.warn("a partition's topic id cannot be read", {
      partitionDirectory,
      err: error,
    });
    return undefined;
  }
}
