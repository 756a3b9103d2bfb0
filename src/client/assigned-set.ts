import { topicPartitionKey } from "../model/topic-partition.ts";
import type { GroupAssignment } from "../rpc/group-messages.ts";
import type { TopicPartitionRef } from "./consumer-types.ts";

interface Assigned extends TopicPartitionRef {
  readonly topicId: Buffer;
}

/**
 * A set of partitions as the coordinator names them: by topic id, so that a topic deleted and made again under the same
 * name is another one (H24).
 */
export class AssignedSet {
  readonly #entries = new Map<string, Assigned>();

  /** What a message says. */
  static of(assignment: GroupAssignment): AssignedSet {
    const set = new AssignedSet();
    for (const { topicId, topic, partitions } of assignment.topics) {
      for (const partition of partitions) set.#put({ topicId, topic, partition });
    }
    return set;
  }

  get size(): number {
    return this.#entries.size;
  }

  list(): TopicPartitionRef[] {
    return [...this.#entries.values()].map(({ topic, partition }) => ({ topic, partition }));
  }

  /** What is here and not there. */
  without(other: AssignedSet): AssignedSet {
    const rest = new AssignedSet();
    for (const [key, entry] of this.#entries) if (!other.#entries.has(key)) rest.#entries.set(key, entry);
    return rest;
  }

  /** What is here and named there. */
  only(refs: readonly TopicPartitionRef[]): AssignedSet {
    const names = new Set(refs.map(({ topic, partition }) => topicPartitionKey(topic, partition)));
    const some = new AssignedSet();
    for (const [key, entry] of this.#entries) {
      if (names.has(topicPartitionKey(entry.topic, entry.partition))) some.#entries.set(key, entry);
    }
    return some;
  }

  equals(other: AssignedSet): boolean {
    return this.size === other.size && this.without(other).size === 0;
  }

  add(others: AssignedSet): void {
    for (const [key, entry] of others.#entries) this.#entries.set(key, entry);
  }

  remove(others: AssignedSet): void {
    for (const key of others.#entries.keys()) this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
  }

  toMessage(): GroupAssignment {
    const topics = new Map<string, { topicId: Buffer; topic: string; partitions: number[] }>();
    for (const { topicId, topic, partition } of this.#entries.values()) {
      const id = topicId.toString("hex");
      const entry = topics.get(id) ?? { topicId, topic, partitions: [] };
      entry.partitions.push(partition);
      topics.set(id, entry);
    }
    for (const { partitions } of topics.values()) partitions.sort((a, b) => a - b);
    return { topics: [...topics.values()] };
  }

  #put(entry: Assigned): void {
    this.#entries.set(`${entry.topicId.toString("hex")}/${entry.partition}`, entry);
  }
}
