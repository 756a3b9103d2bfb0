import type { Broker } from "../../broker/broker.ts";
import { errorCodeOf } from "../../model/error-code.ts";
import { topicIdToBytes } from "../../model/ids.ts";
import { checkedInt64 } from "../../rpc/convert.ts";
import type {
  ListOffsetsRequest,
  ListOffsetsResponse,
  MetadataRequest,
  MetadataResponse,
} from "../../rpc/messages.ts";

/** What a broker knows of the cluster, for a client of that listener, as the message of client.proto. */
export async function metadataAnswer(
  broker: Broker,
  request: MetadataRequest,
  listener?: string,
): Promise<MetadataResponse> {
  const { topics, allTopics, allowAutoCreate } = request;
  const cluster = await broker.metadata({ topics, allTopics, allowAutoCreate, listener });
  return {
    clusterId: cluster.clusterId,
    controllerId: cluster.controllerId,
    brokers: cluster.brokers,
    topics: cluster.topics.map((topic) => ({
      errorCode: errorCodeOf(topic.error),
      errorMessage: topic.errorMessage,
      name: topic.name,
      topicId: topicIdToBytes(topic.topicId),
      isInternal: topic.isInternal,
      maxMessageBytes: topic.maxMessageBytes,
      partitions: topic.partitions.map((partition) => ({
        ...partition,
        errorCode: errorCodeOf(partition.error),
      })),
    })),
    features: Object.fromEntries(cluster.features),
    maxBatchBytes: cluster.maxBatchBytes,
  };
}

/** Offsets by time, as the message of client.proto. @throws LograftError INVALID_REQUEST for a time out of range. */
export async function listOffsetsAnswer(
  broker: Broker,
  { partitions }: ListOffsetsRequest,
): Promise<ListOffsetsResponse> {
  for (const { timestampMs } of partitions) checkedInt64(timestampMs, "timestamp_ms");
  const results = await broker.listOffsets(partitions);
  return {
    results: results.map((result) => ({
      topic: result.topic,
      partition: result.partition,
      errorCode: errorCodeOf(result.error),
      errorMessage: result.errorMessage,
      offset: result.offset,
      timestampMs: result.timestampMs,
      leaderEpoch: result.leaderEpoch,
    })),
  };
}
