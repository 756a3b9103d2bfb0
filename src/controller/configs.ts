import type { MetadataImage, TopicImage } from "../metadata/image.ts";
import type { MetadataRecord } from "../metadata/records.ts";
import { parseTopicConfig } from "../model/configs.ts";
import { PartitionChanges } from "./affected-partitions.ts";
import type { UncleanElection } from "./affected-partitions.ts";
import { changeOf } from "./partition-change.ts";
import type { PartitionRules } from "./partition-rules.ts";
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

export interface AlterConfigsResult extends TopicResult {
  /** Partitions that had no leader and got one because the topic allows unclean elections now (H25). */
  readonly uncleanElections: readonly UncleanElection[];
}

/** Sets and unsets all keys of one topic, or none of them. */
export function decideAlterConfigs(
  image: MetadataImage,
  command: AlterConfigsCommand,
  rules: PartitionRules,
): Decision<AlterConfigsResult> {
  const { name, set, unset, validateOnly } = command;
  const topic = image.topic(name);
  if (topic === undefined) {
    return { records: [], response: { ...refused(name, unknownTopic(name)), uncleanElections: [] } };
  }
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
    return { records: [], response: { ...shapeOf(topic), ...refusal, uncleanElections: [] } };
  }
  const { topicId, configs } = topic;
  const records: MetadataRecord[] = [];
  for (const [key, value] of set) {
    if (configs.get(key) !== value) records.push({ type: "TopicConfig", topicId, key, value });
  }
  for (const key of new Set(unset)) {
    if (configs.has(key)) records.push({ type: "TopicConfig", topicId, key, value: null });
  }
  const uncleanElections =
    records.length === 0 ? [] : applyToPartitions(image, topic, command, rules, records);
  return {
    records: validateOnly ? [] : records,
    response: { ...shapeOf(topic), ...SUCCESS, uncleanElections },
  };
}

/**
 * Settings that the partitions' states rest on take effect with the change, not at the next one: an ISR that is large
 * enough for a lower minimum commits records that the ELR lacks, so the ELR ends in the same entry (KIP-966); and a
 * partition that waits for a clean leader stops waiting when an unclean one is allowed.
 */
function applyToPartitions(
  image: MetadataImage,
  topic: TopicImage,
  { set, unset }: AlterConfigsCommand,
  rules: PartitionRules,
  records: MetadataRecord[],
): readonly UncleanElection[] {
  const configs = new Map(topic.configs);
  for (const key of unset) configs.delete(key);
  for (const [key, value] of set) configs.set(key, value);
  const partitions = new PartitionChanges(rules, changeOf(image), records);
  partitions.addTopic({ ...topic, configs }, () => true);
  return partitions.effects.uncleanElections;
}

/** A key that no topic has, as the parser tells it; the empty value makes no difference to an unknown key. */
function unknownKeyReason(key: string): string[] {
  const parsed = parseTopicConfig(new Map([[key, ""]]));
  if (parsed.ok) return [];
  return parsed.errors.map(({ message }) => message).filter((message) => message.startsWith("unknown key"));
}
