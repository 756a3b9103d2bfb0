import type { UntypedServiceImplementation } from "@grpc/grpc-js";
import type { Broker } from "../../broker/broker.ts";
import { errorCodeOf } from "../../model/error-code.ts";
import { topicIdToBytes } from "../../model/ids.ts";
import { checkedInt64 } from "../../rpc/convert.ts";
import type * as admin from "../../rpc/admin-messages.ts";
import type { LogLevelControl } from "../log-level-control.ts";
import { clusterMethods } from "./cluster-service.ts";
import { logLevelMethods } from "./log-level-methods.ts";
import { nodeMethods } from "./node-service.ts";
import type { NodeMethodsDeps } from "./node-service.ts";
import { unary } from "./unary.ts";

type TopicResult = Awaited<ReturnType<Broker["createPartitions"]>>;

/** `AdminService`: topics and configurations, and the cluster by `clusterMethods`. */
export function adminMethods(
  deps: NodeMethodsDeps & { readonly logLevels: LogLevelControl },
): UntypedServiceImplementation {
  const { broker } = deps;
  return {
    CreateTopics: unary<admin.CreateTopicsRequest, admin.CreateTopicsResponse>(async (request) => {
      const topics = request.topics.map((topic) => ({
        ...topic,
        configs: new Map(Object.entries(topic.configs)),
      }));
      const results = await broker.createTopics({ topics, validateOnly: request.validateOnly });
      return { results: results.map(topicResult) };
    }, deps),
    DeleteTopics: unary<admin.DeleteTopicsRequest, admin.DeleteTopicsResponse>(async (request) => {
      const results = await broker.deleteTopics(request.names);
      return { results: results.map(topicResult) };
    }, deps),
    ListTopics: unary<admin.ListTopicsRequest, admin.ListTopicsResponse>((request) => {
      const topics = broker.listTopics(request);
      return { topics: topics.map((topic) => ({ ...topic, topicId: topicIdToBytes(topic.topicId) })) };
    }, deps),
    DescribeTopics: unary<admin.DescribeTopicsRequest, admin.DescribeTopicsResponse>(async (request) => {
      const topics = await broker.describeTopics(request.names);
      return {
        topics: topics.map((topic) => ({
          name: topic.name,
          topicId: topicIdToBytes(topic.topicId),
          errorCode: errorCodeOf(topic.error),
          errorMessage: topic.errorMessage,
          isInternal: topic.isInternal,
          partitions: topic.partitions.map((partition) => ({
            partition: partition.partition,
            leaderId: partition.leaderId,
            leaderEpoch: partition.leaderEpoch,
            replicas: partition.replicas,
            isr: partition.isr,
            logStartOffset: partition.logStartOffset,
            logEndOffset: partition.logEndOffset,
            sizeBytes: partition.sizeBytes,
            errorCode: errorCodeOf(partition.error),
            errorMessage: partition.errorMessage,
          })),
          configs: topic.configs,
        })),
      };
    }, deps),
    AlterTopicConfigs: unary<admin.AlterTopicConfigsRequest, admin.AlterTopicConfigsResponse>(
      async (request) => {
        const result = await broker.alterTopicConfigs({
          ...request,
          set: new Map(Object.entries(request.set)),
        });
        return { result: topicResult(result) };
      },
      deps,
    ),
    CreatePartitions: unary<admin.CreatePartitionsRequest, admin.CreatePartitionsResponse>(
      async (request) => ({ result: topicResult(await broker.createPartitions(request)) }),
      deps,
    ),
    DeleteRecords: unary<admin.DeleteRecordsRequest, admin.DeleteRecordsResponse>(async (request) => {
      for (const { beforeOffset } of request.partitions) checkedInt64(beforeOffset, "before_offset");
      const results = await broker.deleteRecords(request.partitions);
      return {
        results: results.map((result) => ({
          topic: result.topic,
          partition: result.partition,
          errorCode: errorCodeOf(result.error),
          errorMessage: result.errorMessage,
          logStartOffset: Math.max(0, result.logStartOffset),
        })),
      };
    }, deps),
    DescribeBrokerConfig: unary<admin.DescribeBrokerConfigRequest, admin.DescribeBrokerConfigResponse>(
      () => ({ nodeId: broker.nodeId, configs: broker.describeBrokerConfig() }),
      deps,
    ),
    ...logLevelMethods({ nodeId: broker.nodeId, logLevels: deps.logLevels, logger: deps.logger }),
    ...nodeMethods(deps),
    ...clusterMethods({ cluster: broker.cluster, logger: deps.logger, listener: deps.listener }),
  };
}

function topicResult(result: TopicResult): admin.TopicResult {
  return {
    name: result.name,
    topicId: topicIdToBytes(result.topicId),
    errorCode: errorCodeOf(result.error),
    errorMessage: result.errorMessage,
    partitions: result.partitions,
    replicationFactor: result.replicationFactor,
  };
}
