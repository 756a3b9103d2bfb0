import type { Brand } from "../base/brand.ts";

/** A partition of a topic by name. Partitions count from 0. */
export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** A `TopicPartition` as one map key, "topic-partition": unique because the last '-' is the separator. */
export type TopicPartitionKey = Brand<string, "TopicPartitionKey">;

/** Kafka's bound, which leaves room for "-partition" and suffixes in a file name of 255 bytes. */
export const MAX_TOPIC_NAME_LENGTH = 249;

/** The two topics that coordinators keep their logs in: clients neither create, delete nor write them. */
export const INTERNAL_TOPICS: ReadonlySet<string> = new Set(["__consumer_offsets", "__transaction_state"]);

export function topicPartitionKey(topic: string, partition: number): TopicPartitionKey {
  return `${topic}-${partition}` as TopicPartitionKey;
}

/** The inverse of `topicPartitionKey`. */
export function parseTopicPartitionKey(key: TopicPartitionKey): TopicPartition {
  const separator = key.lastIndexOf("-");
  return { topic: key.slice(0, separator), partition: Number(key.slice(separator + 1)) };
}

/** What `validateTopicName` answers; `reason` is a full sentence for the client. */
export type NameValidity = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/**
 * Kafka's rule for topic names: 1 to 249 of [a-zA-Z0-9._-], but not "." or "..". Any other name is refused before it
 * reaches a path, a log line or a metric (H75). A refusal shows the name with everything unprintable escaped.
 */
export function validateTopicName(name: string): NameValidity {
  if (name.length === 0) return { ok: false, reason: "a topic name cannot be empty" };
  if (name.length > MAX_TOPIC_NAME_LENGTH) {
    return {
      ok: false,
      reason: `a topic name has at most ${MAX_TOPIC_NAME_LENGTH} characters, this one has ${name.length}`,
    };
  }
  if (name === "." || name === "..")
    return { ok: false, reason: `a topic cannot be named ${JSON.stringify(name)}` };
  const illegal = /[^a-zA-Z0-9._-]/u.exec(name);
  if (illegal === null) return { ok: true };
  const shown = `${escaped(name)} contains ${escaped(illegal[0])}`;
  return { ok: false, reason: `a topic name is made of letters, digits, '.', '_' and '-'; ${shown}` };
}

/** A topic name for a message: names from outside may hold anything and are shown cut and escaped (H75). */
export function shownTopic(name: string): string {
  return validateTopicName(name).ok ? name : JSON.stringify(name.slice(0, 80));
}

/**
 * The form in which '.' and '_' look alike. Metric systems merge the two characters, so two topics with one form would
 * share their metrics; creating the second is refused, as Kafka does.
 */
export function collisionForm(name: string): string {
  return name.replaceAll(".", "_");
}

/** True when two different names would be merged by a metric system. */
export function namesCollide(a: string, b: string): boolean {
  return a !== b && collisionForm(a) === collisionForm(b);
}

function escaped(text: string): string {
  return JSON.stringify(text).replace(
    /[^\x20-\x7e]/gu,
    (symbol) => `\\u{${(symbol.codePointAt(0) ?? 0).toString(16)}}`,
  );
}
