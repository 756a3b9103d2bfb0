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
  /** `cleanup.policy` holds "compact": records need keys, offsets may have gaps. */
  readonly isCompacting: boolean;
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
  fileDeleteDelayMs: 60_000,
  flushPolicy: "ack",
  flushMs: 1000,
};
