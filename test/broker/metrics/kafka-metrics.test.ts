import { expect, test } from "vitest";
import { groupPartition, OFFSETS_TOPIC } from "../../../src/broker/offsets-topic.ts";
import { batchOf } from "../fake-logs.ts";
import { sumOf, ThreeBrokers } from "./three-brokers.ts";

const GROUPS = ["a", "b", "c", "d", "e", "f"];

async function produce(three: ThreeBrokers, partition: number): Promise<void> {
  const leader = three.find(
    ({ image, nodeId }) => image.topic("orders")?.partitions[partition]?.leader === nodeId,
  );
  const partitions = [{ topic: "orders", partition, leaderEpoch: -1, records: batchOf("x", "y", "z") }];
  const [result] = await three.settle(leader.produce({ acks: -1, timeoutMs: 5000, partitions }));
  expect(result?.error).toBe("NONE");
}

async function commit(three: ThreeBrokers, groupId: string): Promise<void> {
  const coordinator = three.find(({ image, nodeId }) => {
    const partitions = image.topic(OFFSETS_TOPIC)?.partitions ?? [];
    return partitions[groupPartition(groupId, partitions.length)]?.leader === nodeId;
  });
  const partitions = [{ topic: "orders", partition: 0, offset: 1, leaderEpoch: -1, metadata: "" }];
  const request = { groupId, memberId: "", generationIdOrMemberEpoch: -1, requireOwned: true, partitions };
  const { partitions: answers } = await three.settle(coordinator.groups.commitOffsets(request));
  expect(answers[0]?.error).toBe("NONE");
}

test("over all brokers each series is told once, so that their sum is that of one exporter", async () => {
  using three = await ThreeBrokers.start();
  await three.create("orders", 4, 3);
  await three.settle(three.find(() => true).groups.findCoordinator(GROUPS));
  await three.until(() => three.running().every(({ image }) => image.topic(OFFSETS_TOPIC) !== undefined));
  await three.cluster.scheduler.advance(1000);
  for (const partition of [0, 1, 2, 3]) await produce(three, partition);
  for (const groupId of GROUPS) await commit(three, groupId);
  await three.cluster.scheduler.advance(1000);

  const all = await three.kafkaMetrics();
  const names = all.flatMap((samples) => [...samples.keys()]);
  expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual([]);
  expect(sumOf(all, "kafka_brokers")).toBe(3);
  expect(names.filter((name) => name.startsWith("kafka_broker_info"))).toHaveLength(3);
  for (const partition of [0, 1, 2, 3]) {
    const labels = `{partition="${partition}",topic="orders"}`;
    expect(sumOf(all, `kafka_topic_partition_current_offset${labels}`)).toBe(3);
    expect(sumOf(all, `kafka_topic_partition_in_sync_replica${labels}`)).toBe(3);
  }
  // Every coordinator has an in-sync replica here, so it knows the lag of what others lead.
  for (const group of GROUPS) {
    expect(sumOf(all, `kafka_consumergroup_lag_sum{consumergroup="${group}",topic="orders"}`)).toBe(2);
  }
});

test("a partition without a leader is told by the controller", async () => {
  using three = await ThreeBrokers.start();
  await three.create("alone", 3, 1);
  const owner = three
    .find(() => true)
    .image.topic("alone")
    ?.partitions.map(({ leader }) => leader);
  expect(new Set(owner).size).toBe(3);
  three.cluster.crash(0, "kill", 60_000);
  await three.until(
    () =>
      three.running().length === 2 &&
      three
        .running()
        .every(({ image }) => image.topic("alone")?.partitions.some(({ leader }) => leader < 0) === true),
  );
  await three.cluster.scheduler.advance(3000);
  const all = await three.kafkaMetrics();
  const leaders = all.flatMap((samples) =>
    [...samples].filter(([name]) => name.startsWith("kafka_topic_partition_leader{")),
  );
  expect(leaders).toHaveLength(3);
  expect(leaders.filter(([, leader]) => leader === -1)).toHaveLength(1);
});
