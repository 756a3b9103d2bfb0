import type { ConfigKey, TypedConfig } from "./config-key.ts";
import { BROKER_CONFIG_KEYS } from "./config-keys.ts";
import {
  entriesOf,
  environmentName,
  parseEntries,
  type ConfigEntries,
  type ConfigError,
} from "./config-parse.ts";
import { TOPIC_CONFIG_KEYS } from "./topic-config-keys.ts";

/** The typed configuration of a broker: camelCase names, numbers in ms and bytes, Infinity for "no limit". */
export type BrokerConfig = TypedConfig<typeof BROKER_CONFIG_KEYS>;

/** What a topic overrides: the typed values of the keys that are set. */
export type TopicOverrides = {
  readonly [Property in keyof TopicConfig]?: TopicConfig[Property];
};

/** The typed configuration that holds for a topic: every key has a value. */
export type TopicConfig = {
  readonly [
    Property in keyof typeof TOPIC_CONFIG_KEYS
  ]: (typeof TOPIC_CONFIG_KEYS)[Property] extends ConfigKey<infer T> ? T : never;
};

/** The name in `listeners` of the one that other brokers of the cluster connect to. */
export const PEER_LISTENER = "PEER";

/** Every problem of a configuration, not only the first. */
export interface ConfigRefusal {
  readonly ok: false;
  readonly errors: readonly ConfigError[];
}

/** A configuration of the broker with the keys that were given (the others have their defaults). */
export interface ParsedBrokerConfig {
  readonly ok: true;
  readonly config: BrokerConfig;
  /** Names of the keys that were set, whatever their value. */
  readonly given: ReadonlySet<string>;
}

/** One row of what an admin is shown. */
export interface ConfigRow {
  readonly name: string;
  readonly value: string;
  readonly source: "default" | "static" | "topic";
  readonly description: string;
}

/** One row of the documentation. */
export interface ConfigDocRow {
  readonly name: string;
  readonly environment: string;
  readonly kind: string;
  readonly unit: string;
  /** As text; empty without one. For topic keys: the broker key that gives it. */
  readonly default: string;
  readonly allowed: string;
  readonly isDynamic: boolean;
  readonly since: string;
  readonly description: string;
}

/** The configuration of a broker from its entries, after all layers (file, environment, flags) have been merged. */
export function parseBrokerConfig(entries: ConfigEntries): ParsedBrokerConfig | ConfigRefusal {
  const { values, errors } = parseEntries(BROKER_CONFIG_KEYS, entries);
  if (errors.length > 0) return { ok: false, errors };
  const config: Record<string, unknown> = {};
  for (const [property, key] of brokerKeys()) config[property] = values.get(property) ?? defaultOf(key);
  // Every property of the table was set, from the schema of its key: that is what the type says.
  const typed = config as BrokerConfig;
  const contradictions = crossChecks(typed);
  if (contradictions.length > 0) return { ok: false, errors: contradictions };
  return { ok: true, config: typed, given: new Set(Array.from(entriesOf(entries), ([name]) => name)) };
}

/** The overrides of a topic from their texts, as they arrive in a request or lie in the metadata. */
export function parseTopicConfig(
  entries: ConfigEntries,
): { readonly ok: true; readonly overrides: TopicOverrides } | ConfigRefusal {
  const { values, errors } = parseEntries(TOPIC_CONFIG_KEYS, entries);
  if (errors.length > 0) return { ok: false, errors };
  return { ok: true, overrides: Object.fromEntries(values) as TopicOverrides };
}

/** What holds for a topic: its overrides, else the broker's values. */
export function effectiveTopicConfig(broker: BrokerConfig, overrides: TopicOverrides): TopicConfig {
  return { ...topicDefaults(broker), ...overrides };
}

/** The broker's age limit for records, from whichever of its three keys is set, in Kafka's order. */
export function brokerRetentionMs(broker: BrokerConfig): number {
  if (broker.logRetentionMs !== undefined) return broker.logRetentionMs;
  if (broker.logRetentionMinutes !== undefined) return broker.logRetentionMinutes * 60_000;
  return broker.logRetentionHours * 3_600_000;
}

/** The broker's age limit for an open segment, from whichever of its two keys is set. */
export function brokerRollMs(broker: BrokerConfig): number {
  return broker.logRollMs ?? broker.logRollHours * 3_600_000;
}

/** Every key of the broker with its value and where that came from. */
export function describeBrokerConfig(parsed: ParsedBrokerConfig): ConfigRow[] {
  const rows: ConfigRow[] = [];
  for (const [property, key] of brokerKeys()) {
    const value = parsed.config[property];
    rows.push({
      name: key.name,
      value: value === undefined ? "" : key.value.format(value),
      source: parsed.given.has(key.name) ? "static" : "default",
      description: key.description,
    });
  }
  return rows;
}

/** Every key of a topic with the value that holds and where that came from. */
export function describeTopicConfig(parsed: ParsedBrokerConfig, overrides: TopicOverrides): ConfigRow[] {
  const effective = effectiveTopicConfig(parsed.config, overrides);
  return topicKeys().map(([property, key]) => {
    const isGiven = TOPIC_DEFAULT_KEYS[property].some((name) => parsed.given.has(name));
    return {
      name: key.name,
      value: key.value.format(effective[property]),
      source: overrides[property] !== undefined ? "topic" : isGiven ? "static" : "default",
      description: key.description,
    };
  });
}

/** The table of all broker keys for the documentation, in the order of the source. */
export function brokerConfigDocs(): ConfigDocRow[] {
  return brokerKeys().map(([, key]) => docRow(key, key.defaultText ?? "", environmentName(key.name)));
}

/** The table of all topic keys for the documentation, in the order of the source. */
export function topicConfigDocs(): ConfigDocRow[] {
  return topicKeys().map(([property, key]) =>
    docRow(key, TOPIC_DEFAULT_KEYS[property].at(-1) ?? String(FIXED_DEFAULTS[property]), ""),
  );
}

/** The broker keys behind the default of each topic key, strongest first. */
const TOPIC_DEFAULT_KEYS: { readonly [Property in keyof TopicConfig]: readonly string[] } = {
  cleanupPolicy: ["log.cleanup.policy"],
  retentionMs: ["log.retention.ms", "log.retention.minutes", "log.retention.hours"],
  retentionBytes: ["log.retention.bytes"],
  minCleanableDirtyRatio: ["log.cleaner.min.cleanable.ratio"],
  minCompactionLagMs: ["log.cleaner.min.compaction.lag.ms"],
  maxCompactionLagMs: ["log.cleaner.max.compaction.lag.ms"],
  deleteRetentionMs: ["log.cleaner.delete.retention.ms"],
  segmentBytes: ["log.segment.bytes"],
  segmentMs: ["log.roll.ms", "log.roll.hours"],
  indexIntervalBytes: ["log.index.interval.bytes"],
  maxMessageBytes: ["message.max.bytes"],
  messageTimestampType: ["log.message.timestamp.type"],
  messageTimestampBeforeMaxMs: ["log.message.timestamp.before.max.ms"],
  messageTimestampAfterMaxMs: ["log.message.timestamp.after.max.ms"],
  minInsyncReplicas: ["min.insync.replicas"],
  flushPolicy: ["log.flush.policy"],
  flushMs: ["log.flush.interval.ms"],
  fileDeleteDelayMs: ["log.segment.delete.delay.ms"],
  compressionType: [],
  uncleanLeaderElectionEnable: ["unclean.leader.election.enable"],
  reassignmentThrottleBytesPerSecond: [],
};

/** Of the topic keys that no broker key stands behind. */
const FIXED_DEFAULTS: TopicOverrides = { compressionType: "producer", reassignmentThrottleBytesPerSecond: 0 };

function topicDefaults(broker: BrokerConfig): TopicConfig {
  return {
    cleanupPolicy: broker.logCleanupPolicy,
    retentionMs: brokerRetentionMs(broker),
    retentionBytes: broker.logRetentionBytes,
    minCleanableDirtyRatio: broker.logCleanerMinCleanableRatio,
    minCompactionLagMs: broker.logCleanerMinCompactionLagMs,
    maxCompactionLagMs: broker.logCleanerMaxCompactionLagMs,
    deleteRetentionMs: broker.logCleanerDeleteRetentionMs,
    segmentBytes: broker.logSegmentBytes,
    segmentMs: brokerRollMs(broker),
    indexIntervalBytes: broker.logIndexIntervalBytes,
    maxMessageBytes: broker.messageMaxBytes,
    messageTimestampType: broker.logMessageTimestampType,
    messageTimestampBeforeMaxMs: broker.logMessageTimestampBeforeMaxMs,
    messageTimestampAfterMaxMs: broker.logMessageTimestampAfterMaxMs,
    minInsyncReplicas: broker.minInsyncReplicas,
    flushPolicy: broker.logFlushPolicy,
    flushMs: broker.logFlushIntervalMs,
    fileDeleteDelayMs: broker.logSegmentDeleteDelayMs,
    compressionType: "producer",
    uncleanLeaderElectionEnable: broker.uncleanLeaderElectionEnable,
    reassignmentThrottleBytesPerSecond: 0,
  };
}

/** Values that are right alone and wrong together. */
function crossChecks(config: BrokerConfig): ConfigError[] {
  const errors: ConfigError[] = [];
  if (config.logDirs.length !== 1) {
    const message = `log.dirs has ${config.logDirs.length} entries; allowed: one, this version does not serve several`;
    errors.push({ key: "log.dirs", message });
  }
  errors.push(...listenerErrors(config), ...quorumErrors(config));
  if (config.messageMaxBytes > config.logSegmentBytes) {
    const message = `message.max.bytes = ${config.messageMaxBytes} is more than log.segment.bytes = ${config.logSegmentBytes}; allowed: a batch fits into a segment`;
    errors.push({ key: "message.max.bytes", message });
  }
  if (config.groupMinSessionTimeoutMs > config.groupMaxSessionTimeoutMs) {
    const message = `group.min.session.timeout.ms = ${config.groupMinSessionTimeoutMs} is more than group.max.session.timeout.ms = ${config.groupMaxSessionTimeoutMs}; allowed: at most that`;
    errors.push({ key: "group.min.session.timeout.ms", message });
  }
  if (config.groupConsumerHeartbeatIntervalMs >= config.groupConsumerSessionTimeoutMs) {
    const message = `group.consumer.heartbeat.interval.ms = ${config.groupConsumerHeartbeatIntervalMs} is not less than group.consumer.session.timeout.ms = ${config.groupConsumerSessionTimeoutMs}; allowed: less than that`;
    errors.push({ key: "group.consumer.heartbeat.interval.ms", message });
  }
  return errors;
}

/** Most listeners for clients; each has a port, and a place in the registration of its broker. */
const MAX_CLIENT_LISTENERS = 8;

/** Listeners for clients, whatever their names, and at most the one for peers; on different ports, if not on any free ones. */
function listenerErrors(config: BrokerConfig): ConfigError[] {
  const errors: ConfigError[] = [];
  const clients = config.listeners.filter(({ name }) => name !== PEER_LISTENER);
  if (clients.length === 0 || clients.length > MAX_CLIENT_LISTENERS) {
    const message = `listeners has ${clients.length} entries for clients; allowed: 1 to ${MAX_CLIENT_LISTENERS}, and one named ${PEER_LISTENER} for other brokers`;
    errors.push({ key: "listeners", message });
  }
  for (const [at, { name, host, port }] of config.listeners.entries()) {
    const other = config.listeners.slice(0, at).find((one) => one.port === port && one.host === host);
    if (port === 0 || other === undefined) continue;
    const message = `listeners has ${other.name} and ${name} on port ${port}; allowed: each on a port of its own`;
    errors.push({ key: "listeners", message });
  }
  const names = new Set(config.listeners.map((listener) => listener.name));
  for (const { name } of config.advertisedListeners ?? []) {
    if (names.has(name)) continue;
    const message = `advertised.listeners names ${name}, which is not among listeners (${[...names].join(", ")})`;
    errors.push({ key: "advertised.listeners", message });
  }
  return errors;
}

function quorumErrors(config: BrokerConfig): ConfigError[] {
  const errors: ConfigError[] = [];
  const { controllerQuorumVoters: voters, controllerQuorumBootstrapServers: servers, nodeId } = config;
  const voterKey = "controller.quorum.voters";
  const isFounder = voters?.some((voter) => voter.nodeId === nodeId) === true;
  if (voters !== undefined && !isFounder && servers === undefined) {
    const message = `${voterKey} does not list this node (node.id = ${nodeId}); list it, or set controller.quorum.bootstrap.servers to join that cluster`;
    errors.push({ key: voterKey, message });
  }
  const needsPeers = servers !== undefined || (voters !== undefined && voters.length > 1);
  if (needsPeers && !config.listeners.some(({ name }) => name === PEER_LISTENER)) {
    const message = `other brokers must reach this one; add ${PEER_LISTENER}://:9093 to listeners`;
    errors.push({ key: "listeners", message });
  }
  const { raftHeartbeatIntervalMs: heartbeatMs, raftElectionTimeoutMs: electionMs } = config;
  if (heartbeatMs * 3 > electionMs) {
    const message = `raft.heartbeat.interval.ms = ${heartbeatMs} leaves no room for a lost one within raft.election.timeout.ms = ${electionMs}; allowed: a third of it at most`;
    errors.push({ key: "raft.heartbeat.interval.ms", message });
  }
  const { brokerHeartbeatIntervalMs, brokerSessionTimeoutMs } = config;
  if (brokerHeartbeatIntervalMs * 2 > brokerSessionTimeoutMs) {
    const message = `broker.heartbeat.interval.ms = ${brokerHeartbeatIntervalMs} leaves no room for a lost one within broker.session.timeout.ms = ${brokerSessionTimeoutMs}; allowed: half of it at most`;
    errors.push({ key: "broker.heartbeat.interval.ms", message });
  }
  return errors;
}

function brokerKeys(): [keyof BrokerConfig, ConfigKey<unknown>][] {
  return Object.entries(BROKER_CONFIG_KEYS) as [keyof BrokerConfig, ConfigKey<unknown>][];
}

function topicKeys(): [keyof TopicConfig, ConfigKey<unknown>][] {
  return Object.entries(TOPIC_CONFIG_KEYS) as [keyof TopicConfig, ConfigKey<unknown>][];
}

function defaultOf(key: ConfigKey<unknown>): unknown {
  return key.defaultText === undefined ? undefined : key.value.schema.parse(key.defaultText);
}

function docRow(key: ConfigKey<unknown>, defaultText: string, environment: string): ConfigDocRow {
  return {
    name: key.name,
    environment,
    kind: key.value.kind,
    unit: key.unit,
    default: defaultText,
    allowed: key.value.allowed,
    isDynamic: key.isDynamic,
    since: key.since,
    description: key.description,
  };
}
