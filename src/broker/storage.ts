import { errorMessage, operationError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { partitionDirName, PARTITION_METADATA_FILE } from "../log/file-names.ts";
import { readIfPresent } from "../log/checkpoint-file.ts";
import type { LogConfig } from "../log/log-config.ts";
import { LogManager } from "../log/log-manager.ts";
import { parsePartitionMetadata } from "../log/partition-metadata.ts";
import type { TopicImage } from "../metadata/image.ts";
import { MetadataState } from "../metadata/replay.ts";
import { effectiveTopicConfig } from "../model/configs.ts";
import type { BrokerConfig } from "../model/configs.ts";
import { randomClusterId, UUID_BYTES } from "../model/ids.ts";
import type { ClusterId, NodeId, TopicId } from "../model/ids.ts";
import type { TopicPartition } from "../model/topic-partition.ts";
import type { Platform } from "../platform/platform.ts";
import { LocalMetadataLog } from "./local-metadata-log.ts";
import { logConfigOf } from "./topic-configs.ts";

export interface StorageOptions {
  readonly nodeId: NodeId;
  readonly directory: string;
  readonly config: BrokerConfig;
  /** See `LocalMetadataLogOptions.reserveBytes`. */
  readonly reserveBytes: number;
}

export interface StorageDeps {
  readonly platform: Platform;
  readonly logger: Logger;
  /** Settings of a topic that the metadata knows. */
  readonly configOf: (topic: string) => LogConfig | undefined;
  /** A disk failed under the logs. */
  readonly onFailure: (error: Error) => void;
}

/** What the data directory holds, opened and brought to its last committed state. */
export interface Storage {
  readonly clusterId: ClusterId;
  readonly logs: LogManager;
  readonly metadataLog: LocalMetadataLog;
  readonly state: MetadataState;
  /** Directories of partitions whose topic a committed record removed, left by a crash: the only ones to be deleted (H28). */
  readonly leftovers: readonly { readonly topicPartition: TopicPartition; readonly topicId: TopicId }[];
  /** Index of this start's registration: the broker epoch, which the clean-stop marker must name. */
  readonly brokerEpoch: number;
}

/**
 * Opens everything in the data directory and registers this broker in the metadata. A start that does not follow a clean
 * stop of the very registration before it counts as unclean, whatever the disk says (KIP-966): replay then raises the
 * epochs of what this broker leads. @throws LograftError DATA_DIR_LOCKED, DATA_DIR_VERSION, METADATA_CORRUPT,
 * CONFIG_INVALID, DISK_*; whatever was opened is closed again.
 */
export async function openStorage(options: StorageOptions, deps: StorageDeps): Promise<Storage> {
  const logs = await openLogs(options, deps);
  try {
    const clusterId = await clusterIdOf(logs, deps.platform);
    const metadataLog = await LocalMetadataLog.open(options, deps);
    try {
      return { clusterId, logs, metadataLog, ...(await bringUp(options, deps, logs, metadataLog)) };
    } catch (error: unknown) {
      await metadataLog.close();
      throw error;
    }
  } catch (error: unknown) {
    // What was found stays as it is: without the epoch of a registration the marker of a clean stop means nothing.
    await logs.close();
    throw error;
  }
}

function openLogs(options: StorageOptions, deps: StorageDeps): Promise<LogManager> {
  const { directory, nodeId, config } = options;
  const { platform, logger, configOf, onFailure } = deps;
  return LogManager.open(
    {
      dataDirectory: directory,
      nodeId,
      ...(config.clusterId === undefined ? {} : { clusterId: config.clusterId }),
      defaultConfig: logConfigOf(effectiveTopicConfig(config, {}), config),
      maxOpenFiles: config.storageMaxOpenFiles,
      tailCacheBytes: config.storageCacheBytes,
      retentionIntervalMs: config.logRetentionCheckIntervalMs,
    },
    {
      clock: platform.clock,
      disk: platform.disk,
      random: platform.random,
      logger,
      configOf,
      onDirectoryOffline: onFailure,
    },
  );
}

async function clusterIdOf(logs: LogManager, platform: Platform): Promise<ClusterId> {
  if (logs.clusterId === undefined)
    await logs.joinCluster(randomClusterId(platform.random.bytes(UUID_BYTES)));
  return logs.clusterId as ClusterId;
}

async function bringUp(
  options: StorageOptions,
  deps: StorageDeps,
  logs: LogManager,
  metadataLog: LocalMetadataLog,
): Promise<Pick<Storage, "state" | "leftovers" | "brokerEpoch">> {
  const { nodeId, directory } = options;
  const state = new MetadataState();
  const removed: TopicImage[] = [];
  let lastRegistration: number | undefined;
  await metadataLog.replayAll(({ index, records }) => {
    removed.push(...state.replay(records).removed);
    if (records.some((record) => record.type === "BrokerRegistration" && record.nodeId === nodeId)) {
      lastRegistration = index;
    }
  });
  refuseForgottenData(state, logs, directory);
  refuseOtherDirectory(state, logs, options);
  const clean =
    lastRegistration === undefined ||
    (logs.wasCleanShutdown && logs.previousBrokerEpoch === lastRegistration);
  const registration = {
    type: "BrokerRegistration",
    nodeId,
    incarnationId: randomClusterId(deps.platform.random.bytes(UUID_BYTES)),
    directoryId: logs.directoryId,
    clean,
  } as const;
  const commit = state.prepare([registration]);
  const { index } = await metadataLog.append([registration]);
  commit();
  if (!clean)
    deps.logger.warn("the last run did not end cleanly; leader epochs were raised", { nodeId, index });
  const leftovers = await findLeftovers(state, removed, directory, logs, deps);
  return { state, leftovers, brokerEpoch: index };
}

/** Partitions without any metadata are not garbage: the metadata is what is missing (H16, H28). */
function refuseForgottenData(state: MetadataState, logs: LogManager, directory: string): void {
  const [first] = logs.list();
  if (first === undefined || state.topicCount > 0 || state.brokers()[Symbol.iterator]().next().done !== true)
    return;
  const { topic, partition } = first.topicPartition;
  throw operationError(
    "METADATA_CORRUPT",
    `${directory} holds partitions (${topic}-${partition} among them) but its metadata log is empty; nothing was ` +
      "changed or deleted. Put the whole data directory back from a backup",
    { context: { directory, partition: `${topic}-${partition}` } },
  );
}

/** The metadata of another data directory tells nothing about this one's partitions (H16, H26). */
function refuseOtherDirectory(
  state: MetadataState,
  logs: LogManager,
  { nodeId, directory }: StorageOptions,
): void {
  const registered = state.broker(nodeId)?.directoryId;
  if (registered === undefined || registered === logs.directoryId) return;
  throw operationError(
    "METADATA_CORRUPT",
    `the metadata log in ${directory} was written by data directory ${registered}, this one is ${logs.directoryId}; ` +
      "nothing was changed or deleted. Put the whole data directory back from one backup, or start with an empty one",
    { context: { directory, registered, found: logs.directoryId } },
  );
}

async function findLeftovers(
  state: MetadataState,
  removed: readonly TopicImage[],
  directory: string,
  logs: LogManager,
  deps: StorageDeps,
): Promise<Storage["leftovers"]> {
  const removedIds = new Set(removed.map(({ topicId }) => topicId));
  const removedNames = new Set(removed.map(({ name }) => name));
  const leftovers: { topicPartition: TopicPartition; topicId: TopicId }[] = [];
  let unknownCount = 0;
  for (const { topicPartition } of logs.list()) {
    const { topic, partition } = topicPartition;
    if (state.topic(topic)?.partitions[partition] === undefined) unknownCount++;
    if (!removedNames.has(topic)) continue;
    const topicId = await topicIdIn(`${directory}/${partitionDirName(topicPartition)}`, deps);
    if (topicId === undefined || !removedIds.has(topicId)) continue;
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

async function topicIdIn(partitionDirectory: string, deps: StorageDeps): Promise<TopicId | undefined> {
  try {
    const text = await readIfPresent(deps.platform.disk, `${partitionDirectory}/${PARTITION_METADATA_FILE}`);
    return text === undefined ? undefined : parsePartitionMetadata(text.toString());
  } catch (error: unknown) {
    // Whose data it is cannot be told, so it stays.
    deps.logger.warn("a partition's topic id cannot be read", {
      partitionDirectory,
      cause: errorMessage(error),
    });
    return undefined;
  }
}
