import type { LograftError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Offset } from "../model/offsets.ts";
import type { TopicPartition } from "../model/topic-partition.ts";
import type { Clock } from "../platform/clock.ts";
import type { Disk } from "../platform/disk.ts";
import type { Random } from "../platform/random.ts";
import type { LogConfig } from "./log-config.ts";
import type { LogLimits } from "./log-core.ts";
import type { LogSabotage } from "./log-sabotage.ts";

/** Plain settings of a broker's storage. Sizes in bytes, times in milliseconds. */
export interface LogManagerOptions {
  readonly dataDirectory: string;
  readonly nodeId: number;
  /** Refused when the directory belongs to another cluster; noted when it belongs to none yet. */
  readonly clusterId?: string;
  /** Free space that a new directory needs. Default 0. */
  readonly minFreeBytes?: number;
  /** For recovery at the start, before topic settings are known. */
  readonly defaultConfig: LogConfig;
  readonly limits?: Partial<LogLimits>;
  /** Segment files kept open. Default 512. */
  readonly maxOpenFiles?: number;
  /** Default 8; keep it below the size of libuv's thread pool. */
  readonly maxConcurrentSyncs?: number;
  /** Default 64 MiB over all partitions. */
  readonly tailCacheBytes?: number;
  /** Default 8 MiB. */
  readonly tailCachePartitionBytes?: number;
  /** Default 64 MiB. */
  readonly indexCacheBytes?: number;
  /** How often recovery points are written. Default 60 s. */
  readonly checkpointIntervalMs?: number;
  /** Kafka's log.retention.check.interval.ms. Default 5 min. */
  readonly retentionIntervalMs?: number;
  /** `log.scrub.interval.ms`: how often every segment is read whole; 0: never. Default 14 days. */
  readonly scrubIntervalMs?: number;
  /** `log.scrub.bytes.per.second`. Default 8 MiB. */
  readonly scrubBytesPerSecond?: number;
  /** `log.cleaner.backoff.ms`: the rest between two passes of compaction. Default 15 s. */
  readonly compactionIntervalMs?: number;
  /** `log.cleaner.dedupe.buffer.size`: bytes for the keys of the one log that is compacted at a time. Default 128 MiB. */
  readonly compactionDedupeBytes?: number;
  /** `log.cleaner.io.max.bytes.per.second`: read and written by compaction. Default 16 MiB. */
  readonly compactionBytesPerSecond?: number;
  /** A wall clock that moves by more than this against the monotonic one is in doubt. Default 1 min. */
  readonly maxClockJumpMs?: number;
  /** Partitions recovered at the same time after a crash. Default 4. */
  readonly recoveryConcurrency?: number;
  readonly sabotage?: LogSabotage | undefined;
}

/** With what `LOG_MANAGER_DEFAULTS` says where nothing is said. */
export type LogManagerSettings = Required<
  Omit<LogManagerOptions, "clusterId" | "limits" | "minFreeBytes" | "sabotage">
> &
  Pick<LogManagerOptions, "sabotage">;

/** Collaborators; the callbacks are the broker's. */
export interface LogManagerDeps {
  readonly clock: Clock;
  readonly disk: Disk;
  readonly random: Random;
  readonly logger: Logger;
  /** Settings of a topic that the metadata knows; undefined leaves a partition nobody opened alone (H28). */
  readonly configOf?: (topic: string) => LogConfig | undefined;
  /**
   * High watermark: nothing at or above it is deleted by retention (H50; undefined: the durable end counts) or stands for
   * older records in compaction (undefined: nothing is compacted). Default: the durable end.
   */
  readonly highWatermarkOf?: (topicPartition: TopicPartition) => Offset | undefined;
  /** A log of this directory failed: called for each; the broker gives up what it leads there (H45). */
  readonly onDirectoryOffline?: (error: LograftError) => void;
  /** An append found the disk full: called for each; it was refused, and later ones are tried again. Must only take note. */
  readonly onDiskFull?: () => void;
}

/** Values of what the options leave out. */
export const LOG_MANAGER_DEFAULTS = {
  maxOpenFiles: 512,
  maxConcurrentSyncs: 8,
  tailCacheBytes: 64 * 1024 * 1024,
  tailCachePartitionBytes: 8 * 1024 * 1024,
  indexCacheBytes: 64 * 1024 * 1024,
  checkpointIntervalMs: 60_000,
  retentionIntervalMs: 300_000,
  scrubIntervalMs: 14 * 86_400_000,
  scrubBytesPerSecond: 8 * 1024 * 1024,
  compactionIntervalMs: 15_000,
  compactionDedupeBytes: 128 * 1024 * 1024,
  compactionBytesPerSecond: 16 * 1024 * 1024,
  maxClockJumpMs: 60_000,
  recoveryConcurrency: 4,
};
