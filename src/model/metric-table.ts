import { counter, gauge, histogram } from "./metric.ts";

/*
 * Every metric of `/metrics`. docs/metrics.md is made from this, and what deploy/ names is checked against it. Names keep
 * to the rules of Prometheus: base units, _total for counts, few labels; one series for each partition only where
 * `metrics.partition.level` asks for it (then, and only then, `partition` is among the labels of a series).
 */

/** What a broker tells of itself and of the cluster as it sees it. */
export const METRICS = {
  lograft_build_info: gauge("Always 1; which release runs, on which Node.js.", ["version", "node"]),
  lograft_feature_level: gauge(
    "Level of a feature: the cluster's (kind finalized, 0: not in use), and what this broker supports (kind min and max).",
    ["feature", "kind"],
  ),
  lograft_ready: gauge("1 when /readyz answers 200, else 0.", []),
  lograft_check_ok: gauge("1 when a check of /healthz?verbose passes, else 0.", ["check"]),

  lograft_scrape_complete: gauge(
    "0 when a part of the broker (groups or disk) did not answer in time and its metrics are left out, else 1.",
    ["part"],
  ),

  lograft_cluster_nodes: gauge("Brokers that are registered, as this broker's metadata has it.", []),
  lograft_cluster_nodes_fenced: gauge(
    "Registered brokers that take no part, as this broker's metadata has it.",
    [],
  ),
  lograft_controller_leader: gauge(
    "1 on the broker that is the active controller, else 0; the sum over a cluster is 1.",
    [],
  ),
  lograft_topics: gauge("Topics of the cluster, as this broker's metadata has it.", []),
  lograft_partitions: gauge(
    "Partitions of the cluster by state, as this broker's metadata has it: online, offline (no leader), under_replicated, under_min_isr; a partition may be in several. Brokers agree on it: take the maximum, not the sum.",
    ["state"],
  ),
  lograft_leaders: gauge("Partitions that this broker leads.", []),
  lograft_replicas: gauge("Replicas that this broker has, those that it leads included.", []),
  lograft_isr_changes_total: counter(
    "Changes of the in-sync replicas of partitions that this broker leads, by direction: shrink or expand.",
    ["direction"],
  ),

  lograft_records_total: counter(
    "Records that clients sent (in) and were sent (out, counted by offsets), by topic.",
    ["direction", "topic"],
  ),
  lograft_bytes_total: counter(
    "Bytes of record batches, as they travel, that clients sent (in) and were sent (out), by topic.",
    ["direction", "topic"],
  ),
  lograft_requests_total: counter(
    "Requests that were answered: all ways of producing as Produce, other calls by their gRPC method; code is NONE, the first error of a Produce, or the gRPC status.",
    ["api", "code"],
  ),
  lograft_request_duration_seconds: histogram(
    "From the arrival of a request to its answer (phase total); of Produce also until this broker's own disk had it (local) and from then until the other in-sync replicas had it (replication).",
    ["api", "phase"],
  ),
  lograft_calls_in_progress: gauge("Calls that the broker is working on.", []),
  lograft_fetch_sessions: gauge("Streams that records are pushed on.", []),
  lograft_connections: gauge("Open connections, by port: client or peer.", ["port"]),

  lograft_raft_term: gauge("Term of the metadata quorum.", []),
  lograft_raft_elections_total: counter("Terms in which this broker has come to know a leader.", []),
  lograft_raft_commit_index: gauge("Last entry of the metadata log that is known to be committed.", []),
  lograft_raft_applied_index: gauge("Last entry of the metadata log that this broker has applied.", []),
  lograft_raft_follower_lag_entries: gauge(
    "Entries that a replica of the metadata log lacks; told by its leader alone.",
    ["follower"],
  ),
  lograft_raft_append_duration_seconds: histogram(
    "One durable write of the metadata log, from its turn to its end.",
    [],
  ),
  lograft_fsync_duration_seconds: histogram("One fdatasync of a partition's file.", []),
  lograft_fsyncs_waiting: gauge("Syncs of partitions that wait for their turn.", []),

  lograft_log_size_bytes: gauge("Bytes of the open logs of a topic on this broker.", ["topic", "partition"]),
  lograft_log_segments: gauge("Segments of the open logs of a topic on this broker.", ["topic", "partition"]),
  lograft_log_start_offset: gauge("First offset that may be read; with metrics.partition.level alone.", [
    "topic",
    "partition",
  ]),
  lograft_log_end_offset: gauge(
    "Where the log of this replica ends (exclusive); with metrics.partition.level alone.",
    ["topic", "partition"],
  ),
  lograft_log_high_watermark: gauge(
    "Up to where records are committed (exclusive), as this replica knows it; with metrics.partition.level alone.",
    ["topic", "partition"],
  ),

  lograft_groups: gauge("Consumer groups that this broker coordinates, by state.", ["state"]),
  lograft_group_members: gauge("Members of a group.", ["group"]),
  lograft_group_state: gauge("1 for the state that a group is in.", ["group", "state"]),
  lograft_group_rebalances_total: counter(
    "Generation, or group epoch, of a group: goes up with each rebalance, and goes on at the next coordinator.",
    ["group"],
  ),
  lograft_group_lag: gauge(
    "Committed records that a group has not committed as processed; left out where this broker is in sync with none of the partition's replicas and cannot know.",
    ["group", "topic", "partition"],
  ),
  lograft_group_committed_offset: gauge(
    "Next offset that a group is to process; with metrics.partition.level alone.",
    ["group", "topic", "partition"],
  ),

  lograft_disk_free_bytes: gauge("Free bytes where the data directory is.", []),
  lograft_disk_degraded: gauge("1 while the data disk is full or a log on it has failed, else 0.", []),

  process_cpu_user_seconds_total: counter("Processor time of the process in user mode.", []),
  process_cpu_system_seconds_total: counter("Processor time of the process in the kernel.", []),
  process_cpu_seconds_total: counter("Processor time of the process.", []),
  process_start_time_seconds: gauge("When the process started, in seconds since 1970.", []),
  process_resident_memory_bytes: gauge("Memory of the process (RSS).", []),
  process_open_fds: gauge("Open file descriptors; where the system tells.", []),
  nodejs_version_info: gauge("Always 1; the version of Node.js.", ["version"]),
  nodejs_heap_size_total_bytes: gauge("Heap that V8 has taken.", []),
  nodejs_heap_size_used_bytes: gauge("Heap in use.", []),
  nodejs_external_memory_bytes: gauge(
    "Memory outside of the heap that belongs to its objects, buffers included.",
    [],
  ),
  nodejs_eventloop_lag_mean_seconds: gauge(
    "How late the event loop was on average since the last scrape.",
    [],
  ),
  nodejs_eventloop_lag_p50_seconds: gauge("The median of it since the last scrape.", []),
  nodejs_eventloop_lag_p99_seconds: gauge("The 99th percentile of it since the last scrape.", []),
  nodejs_eventloop_lag_max_seconds: gauge("The most of it since the last scrape.", []),
  nodejs_gc_duration_seconds: histogram(
    "Pauses of the garbage collector, by kind: minor, major, incremental or weakcb.",
    ["kind"],
  ),
} as const;

/**
 * The names of kafka_exporter, for the dashboards that are made for it. Each series comes from one broker of the cluster:
 * of a partition from its leader, of a group from its coordinator, of the rest from the active controller.
 */
export const KAFKA_METRICS = {
  kafka_brokers: gauge("Registered brokers.", []),
  kafka_broker_info: gauge("Always 1; where clients reach a broker.", ["id", "address"]),
  kafka_topic_partitions: gauge("Partitions of a topic.", ["topic"]),
  kafka_topic_partition_current_offset: gauge("Up to where records are committed (exclusive).", [
    "partition",
    "topic",
  ]),
  kafka_topic_partition_oldest_offset: gauge("First offset that may be read.", ["partition", "topic"]),
  kafka_topic_partition_in_sync_replica: gauge("Replicas in sync.", ["partition", "topic"]),
  kafka_topic_partition_leader: gauge("Node id of the leader; -1: none.", ["partition", "topic"]),
  kafka_topic_partition_leader_is_preferred: gauge("1 when the first of the replicas leads, else 0.", [
    "partition",
    "topic",
  ]),
  kafka_topic_partition_replicas: gauge("Replicas, in sync or not.", ["partition", "topic"]),
  kafka_topic_partition_under_replicated_partition: gauge("1 when a replica is not in sync, else 0.", [
    "partition",
    "topic",
  ]),
  kafka_consumergroup_current_offset: gauge("Next offset that a group is to process.", [
    "consumergroup",
    "partition",
    "topic",
  ]),
  kafka_consumergroup_current_offset_sum: gauge("The same, added up over a topic.", [
    "consumergroup",
    "topic",
  ]),
  kafka_consumergroup_lag: gauge("Committed records that a group has not processed.", [
    "consumergroup",
    "partition",
    "topic",
  ]),
  kafka_consumergroup_lag_sum: gauge("The same, added up over a topic.", ["consumergroup", "topic"]),
  kafka_consumergroup_members: gauge("Members of a group.", ["consumergroup"]),
} as const;
