import { describe, expect, test } from "vitest";
import { decideElectLeaders, decideRebalance } from "../../src/controller/elections.ts";
import { nodeId } from "../../src/model/ids.ts";
import { TestCluster, wish } from "./test-cluster.ts";

/** Brokers 1 to 3 and a topic "a" whose partition n is led by broker n + 1. */
function threeLeaders(): TestCluster {
  const cluster = TestCluster.of(3);
  cluster.create([wish("a", { partitions: 3, replicationFactor: 3 })]);
  return cluster;
}

function leaders(cluster: TestCluster): number[] {
  return cluster.state.topic("a")!.partitions.map(({ leader }) => leader);
}

describe("a drained broker", () => {
  test("gives its leaderships to others and stays in the ISRs", () => {
    const cluster = threeLeaders();
    expect(leaders(cluster)).toEqual([1, 2, 3]);
    expect(cluster.drain(2)).toMatchObject({ error: "NONE", movedLeaders: 1, ledPartitions: 0 });
    expect(leaders(cluster)).not.toContain(2);
    for (const { isr } of cluster.state.topic("a")!.partitions) expect(isr).toContain(2);
    const { nextOffset } = cluster;
    expect(cluster.drain(2)).toMatchObject({ movedLeaders: 0, ledPartitions: 0 });
    expect(cluster.nextOffset).toBe(nextOffset);
  });

  test("leads what nobody else can, until another is in sync", () => {
    const cluster = threeLeaders();
    cluster.fence(1, 3);
    expect(cluster.drain(2)).toMatchObject({ movedLeaders: 0, ledPartitions: 3 });
    expect(leaders(cluster)).toEqual([2, 2, 2]);
    cluster.unfence(1);
    expect(leaders(cluster)).toEqual([2, 2, 2]);
    cluster.propose("a", 0, [2, 1]);
    expect(leaders(cluster)).toEqual([1, 2, 2]);
  });

  test("is no preferred leader: neither by itself nor by request does one come to it", () => {
    const cluster = threeLeaders();
    cluster.drain(2);
    const moved = leaders(cluster);
    cluster.commit(decideRebalance(cluster.state, { maxElections: 10 }, cluster.rules));
    const results = cluster.commit(decideElectLeaders(cluster.state, {}, cluster.rules));
    expect(leaders(cluster)).toEqual(moved);
    expect(results[1]).toMatchObject({ error: "PREFERRED_LEADER_NOT_AVAILABLE", leaderId: moved[1] });
    expect(results[1]!.errorMessage).toContain("broker 2, is drained; give it back to use");
  });

  test("gets no new partitions, and counts among those that are missing for them", () => {
    const cluster = threeLeaders();
    cluster.drain(2);
    cluster.create([wish("b", { partitions: 4, replicationFactor: 2 })]);
    expect(new Set(cluster.state.topic("b")!.partitions.flatMap(({ replicas }) => replicas))).toEqual(
      new Set([1, 3]),
    );
    const [refused] = cluster.create([wish("c", { replicationFactor: 3 })]);
    expect(refused).toMatchObject({ error: "INVALID_REPLICATION_FACTOR" });
    expect(refused!.errorMessage).toContain("3 brokers are registered, 1 of them drained; choose");
  });

  test("stays drained when it starts anew, and leads again once it is given back to use", () => {
    const cluster = threeLeaders();
    cluster.drain(2);
    cluster.start(2);
    expect(cluster.state.broker(nodeId(2))).toMatchObject({ isDrained: true, isFenced: false });
    for (const partition of [0, 1, 2]) cluster.propose("a", partition, [1, 2, 3]);
    expect(leaders(cluster)).not.toContain(2);
    expect(cluster.drain(2, false)).toMatchObject({ error: "NONE", movedLeaders: 0, ledPartitions: 0 });
    cluster.commit(decideElectLeaders(cluster.state, {}, cluster.rules));
    expect(leaders(cluster)).toEqual([1, 2, 3]);
  });

  test("must be one that is registered", () => {
    const cluster = threeLeaders();
    expect(cluster.drain(9)).toMatchObject({
      error: "BROKER_ID_NOT_REGISTERED",
      errorMessage: "broker 9 is not registered; check the node id",
    });
  });
});
