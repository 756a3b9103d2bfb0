import type { NodeId, TopicId } from "../model/ids.ts";
import type { LeaderEpoch } from "../model/offsets.ts";
import type { MetadataRecord } from "./records.ts";

/** A partition as the cluster sees it. Never changes: a change makes a new one. Node lists are shared between partitions. */
export interface PartitionImage {
  readonly replicas: readonly NodeId[];
  readonly isr: readonly NodeId[];
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

/** A broker's latest registration. */
export interface BrokerImage {
  readonly nodeId: NodeId;
  readonly incarnationId: string;
  readonly directoryId: string;
  readonly clean: boolean;
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
  topic(name: string): TopicImage | undefined;
  topicById(topicId: TopicId): TopicImage | undefined;
  /** The name of another topic that only differs in '.' and '_', if there is one. */
  collidingName(name: string): string | undefined;
  /** In order of creation. */
  topics(): Iterable<TopicImage>;
  broker(nodeId: NodeId): BrokerImage | undefined;
  /** In order of first registration. */
  brokers(): Iterable<BrokerImage>;
}

/**
 * The least list of records whose replay gives this image, sorted so that equal images give equal lists: the content of
 * a snapshot, and what a state hash is taken of.
 */
export function recordsOfImage(image: MetadataImage): MetadataRecord[] {
  const records: MetadataRecord[] = [];
  const brokers = [...image.brokers()].sort((a, b) => a.nodeId - b.nodeId);
  // Before the partitions: their epochs are final, and an unclean registration behind them would raise them once more.
  for (const broker of brokers) records.push({ type: "BrokerRegistration", ...broker });
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

/** By code unit, the same on every machine whatever its language. */
function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
