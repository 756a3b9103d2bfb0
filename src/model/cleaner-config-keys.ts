import {
  BYTES_OR_UNLIMITED,
  GIB,
  KIB,
  MIB,
  POSITIVE_SPAN,
  SPAN,
  SPAN_OR_UNLIMITED,
} from "./config-bounds.ts";
import { configKey } from "./config-key.ts";
import { durationValue, ratioValue, sizeValue } from "./config-values.ts";

const SINCE = { since: "0.4.0" } as const;

/** The keys of a broker that say when and how fast it compacts. The last four are defaults of topic keys. */
export const CLEANER_CONFIG_KEYS = {
  logCleanerBackoffMs: configKey(
    "log.cleaner.backoff.ms",
    durationValue(POSITIVE_SPAN),
    "15000",
    "Rest between two looks for logs to compact.",
    SINCE,
  ),
  logCleanerDedupeBufferSize: configKey(
    "log.cleaner.dedupe.buffer.size",
    sizeValue({ min: 64 * KIB, max: 2 * GIB }),
    String(128 * MIB),
    "Memory for the keys of a log while it is compacted, 24 bytes each; one log is compacted at a time, and only what its new records need is taken. A log with more new keys is compacted in several rounds.",
    SINCE,
  ),
  logCleanerIoMaxBytesPerSecond: configKey(
    "log.cleaner.io.max.bytes.per.second",
    sizeValue({ ...BYTES_OR_UNLIMITED, min: 4 * KIB }),
    String(16 * MIB),
    "How fast compaction reads and writes, together; -1: no limit. Compaction runs beside appends in one process: a limit keeps their latency.",
    SINCE,
  ),
  logCleanerMinCleanableRatio: configKey(
    "log.cleaner.min.cleanable.ratio",
    ratioValue(),
    "0.5",
    "Part of a log's closed segments that must be new before it is compacted: less means less old data and more work.",
    SINCE,
  ),
  logCleanerMinCompactionLagMs: configKey(
    "log.cleaner.min.compaction.lag.ms",
    durationValue(SPAN),
    "0",
    "How long a record surely stays, though a later one has its key.",
    SINCE,
  ),
  logCleanerMaxCompactionLagMs: configKey(
    "log.cleaner.max.compaction.lag.ms",
    durationValue({ ...SPAN_OR_UNLIMITED, min: 1 }),
    "-1",
    "Age of a record at which its log is compacted however little is new; -1: no limit.",
    SINCE,
  ),
  logCleanerDeleteRetentionMs: configKey(
    "log.cleaner.delete.retention.ms",
    durationValue(SPAN),
    "86400000",
    "How long a record without a value, which deletes its key, stays after a compaction, for readers that are behind.",
    SINCE,
  ),
} as const;
