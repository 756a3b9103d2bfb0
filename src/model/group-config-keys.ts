import { INT32_MAX, KIB, LONGEST_MS, MIB, SEGMENT_BYTES, SPAN } from "./config-bounds.ts";
import { configKey } from "./config-key.ts";
import { durationValue, integerValue, sizeValue } from "./config-values.ts";

const SINCE = { since: "0.4.0" } as const;
const SESSION = { min: 100, max: 86_400_000 } as const;

/** The keys of consumer groups and of the topic that their state is kept in. */
export const GROUP_CONFIG_KEYS = {
  groupMinSessionTimeoutMs: configKey(
    "group.min.session.timeout.ms",
    durationValue({ min: 1, max: LONGEST_MS }),
    "6000",
    "Shortest session timeout that a member of a classic group may ask for.",
    SINCE,
  ),
  groupMaxSessionTimeoutMs: configKey(
    "group.max.session.timeout.ms",
    durationValue({ min: 1, max: LONGEST_MS }),
    "1800000",
    "Longest session timeout that a member of a classic group may ask for.",
    SINCE,
  ),
  groupInitialRebalanceDelayMs: configKey(
    "group.initial.rebalance.delay.ms",
    durationValue(SPAN),
    "3000",
    "How long the first rebalance of an empty classic group waits for more members.",
    SINCE,
  ),
  groupConsumerSessionTimeoutMs: configKey(
    "group.consumer.session.timeout.ms",
    durationValue(SESSION),
    "45000",
    "Silence of a member of a consumer group after which its partitions go to others. A process that died is noticed at once, by its closed stream.",
    SINCE,
  ),
  groupConsumerHeartbeatIntervalMs: configKey(
    "group.consumer.heartbeat.interval.ms",
    durationValue(SESSION),
    "5000",
    "How often members of a consumer group are told to send heartbeats.",
    SINCE,
  ),
  groupConsumerReconnectGraceMs: configKey(
    "group.consumer.reconnect.grace.ms",
    durationValue(SPAN),
    "500",
    "From the loss of a member's stream until it is taken for dead, unless another stream brings a heartbeat of it.",
    SINCE,
  ),
  groupMaxSize: configKey(
    "group.max.size",
    integerValue({ min: 1, max: INT32_MAX }),
    "10000",
    "Most members of one group.",
    SINCE,
  ),
  offsetMetadataMaxBytes: configKey(
    "offset.metadata.max.bytes",
    sizeValue({ min: 0, max: 30 * KIB }),
    "4096",
    "Longest text that a consumer may leave with an offset.",
    SINCE,
  ),
  offsetsRetentionMinutes: configKey(
    "offsets.retention.minutes",
    integerValue({ min: 1, max: LONGEST_MS / 60_000 }),
    "10080",
    "How long the offsets of a group without members are kept.",
    { ...SINCE, unit: "minutes" },
  ),
  offsetsCommitTimeoutMs: configKey(
    "offsets.commit.timeout.ms",
    durationValue({ min: 1, max: 600_000 }),
    "5000",
    "How long a commit waits for the in-sync replicas before it is answered with a retriable error.",
    SINCE,
  ),
  offsetsTopicNumPartitions: configKey(
    "offsets.topic.num.partitions",
    integerValue({ min: 1, max: 10_000 }),
    "50",
    "Partitions of __consumer_offsets when it is created, at the first use of a group.",
    SINCE,
  ),
  offsetsTopicReplicationFactor: configKey(
    "offsets.topic.replication.factor",
    integerValue({ min: 1, max: 0x7fff }),
    "3",
    "Replicas of __consumer_offsets when it is created, but at most as many as there are brokers; those that found the cluster count before they have come.",
    SINCE,
  ),
  offsetsTopicSegmentBytes: configKey(
    "offsets.topic.segment.bytes",
    sizeValue({ min: MIB, max: SEGMENT_BYTES.max }),
    String(8 * MIB),
    "Segment size of __consumer_offsets when it is created. A coordinator reads the active segment whole, so small ones make a failover quick; Kafka's 100 MiB take a busy machine more than a second.",
    SINCE,
  ),
} as const;
