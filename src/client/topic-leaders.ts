import { errorCodeOf } from "../model/error-code.ts";
import { shownTopic } from "../model/topic-partition.ts";
import { itemError } from "./admin-calls.ts";
import type { AdminCalls } from "./admin-calls.ts";
import type { AdminOptions } from "./admin-types.ts";

/** The partitions of a topic, with the leader of each (-1: nobody). */
export interface TopicLeaders {
  readonly topic: string;
  /** By partition. */
  readonly leaderIds: readonly number[];
}

const UNKNOWN = errorCodeOf("UNKNOWN_TOPIC_OR_PARTITION");

/** Which of these topics exist, and who leads their partitions. @throws ProtocolError of one that cannot be asked for. */
export async function topicLeaders(
  calls: AdminCalls,
  names: Iterable<string>,
  options: AdminOptions,
): Promise<ReadonlyMap<string, TopicLeaders>> {
  const wanted = [...new Set(names)];
  const request = { topics: wanted, allTopics: false, allowAutoCreate: false };
  const found = new Map<string, TopicLeaders>();
  if (wanted.length === 0) return found;
  const { topics } = await calls.ask("Metadata", request, options);
  for (const { name, errorCode, errorMessage, partitions } of topics) {
    if (errorCode === UNKNOWN) continue;
    const error = itemError(errorCode, errorMessage, `topic ${shownTopic(name)}`);
    if (error !== undefined) throw error;
    const leaderIds: number[] = [];
    for (const { partition, leaderId } of partitions) leaderIds[partition] = leaderId;
    found.set(name, { topic: name, leaderIds });
  }
  return found;
}
