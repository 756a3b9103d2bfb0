import type { LogFields, Logger } from "../base/logger.ts";
import type { MetadataImage } from "../metadata/image.ts";
import type { TopicId } from "../model/ids.ts";
import { topicPartitionKey } from "../model/topic-partition.ts";
import type { CommandType } from "./commands.ts";
import type { RequestOf } from "./requests.ts";

/** Things of one change that its line names; the line tells how many there were. */
const MAX_NAMED = 10;

/**
 * One line for a committed change that somebody asked for: of topics, configurations, replicas, leaders, ISRs.
 * @param isDone whether the item at this place of the request was carried out.
 */
export function reportChange(
  logger: Logger,
  image: MetadataImage,
  request: RequestOf<CommandType>,
  isDone: (index: number) => boolean,
): void {
  const done = <Item>(items: readonly Item[]): readonly Item[] => items.filter((_, index) => isDone(index));
  switch (request.type) {
    case "allocateProducerIds":
      logger.debug("a block of producer ids was given out", { brokerId: request.nodeId });
      return;
    case "createTopics":
      logger.info("topics were created", named(done(request.topics).map(({ name }) => name)));
      return;
    case "createInternalTopic":
      logger.info("topics were created", named([request.name]));
      return;
    case "deleteTopics":
      logger.info("topics were deleted", named(done(request.names)));
      return;
    case "addPartitions":
      logger.info("a topic has more partitions", {
        topic: request.name,
        partitions: request.totalPartitions,
      });
      return;
    case "alterConfigs": {
      const keys = [...request.set.keys(), ...request.unset];
      logger.info("the configuration of a topic was changed", { topic: request.name, keys });
      return;
    }
    case "alterPartitions": {
      const isrs = done(request.partitions).map(
        ({ topicId, partition, isr }) =>
          `${keyOf(image, topicId, partition)} [${isr.map(({ nodeId }) => nodeId).join(",")}]`,
      );
      logger.info("in-sync replicas were changed", { brokerId: request.nodeId, ...named(isrs) });
      return;
    }
    case "reportDamage": {
      const keys = done(request.partitions).map(({ topicId, partition }) => keyOf(image, topicId, partition));
      logger.warn("damaged replicas were taken out", { brokerId: request.nodeId, ...named(keys) });
      return;
    }
    case "reassignPartitions": {
      const moves = done(request.partitions).map(
        ({ topic, partition, replicas }) => `${topicPartitionKey(topic, partition)} [${replicas.join(",")}]`,
      );
      logger.info("partitions begin to move", named(moves));
      return;
    }
    case "cancelReassignments": {
      const keys = request.partitions?.map(({ topic, partition }) => topicPartitionKey(topic, partition));
      logger.info("moves of partitions were taken back", keys === undefined ? { all: true } : named(keys));
      return;
    }
    case "drainBroker":
      logger.info(request.isDrained ? "a broker was drained" : "a broker was given back to use", {
        brokerId: request.nodeId,
      });
      return;
    case "electLeaders":
      logger.info("preferred leaders were elected on request", named(request.topics ?? []));
      return;
    case "unregisterBroker":
      logger.info("a broker was forgotten", { brokerId: request.nodeId });
      return;
    case "updateFeature":
      logger.info("a feature has another level", { feature: request.name, level: request.level });
      return;
  }
}

function named(names: readonly string[]): LogFields {
  return { count: names.length, names: names.slice(0, MAX_NAMED) };
}

function keyOf(image: MetadataImage, topicId: TopicId, partition: number): string {
  const topic = image.topicById(topicId);
  return topicPartitionKey(topic === undefined ? topicId : topic.name, partition);
}
