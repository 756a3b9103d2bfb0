import type { TopicId } from "../../model/ids.ts";
import type { PartitionSet } from "./consumer-partitions.ts";

/**
 * Which member each partition belongs to. A later claim replaces an earlier one, and only the present owner can let go:
 * so replaying a log in which compaction left some older records gives the same as replaying all of it.
 */
export class PartitionOwners {
  #owners = new Map<TopicId, Map<number, string>>();

  /** The member id, or undefined. */
  owner(topicId: TopicId, partition: number): string | undefined {
    return this.#owners.get(topicId)?.get(partition);
  }

  /** How many partitions of the topic belong to somebody. */
  count(topicId: TopicId): number {
    return this.#owners.get(topicId)?.size ?? 0;
  }

  /** Topics of which at least one partition belongs to somebody. */
  get topicCount(): number {
    return this.#owners.size;
  }

  claim(memberId: string, partitions: PartitionSet): void {
    for (const topic of partitions) {
      let owners = this.#owners.get(topic.topicId);
      if (owners === undefined) this.#owners.set(topic.topicId, (owners = new Map<number, string>()));
      for (const partition of topic.partitions) owners.set(partition, memberId);
    }
  }

  /** What of these the member owns is nobody's afterwards. */
  release(memberId: string, partitions: PartitionSet): void {
    for (const topic of partitions) {
      const owners = this.#owners.get(topic.topicId);
      if (owners === undefined) continue;
      for (const partition of topic.partitions) {
        if (owners.get(partition) === memberId) owners.delete(partition);
      }
      if (owners.size === 0) this.#owners.delete(topic.topicId);
    }
  }
}
