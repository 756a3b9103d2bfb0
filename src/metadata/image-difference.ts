import type { BrokerImage, MetadataImage, TopicImage } from "./image.ts";
import type { MetadataDelta } from "./metadata-delta.ts";

/**
 * What leads from one committed image to a later one of the same log, as if it had been replayed record by record: what
 * is missing in the later one was removed by a record in between.
 */
export function differenceOf(before: MetadataImage, after: MetadataImage): MetadataDelta {
  const changed = [...after.topics()].filter((topic) => {
    const old = before.topicById(topic.topicId);
    return old === undefined || isChangedTopic(old, topic);
  });
  const removed = [...before.topics()].filter(({ topicId }) => after.topicById(topicId) === undefined);
  const brokers = [...after.brokers()].filter((broker) => {
    const old = before.broker(broker.nodeId);
    return old === undefined || isChangedBroker(old, broker);
  });
  const removedBrokers = [...before.brokers()].filter(({ nodeId }) => after.broker(nodeId) === undefined);
  const features = new Map(
    [...after.features].filter(([name, level]) => before.features.get(name) !== level),
  );
  return { changed, removed, brokers, removedBrokers, features };
}

function isChangedTopic(before: TopicImage, after: TopicImage): boolean {
  if (before === after) return false;
  if (before.partitions.length !== after.partitions.length || before.configs.size !== after.configs.size)
    return true;
  for (const [key, value] of after.configs) {
    if (before.configs.get(key) !== value) return true;
  }
  // The epoch of a partition grows with every change of it.
  return after.partitions.some(
    ({ partitionEpoch }, number) => partitionEpoch !== before.partitions[number]?.partitionEpoch,
  );
}

function isChangedBroker(before: BrokerImage, after: BrokerImage): boolean {
  return (
    before.brokerEpoch !== after.brokerEpoch ||
    before.isFenced !== after.isFenced ||
    before.isShuttingDown !== after.isShuttingDown ||
    before.isDrained !== after.isDrained
  );
}
