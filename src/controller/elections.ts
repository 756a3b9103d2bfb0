import type { MetadataImage, PartitionImage, TopicImage } from "../metadata/image.ts";
import { isActive } from "../metadata/image.ts";
import type { MetadataRecord } from "../metadata/records.ts";
import { NO_NODE } from "../model/ids.ts";
import type { NodeId } from "../model/ids.ts";
import { partitionRecord } from "./affected-partitions.ts";
import { changeOf, changePartition } from "./partition-change.ts";
import { partitionPolicyOf } from "./partition-rules.ts";
import type { PartitionPolicy, PartitionRules } from "./partition-rules.ts";
import { failure, SUCCESS } from "./result.ts";
import type { Decision, ItemOutcome } from "./result.ts";
import { unknownTopic } from "./topics.ts";

/** Give the leadership of partitions to their preferred (first) replicas. */
export interface ElectLeadersCommand {
  /** Undefined: all topics. */
  readonly topics?: readonly string[] | undefined;
}

/** What became of one partition; ELECTION_NOT_NEEDED when its preferred replica leads it already. */
export interface ElectionResult extends ItemOutcome {
  readonly topic: string;
  /** -1: the answer is about the topic. */
  readonly partition: number;
  /** After the election; -1: none. */
  readonly leaderId: NodeId;
}

/** One for each partition of the topics, in their order. */
export type ElectLeadersResult = readonly ElectionResult[];

const NOT_NEEDED = failure("ELECTION_NOT_NEEDED", "the preferred replica leads this partition already");

/** Elects the preferred replica wherever it is in the ISR and does not lead; the others stay as they are. */
export function decideElectLeaders(
  image: MetadataImage,
  command: ElectLeadersCommand,
  rules: PartitionRules,
): Decision<ElectLeadersResult> {
  const records: MetadataRecord[] = [];
  const results: ElectionResult[] = [];
  for (const { name, topic } of wantedTopics(image, command)) {
    if (topic === undefined) {
      results.push({ topic: name, partition: -1, leaderId: NO_NODE, ...unknownTopic(name) });
      continue;
    }
    const policy = partitionPolicyOf(topic, rules);
    for (const [partition, before] of topic.partitions.entries()) {
      if (before.leader === before.replicas[0]) {
        results.push({ topic: name, partition, leaderId: before.leader, ...NOT_NEEDED });
        continue;
      }
      const next = preferredOf(image, before, policy);
      if (next !== undefined) records.push(partitionRecord(topic.topicId, partition, next));
      const { leader } = next ?? before;
      const outcome = leader === before.replicas[0] ? SUCCESS : unavailable(image, name, partition, before);
      results.push({ topic: name, partition, leaderId: leader, ...outcome });
    }
  }
  return { records, response: results };
}

export interface RebalanceCommand {
  /** At most so many leaders move, so that clients and followers are not all disturbed at once. */
  readonly maxElections: number;
}

export interface RebalanceResult {
  readonly elected: number;
  /** More could be elected: ask again soon. */
  readonly hasMore: boolean;
}

/** The same by itself, now and then, after brokers came back: leaders drift away from them otherwise. */
export function decideRebalance(
  image: MetadataImage,
  { maxElections }: RebalanceCommand,
  rules: PartitionRules,
): Decision<RebalanceResult> {
  const records: MetadataRecord[] = [];
  for (const topic of image.topics()) {
    let policy: PartitionPolicy | undefined;
    for (const [partition, before] of topic.partitions.entries()) {
      if (!isMovable(image, before)) continue;
      if (records.length === maxElections)
        return { records, response: { elected: records.length, hasMore: true } };
      policy ??= partitionPolicyOf(topic, rules);
      const next = preferredOf(image, before, policy);
      if (next !== undefined) records.push(partitionRecord(topic.topicId, partition, next));
    }
  }
  return { records, response: { elected: records.length, hasMore: false } };
}

function* wantedTopics(
  image: MetadataImage,
  { topics }: ElectLeadersCommand,
): Iterable<{ name: string; topic: TopicImage | undefined }> {
  if (topics === undefined) {
    for (const topic of image.topics()) yield { name: topic.name, topic };
    return;
  }
  for (const name of new Set(topics)) yield { name, topic: image.topic(name) };
}

function isMovable(image: MetadataImage, { replicas, isr, leader }: PartitionImage): boolean {
  const [preferred] = replicas;
  if (preferred === undefined || leader === preferred || !isr.includes(preferred)) return false;
  const broker = image.broker(preferred);
  return isActive(broker) && broker?.isDrained === false;
}

function preferredOf(
  image: MetadataImage,
  before: PartitionImage,
  policy: PartitionPolicy,
): PartitionImage | undefined {
  const change = { ...changeOf(image), isPreferredWanted: true };
  // Nothing but the preferred replica is asked for here: an unclean election would be another thing.
  return changePartition(before, change, { ...policy, isUncleanElectionAllowed: false })?.next;
}

function unavailable(
  image: MetadataImage,
  topic: string,
  partition: number,
  { replicas, leader }: PartitionImage,
): ItemOutcome {
  const [preferred = NO_NODE] = replicas;
  const rest = leader === NO_NODE ? "has no leader" : `stays with broker ${leader}`;
  const cause =
    image.broker(preferred)?.isDrained === true
      ? `is drained; give it back to use: lograft node undrain ${preferred}`
      : "is not in sync; wait until it has caught up";
  return failure(
    "PREFERRED_LEADER_NOT_AVAILABLE",
    `partition ${topic}-${partition} ${rest}: its preferred replica, broker ${preferred}, ${cause}`,
  );
}
