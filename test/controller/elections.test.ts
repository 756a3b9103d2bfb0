import { describe, expect, test } from "vitest";
import { decideElectLeaders, decideRebalance } from "../../src/controller/elections.ts";
import { TestCluster, wish } from "./test-cluster.ts";

/** Topics "a" and "b" of three partitions on three brokers, all led by 2 and 3 since 1 was away; it has caught up again. */
function driftedCluster(): TestCluster {
  const cluster = TestCluster.of(3);
  cluster.create([
    wish("a", { partitions: 3, replicationFactor: 3 }),
    wish("b", { partitions: 3, replicationFactor: 3 }),
  ]);
  cluster.fence(1);
  cluster.unfence(1);
  cluster.catchUp("a");
  cluster.catchUp("b");
  return cluster;
}

function leadersOf(cluster: TestCluster, topic: string): number[] {
  return cluster.state.topic(topic)!.partitions.map(({ leader }) => leader);
}

function elect(cluster: TestCluster, topics?: readonly string[]) {
  return cluster.commit(decideElectLeaders(cluster.state, { topics }, cluster.rules));
}

describe("electing preferred leaders", () => {
  test("in all topics, where they do not lead already", () => {
    const cluster = driftedCluster();
    expect(leadersOf(cluster, "a")).toEqual([2, 2, 3]);
    const { leaderEpoch } = cluster.partition("a", 0);
    const results = elect(cluster);
    expect(
      results.map(({ topic, partition, leaderId, error }) => [topic, partition, leaderId, error]),
    ).toEqual([
      ["a", 0, 1, "NONE"],
      ["a", 1, 2, "ELECTION_NOT_NEEDED"],
      ["a", 2, 3, "ELECTION_NOT_NEEDED"],
      ["b", 0, 1, "NONE"],
      ["b", 1, 2, "ELECTION_NOT_NEEDED"],
      ["b", 2, 3, "ELECTION_NOT_NEEDED"],
    ]);
    expect([leadersOf(cluster, "a"), leadersOf(cluster, "b")]).toEqual([
      [1, 2, 3],
      [1, 2, 3],
    ]);
    expect(cluster.partition("a", 0).leaderEpoch).toBe(leaderEpoch + 1);
    expect(cluster.partition("a", 0).isr.toSorted((a, b) => a - b)).toEqual([1, 2, 3]);
  });

  test("in some topics, each once; one that does not exist is named", () => {
    const cluster = driftedCluster();
    const results = elect(cluster, ["b", "ghost", "b"]);
    expect(results.map(({ topic, partition, error }) => [topic, partition, error])).toEqual([
      ["b", 0, "NONE"],
      ["b", 1, "ELECTION_NOT_NEEDED"],
      ["b", 2, "ELECTION_NOT_NEEDED"],
      ["ghost", -1, "UNKNOWN_TOPIC_OR_PARTITION"],
    ]);
    expect(leadersOf(cluster, "a")).toEqual([2, 2, 3]);
  });

  test("one that is not in sync cannot lead, and the leader stays", () => {
    const cluster = TestCluster.of(3);
    cluster.create([wish("a", { replicationFactor: 3 })]);
    cluster.fence(1);
    for (const isBack of [false, true]) {
      if (isBack) cluster.unfence(1);
      expect(elect(cluster, ["a"])).toEqual([
        expect.objectContaining({ error: "PREFERRED_LEADER_NOT_AVAILABLE", leaderId: 2 }),
      ]);
    }
    expect(cluster.shown("a")).toBe("2 [2,3] [] []");
  });

  test("a partition without a leader stays so, even where unclean elections are allowed", () => {
    const cluster = TestCluster.of(2);
    cluster.create([wish("a", { replicationFactor: 2 })]);
    cluster.fence(2);
    cluster.register(1, { wasCleanShutdown: false });
    cluster.unfence(1);
    expect(cluster.shown("a")).toBe("- [] [2] [1]");
    cluster.rules = { ...cluster.rules, defaultUncleanLeaderElection: true };
    const [result] = elect(cluster);
    expect(result).toMatchObject({ error: "PREFERRED_LEADER_NOT_AVAILABLE", leaderId: -1 });
    expect(result!.errorMessage).toContain("has no leader");
  });
});

describe("rebalancing by itself", () => {
  test("moves leaders back a few at a time, until nothing is left", () => {
    const cluster = driftedCluster();
    const rebalance = () =>
      cluster.commit(decideRebalance(cluster.state, { maxElections: 1 }, cluster.rules));
    expect(rebalance()).toEqual({ elected: 1, hasMore: true });
    expect(rebalance()).toEqual({ elected: 1, hasMore: false });
    const offset = cluster.nextOffset;
    expect(rebalance()).toEqual({ elected: 0, hasMore: false });
    expect(cluster.nextOffset).toBe(offset);
    expect([leadersOf(cluster, "a"), leadersOf(cluster, "b")]).toEqual([
      [1, 2, 3],
      [1, 2, 3],
    ]);
  });

  test("leaves those alone whose preferred replica is not in sync", () => {
    const cluster = TestCluster.of(3);
    cluster.create([wish("a", { replicationFactor: 3 })]);
    cluster.fence(1);
    expect(decideRebalance(cluster.state, { maxElections: 10 }, cluster.rules)).toEqual({
      records: [],
      response: { elected: 0, hasMore: false },
    });
  });
});
