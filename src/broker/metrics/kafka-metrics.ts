import type { LogManager } from "../../log/log-manager.ts";
import { settledReplicas } from "../../metadata/image.ts";
import type { MetadataImage, PartitionImage } from "../../metadata/image.ts";
import { NO_NODE } from "../../model/ids.ts";
import type { NodeId } from "../../model/ids.ts";
import type { PartitionTable } from "../partition-table.ts";
import type { KafkaExposition } from "./broker-exposition.ts";
import { sumsByTopic } from "./group-metrics.ts";
import { committedEnd } from "./group-survey.ts";
import type { GroupSurvey } from "./group-survey.ts";

export interface KafkaMetricsSource {
  readonly nodeId: NodeId;
  /** This broker is the active controller. */
  readonly isController: boolean;
  readonly image: MetadataImage;
  readonly table: PartitionTable;
  readonly logs: Pick<LogManager, "ends">;
}

/**
 * What an exporter beside a Kafka cluster tells, in its names. Over all brokers each series comes once: a partition is told
 * by its leader (by the controller when it has none), the cluster by the controller.
 */
export function addKafkaMetrics(to: KafkaExposition, source: KafkaMetricsSource): void {
  const { image, isController, nodeId } = source;
  if (isController) addCluster(to, image);
  for (const { name: topic, partitions } of image.topics()) {
    if (isController) to.add("kafka_topic_partitions", { topic }, partitions.length);
    for (const [partition, state] of partitions.entries()) {
      const isTold = state.leader === nodeId || (state.leader === NO_NODE && isController);
      if (!isTold) continue;
      addReplicas(to, { topic, partition }, state);
      if (state.leader === nodeId) addOffsets(to, { topic, partition }, source);
    }
  }
}

/** Groups of this coordinator. */
export function addKafkaGroups(to: KafkaExposition, { groups }: GroupSurvey): void {
  for (const { groupId: consumergroup, members, offsets } of groups) {
    to.add("kafka_consumergroup_members", { consumergroup }, members);
    for (const { topic, partition, offset, lag } of offsets) {
      to.add("kafka_consumergroup_current_offset", { consumergroup, topic, partition }, offset);
      if (lag !== undefined) to.add("kafka_consumergroup_lag", { consumergroup, topic, partition }, lag);
    }
    for (const [topic, { offset, lag }] of sumsByTopic(offsets)) {
      to.add("kafka_consumergroup_current_offset_sum", { consumergroup, topic }, offset);
      if (lag !== undefined) to.add("kafka_consumergroup_lag_sum", { consumergroup, topic }, lag);
    }
  }
}

function addCluster(to: KafkaExposition, image: MetadataImage): void {
  const brokers = [...image.brokers()];
  to.add("kafka_brokers", {}, brokers.length);
  for (const { nodeId: id, host, port } of brokers) {
    to.add("kafka_broker_info", { id, address: `${host}:${port}` }, 1);
  }
}

interface PartitionLabels {
  readonly topic: string;
  readonly partition: number;
}

function addReplicas(to: KafkaExposition, labels: PartitionLabels, state: PartitionImage): void {
  const { leader, replicas, isr } = state;
  const isUnderReplicated = isr.length < settledReplicas(state);
  to.add("kafka_topic_partition_leader", labels, leader);
  to.add("kafka_topic_partition_leader_is_preferred", labels, leader === replicas[0] ? 1 : 0);
  to.add("kafka_topic_partition_replicas", labels, replicas.length);
  to.add("kafka_topic_partition_in_sync_replica", labels, isr.length);
  to.add("kafka_topic_partition_under_replicated_partition", labels, isUnderReplicated ? 1 : 0);
}

function addOffsets(to: KafkaExposition, labels: PartitionLabels, source: KafkaMetricsSource): void {
  const { topic, partition } = labels;
  to.add("kafka_topic_partition_current_offset", labels, committedEnd(source, topic, partition));
  const start = source.logs.ends(labels)?.logStartOffset ?? 0;
  to.add("kafka_topic_partition_oldest_offset", labels, start);
}
