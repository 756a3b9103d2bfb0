/** When a replica counts a record as kept. See `PartitionLog.durableEndOffset`. */
export type FlushPolicy = "ack" | "interval" | "os";

/** What the log of a partition goes by; read anew at every use, since topic settings change while it is open. */
export interface LogConfig {
  /** `segment.bytes`. */
  readonly segmentBytes: number;
  /** `segment.ms`: age of its first record at which a segment is closed. */
  readonly segmentMs: number;
  /** `segment.index.bytes`. */
  readonly segmentIndexBytes: number;
  /**
   * An active segment up to this size is walked when it is opened instead of having its indexes and a producer snapshot
   * saved when it is closed: a walk of 64 KiB takes some 20 µs, the five syncs a millisecond, and a broker may have tens
   * of thousands of little partitions to close.
   */
  readonly unsavedSegmentBytes: number;
  /** `index.interval.bytes`. */
  readonly indexIntervalBytes: number;
  /** `max.message.bytes`: of one batch, header included. */
  readonly maxMessageBytes: number;
  /** `message.timestamp.type`. */
  readonly timestampType: "CreateTime" | "LogAppendTime";
  /** `message.timestamp.before.max.ms`; Infinity: no limit. */
  readonly timestampBeforeMaxMs: number;
  /** `message.timestamp.after.max.ms`; Infinity: no limit. */
  readonly timestampAfterMaxMs: number;
  /** `retention.ms`; Infinity: no limit. */
  readonly retentionMs: number;
  /** `retention.bytes`; Infinity: no limit. */
  readonly retentionBytes: number;
  /** `cleanup.policy` holds "delete": retention by time and size applies. */
  readonly isDeleting: boolean;
  /** `cleanup.policy` holds "compact": records need keys, and only the last of each key is kept for ever. */
  readonly isCompacting: boolean;
  /** `min.cleanable.dirty.ratio`: part of the bytes that must be new before a log is compacted; 0 to 1. */
  readonly minCleanableDirtyRatio: number;
  /** `min.compaction.lag.ms`: so long a record stays, whatever follows it. */
  readonly minCompactionLagMs: number;
  /** `max.compaction.lag.ms`: a record older than this is compacted whatever the ratio; Infinity: no limit. */
  readonly maxCompactionLagMs: number;
  /** `delete.retention.ms`: so long a tombstone stays once the log was compacted, for readers that are behind. */
  readonly deleteRetentionMs: number;
  /** `file.delete.delay.ms`. */
  readonly fileDeleteDelayMs: number;
  /** `flush.policy`. */
  readonly flushPolicy: FlushPolicy;
  /** `flush.ms`: with the policy "interval", how long what is written may wait for its sync. */
  readonly flushMs: number;
}

/** See `LogConfig.unsavedSegmentBytes`. */
export const DEFAULT_UNSAVED_SEGMENT_BYTES = 64 * 1024;

/** Kafka's defaults, with the flush policy "ack". */
export const DEFAULT_LOG_CONFIG: LogConfig = {
  segmentBytes: 1024 * 1024 * 1024,
  segmentMs: 7 * 24 * 3_600_000,
  segmentIndexBytes: 10 * 1024 * 1024,
  unsavedSegmentBytes: DEFAULT_UNSAVED_SEGMENT_BYTES,
  indexIntervalBytes: 4096,
  maxMessageBytes: 1_048_588,
  timestampType: "CreateTime",
  timestampBeforeMaxMs: Number.POSITIVE_INFINITY,
  timestampAfterMaxMs: 3_600_000,
  retentionMs: 7 * 24 * 3_600_000,
  retentionBytes: Number.POSITIVE_INFINITY,
  isDeleting: true,
  isCompacting: false,
  minCleanableDirtyRatio: 0.5,
  minCompactionLagMs: 0,
  maxCompactionLagMs: Number.POSITIVE_INFINITY,
  deleteRetentionMs: 24 * 3_600_000,
  fileDeleteDelayMs: 60_000,
  flushPolicy: "ack",
  flushMs: 1000,
};

/** Age at which a segment is closed: a compacted topic's in time for the oldest record in it to be compacted. */
export function rollMsOf(config: LogConfig): number {
  return config.isCompacting ? Math.min(config.segmentMs, config.maxCompactionLagMs) : config.segmentMs;
}
