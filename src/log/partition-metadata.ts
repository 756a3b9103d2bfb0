import { parseTopicId } from "../model/ids.ts";
import type { TopicId } from "../model/ids.ts";

/*
 * `partition.metadata`: which topic a partition directory belongs to, so that a new topic of an old name never adopts
 * old data (D15). Kafka's format: two lines, "version: 0" and "topic_id: <22 characters>". Writers differ in whether the
 * last one ends in a newline; Kafka 4 writes none. The length of the id shows a cut file.
 */

const TEXT = /^version: 0\ntopic_id: ([^\n]+)\n?$/;

/** The file's text. */
export function formatPartitionMetadata(topicId: TopicId): string {
  return `version: 0\ntopic_id: ${topicId}`;
}

/** The topic id, or undefined when the file is damaged or of another version. */
export function parsePartitionMetadata(text: string): TopicId | undefined {
  const id = TEXT.exec(text)?.[1];
  return id === undefined ? undefined : parseTopicId(id);
}
