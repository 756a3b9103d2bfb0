import type { TopicDetails } from "../../client/index.ts";
import type { Output } from "../output.ts";
import { formatBytes } from "../output.ts";

/** Prints what `topic describe` shows: a table for each topic, or one JSON list. */
export function printTopics(output: Output, topics: readonly TopicDetails[]): void {
  if (output.format === "json") {
    output.json(topics.map(topicAsJson));
    return;
  }
  for (const [index, topic] of topics.entries()) {
    if (index > 0) output.line("");
    printTopic(output, topic);
  }
}

function printTopic(output: Output, topic: TopicDetails): void {
  output.line(`${topic.name}  id ${topic.topicId}  ${topic.partitions.length} partitions`);
  output.rows(
    [
      { title: "PARTITION", cell: (row) => row.partition, align: "right" },
      { title: "LEADER", cell: (row) => row.leaderId, align: "right" },
      { title: "EPOCH", cell: (row) => row.leaderEpoch, align: "right" },
      { title: "REPLICAS", cell: (row) => row.replicas.join(",") },
      { title: "ISR", cell: (row) => row.isr.join(",") },
      { title: "START", cell: (row) => row.logStartOffset, align: "right" },
      { title: "END", cell: (row) => row.logEndOffset, align: "right" },
      { title: "SIZE", cell: (row) => formatBytes(row.sizeBytes), align: "right" },
    ],
    topic.partitions,
    { empty: "no partitions", toJson: (row) => row },
  );
  for (const { partition, error } of topic.partitions) {
    if (error !== undefined) output.line(`  partition ${partition}: ${error.message}`);
  }
  for (const { name, value, source } of topic.configs) {
    if (source === "topic") output.line(`  ${name}=${value}`);
  }
}

/** The documented shape: 64-bit values are decimal strings. */
function topicAsJson(topic: TopicDetails): unknown {
  return {
    name: topic.name,
    topicId: topic.topicId,
    isInternal: topic.isInternal,
    partitions: topic.partitions.map((partition) => ({
      partition: partition.partition,
      leaderId: partition.leaderId,
      leaderEpoch: partition.leaderEpoch,
      replicas: partition.replicas,
      isr: partition.isr,
      logStartOffset: String(partition.logStartOffset),
      logEndOffset: String(partition.logEndOffset),
      sizeBytes: String(partition.sizeBytes),
      error: partition.error?.code ?? null,
    })),
    configs: topic.configs.map(({ name, value, source }) => ({ name, value, source })),
  };
}
