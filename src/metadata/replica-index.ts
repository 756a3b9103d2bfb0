import type { NodeId, TopicId } from "../model/ids.ts";
import type { PartitionImage } from "./image.ts";

/**
 * Which topics have replicas on which broker, so that the death of one broker costs what it held and not a walk over the
 * whole cluster. By topic, not by partition: a topic's partitions are looked through faster than an index of them is
 * kept.
 */
export class ReplicaIndex {
  readonly #topics = new Map<NodeId, Set<TopicId>>();

  /** In the order in which the topics came to that broker. */
  topicsOn(nodeId: NodeId): ReadonlySet<TopicId> {
    return this.#topics.get(nodeId) ?? NONE;
  }

  /** The replicas of a topic changed; both lists empty: it does not exist before, or after. */
  update(topicId: TopicId, before: readonly PartitionImage[], after: readonly PartitionImage[]): void {
    const now = brokersOf(after);
    for (const nodeId of brokersOf(before)) {
      if (!now.has(nodeId)) this.#remove(nodeId, topicId);
    }
    for (const nodeId of now) {
      const topics = this.#topics.get(nodeId);
      if (topics === undefined) this.#topics.set(nodeId, new Set([topicId]));
      else topics.add(topicId);
    }
  }

  clone(): ReplicaIndex {
    const copy = new ReplicaIndex();
    for (const [nodeId, topics] of this.#topics) copy.#topics.set(nodeId, new Set(topics));
    return copy;
  }

  #remove(nodeId: NodeId, topicId: TopicId): void {
    const topics = this.#topics.get(nodeId);
    topics?.delete(topicId);
    if (topics?.size === 0) this.#topics.delete(nodeId);
  }
}

const NONE: ReadonlySet<TopicId> = new Set();

function brokersOf(partitions: readonly PartitionImage[]): ReadonlySet<NodeId> {
  const brokers = new Set<NodeId>();
  // Thousands of partitions share a few lists of replicas.
  const seen = new Set<readonly NodeId[]>();
  for (const { replicas } of partitions) {
    if (seen.has(replicas)) continue;
    seen.add(replicas);
    for (const nodeId of replicas) brokers.add(nodeId);
  }
  return brokers;
}
