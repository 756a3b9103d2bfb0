import type { TopicPartitionRef } from "../client/index.ts";
import { topicPartitionKey } from "../model/topic-partition.ts";

/** A checked partition, under the name it has in the history. */
export interface Key extends TopicPartitionRef {
  readonly name: string;
}

/** The topics of a run and the checked partitions in them. */
export class KeyTable {
  readonly topics: readonly string[];
  readonly keys: readonly Key[];
  readonly partitionsEach: number;

  constructor(options: { readonly topics: number; readonly partitionsEach: number }) {
    this.partitionsEach = options.partitionsEach;
    this.topics = Array.from({ length: options.topics }, (_, index) => `chaos-${index}`);
    this.keys = this.topics.flatMap((topic) =>
      Array.from({ length: options.partitionsEach }, (_, partition) => ({
        topic,
        partition,
        name: keyName({ topic, partition }),
      })),
    );
  }
}

export function keyName({ topic, partition }: TopicPartitionRef): string {
  return topicPartitionKey(topic, partition);
}
