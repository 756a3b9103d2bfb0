import { describe, expect, test } from "vitest";
import { nodeId } from "../../src/model/ids.ts";
import { TestCluster, wish } from "./test-cluster.ts";

describe("registration", () => {
  test("a new broker is registered, fenced, with the offset of its entry as epoch", () => {
    const cluster = new TestCluster();
    cluster.register(1);
    expect(cluster.register(2)).toMatchObject({ error: "NONE", brokerEpoch: 2, isClean: true });
    expect(cluster.state.broker(nodeId(2))).toMatchObject({ brokerEpoch: 2, isFenced: true, host: "host-2" });
  });

  test("the same process keeps its registration and its state", () => {
    const cluster = TestCluster.of(1);
    const { incarnationId, brokerEpoch } = cluster.state.broker(nodeId(1))!;
    const offset = cluster.nextOffset;
    const again = cluster.register(1, { broker: { incarnationId }, wasCleanShutdown: false });
    expect(again).toMatchObject({ error: "NONE", brokerEpoch, isClean: true });
    expect(cluster.nextOffset).toBe(offset);
    expect(cluster.state.broker(nodeId(1))?.isFenced).toBe(false);
  });

  test("the same process at another address registers anew, as clean", () => {
    const cluster = TestCluster.of(1);
    const { incarnationId } = cluster.state.broker(nodeId(1))!;
    const again = cluster.register(1, { broker: { incarnationId, host: "moved" }, wasCleanShutdown: false });
    expect(again).toMatchObject({ error: "NONE", isClean: true });
    expect(cluster.state.broker(nodeId(1))).toMatchObject({ host: "moved", isFenced: true });
  });

  test("a restart in the same directory is taken at once, whether the old session lives or not (H26)", () => {
    const cluster = TestCluster.of(2);
    cluster.create([wish("t", { replicationFactor: 2 })]);
    const first = cluster.state.broker(nodeId(1))!;
    const { brokerEpoch, error } = cluster.register(1, { hasLiveSession: true });
    expect(error).toBe("NONE");
    expect(brokerEpoch).toBeGreaterThan(first.brokerEpoch);
    // Cleanly stopped, so it has all that was confirmed.
    expect(cluster.shown("t")).toBe("2 [2] [1] []");
  });

  test.each([
    ["its marker is missing", { wasCleanShutdown: false }],
    ["its marker names another registration", { previousBrokerEpoch: 0 }],
    ["it has never registered by what it knows", { previousBrokerEpoch: undefined }],
  ])("a restart is unclean when %s (H27)", (_why, fields) => {
    const cluster = TestCluster.of(2);
    cluster.create([wish("t", { replicationFactor: 2 })]);
    expect(cluster.register(1, fields)).toMatchObject({
      error: "NONE",
      isClean: false,
      changedPartitions: 1,
    });
    expect(cluster.shown("t")).toBe("2 [2] [] [1]");
  });

  test("unclean brokers leave one after the other, and the last one waits for a decision of people", () => {
    const cluster = TestCluster.of(3);
    cluster.create([wish("t", { replicationFactor: 3 })]);
    const shown = [1, 2, 3].map((id) => {
      cluster.register(id, { wasCleanShutdown: false });
      return cluster.shown("t");
    });
    expect(shown).toEqual(["2 [2,3] [] []", "3 [3] [] [2]", "- [] [] [2,3]"]);
    cluster.unfence(1, 2, 3);
    expect(cluster.shown("t")).toBe("- [] [] [2,3]");
  });

  test("the last one takes over again when the topic flushes before it confirms (D7)", () => {
    const cluster = TestCluster.of(3, { defaultFlushPolicy: "ack" });
    cluster.create([wish("t", { replicationFactor: 3 })]);
    for (const id of [1, 2, 3]) cluster.register(id, { wasCleanShutdown: false });
    expect(cluster.shown("t")).toBe("- [] [3] [2]");
    const { leaderEpoch } = cluster.partition("t");
    cluster.unfence(1, 2);
    expect(cluster.partition("t").leader).toBe(-1);
    cluster.unfence(3);
    expect(cluster.shown("t")).toBe("3 [3] [] [2]");
    expect(cluster.partition("t").leaderEpoch).toBe(leaderEpoch + 1);
  });

  test("a single replica leads again after an unclean end, in a later epoch: (epoch, offset) has one content", () => {
    const cluster = TestCluster.of(1);
    cluster.create([wish("t")]);
    const before = cluster.partition("t");
    cluster.start(1, { wasCleanShutdown: false });
    expect(cluster.shown("t")).toBe("1 [1] [] []");
    expect(cluster.partition("t").leaderEpoch).toBeGreaterThan(before.leaderEpoch);
  });

  test("another directory under a live node id is refused, and disturbs nothing (H26)", () => {
    const cluster = TestCluster.of(1);
    const directory = { directoryId: "another-directory....." };
    for (const hasLiveSession of [true, false]) {
      const result = cluster.register(1, { broker: directory, hasLiveSession });
      expect(result).toMatchObject({ error: "DUPLICATE_BROKER_REGISTRATION", brokerEpoch: -1 });
      expect(result.errorMessage).toContain("host-1:9092");
    }
    cluster.fence(1);
    expect(cluster.register(1, { broker: directory, hasLiveSession: true }).error).toBe(
      "DUPLICATE_BROKER_REGISTRATION",
    );
    expect(cluster.state.broker(nodeId(1))?.directoryId).toBe("directory-of-node-1..");
  });

  test("another directory under a dead node id is refused until that one is unregistered", () => {
    const cluster = TestCluster.of(2);
    cluster.create([wish("t", { replicationFactor: 2 })]);
    cluster.fence(1);
    const broker = { directoryId: "another-directory....." };
    const refused = cluster.register(1, { broker });
    expect(refused.error).toBe("INVALID_REGISTRATION");
    expect(refused.errorMessage).toContain("lograft node unregister 1");
    expect(cluster.unregister(1).error).toBe("NONE");
    expect(cluster.register(1, { broker }).error).toBe("NONE");
    cluster.unfence(1);
    // Its disk is empty: it is a replica, and nothing more until the leader has seen it catch up.
    expect(cluster.shown("t")).toBe("2 [2] [] []");
  });

  test("a broker that cannot work with what the cluster works with is refused", () => {
    const cluster = TestCluster.of(1);
    const levels = [
      { type: "FeatureLevel", name: "metadata.version", level: 4 },
      { type: "FeatureLevel", name: "raft.version", level: 1 },
    ] as const;
    cluster.commit({ records: levels.slice(0, 1), response: undefined });
    const tooOld = cluster.register(2);
    expect(tooOld).toMatchObject({ error: "UNSUPPORTED_VERSION", brokerEpoch: -1 });
    expect(tooOld.errorMessage).toContain("metadata.version 4 and the broker supports 1 to 3");
    cluster.commit({ records: levels.slice(1), response: undefined });
    const features = new Map([["metadata.version", { min: 1, max: 4 }]]);
    expect(cluster.register(2, { broker: { features } }).errorMessage).toContain("raft.version 1");
    expect(cluster.state.broker(nodeId(2))).toBeUndefined();
  });
});

describe("unregistering", () => {
  test("an unknown broker and one that runs are refused", () => {
    const cluster = TestCluster.of(1);
    expect(cluster.unregister(7).error).toBe("BROKER_ID_NOT_REGISTERED");
    expect(cluster.unregister(1)).toMatchObject({ error: "INVALID_REQUEST", nodeId: 1 });
    expect(cluster.state.broker(nodeId(1))).toBeDefined();
  });

  test("a broker counts for no partition any more and stays named as a replica", () => {
    const cluster = TestCluster.of(3);
    cluster.create([wish("t", { replicationFactor: 3 })]);
    cluster.fence(1);
    cluster.fence(2);
    expect(cluster.shown("t")).toBe("3 [3] [2] []");
    expect(cluster.unregister(2)).toMatchObject({ error: "NONE", changedPartitions: 1 });
    expect(cluster.shown("t")).toBe("3 [3] [] []");
    expect(cluster.partition("t").replicas).toEqual([1, 2, 3]);
    expect(cluster.state.broker(nodeId(2))).toBeUndefined();
  });

  test("a broker that alone has all records is refused, with the partitions and the ways out", () => {
    const cluster = TestCluster.of(1);
    cluster.create([wish("t", { partitions: 7 }), wish("u")]);
    cluster.fence(1);
    const refused = cluster.unregister(1);
    expect(refused.error).toBe("INVALID_REQUEST");
    expect(refused.errorMessage).toContain("8 partitions (t-0, t-1, t-2, t-3, t-4, ...)");
    expect(refused.errorMessage).toContain("unclean.leader.election.enable");
  });

  test("with an unclean election allowed the loss is accepted: a new disk takes over, reported as unclean", () => {
    const cluster = TestCluster.of(1, { defaultUncleanLeaderElection: true });
    cluster.create([wish("t")]);
    cluster.fence(1);
    expect(cluster.unregister(1).error).toBe("NONE");
    expect(cluster.shown("t")).toBe("- [] [] []");
    cluster.register(1, { broker: { directoryId: "another-directory....." } });
    expect(cluster.unfence(1).uncleanElections).toEqual([{ topic: "t", partition: 0, leader: 1 }]);
    expect(cluster.shown("t")).toBe("1 [1] [] []");
  });
});
