import type { NodeId, TopicId } from "../model/ids.ts";
import type { LeaderEpoch } from "../model/offsets.ts";
import type { BrokerRegistrationRecord, MetadataRecord } from "./records.ts";

/** A partition as the cluster sees it. Never changes: a change makes a new one. Node lists are shared between partitions. */
export interface PartitionImage {
  /** The preferred leader first. While the partition moves: where it goes to, then those that it leaves (H23). */
  readonly replicas: readonly NodeId[];
  /** Among `replicas`: new there by a reassignment that is under way. */
  readonly addingReplicas: readonly NodeId[];
  /** Among `replicas`, disjoint from `addingReplicas`: they go when that reassignment is complete. */
  readonly removingReplicas: readonly NodeId[];
  readonly isr: readonly NodeId[];
  /** Disjoint from `isr`; empty while the ISR has its minimum (KIP-966). */
  readonly elr: readonly NodeId[];
  /** Disjoint from both; see `PartitionRecord`. */
  readonly lastKnownElr: readonly NodeId[];
  /** In `isr`, or `NO_NODE`. */
  readonly leader: NodeId;
  readonly leaderEpoch: LeaderEpoch;
  readonly partitionEpoch: number;
}

/** A topic. Never changes: a change makes a new one, so a reader may keep it across a wait and compare later. */
export interface TopicImage {
  readonly name: string;
  readonly topicId: TopicId;
  /** By partition number, without holes. */
  readonly partitions: readonly PartitionImage[];
  /** What was set for this topic alone. */
  readonly configs: ReadonlyMap<string, string>;
}

/** A broker's latest registration and what became of it. Never changes: a change makes a new one. */
export interface BrokerImage extends Omit<BrokerRegistrationRecord, "type"> {
  /** Takes no part: it leads nothing and is in no ISR. */
  readonly isFenced: boolean;
  /** About to stop, or its disk is full: it leads only what nobody else can, and is in no other ISR. */
  readonly isShuttingDown: boolean;
  /** Gets no new replicas and leads nothing that others can lead; outlives its restarts. */
  readonly isDrained: boolean;
}

/**
 * The state that replaying the metadata log gives. What it answers never changes; which topics it answers does, between
 * two turns of the loop, when `replay` brings it forward. Look-ups allocate nothing.
 */
export interface MetadataImage {
  readonly topicCount: number;
  /** Of all topics; a limit of the broker counts against it. */
  readonly partitionCount: number;
  /** First producer id that no block holds yet. */
  readonly nextProducerId: number;
  /** The level of each feature that the cluster works with. */
  readonly features: ReadonlyMap<string, number>;
  topic(name: string): TopicImage | undefined;
  topicById(topicId: TopicId): TopicImage | undefined;
  /** The name of another topic that only differs in '.' and '_', if there is one. */
  collidingName(name: string): string | undefined;
  /** In order of creation. */
  topics(): Iterable<TopicImage>;
  /** Those with a replica on that broker, in a stable order. Costs what there are, not what the cluster has. */
  topicsOn(nodeId: NodeId): Iterable<TopicImage>;
  broker(nodeId: NodeId): BrokerImage | undefined;
  /** In order of first registration. */
  brokers(): Iterable<BrokerImage>;
}

/**
 * How many replicas a partition had before its reassignment began, and has otherwise: what its minimum of in-sync
 * replicas is reckoned from, so that replicas which are yet to catch up make nobody wait (H23).
 */
export function settledReplicas({
  replicas,
  addingReplicas,
}: Pick<PartitionImage, "replicas" | "addingReplicas">): number {
  return replicas.length - addingReplicas.length;
}

/** True when this broker may lead and be in an ISR: registered, unfenced, and not on its way out (KIP-841) or out of disk space. */
export function isActive(broker: BrokerImage | undefined): boolean {
  return broker !== undefined && !broker.isFenced && !broker.isShuttingDown;
}

/** True when clients and brokers can still rely on this broker, also while it is on its way out or its disk is full. */
export function isServing(broker: BrokerImage | undefined): boolean {
  return broker?.isFenced === false;
}

/**
 * The least list of records whose replay gives this image, sorted so that equal images give equal lists: the content of
 * a snapshot, and what a state hash is taken of.
 */
export function recordsOfImage(image: MetadataImage): MetadataRecord[] {
  const records: MetadataRecord[] = [];
  for (const [name, level] of [...image.features].sort(([a], [b]) => compareText(a, b))) {
    records.push({ type: "FeatureLevel", name, level });
  }
  // Before the partitions, whose ISRs name only registered brokers.
  for (const broker of [...image.brokers()].sort((a, b) => a.nodeId - b.nodeId)) pushBroker(records, broker);
  const topics = [...image.topics()].sort((a, b) => compareText(a.name, b.name));
  for (const { name, topicId, partitions, configs } of topics) {
    records.push({ type: "Topic", name, topicId });
    for (const [partition, state] of partitions.entries()) {
      records.push({ type: "Partition", topicId, partition, ...state });
    }
    for (const [key, value] of [...configs].sort(([a], [b]) => compareText(a, b))) {
      records.push({ type: "TopicConfig", topicId, key, value });
    }
  }
  if (image.nextProducerId > 0) records.push({ type: "ProducerIds", nextProducerId: image.nextProducerId });
  return records;
}

function pushBroker(records: MetadataRecord[], broker: BrokerImage): void {
  const { isFenced, isShuttingDown, isDrained, ...registration } = broker;
  const { nodeId, brokerEpoch } = broker;
  records.push({ type: "BrokerRegistration", ...registration });
  if (isFenced && !isShuttingDown && !isDrained) return; // As every registration starts.
  records.push({ type: "BrokerChange", nodeId, brokerEpoch, isFenced, isShuttingDown, isDrained });
}

/** By code unit, the same on every machine whatever its language. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
