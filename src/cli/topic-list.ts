import { operationError } from "../base/errors.ts";
import type { TopicPartitionRef } from "../client/index.ts";
import { parseInteger } from "./arguments.ts";

/** Topics as a command line names them: whole ones, and single partitions. */
export interface NamedPartitions {
  readonly topics: readonly string[];
  readonly partitions: readonly TopicPartitionRef[];
}

/** "orders" for all of a topic, "orders:0,2" for some partitions, again and again. @throws INVALID_ARGUMENT. */
export function parseTopicList(texts: readonly string[], option: string): NamedPartitions {
  const topics: string[] = [];
  const partitions: TopicPartitionRef[] = [];
  for (const text of texts) {
    // No topic name has a colon in it.
    const [topic = "", list, ...more] = text.split(":");
    if (topic === "" || more.length > 0) {
      throw operationError("INVALID_ARGUMENT", `${option} ${text}: write it as TOPIC or TOPIC:0,1`);
    }
    if (list === undefined) topics.push(topic);
    else {
      for (const one of list.split(","))
        partitions.push({ topic, partition: parseInteger(one, `${option} ${topic}`, 0) });
    }
  }
  return { topics, partitions };
}
