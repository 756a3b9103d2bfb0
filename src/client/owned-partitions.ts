import type { NamedPartitions } from "../model/consumer-protocol.ts";
import { type TopicPartitionKey, topicPartitionKey } from "../model/topic-partition.ts";
import type { TopicPartitionRef } from "./consumer-types.ts";

/** A set of partitions by name, as members of a classic group speak of them. */
export class OwnedPartitions {
  readonly #entries = new Map<TopicPartitionKey, TopicPartitionRef>();

  constructor(topics: readonly NamedPartitions[] = []) {
    for (const { topic, partitions } of topics) {
      for (const partition of partitions) {
        this.#entries.set(topicPartitionKey(topic, partition), { topic, partition });
      }
    }
  }

  get size(): number {
    return this.#entries.size;
  }

  list(): TopicPartitionRef[] {
    return [...this.#entries.values()];
  }

  /** What is here and not there. */
  without(other: OwnedPartitions): TopicPartitionRef[] {
    return [...this.#entries].filter(([key]) => !other.#entries.has(key)).map(([, entry]) => entry);
  }

  add(partitions: readonly TopicPartitionRef[]): void {
    for (const { topic, partition } of partitions) {
      this.#entries.set(topicPartitionKey(topic, partition), { topic, partition });
    }
  }

  remove(partitions: readonly TopicPartitionRef[]): void {
    for (const { topic, partition } of partitions) this.#entries.delete(topicPartitionKey(topic, partition));
  }

  clear(): void {
    this.#entries.clear();
  }

  /** By topic, ascending. */
  toNamed(): NamedPartitions[] {
    const topics = new Map<string, number[]>();
    for (const { topic, partition } of this.#entries.values()) {
      const partitions = topics.get(topic);
      if (partitions === undefined) topics.set(topic, [partition]);
      else partitions.push(partition);
    }
    return [...topics]
      .map(([topic, partitions]) => ({ topic, partitions: partitions.sort((a, b) => a - b) }))
      .toSorted((a, b) => (a.topic < b.topic ? -1 : 1));
  }
}
