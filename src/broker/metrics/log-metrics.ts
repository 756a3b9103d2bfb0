import type { LogManager } from "../../log/log-manager.ts";
import type { PartitionTable } from "../partition-table.ts";
import type { BrokerExposition } from "./broker-exposition.ts";

export interface LogMetricsSource {
  readonly logs: Pick<LogManager, "openLogs" | "resources" | "isOffline">;
  readonly table: PartitionTable;
}

/** What the open logs hold, by topic or by partition, and how their syncs go. */
export function addLogMetrics(
  to: BrokerExposition,
  { logs, table }: LogMetricsSource,
  { isPartitionLevel }: { readonly isPartitionLevel: boolean },
): void {
  const { syncs } = logs.resources;
  to.addHistogram("lograft_fsync_duration_seconds", {}, syncs.durations.read());
  to.add("lograft_fsyncs_waiting", {}, syncs.stats.waiting);
  if (isPartitionLevel) addPartitions(to, logs, table);
  else addTopics(to, logs);
}

function addTopics(to: BrokerExposition, logs: LogMetricsSource["logs"]): void {
  const topics = new Map<string, { sizeBytes: number; segments: number }>();
  for (const { topicPartition, sizeBytes, segmentCount } of logs.openLogs()) {
    const sum = topics.get(topicPartition.topic) ?? { sizeBytes: 0, segments: 0 };
    sum.sizeBytes += sizeBytes;
    sum.segments += segmentCount;
    topics.set(topicPartition.topic, sum);
  }
  for (const [topic, { sizeBytes, segments }] of topics) {
    const labels = { topic, partition: undefined };
    to.add("lograft_log_size_bytes", labels, sizeBytes);
    to.add("lograft_log_segments", labels, segments);
  }
}

function addPartitions(to: BrokerExposition, logs: LogMetricsSource["logs"], table: PartitionTable): void {
  for (const log of logs.openLogs()) {
    const { topic, partition } = log.topicPartition;
    const labels = { topic, partition };
    to.add("lograft_log_size_bytes", labels, log.sizeBytes);
    to.add("lograft_log_segments", labels, log.segmentCount);
    to.add("lograft_log_start_offset", labels, log.logStartOffset);
    to.add("lograft_log_end_offset", labels, log.logEndOffset);
    const committed = table.committedEndOf(log.topicPartition);
    if (committed !== undefined) to.add("lograft_log_high_watermark", labels, committed);
  }
}
