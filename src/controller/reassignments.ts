import type { MetadataImage, PartitionImage, TopicImage } from "../metadata/image.ts";
import { compareText, isActive } from "../metadata/image.ts";
import type { MetadataRecord } from "../metadata/records.ts";
import type { NodeId } from "../model/ids.ts";
import { requiredInSync } from "../model/insync.ts";
import { partitionRecord } from "./affected-partitions.ts";
import { movementRefusal } from "./features.ts";
import { changeOf } from "./partition-change.ts";
import { partitionPolicyOf } from "./partition-rules.ts";
import type { PartitionPolicy, PartitionRules } from "./partition-rules.ts";
import { growth, isMoving, originOf, settled, shrunk, targetOf } from "./reassignment-phases.ts";
import { failure, SUCCESS } from "./result.ts";
import type { Decision, ItemOutcome } from "./result.ts";
import { unknownTopic } from "./topics.ts";

/** A partition by name. */
export interface NamedPartition {
  readonly topic: string;
  readonly partition: number;
}

/** Where a partition shall be. */
export interface WantedReplicas extends NamedPartition {
  /** The preferred leader first. */
  readonly replicas: readonly NodeId[];
}

export interface ReassignCommand {
  readonly partitions: readonly WantedReplicas[];
  /** Answer as if, and log nothing. */
  readonly validateOnly: boolean;
}

export interface CancelReassignmentsCommand {
  /** Undefined: all that are under way. */
  readonly partitions: readonly NamedPartition[] | undefined;
}

/** What became of one partition of the request. */
export interface ReassignmentResult extends ItemOutcome, NamedPartition {}

/** A partition on its way. */
export interface Reassignment extends NamedPartition {
  /** Where it goes to, the preferred leader first. */
  readonly target: readonly NodeId[];
  readonly addingReplicas: readonly NodeId[];
  readonly removingReplicas: readonly NodeId[];
  readonly isr: readonly NodeId[];
}

/**
 * Moves partitions to other brokers; each begins or is refused alone. What begins here is complete when its leader has
 * taken all of the target into the ISR, or at once when they are there. On the way the data is never on fewer brokers
 * than it was or is to be, and nobody is taken into an ISR by this (H23).
 */
export function decideReassign(
  image: MetadataImage,
  { partitions, validateOnly }: ReassignCommand,
  rules: PartitionRules,
): Decision<readonly ReassignmentResult[]> {
  const records: MetadataRecord[] = [];
  const change = changeOf(image);
  const unsupported = movementRefusal(image, "partitions can be moved");
  const response = onEach(image, partitions, ({ replicas }, name, topic, partition, before) => {
    const refusal = unsupported ?? targetRefusal(image, name, before, replicas);
    if (refusal !== undefined) return refusal;
    if (isSameList(targetOf(before), replicas)) return SUCCESS;
    const moving = { ...before, ...growth(before, replicas) };
    const asItIs = { ...before, isUnclean: false };
    const next = shrunk(moving, asItIs, change, partitionPolicyOf(topic, rules)) ?? {
      ...moving,
      partitionEpoch: before.partitionEpoch + 1,
    };
    records.push(partitionRecord(topic.topicId, partition, next));
    return SUCCESS;
  });
  return { records: validateOnly ? [] : records, response };
}

/**
 * Takes reassignments back: the replicas that were new go again. Refused where those hold what the others lack. The
 * order of the replicas that stay is that of the target, then those that were to go.
 */
export function decideCancelReassignments(
  image: MetadataImage,
  { partitions }: CancelReassignmentsCommand,
  rules: PartitionRules,
): Decision<readonly ReassignmentResult[]> {
  const records: MetadataRecord[] = [];
  const change = changeOf(image);
  const wanted = partitions ?? reassignmentsOf(image);
  const response = onEach(image, wanted, (_item, name, topic, partition, before) => {
    if (!isMoving(before)) {
      return failure(
        "NO_REASSIGNMENT_IN_PROGRESS",
        `partition ${name} does not move; see what does: lograft partitions status`,
      );
    }
    const origin = originOf(before);
    const policy = partitionPolicyOf(topic, rules);
    const refusal = returnRefusal(name, before, origin, policy);
    if (refusal !== undefined) return refusal;
    records.push(partitionRecord(topic.topicId, partition, settled(before, before, origin, change, policy)));
    return SUCCESS;
  });
  return { records, response };
}

/** All partitions on their way, by topic and number. */
export function reassignmentsOf(image: MetadataImage): readonly Reassignment[] {
  const found: Reassignment[] = [];
  for (const { name, partitions } of image.topics()) {
    for (const [partition, state] of partitions.entries()) {
      if (!isMoving(state)) continue;
      const { addingReplicas, removingReplicas, isr } = state;
      found.push({ topic: name, partition, target: targetOf(state), addingReplicas, removingReplicas, isr });
    }
  }
  return found.sort((a, b) => compareText(a.topic, b.topic) || a.partition - b.partition);
}

/** Decides on each item that names a partition there is, once. */
function onEach<Item extends NamedPartition>(
  image: MetadataImage,
  items: readonly Item[],
  decide: (
    item: Item,
    name: string,
    topic: TopicImage,
    partition: number,
    before: PartitionImage,
  ) => ItemOutcome,
): readonly ReassignmentResult[] {
  const seen = new Set<string>();
  return items.map((item) => {
    const { topic: topicName, partition } = item;
    const name = `${topicName}-${partition}`;
    const topic = image.topic(topicName);
    const before = topic?.partitions[partition];
    if (topic === undefined) return { topic: topicName, partition, ...unknownTopic(topicName) };
    if (before === undefined) return { topic: topicName, partition, ...unknownPartition(topic, partition) };
    if (seen.has(name)) return { topic: topicName, partition, ...repeated(name) };
    seen.add(name);
    return { topic: topicName, partition, ...decide(item, name, topic, partition, before) };
  });
}

function targetRefusal(
  image: MetadataImage,
  name: string,
  before: PartitionImage,
  target: readonly NodeId[],
): ItemOutcome | undefined {
  const invalid = (cause: string): ItemOutcome =>
    failure("INVALID_REPLICA_ASSIGNMENT", `partition ${name} cannot be on [${target.join(", ")}]: ${cause}`);
  if (target.length === 0) return invalid("a partition needs at least one replica; name brokers");
  if (new Set(target).size !== target.length) return invalid("a broker is named twice; name each once");
  for (const node of target) {
    const broker = image.broker(node);
    if (broker === undefined) {
      return invalid(`broker ${node} is not registered; see those that are: lograft node list`);
    }
    if (before.replicas.includes(node)) continue;
    if (!isActive(broker)) {
      const state = broker.isFenced ? "fenced; start it" : "shutting down, or its disk is full; see to that";
      return invalid(`broker ${node} is ${state} first`);
    }
    if (broker.isDrained) {
      return invalid(`broker ${node} is drained; give it back to use first: lograft node undrain ${node}`);
    }
  }
  if (!isMoving(before) || isSameList(targetOf(before), target)) return undefined;
  return failure(
    "REASSIGNMENT_IN_PROGRESS",
    `partition ${name} moves to [${targetOf(before).join(", ")}] already; wait until it is there (lograft partitions ` +
      "status), or cancel that first (lograft partitions cancel)",
  );
}

/** Nobody who counts may go while the others are not enough to commit anything without them. */
function returnRefusal(
  name: string,
  { isr, elr, leader }: PartitionImage,
  origin: readonly NodeId[],
  { minInsyncReplicas }: PartitionPolicy,
): ItemOutcome | undefined {
  const stays = (node: NodeId): boolean => origin.includes(node);
  const isNeeded = isr.filter(stays).length < requiredInSync(minInsyncReplicas, origin.length);
  if (!isNeeded || [...isr, ...elr].every(stays)) return undefined;
  const needed = [...isr, ...elr].filter((node) => !stays(node));
  const led = leader >= 0 && needed.includes(leader) ? ` (broker ${leader} leads it)` : "";
  return failure(
    "INVALID_REPLICA_ASSIGNMENT",
    `partition ${name} cannot go back to [${origin.join(", ")}]: too few of them are in sync without [${needed.join(", ")}]` +
      `${led}; wait until they have caught up, or let the reassignment come to its end`,
  );
}

function unknownPartition({ name, partitions }: TopicImage, partition: number): ItemOutcome {
  return failure(
    "UNKNOWN_TOPIC_OR_PARTITION",
    `topic ${name} has partitions 0 to ${partitions.length - 1}, not ${partition}; check the number`,
  );
}

function repeated(name: string): ItemOutcome {
  return failure("INVALID_REQUEST", `partition ${name} is named twice in one request; name it once`);
}

function isSameList(a: readonly NodeId[], b: readonly NodeId[]): boolean {
  return a.length === b.length && a.every((node, position) => node === b[position]);
}
