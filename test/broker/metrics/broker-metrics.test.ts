import { expect, test } from "vitest";
import { silentLogger } from "../../../src/base/logger.ts";
import { assembleBroker } from "../../../src/broker/broker-parts.ts";
import { BrokerMetrics } from "../../../src/broker/metrics/broker-metrics.ts";
import type { MetricsParts } from "../../../src/broker/metrics/broker-metrics.ts";
import type { Disk } from "../../../src/platform/disk.ts";
import { Scheduler } from "../../../src/sim/scheduler.ts";
import { SimPlatform } from "../../../src/sim/sim-platform.ts";
import { parsedConfig, SimBroker } from "../sim-broker.ts";
import { samplesOf } from "./samples.ts";

const SIGNAL = new AbortController().signal;

async function started(config: Readonly<Record<string, string>> = {}): Promise<SimBroker> {
  const machine = new SimBroker({ config: { "offsets.topic.num.partitions": "2", ...config } });
  await machine.start();
  return machine;
}

async function metrics(machine: SimBroker): Promise<ReadonlyMap<string, number>> {
  return samplesOf(String(await machine.run(machine.broker.metrics.collect(SIGNAL))));
}

async function kafkaMetrics(machine: SimBroker): Promise<ReadonlyMap<string, number>> {
  return samplesOf(String(await machine.run(machine.broker.metrics.collectKafka(SIGNAL))));
}

/** A group without members that has committed `offset` of orders-0. */
async function commit(machine: SimBroker, groupId: string, offset: number): Promise<void> {
  await machine.run(machine.broker.groups.findCoordinator([groupId]));
  await machine.scheduler.advance(100);
  const answer = await machine.run(
    machine.broker.groups.commitOffsets({
      groupId,
      memberId: "",
      generationIdOrMemberEpoch: -1,
      requireOwned: true,
      partitions: [{ topic: "orders", partition: 0, offset, leaderEpoch: -1, metadata: "" }],
    }),
  );
  expect(answer.partitions[0]?.error).toBe("NONE");
}

async function fetch(machine: SimBroker, offset: number): Promise<void> {
  const partitions = [{ topic: "orders", partition: 0, offset, leaderEpoch: -1, maxBytes: 0 }];
  const call = { maxWaitMs: 0, minBytes: 0, maxBytes: 0, readCommitted: false, partitions };
  const [result] = await machine.run(machine.broker.fetch(call, SIGNAL));
  expect(result?.error).toBe("NONE");
}

test("a new broker tells of itself and its cluster", async () => {
  const machine = await started();
  const found = await metrics(machine);
  expect(found.get("lograft_cluster_nodes")).toBe(1);
  expect(found.get("lograft_cluster_nodes_fenced")).toBe(0);
  expect(found.get("lograft_controller_leader")).toBe(1);
  expect(found.get("lograft_raft_elections_total")).toBe(1);
  expect(found.get("lograft_raft_commit_index")).toBeGreaterThan(0);
  expect(found.get("lograft_raft_append_duration_seconds_count")).toBeGreaterThan(0);
  expect(found.get('lograft_feature_level{feature="raft.version",kind="finalized"}')).toBe(1);
  expect(found.get("lograft_disk_degraded")).toBe(0);
  expect(found.get("lograft_disk_free_bytes")).toBeGreaterThan(0);
  expect(found.get('lograft_scrape_complete{part="disk"}')).toBe(1);
  expect(found.get('lograft_scrape_complete{part="groups"}')).toBe(1);
  await machine.stop();
});

test("what clients send and are sent is counted by topic, with the time it took", async () => {
  const machine = await started();
  await machine.create("orders", 2);
  await machine.produce("orders", ["a", "b", "c"]);
  await machine.produce("orders", ["d"], 1);
  await machine.produce("nothing", ["x"]);
  await fetch(machine, 1);
  const found = await metrics(machine);
  expect(found.get('lograft_records_total{direction="in",topic="orders"}')).toBe(4);
  expect(found.get('lograft_bytes_total{direction="in",topic="orders"}')).toBeGreaterThan(2 * 61);
  expect(found.get('lograft_records_total{direction="out",topic="orders"}')).toBe(2);
  expect(found.get('lograft_bytes_total{direction="out",topic="orders"}')).toBeGreaterThan(61);
  expect(found.get('lograft_requests_total{api="Produce",code="NONE"}')).toBe(2);
  expect(found.get('lograft_requests_total{api="Produce",code="UNKNOWN_TOPIC_OR_PARTITION"}')).toBe(1);
  expect(found.get('lograft_request_duration_seconds_count{api="Produce",phase="total"}')).toBe(3);
  expect(found.get('lograft_request_duration_seconds_count{api="Produce",phase="local"}')).toBe(2);
  expect(found.get("lograft_fsync_duration_seconds_count")).toBeGreaterThan(0);
  expect(found.get("lograft_leaders")).toBe(2);
  expect(found.get("lograft_replicas")).toBe(2);
  expect(found.get('lograft_partitions{state="online"}')).toBe(2);
  expect(found.get('lograft_partitions{state="under_replicated"}')).toBe(0);
  await machine.stop();
});

test("logs are told by topic, and by partition where that is asked for", async () => {
  for (const isPartitionLevel of [false, true]) {
    const machine = await started({ "metrics.partition.level": String(isPartitionLevel) });
    await machine.create("orders", 2);
    await machine.produce("orders", ["a", "b"]);
    await machine.produce("orders", ["c"], 1);
    const found = await metrics(machine);
    const sizes = [...found.keys()].filter((name) => name.startsWith("lograft_log_size_bytes")).sort();
    expect(sizes).toEqual(
      isPartitionLevel
        ? [
            'lograft_log_size_bytes{topic="orders",partition="0"}',
            'lograft_log_size_bytes{topic="orders",partition="1"}',
          ]
        : ['lograft_log_size_bytes{topic="orders"}'],
    );
    const end = found.get('lograft_log_end_offset{topic="orders",partition="0"}');
    expect(end).toBe(isPartitionLevel ? 2 : undefined);
    await machine.stop();
  }
});

test("a group is told with its lag, which ends with the records", async () => {
  const machine = await started();
  await machine.create("orders");
  await machine.produce("orders", ["a", "b", "c"]);
  await commit(machine, "g", 1);
  const found = await metrics(machine);
  expect(found.get('lograft_group_lag{group="g",topic="orders"}')).toBe(2);
  expect(found.get('lograft_group_members{group="g"}')).toBe(0);
  expect(found.get('lograft_group_state{group="g",state="Empty"}')).toBe(1);
  expect(found.get('lograft_groups{state="Empty"}')).toBe(1);
  await commit(machine, "g", 3);
  expect((await metrics(machine)).get('lograft_group_lag{group="g",topic="orders"}')).toBe(0);
  await machine.stop();
});

test("the lag of a partition that nobody has opened since the start is known", async () => {
  const machine = await started();
  await machine.create("orders");
  await machine.produce("orders", ["a", "b", "c"]);
  await commit(machine, "g", 1);
  await machine.stop();
  await machine.start();
  await machine.scheduler.advance(100);
  expect((await metrics(machine)).get('lograft_group_lag{group="g",topic="orders"}')).toBe(2);
  await machine.stop();
});

test("an exporter's names tell the same of topics, partitions and groups", async () => {
  const machine = await started();
  await machine.create("orders", 2);
  await machine.produce("orders", ["a", "b", "c"]);
  await commit(machine, "g", 1);
  const found = await kafkaMetrics(machine);
  expect(found.get("kafka_brokers")).toBe(1);
  expect(found.get('kafka_broker_info{id="1",address="127.0.0.1:9092"}')).toBe(1);
  expect(found.get('kafka_topic_partitions{topic="orders"}')).toBe(2);
  expect(found.get('kafka_topic_partition_current_offset{partition="0",topic="orders"}')).toBe(3);
  expect(found.get('kafka_topic_partition_current_offset{partition="1",topic="orders"}')).toBe(0);
  expect(found.get('kafka_topic_partition_oldest_offset{partition="0",topic="orders"}')).toBe(0);
  expect(found.get('kafka_topic_partition_leader{partition="0",topic="orders"}')).toBe(1);
  expect(found.get('kafka_topic_partition_leader_is_preferred{partition="0",topic="orders"}')).toBe(1);
  expect(found.get('kafka_topic_partition_replicas{partition="0",topic="orders"}')).toBe(1);
  expect(found.get('kafka_topic_partition_in_sync_replica{partition="0",topic="orders"}')).toBe(1);
  expect(found.get('kafka_topic_partition_under_replicated_partition{partition="0",topic="orders"}')).toBe(0);
  const position = 'kafka_consumergroup_current_offset{consumergroup="g",partition="0",topic="orders"}';
  expect(found.get(position)).toBe(1);
  expect(found.get('kafka_consumergroup_lag{consumergroup="g",partition="0",topic="orders"}')).toBe(2);
  expect(found.get('kafka_consumergroup_lag_sum{consumergroup="g",topic="orders"}')).toBe(2);
  expect(found.get('kafka_consumergroup_members{consumergroup="g"}')).toBe(0);
  await machine.stop();
});

test("a broker that has stopped tells what it still knows, without harm", async () => {
  const machine = await started();
  await machine.create("orders");
  const { broker } = machine;
  await machine.stop();
  const text = String(await machine.run(broker.metrics.collect(SIGNAL)));
  expect(samplesOf(text).get("lograft_topics")).toBe(1);
});

test("who gives up has no answer", async () => {
  const machine = await started();
  await machine.create("orders");
  await machine.produce("orders", ["a"]);
  await commit(machine, "g", 0);
  const gone = AbortSignal.abort(new Error("gave up"));
  await expect(machine.run(machine.broker.metrics.collect(gone))).rejects.toThrow("gave up");
  await machine.stop();
});

test("groups and a disk that do not answer are left out, and the rest is told within the time of a scrape", async () => {
  const scheduler = new Scheduler();
  const platform = SimPlatform.create({ seed: 1 }, { scheduler });
  const assembling = assembleBroker({ config: parsedConfig() }, { platform, logger: silentLogger });
  const parts = await scheduler.settle(assembling, 60_000);
  let questions = 0;
  const groups = {
    listGroups: (signal: AbortSignal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason as Error));
      }),
  } as unknown as MetricsParts["groups"];
  const disk = {
    freeBytes: () => {
      questions++;
      return new Promise(() => undefined);
    },
  } as unknown as Disk;
  const metrics = new BrokerMetrics(parsedConfig().config, {
    parts: { ...parts, groups },
    disk,
    clock: platform.clock,
    callsInProgress: () => 0,
  });
  for (let round = 0; round < 2; round++) {
    const found = samplesOf(String(await scheduler.settle(metrics.collect(SIGNAL), 7000)));
    expect(found.get('lograft_scrape_complete{part="groups"}')).toBe(0);
    expect(found.get('lograft_scrape_complete{part="disk"}')).toBe(0);
    expect(found.has("lograft_disk_free_bytes")).toBe(false);
    expect(found.get("lograft_raft_term")).toBeGreaterThanOrEqual(0);
  }
  // The one that hangs holds a thread; another would hold the next.
  expect(questions).toBe(1);
  await scheduler.settle(parts.node.close(), 60_000);
  await scheduler.settle(parts.logs.close(), 60_000);
});
