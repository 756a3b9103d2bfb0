import type { MetadataImage, TopicImage } from "../metadata/image.ts";
import type { MetadataRecord } from "../metadata/records.ts";
import type { NodeId, TopicId } from "../model/ids.ts";
import { ZERO_TOPIC_ID } from "../model/ids.ts";
import { usualReplicationFactor } from "../model/insync.ts";
import { leaderEpoch } from "../model/offsets.ts";
import { collisionForm, INTERNAL_TOPICS, shownTopic, validateTopicName } from "../model/topic-partition.ts";
import { partitionRecord } from "./affected-partitions.ts";
import type { PartitionRules } from "./partition-rules.ts";
import { placementBrokers, placeReplicas } from "./placement.ts";
import type { PlacementRequest } from "./placement.ts";
import { targetOf } from "./reassignment-phases.ts";
import { failure, SUCCESS } from "./result.ts";
import type { Decision, ItemOutcome } from "./result.ts";

/** A topic to create. */
export interface NewTopic {
  readonly name: string;
  /** 0 or -1: the default. */
  readonly partitions: number;
  /** 0 or -1: the default. */
  readonly replicationFactor: number;
  readonly configs: ReadonlyMap<string, string>;
}

/** What became of one topic of a request. */
export interface TopicResult extends ItemOutcome {
  readonly name: string;
  /** `ZERO_TOPIC_ID` when there is none. */
  readonly topicId: TopicId;
  readonly partitions: number;
  readonly replicationFactor: number;
}

/** Bounds and defaults that decisions about topics keep to. */
export interface TopicRules extends PartitionRules {
  readonly defaultPartitions: number;
  /** 0: by the number of brokers, see `usualReplicationFactor`. */
  readonly defaultReplicationFactor: number;
  /** Of one topic, inclusive. */
  readonly maxTopicPartitions: number;
  /** Of all topics together, inclusive. */
  readonly maxPartitions: number;
  /** Why a configuration value cannot be, or undefined. */
  checkConfig(key: string, value: string): string | undefined;
}

export interface CreateTopicsCommand {
  readonly topics: readonly NewTopic[];
  /** One for each topic, random, chosen before (H19). */
  readonly topicIds: readonly TopicId[];
  /** Answer as if, and log nothing. */
  readonly validateOnly: boolean;
  /** A coordinator asks: the topics are internal ones, which are refused otherwise. */
  readonly isInternal?: boolean;
}

/** Creates what can be created; each topic succeeds or fails alone, and those that succeed come into being together. */
export function decideCreateTopics(
  image: MetadataImage,
  command: CreateTopicsCommand,
  rules: TopicRules,
): Decision<readonly TopicResult[]> {
  const records: MetadataRecord[] = [];
  const repeated = repeatedNames(command.topics.map(({ name }) => name));
  const formsTaken = new Map<string, string>();
  const supply = placementBrokers(image);
  const usualFactor = usualReplicationFactor(rules.defaultReplicationFactor, [...image.brokers()].length);
  let partitionCount = image.partitionCount;
  const response = command.topics.map((topic, position): TopicResult => {
    const partitions = orDefault(topic.partitions, rules.defaultPartitions);
    const replicationFactor = orDefault(topic.replicationFactor, usualFactor);
    const shape = { name: topic.name, partitions, replicationFactor };
    const topicId = command.topicIds[position] ?? ZERO_TOPIC_ID;
    const refusal =
      nameRefusal(image, topic.name, { repeated, formsTaken, isInternal: command.isInternal === true }) ??
      countRefusal(topic.name, partitions, partitionCount, rules) ??
      replicationRefusal(image, topic.name, replicationFactor, supply) ??
      configRefusal(topic, rules);
    if (refusal !== undefined) return { ...shape, topicId: ZERO_TOPIC_ID, ...refusal };
    formsTaken.set(collisionForm(topic.name), topic.name);
    const start = partitionCount;
    partitionCount += partitions;
    records.push({ type: "Topic", name: topic.name, topicId });
    pushPartitions(records, topicId, { from: 0, to: partitions, replicationFactor, ...supply, start });
    for (const [key, value] of topic.configs) records.push({ type: "TopicConfig", topicId, key, value });
    return { ...shape, topicId: command.validateOnly ? ZERO_TOPIC_ID : topicId, ...SUCCESS };
  });
  return { records: command.validateOnly ? [] : records, response };
}

/** Deletes topics by name; the ids in the answer tell which ones they were. */
export function decideDeleteTopics(
  image: MetadataImage,
  names: readonly string[],
): Decision<readonly TopicResult[]> {
  const records: MetadataRecord[] = [];
  const repeated = repeatedNames(names);
  const response = names.map((name): TopicResult => {
    const topic = image.topic(name);
    if (INTERNAL_TOPICS.has(name)) return refused(name, internalRefusal(name, "deleted"));
    if (repeated.has(name)) return refused(name, repeatRefusal(name));
    if (topic === undefined) return refused(name, unknownTopic(name));
    records.push({ type: "RemoveTopic", topicId: topic.topicId });
    return { ...shapeOf(topic), ...SUCCESS };
  });
  return { records, response };
}

export interface AddPartitionsCommand {
  readonly name: string;
  /** The new count, more than now. */
  readonly totalPartitions: number;
  readonly validateOnly: boolean;
}

/** Adds partitions behind the last one; those that exist stay where they are. */
export function decideAddPartitions(
  image: MetadataImage,
  command: AddPartitionsCommand,
  rules: TopicRules,
): Decision<TopicResult> {
  const { name, totalPartitions } = command;
  const topic = image.topic(name);
  if (topic === undefined) return { records: [], response: refused(name, unknownTopic(name)) };
  const supply = placementBrokers(image);
  const from = topic.partitions.length;
  const replicationFactor = replicationFactorOf(topic);
  const refusal =
    growthRefusal(name, from, totalPartitions) ??
    countRefusal(name, totalPartitions, image.partitionCount - from, rules) ??
    replicationRefusal(image, name, replicationFactor, supply);
  if (refusal !== undefined) return { records: [], response: { ...shapeOf(topic), ...refusal } };
  const records: MetadataRecord[] = [];
  // Partition 0's first replica tells where the round began, unless its broker is away.
  const firstLeader = topic.partitions[0]?.replicas[0];
  const position = supply.brokers.findIndex(({ nodeId }) => nodeId === firstLeader);
  const start = Math.max(position, 0);
  pushPartitions(records, topic.topicId, { from, to: totalPartitions, replicationFactor, ...supply, start });
  return {
    records: command.validateOnly ? [] : records,
    response: { ...shapeOf(topic), partitions: totalPartitions, ...SUCCESS },
  };
}

/** Name, id and counts of a topic, for answers about it. */
export function shapeOf(topic: TopicImage): Omit<TopicResult, keyof ItemOutcome> {
  const { name, topicId, partitions } = topic;
  return { name, topicId, partitions: partitions.length, replicationFactor: replicationFactorOf(topic) };
}

export function unknownTopic(name: string): ItemOutcome {
  return failure(
    "UNKNOWN_TOPIC_OR_PARTITION",
    `topic ${shownTopic(name)} does not exist; create it or check the spelling`,
  );
}

/** An answer for a topic that there is nothing to tell of. */
export function refused(name: string, outcome: ItemOutcome): TopicResult {
  return { name, topicId: ZERO_TOPIC_ID, partitions: 0, replicationFactor: 0, ...outcome };
}

function replicationFactorOf(topic: TopicImage): number {
  const [first] = topic.partitions;
  return first === undefined ? 0 : targetOf(first).length;
}

const NOBODY: readonly NodeId[] = [];

function pushPartitions(records: MetadataRecord[], topicId: TopicId, placement: PlacementRequest): void {
  const away = new Set(placement.spares.map(({ nodeId }) => nodeId));
  for (const [position, replicas] of placeReplicas(placement).entries()) {
    // Equal lists stay one array.
    const isr = replicas.some((node) => away.has(node))
      ? replicas.filter((node) => !away.has(node))
      : replicas;
    const [leader] = replicas;
    if (leader === undefined) continue;
    const state = {
      replicas,
      addingReplicas: NOBODY,
      removingReplicas: NOBODY,
      isr,
      elr: NOBODY,
      lastKnownElr: NOBODY,
      leader,
      leaderEpoch: leaderEpoch(0),
      partitionEpoch: 0,
    };
    records.push(partitionRecord(topicId, placement.from + position, state));
  }
}

function nameRefusal(
  image: MetadataImage,
  name: string,
  request: {
    readonly repeated: ReadonlySet<string>;
    readonly formsTaken: ReadonlyMap<string, string>;
    readonly isInternal: boolean;
  },
): ItemOutcome | undefined {
  const { repeated, formsTaken, isInternal } = request;
  const validity = validateTopicName(name);
  if (!validity.ok) return failure("INVALID_TOPIC_EXCEPTION", validity.reason);
  if (INTERNAL_TOPICS.has(name) !== isInternal) return internalRefusal(name, "created");
  if (repeated.has(name)) return repeatRefusal(name);
  if (image.topic(name) !== undefined) {
    return failure(
      "TOPIC_ALREADY_EXISTS",
      `topic ${name} exists; choose another name or delete that one first`,
    );
  }
  const twin = image.collidingName(name) ?? formsTaken.get(collisionForm(name));
  if (twin === undefined) return undefined;
  return failure(
    "INVALID_TOPIC_EXCEPTION",
    `topic ${name} differs from topic ${twin} only in '.' and '_', which metrics do not tell apart; choose another name`,
  );
}

function countRefusal(
  name: string,
  partitions: number,
  existing: number,
  rules: TopicRules,
): ItemOutcome | undefined {
  const { maxTopicPartitions, maxPartitions } = rules;
  if (!Number.isInteger(partitions) || partitions < 1 || partitions > maxTopicPartitions) {
    return failure(
      "INVALID_PARTITIONS",
      `topic ${name} cannot have ${partitions} partitions; choose 1 to ${maxTopicPartitions}`,
    );
  }
  if (existing + partitions <= maxPartitions) return undefined;
  return failure(
    "INVALID_PARTITIONS",
    `topic ${name} asks for ${partitions} partitions and other topics have ${existing}; ` +
      `this cluster holds at most ${maxPartitions}`,
  );
}

function growthRefusal(name: string, current: number, wanted: number): ItemOutcome | undefined {
  if (wanted > current) return undefined;
  return failure(
    "INVALID_PARTITIONS",
    `topic ${name} has ${current} partitions and can only grow; ${wanted} is not more`,
  );
}

function replicationRefusal(
  image: MetadataImage,
  name: string,
  replicationFactor: number,
  { brokers, spares }: Pick<PlacementRequest, "brokers" | "spares">,
): ItemOutcome | undefined {
  const most = brokers.length === 0 ? 0 : brokers.length + spares.length;
  if (Number.isInteger(replicationFactor) && replicationFactor >= 1 && replicationFactor <= most)
    return undefined;
  const registered = Array.from(image.brokers());
  const fenced = registered.filter(({ isFenced }) => isFenced).length;
  const drained = registered.filter(({ isDrained }) => isDrained).length;
  const supply = [`${registered.length} ${registered.length === 1 ? "broker is" : "brokers are"} registered`];
  if (brokers.length === 0 && fenced > 0) supply.push(`${fenced} of them fenced (down or not yet caught up)`);
  const aside = registered.filter(({ isFenced, isShuttingDown }) => !isFenced && isShuttingDown).length;
  if (brokers.length === 0 && aside > 0) supply.push(`${aside} of them about to stop, or with a full disk`);
  const room = aside > 0 ? ", or free space on full disks" : "";
  if (drained > 0) supply.push(`${drained} of them drained`);
  const undrain = drained > 0 ? ", undrain brokers" : "";
  const choice =
    most === 0
      ? `start brokers${room}`
      : `choose a replication factor of 1 to ${most}${undrain}, or start more brokers`;
  return failure(
    "INVALID_REPLICATION_FACTOR",
    `topic ${name} asks for ${replicationFactor} replicas of each partition, ${supply.join(", ")}; ${choice}`,
  );
}

function configRefusal(topic: NewTopic, rules: TopicRules): ItemOutcome | undefined {
  for (const [key, value] of topic.configs) {
    const reason = rules.checkConfig(key, value);
    if (reason !== undefined) return failure("INVALID_CONFIG", `topic ${topic.name}: ${reason}`);
  }
  return undefined;
}

function internalRefusal(name: string, verb: "created" | "deleted"): ItemOutcome {
  return failure("INVALID_TOPIC_EXCEPTION", `topic ${name} is internal; it cannot be ${verb} by a client`);
}

function repeatRefusal(name: string): ItemOutcome {
  return failure(
    "INVALID_REQUEST",
    `topic ${shownTopic(name)} is named more than once in one request; name it once`,
  );
}

function repeatedNames(names: readonly string[]): ReadonlySet<string> {
  const seen = new Set<string>();
  const repeated = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) repeated.add(name);
    seen.add(name);
  }
  return repeated;
}

function orDefault(value: number, fallback: number): number {
  return value === 0 || value === -1 ? fallback : value;
}
