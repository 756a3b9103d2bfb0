import {
  FLUSH_POLICIES,
  TIMESTAMP_TYPES,
  CLEANUP_POLICIES,
  SEGMENT_BYTES,
  BATCH_BYTES,
  INDEX_SPACING,
  SPAN,
  POSITIVE_SPAN,
  SPAN_OR_UNLIMITED,
  BYTES_OR_UNLIMITED,
} from "./config-bounds.ts";
import { optionalConfigKey } from "./config-key.ts";
import {
  booleanValue,
  choiceValue,
  durationValue,
  integerValue,
  ratioValue,
  sizeValue,
} from "./config-values.ts";

const DYNAMIC = { isDynamic: true } as const;
const COMPACTION = { ...DYNAMIC, since: "0.4.0" } as const;

/** The keys that a topic can override, by the property of the typed configuration. Defaults come from the broker. */
export const TOPIC_CONFIG_KEYS = {
  cleanupPolicy: optionalConfigKey(
    "cleanup.policy",
    choiceValue(CLEANUP_POLICIES),
    "What happens to old records: `delete`: they go by age and size; `compact`: the last record of each key stays, older ones go, and records without a key are refused.",
    DYNAMIC,
  ),
  retentionMs: optionalConfigKey(
    "retention.ms",
    durationValue(SPAN_OR_UNLIMITED),
    "Age at which records are deleted, by whole segments; -1 keeps them.",
    DYNAMIC,
  ),
  retentionBytes: optionalConfigKey(
    "retention.bytes",
    sizeValue(BYTES_OR_UNLIMITED),
    "Size of a partition past which its oldest segments are deleted; -1: no limit.",
    DYNAMIC,
  ),
  minCleanableDirtyRatio: optionalConfigKey(
    "min.cleanable.dirty.ratio",
    ratioValue(),
    "Part of a partition's closed segments that must be new before it is compacted.",
    COMPACTION,
  ),
  minCompactionLagMs: optionalConfigKey(
    "min.compaction.lag.ms",
    durationValue(SPAN),
    "How long a record surely stays in a compacted topic, though a later one has its key.",
    COMPACTION,
  ),
  maxCompactionLagMs: optionalConfigKey(
    "max.compaction.lag.ms",
    durationValue({ ...SPAN_OR_UNLIMITED, min: 1 }),
    "Age of a record at which its partition is compacted however little is new, and its segment closed for it; -1: no limit.",
    COMPACTION,
  ),
  deleteRetentionMs: optionalConfigKey(
    "delete.retention.ms",
    durationValue(SPAN),
    "How long a record without a value, which deletes its key, stays after a compaction, for readers that are behind.",
    COMPACTION,
  ),
  segmentBytes: optionalConfigKey(
    "segment.bytes",
    sizeValue(SEGMENT_BYTES),
    "Size at which a segment file is closed and the next one started.",
    DYNAMIC,
  ),
  segmentMs: optionalConfigKey(
    "segment.ms",
    durationValue(POSITIVE_SPAN),
    "Age at which a segment file is closed though it is not full.",
    DYNAMIC,
  ),
  indexIntervalBytes: optionalConfigKey(
    "index.interval.bytes",
    sizeValue(INDEX_SPACING),
    "Bytes of records between two index entries.",
    DYNAMIC,
  ),
  maxMessageBytes: optionalConfigKey(
    "max.message.bytes",
    sizeValue(BATCH_BYTES),
    "Largest record batch that is accepted, as it is sent: compressed, header included.",
    DYNAMIC,
  ),
  messageTimestampType: optionalConfigKey(
    "message.timestamp.type",
    choiceValue(TIMESTAMP_TYPES),
    "Whose clock stamps the records: the producer's (CreateTime) or the broker's (LogAppendTime).",
    DYNAMIC,
  ),
  messageTimestampBeforeMaxMs: optionalConfigKey(
    "message.timestamp.before.max.ms",
    durationValue(SPAN_OR_UNLIMITED),
    "How far a producer's timestamp may lie before the broker's clock; -1: no limit.",
    DYNAMIC,
  ),
  messageTimestampAfterMaxMs: optionalConfigKey(
    "message.timestamp.after.max.ms",
    durationValue(SPAN_OR_UNLIMITED),
    "How far a producer's timestamp may lie after the broker's clock; -1: no limit.",
    DYNAMIC,
  ),
  minInsyncReplicas: optionalConfigKey(
    "min.insync.replicas",
    integerValue({ min: 0, max: 0x7fff }),
    "In-sync replicas without which a write with acks=all is refused. 0: two, or one less than there are replicas, but one at least. Never more than there are replicas.",
    DYNAMIC,
  ),
  flushPolicy: optionalConfigKey(
    "flush.policy",
    choiceValue(FLUSH_POLICIES),
    "When a replica counts records as stored: see log.flush.policy.",
    DYNAMIC,
  ),
  flushMs: optionalConfigKey(
    "flush.ms",
    durationValue(POSITIVE_SPAN),
    "Longest time between a write and its sync under the flush policy `interval`.",
    DYNAMIC,
  ),
  fileDeleteDelayMs: optionalConfigKey(
    "file.delete.delay.ms",
    durationValue(SPAN),
    "How long a deleted segment stays on disk, renamed, so that readers in progress finish.",
    DYNAMIC,
  ),
  compressionType: optionalConfigKey(
    "compression.type",
    choiceValue(["producer"]),
    "Batches are kept as the producer compressed them; the broker never compresses anew.",
    DYNAMIC,
  ),
  uncleanLeaderElectionEnable: optionalConfigKey(
    "unclean.leader.election.enable",
    booleanValue(),
    "Whether a replica that may lack committed records can become leader when no other is left. True loses records. Without effect while a partition has one replica.",
    DYNAMIC,
  ),
  reassignmentThrottleBytesPerSecond: optionalConfigKey(
    "reassignment.throttle.bytes.per.second",
    sizeValue({ min: 0, max: Number.MAX_SAFE_INTEGER }),
    "How fast the replicas that a reassignment adds may copy the topic from each broker that leads some of it, in bytes per second, together. 0: as they can. Replicas in sync are never held back.",
    { ...DYNAMIC, since: "0.3.0" },
  ),
} as const;
