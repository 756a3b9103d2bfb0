import { configKey, optionalConfigKey } from "./config-key.ts";
import {
  addressListValue,
  booleanValue,
  choiceValue,
  durationValue,
  endpointsValue,
  integerValue,
  pathListValue,
  sizeValue,
  textValue,
  voterListValue,
} from "./config-values.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;
const DAY_MS = 86_400_000;
const INT32_MAX = 0x7fff_ffff;
/** A thousand years: longer spans are typing errors, and sums with a timestamp stay exact. */
const LONGEST_MS = 365_250 * DAY_MS;
const LARGEST_BYTES = Number.MAX_SAFE_INTEGER;

/** When a replica counts a batch as stored: after a group-committed sync, within an interval, or when the OS writes it. */
const FLUSH_POLICIES = ["ack", "interval", "os"] as const;
const TIMESTAMP_TYPES = ["CreateTime", "LogAppendTime"] as const;
/** Compaction is not among them yet: refusing it is better than a topic that grows for ever. */
const CLEANUP_POLICIES = ["delete"] as const;

const DYNAMIC = { isDynamic: true } as const;
/** A segment file is indexed by 32-bit positions. */
const SEGMENT_BYTES = { min: 14, max: INT32_MAX } as const;
const BATCH_BYTES = { min: 61, max: GIB } as const;
const INDEX_SPACING = { min: 0, max: INT32_MAX } as const;
const SPAN = { min: 0, max: LONGEST_MS } as const;
const POSITIVE_SPAN = { min: 1, max: LONGEST_MS } as const;
const SPAN_OR_UNLIMITED = { min: 0, max: LONGEST_MS, unlimited: true } as const;
const BYTES_OR_UNLIMITED = { min: 0, max: LARGEST_BYTES, unlimited: true } as const;
const COUNT = { min: 1, max: INT32_MAX } as const;

/** Every key of a broker, by its property in the typed configuration. -1 for "no limit" is read as Infinity. */
export const BROKER_CONFIG_KEYS = {
  nodeId: configKey(
    "node.id",
    integerValue({ min: 0, max: INT32_MAX }),
    "1",
    "Identity of this broker in its cluster. Its data directory remembers it; a broker does not start on another's data.",
  ),
  clusterId: optionalConfigKey(
    "cluster.id",
    textValue("a cluster id: 22 characters of URL-safe base64", 22, /^[A-Za-z0-9_-]{21}[AQgw]$/),
    "Identity of the cluster. Without it the first start of a new data directory makes one.",
  ),
  rack: optionalConfigKey(
    "broker.rack",
    textValue("1 to 255 printable characters", 255, /^[\x20-\x7e]+$/),
    "Failure zone of this broker, told to clients.",
  ),
  listeners: configKey(
    "listeners",
    endpointsValue({ needsHost: false }),
    "CLIENT://:9092",
    "The addresses to listen on: one for clients, and one named PEER for the other brokers of the cluster, without which this broker is a cluster of its own. Port 0 takes a free one.",
  ),
  advertisedListeners: optionalConfigKey(
    "advertised.listeners",
    endpointsValue({ needsHost: true }),
    "The addresses that clients and other brokers are told to use, by the names in `listeners`. Without it: the addresses listened on.",
  ),
  host: optionalConfigKey(
    "broker.host",
    textValue("1 to 255 printable characters", 255, /^[\x20-\x7e]+$/),
    "Name of the machine, for brokers that share one: two replicas of a partition are not placed on the same machine as long as there is another.",
    { since: "0.2.0" },
  ),
  controllerQuorumVoters: optionalConfigKey(
    "controller.quorum.voters",
    voterListValue(),
    "The brokers that found the cluster and vote on its metadata, the same list on all of them; later changes are made with `lograft cluster add-voter` and `remove-voter`. Without it, and without bootstrap servers, this broker founds a cluster of its own.",
    { since: "0.2.0" },
  ),
  controllerQuorumBootstrapServers: optionalConfigKey(
    "controller.quorum.bootstrap.servers",
    addressListValue(),
    "PEER addresses of a cluster that exists, which this broker joins. It never founds one.",
    { since: "0.2.0" },
  ),
  raftElectionTimeoutMs: configKey(
    "raft.election.timeout.ms",
    durationValue({ min: 100, max: 600_000 }),
    "1000",
    "Silence of the controller after which the voters elect another: a random time from this to twice as long. A process that died is noticed earlier, by its closed connections.",
    { since: "0.2.0" },
  ),
  raftHeartbeatIntervalMs: configKey(
    "raft.heartbeat.interval.ms",
    durationValue({ min: 10, max: 60_000 }),
    "100",
    "How often the controller tells the other voters that it is there.",
    { since: "0.2.0" },
  ),
  brokerSessionTimeoutMs: configKey(
    "broker.session.timeout.ms",
    durationValue({ min: 500, max: 600_000 }),
    "3000",
    "Silence of a broker after which the controller takes its partitions away. A process that died is noticed at once, by its closed connection.",
    { since: "0.2.0" },
  ),
  brokerHeartbeatIntervalMs: configKey(
    "broker.heartbeat.interval.ms",
    durationValue({ min: 50, max: 60_000 }),
    "500",
    "How often a broker tells the controller that it is well.",
    { since: "0.2.0" },
  ),
  replicaLagTimeMaxMs: configKey(
    "replica.lag.time.max.ms",
    durationValue({ min: 100, max: 3_600_000 }),
    "10000",
    "How long a replica may lack what its leader has before it leaves the in-sync replicas. Until then every write with acks=all waits for it. A broker whose session ended leaves at once.",
    { since: "0.3.0" },
  ),
  leaderImbalanceCheckIntervalMs: configKey(
    "leader.imbalance.check.interval.ms",
    durationValue(POSITIVE_SPAN),
    "300000",
    "How often the controller gives partitions back to the first broker of their replicas.",
    { since: "0.2.0" },
  ),
  logDirs: configKey("log.dirs", pathListValue(), "./lograft-data", "Directory of the data; one, for now."),
  numPartitions: configKey(
    "num.partitions",
    integerValue({ min: 1, max: 100_000 }),
    "1",
    "Partitions of a topic that is created without a count.",
  ),
  defaultReplicationFactor: configKey(
    "default.replication.factor",
    integerValue({ min: 0, max: 0x7fff }),
    "0",
    "Replicas of each partition of a topic that is created without a count. 0: three, or as many as the cluster has brokers.",
  ),
  minInsyncReplicas: configKey(
    "min.insync.replicas",
    integerValue({ min: 0, max: 0x7fff }),
    "0",
    "In-sync replicas without which a write with acks=all is refused. 0: two, or one less than there are replicas, but one at least. Never more than there are replicas.",
  ),
  uncleanLeaderElectionEnable: configKey(
    "unclean.leader.election.enable",
    booleanValue(),
    "false",
    "Whether a replica that may lack committed records can become leader when no other is left. True loses records. Without effect while a partition has one replica.",
  ),
  autoCreateTopicsEnable: configKey(
    "auto.create.topics.enable",
    booleanValue(),
    "true",
    "Whether naming a missing topic in a produce or metadata request creates it.",
  ),
  // Kafka's own default is 1048588: one MiB and the 12 bytes of offset and length in front of a batch.
  messageMaxBytes: configKey(
    "message.max.bytes",
    sizeValue(BATCH_BYTES),
    String(MIB),
    "Largest record batch that is accepted, as it is sent: compressed, header included.",
  ),
  logSegmentBytes: configKey(
    "log.segment.bytes",
    sizeValue(SEGMENT_BYTES),
    String(GIB),
    "Size at which a segment file is closed and the next one started.",
  ),
  logRollMs: optionalConfigKey(
    "log.roll.ms",
    durationValue(POSITIVE_SPAN),
    "Age at which a segment file is closed though it is not full. Wins over log.roll.hours.",
  ),
  logRollHours: configKey(
    "log.roll.hours",
    integerValue({ min: 1, max: LONGEST_MS / 3_600_000 }),
    "168",
    "As log.roll.ms, in hours.",
    { unit: "hours" },
  ),
  logRetentionMs: optionalConfigKey(
    "log.retention.ms",
    durationValue(SPAN_OR_UNLIMITED),
    "Age at which records are deleted, by whole segments; -1 keeps them. Wins over .minutes and .hours.",
  ),
  logRetentionMinutes: optionalConfigKey(
    "log.retention.minutes",
    integerValue({ min: 0, max: LONGEST_MS / 60_000, unlimited: true }),
    "As log.retention.ms, in minutes. Wins over .hours.",
    { unit: "minutes" },
  ),
  logRetentionHours: configKey(
    "log.retention.hours",
    integerValue({ min: 0, max: LONGEST_MS / 3_600_000, unlimited: true }),
    "168",
    "As log.retention.ms, in hours.",
    { unit: "hours" },
  ),
  logRetentionBytes: configKey(
    "log.retention.bytes",
    sizeValue(BYTES_OR_UNLIMITED),
    "-1",
    "Size of a partition past which its oldest segments are deleted; -1: no limit.",
  ),
  logRetentionCheckIntervalMs: configKey(
    "log.retention.check.interval.ms",
    durationValue(POSITIVE_SPAN),
    "300000",
    "How often retention looks for segments to delete.",
  ),
  logSegmentDeleteDelayMs: configKey(
    "log.segment.delete.delay.ms",
    durationValue(SPAN),
    "60000",
    "How long a deleted segment or topic stays on disk, renamed, so that readers in progress finish.",
  ),
  logCleanupPolicy: configKey(
    "log.cleanup.policy",
    choiceValue(CLEANUP_POLICIES),
    "delete",
    "What happens to old records: deleted by age and size.",
  ),
  logIndexIntervalBytes: configKey(
    "log.index.interval.bytes",
    sizeValue(INDEX_SPACING),
    "4096",
    "Bytes of records between two index entries.",
  ),
  logIndexSizeMaxBytes: configKey(
    "log.index.size.max.bytes",
    sizeValue({ min: 12, max: INT32_MAX }),
    String(10 * MIB),
    "Size of an index at which its segment is closed.",
  ),
  logFlushPolicy: configKey(
    "log.flush.policy",
    choiceValue(FLUSH_POLICIES),
    "ack",
    "When a replica counts records as stored: `ack` after a sync shared by all writers that wait, `interval` at once with a sync every log.flush.interval.ms, `os` at once with no sync but at the end of a segment.",
  ),
  logFlushIntervalMs: configKey(
    "log.flush.interval.ms",
    durationValue(POSITIVE_SPAN),
    "1000",
    "Longest time between a write and its sync under the flush policy `interval`.",
  ),
  logScrubIntervalMs: configKey(
    "log.scrub.interval.ms",
    durationValue(SPAN),
    "1209600000",
    "How often every segment is read whole and its checksums are compared, so that records nobody reads do not rot unseen. 0: never.",
  ),
  logScrubBytesPerSecond: configKey(
    "log.scrub.bytes.per.second",
    sizeValue({ min: 4 * KIB, max: LARGEST_BYTES }),
    String(8 * MIB),
    "How much of the disk's time the check of log.scrub.interval.ms takes at most: bytes read in a second.",
  ),
  logMessageTimestampType: configKey(
    "log.message.timestamp.type",
    choiceValue(TIMESTAMP_TYPES),
    "CreateTime",
    "Whose clock stamps the records: the producer's (CreateTime) or the broker's (LogAppendTime).",
  ),
  logMessageTimestampBeforeMaxMs: configKey(
    "log.message.timestamp.before.max.ms",
    durationValue(SPAN_OR_UNLIMITED),
    "-1",
    "How far a producer's timestamp may lie before the broker's clock; -1: no limit.",
  ),
  logMessageTimestampAfterMaxMs: configKey(
    "log.message.timestamp.after.max.ms",
    durationValue(SPAN_OR_UNLIMITED),
    "3600000",
    "How far a producer's timestamp may lie after the broker's clock; -1: no limit. A far future one would keep its segment for ever.",
  ),
  maxConnections: configKey(
    "max.connections",
    integerValue(COUNT),
    "10000",
    "Most client connections at a time; further ones are closed at once.",
  ),
  maxConnectionsPerIp: configKey(
    "max.connections.per.ip",
    integerValue(COUNT),
    String(INT32_MAX),
    "Most client connections of one address at a time.",
  ),
  connectionsMaxIdleMs: configKey(
    "connections.max.idle.ms",
    durationValue(POSITIVE_SPAN),
    "600000",
    "Time without a call in progress after which a client connection is closed.",
  ),
  numIoThreads: configKey(
    "num.io.threads",
    integerValue(COUNT),
    "8",
    "Accepted so that Kafka's files load; without effect. A broker is one event loop: run several on a large host.",
  ),
  numNetworkThreads: configKey(
    "num.network.threads",
    integerValue(COUNT),
    "3",
    "Accepted so that Kafka's files load; without effect. A broker is one event loop: run several on a large host.",
  ),
  shutdownTimeoutMs: configKey(
    "shutdown.timeout.ms",
    durationValue(POSITIVE_SPAN),
    "30000",
    "Longest time of an orderly stop; past it the process ends and the next start recovers its logs.",
  ),
  storageCacheBytes: configKey(
    "storage.cache.bytes",
    sizeValue({ min: 0, max: LARGEST_BYTES }),
    String(128 * MIB),
    "Memory for the newest records of all partitions, from which consumers at the end of a log are served.",
  ),
  storageMaxOpenFiles: configKey(
    "storage.max.open.files",
    integerValue({ min: 16, max: INT32_MAX }),
    "1000",
    "Most segment and index files open at a time; the least recently used one is closed first.",
  ),
  grpcReflection: configKey(
    "grpc.reflection",
    booleanValue(),
    "true",
    "Whether gRPC tools can list the services without their proto files.",
  ),
  grpcMaxConcurrentStreams: configKey(
    "grpc.max.concurrent.streams",
    integerValue({ min: 1, max: 10_000 }),
    "100",
    "Most gRPC calls in progress on one connection.",
  ),
  serverMaxInflightBytes: configKey(
    "server.max.inflight.bytes",
    sizeValue({ min: MIB, max: LARGEST_BYTES }),
    String(256 * MIB),
    "Memory for requests that are not answered yet; past it no connection is read until some are.",
  ),
} as const;

/** The keys that a topic can override, by the property of the typed configuration. Defaults come from the broker. */
export const TOPIC_CONFIG_KEYS = {
  cleanupPolicy: optionalConfigKey(
    "cleanup.policy",
    choiceValue(CLEANUP_POLICIES),
    "What happens to old records: deleted by age and size.",
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
} as const;
