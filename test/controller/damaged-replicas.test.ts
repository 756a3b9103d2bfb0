import { describe, expect, test } from "vitest";
import { decideDamagedReplicas } from "../../src/controller/damaged-replicas.ts";
import type { DamagedReplica } from "../../src/controller/damaged-replicas.ts";
import { nodeId } from "../../src/model/ids.ts";
import { topicIdOf } from "../metadata/arbitrary-history.ts";
import { TestCluster, wish } from "./test-cluster.ts";

/** Brokers 1 to 3 and a topic "a" of one partition on all of them, led by 1; its minimum is 2. */
function threeReplicas(): TestCluster {
  const cluster = TestCluster.of(3);
  cluster.create([wish("a", { replicationFactor: 3 })]);
  return cluster;
}

function report(cluster: TestCluster, sender: number, partition = 0): DamagedReplica {
  const topicId = cluster.state.topic("a")?.topicId ?? topicIdOf(9);
  const brokerEpoch = cluster.state.broker(nodeId(sender))?.brokerEpoch ?? 0;
  const command = { nodeId: nodeId(sender), brokerEpoch, partitions: [{ topicId, partition }] };
  return cluster.commit(decideDamagedReplicas(cluster.state, command, cluster.rules))[0]!;
}

describe("a replica whose log is damaged", () => {
  test("of a follower counts for nothing from then on, and its leader begins a new epoch (H42)", () => {
    const cluster = threeReplicas();
    const before = cluster.partition("a");
    expect(report(cluster, 3)).toEqual({
      topicId: topicIdOf(1),
      partition: 0,
      error: "NONE",
      errorMessage: "",
    });
    expect(cluster.shown("a")).toBe("1 [1,2] [] []");
    expect(cluster.partition("a")).toMatchObject({
      leaderEpoch: before.leaderEpoch + 1,
      partitionEpoch: before.partitionEpoch + 1,
    });
  });

  test("of a leader makes another one lead", () => {
    const cluster = threeReplicas();
    report(cluster, 1);
    expect(cluster.shown("a")).toBe("2 [2,3] [] []");
    expect(cluster.partition("a").leaderEpoch).toBe(1);
  });

  test("that counts for nothing already still gets a new epoch: its leader may be about to ask for it", () => {
    const cluster = threeReplicas();
    report(cluster, 3);
    report(cluster, 3);
    expect(cluster.shown("a")).toBe("1 [1,2] [] []");
    expect(cluster.partition("a").leaderEpoch).toBe(2);
  });

  test("goes to no ELR, and leaves the one it was in", () => {
    const cluster = threeReplicas();
    cluster.fence(2, 3);
    expect(cluster.shown("a")).toBe("1 [1] [2,3] []");
    cluster.unfence(2);
    report(cluster, 2);
    expect(cluster.shown("a")).toBe("1 [1] [3] [2]");
  });

  test("lets one of the ELR lead that is in service", () => {
    const cluster = threeReplicas();
    cluster.fence(2, 3);
    cluster.unfence(3);
    report(cluster, 1);
    expect(cluster.shown("a")).toBe("3 [3] [2] [1]");
  });

  test("stays as it is while nobody else in service has everything", () => {
    const cluster = threeReplicas();
    cluster.fence(2, 3);
    const before = cluster.partition("a");
    const { nextOffset } = cluster;
    expect(report(cluster, 1)).toMatchObject({
      error: "NOT_ENOUGH_REPLICAS",
      errorMessage:
        "no other replica of partition a-0 that has all confirmed records is in service; broker 1 keeps what it has until " +
        "one is",
    });
    expect([cluster.partition("a"), cluster.nextOffset]).toEqual([before, nextOffset]);
  });

  test("gives way to one that ended uncleanly when all that was confirmed is on that one's disk too", () => {
    for (const defaultFlushPolicy of ["ack", "os"] as const) {
      const cluster = TestCluster.of(3, { defaultFlushPolicy });
      cluster.create([wish("a", { replicationFactor: 3 })]);
      cluster.fence(2, 3);
      cluster.register(2, { wasCleanShutdown: false });
      cluster.unfence(2);
      expect(cluster.shown("a")).toBe("1 [1] [3] [2]");
      const { error } = report(cluster, 1);
      expect(error).toBe(defaultFlushPolicy === "ack" ? "NONE" : "NOT_ENOUGH_REPLICAS");
      expect(cluster.shown("a")).toBe(defaultFlushPolicy === "ack" ? "2 [2] [] []" : "1 [1] [3] [2]");
    }
  });

  test("is refused by name when there is no such replica or partition", () => {
    const cluster = TestCluster.of(3);
    cluster.create([wish("a", { replicationFactor: 2 })]);
    expect(report(cluster, 3)).toMatchObject({ error: "NOT_LEADER_OR_FOLLOWER" });
    expect(report(cluster, 1, 7)).toMatchObject({ error: "UNKNOWN_TOPIC_ID" });
  });
});
