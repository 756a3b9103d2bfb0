import { ProtocolError } from "../model/error-code.ts";
import type { TopicDescription } from "../rpc/admin-messages.ts";
import { shownTopic } from "../model/topic-partition.ts";
import { itemError } from "./admin-calls.ts";
import type { AdminCalls } from "./admin-calls.ts";
import type { AdminOptions, PartitionDetails, TopicDetails } from "./admin-types.ts";
import { isLograftError } from "./errors.ts";

/**
 * Describes topics as the whole cluster knows them: any broker knows where partitions are, and only the leader of each how
 * far it goes. @throws what `AdminCalls.ask` throws.
 */
export async function describeTopics(
  calls: AdminCalls,
  names: readonly string[],
  options: AdminOptions,
): Promise<TopicDetails[]> {
  const { topics } = await calls.ask("DescribeTopics", { names }, options);
  const nothing = { topics: [], allTopics: false, allowAutoCreate: false };
  const { brokers } = await calls.ask("Metadata", nothing, options);
  // With one broker the answer came from the leader of everything.
  if (brokers.length <= 1) return topics.map((topic) => detailsOf(topic, undefined));
  const measured = new Map<string, PartitionDetails>();
  const leaders = new Set(topics.flatMap(({ partitions }) => partitions.map(({ leaderId }) => leaderId)));
  const asked = brokers.filter(({ nodeId }) => leaders.has(nodeId));
  await Promise.all(
    asked.map(async ({ nodeId, host, port }) => {
      const led = topics.filter(({ partitions }) => partitions.some(({ leaderId }) => leaderId === nodeId));
      const names = led.map(({ name }) => name);
      for (const topic of await describedAt(calls, `${host}:${port}`, names, options)) {
        for (const partition of topic.partitions) {
          if (partition.leaderId === nodeId) measured.set(`${topic.name}-${partition.partition}`, partition);
        }
      }
    }),
  );
  return topics.map((topic) => detailsOf(topic, measured));
}

/** What a broker itself has of these topics; nothing when it does not answer, which is not the fault of the others. */
export async function describedAt(
  calls: AdminCalls,
  address: string,
  names: readonly string[],
  options: AdminOptions,
): Promise<readonly TopicDetails[]> {
  try {
    const answer = await calls.askAt(address, "DescribeTopics", { names }, options);
    return answer.topics.map((topic) => detailsOf(topic, undefined));
  } catch (error: unknown) {
    if (!isLograftError(error)) throw error;
    return [];
  }
}

/** @param measured what the leaders say, by "topic-partition"; undefined: the answer is the leader's own. */
function detailsOf(
  topic: TopicDescription,
  measured: ReadonlyMap<string, PartitionDetails> | undefined,
): TopicDetails {
  return {
    name: topic.name,
    topicId: topic.topicId.toString("base64url"),
    isInternal: topic.isInternal,
    configs: topic.configs,
    error: itemError(topic.errorCode, topic.errorMessage, `topic ${shownTopic(topic.name)}`),
    partitions: topic.partitions.map(({ errorCode, errorMessage, ...partition }) => {
      const name = `${topic.name}-${partition.partition}`;
      if (measured === undefined) return { ...partition, error: itemError(errorCode, errorMessage, name) };
      return measured.get(name) ?? { ...partition, error: unmeasured(name, partition.leaderId) };
    }),
  };
}

function unmeasured(name: string, leaderId: number): ProtocolError {
  const why = leaderId < 0 ? "no broker leads it now" : `broker ${leaderId}, which leads it, does not answer`;
  return new ProtocolError("LEADER_NOT_AVAILABLE", `${name} cannot be measured: ${why}`, {
    context: { what: name },
  });
}
