import type { MetadataImage } from "../metadata/image.ts";
import type { MetadataRecord } from "../metadata/records.ts";
import { parseTopicConfig } from "../model/configs.ts";
import { failure, SUCCESS } from "./result.ts";
import type { Decision } from "./result.ts";
import { refused, shapeOf, unknownTopic } from "./topics.ts";
import type { TopicResult } from "./topics.ts";

/** A change of a topic's own configuration; what is not named stays. */
export interface AlterConfigsCommand {
  readonly name: string;
  readonly set: ReadonlyMap<string, string>;
  /** Keys that go back to the broker's default. */
  readonly unset: readonly string[];
  /** Answer as if, and log nothing. */
  readonly validateOnly: boolean;
}

/** Why a topic cannot have this value: the key is unknown (with the nearest known one) or the value not allowed. */
export function topicConfigRefusal(key: string, value: string): string | undefined {
  const parsed = parseTopicConfig(new Map([[key, value]]));
  return parsed.ok ? undefined : parsed.errors.map(({ message }) => message).join("; ");
}

/** Sets and unsets all keys of one topic, or none of them. */
export function decideAlterConfigs(
  image: MetadataImage,
  command: AlterConfigsCommand,
): Decision<TopicResult> {
  const { name, set, unset, validateOnly } = command;
  const topic = image.topic(name);
  if (topic === undefined) return { records: [], response: refused(name, unknownTopic(name)) };
  const reasons: string[] = [];
  const parsed = parseTopicConfig(set);
  if (!parsed.ok) reasons.push(...parsed.errors.map(({ message }) => message));
  for (const key of unset) {
    if (set.has(key)) reasons.push(`${key} is both set and unset`);
    // An own value of a key that a later release dropped can still be taken away.
    else if (!topic.configs.has(key)) reasons.push(...unknownKeyReason(key));
  }
  if (reasons.length > 0) {
    const refusal = failure("INVALID_CONFIG", `topic ${name}: ${reasons.join("; ")}`);
    return { records: [], response: { ...shapeOf(topic), ...refusal } };
  }
  const { topicId, configs } = topic;
  const records: MetadataRecord[] = [];
  for (const [key, value] of set) {
    if (configs.get(key) !== value) records.push({ type: "TopicConfig", topicId, key, value });
  }
  for (const key of new Set(unset)) {
    if (configs.has(key)) records.push({ type: "TopicConfig", topicId, key, value: null });
  }
  return { records: validateOnly ? [] : records, response: { ...shapeOf(topic), ...SUCCESS } };
}

/** A key that no topic has, as the parser tells it; the empty value makes no difference to an unknown key. */
function unknownKeyReason(key: string): string[] {
  const parsed = parseTopicConfig(new Map([[key, ""]]));
  if (parsed.ok) return [];
  return parsed.errors.map(({ message }) => message).filter((message) => message.startsWith("unknown key"));
}
