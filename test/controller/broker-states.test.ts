import { describe, expect, test } from "vitest";
import {
  decideBrokerStates,
  decideControlledShutdown,
  epochRefusal,
} from "../../src/controller/broker-states.ts";
import { nodeId } from "../../src/model/ids.ts";
import { TestCluster, wish } from "./test-cluster.ts";

describe("fencing", () => {
  test("a broker's leaderships go to others, and only its partitions change", () => {
    const cluster = TestCluster.of(3);
    cluster.create([wish("t", { partitions: 3, replicationFactor: 2 })]);
    const before = [0, 1, 2].map((number) => cluster.shown("t", number));
    expect(before).toEqual(["1 [1,2] [] []", "2 [2,3] [] []", "3 [3,1] [] []"]);
    expect(cluster.fence(1)).toMatchObject({ changedBrokers: [1], changedPartitions: 2, newlyLeaderless: 0 });
    expect([0, 1, 2].map((number) => cluster.shown("t", number))).toEqual([
      "2 [2] [1] []",
      "2 [2,3] [] []",
      "3 [3] [1] []",
    ]);
  });

  test("brokers that die together get no leadership from each other", () => {
    const cluster = TestCluster.of(3);
    cluster.create([wish("t", { replicationFactor: 3 })]);
    const { partitionEpoch } = cluster.partition("t");
    expect(cluster.fence(1, 2)).toMatchObject({ changedBrokers: [1, 2], changedPartitions: 1 });
    expect(cluster.shown("t")).toBe("3 [3] [1,2] []");
    expect(cluster.partition("t").partitionEpoch).toBe(partitionEpoch + 1);
  });

  test("the last of a partition is waited for, and is the leader again when it is back", () => {
    const cluster = TestCluster.of(2, { defaultMinInsyncReplicas: 1 });
    cluster.create([wish("single"), wish("double", { replicationFactor: 2 })]);
    cluster.fence(2);
    const [single, double] = [cluster.partition("single"), cluster.partition("double")];
    expect(cluster.fence(1)).toMatchObject({ newlyLeaderless: 2 });
    expect([cluster.shown("single"), cluster.shown("double")]).toEqual(["- [] [1] []", "- [] [1] []"]);
    cluster.unfence(2);
    expect(cluster.shown("double")).toBe("- [] [1] []");
    cluster.unfence(1);
    expect([cluster.shown("single"), cluster.shown("double")]).toEqual(["1 [1] [] []", "1 [1] [] []"]);
    expect(cluster.partition("single").leaderEpoch).toBe(single.leaderEpoch + 2);
    expect(cluster.partition("double").leaderEpoch).toBe(double.leaderEpoch + 2);
  });

  test("a topic that allows it gets an unclean leader, and the answer says so (H25)", () => {
    const cluster = TestCluster.of(2, { defaultMinInsyncReplicas: 1 });
    const configs = new Map([["unclean.leader.election.enable", "true"]]);
    cluster.create([wish("t", { replicationFactor: 2, configs })]);
    cluster.fence(2);
    cluster.unfence(2);
    expect(cluster.shown("t")).toBe("1 [1] [] []");
    expect(cluster.fence(1).uncleanElections).toEqual([{ topic: "t", partition: 0, leader: 2 }]);
    expect(cluster.shown("t")).toBe("2 [2] [] []");
  });

  test("a change about an older registration, an unknown broker, or no change at all is left out", () => {
    const cluster = TestCluster.of(1);
    const [one, brokerEpoch] = [nodeId(1), cluster.state.broker(nodeId(1))!.brokerEpoch];
    const offset = cluster.nextOffset;
    const result = cluster.change([
      { nodeId: one, brokerEpoch: brokerEpoch - 1, isFenced: true },
      { nodeId: nodeId(9), brokerEpoch, isFenced: true },
      { nodeId: one, brokerEpoch, isFenced: false },
    ]);
    expect(result).toMatchObject({ changedBrokers: [], changedPartitions: 0 });
    expect(cluster.nextOffset).toBe(offset);
  });

  test("a broker may be named twice: what was said last of each thing holds", () => {
    const cluster = TestCluster.of(1);
    const session = { nodeId: nodeId(1), brokerEpoch: cluster.state.broker(nodeId(1))!.brokerEpoch };
    const { records } = decideBrokerStates(
      cluster.state,
      [
        { ...session, isShuttingDown: true },
        { ...session, isFenced: true },
      ],
      cluster.rules,
    );
    expect(records).toEqual([
      { type: "BrokerChange", ...session, isFenced: true, isShuttingDown: true, isDrained: false },
    ]);
  });

  test("one that comes back joins no ISR that has a leader", () => {
    const cluster = TestCluster.of(3);
    cluster.create([wish("t", { replicationFactor: 3 })]);
    cluster.fence(3);
    const before = cluster.partition("t");
    expect(cluster.unfence(3)).toMatchObject({ changedBrokers: [3], changedPartitions: 0 });
    expect(cluster.partition("t")).toBe(before);
  });

  test.each([
    ["one topic", 1, 10_000],
    ["a thousand topics", 1000, 10],
  ])("ten thousand partitions of %s move at once", (_what, topics, partitions) => {
    const limits = { maxTopicPartitions: 10_000, maxPartitions: 10_000 };
    const cluster = TestCluster.of(3, limits);
    cluster.create(
      Array.from({ length: topics }, (_, index) => wish(`t-${index}`, { partitions, replicationFactor: 3 })),
    );
    const startedMs = performance.now();
    expect(cluster.fence(1).changedPartitions).toBe(10_000);
    expect(performance.now() - startedMs).toBeLessThan(1500);
    const isrs = Array.from(cluster.state.topics(), ({ partitions: list }) =>
      list.map(({ isr }) => isr),
    ).flat();
    expect(new Set(isrs).size).toBeLessThanOrEqual(6);
  });
});

describe("controlled shutdown", () => {
  test("leaderships go to others, the broker leaves all ISRs, and may stop", () => {
    const cluster = TestCluster.of(3);
    cluster.create([wish("t", { replicationFactor: 3 }), wish("single")]);
    expect(cluster.shown("single")).toBe("2 [2] [] []");
    expect(cluster.shutDown(1)).toMatchObject({ error: "NONE", mayShutDown: true, changedPartitions: 1 });
    expect(cluster.shown("t")).toBe("2 [2,3] [] []");
    expect(cluster.state.broker(nodeId(1))).toMatchObject({ isFenced: false, isShuttingDown: true });
    expect(cluster.shutDown(2)).toMatchObject({ mayShutDown: true, newlyLeaderless: 0 });
    // What nobody else has it serves until it is gone.
    expect([cluster.shown("t"), cluster.shown("single")]).toEqual(["3 [3] [2] []", "2 [2] [] []"]);
    cluster.fence(2);
    expect(cluster.shown("single")).toBe("- [] [2] []");
  });

  test("it gets nothing back while it stops, and all that waited for it after a clean restart", () => {
    const cluster = TestCluster.of(1);
    cluster.create([wish("single")]);
    cluster.shutDown(1);
    const offset = cluster.nextOffset;
    expect(cluster.shutDown(1)).toMatchObject({ mayShutDown: true, changedPartitions: 0 });
    expect(cluster.nextOffset).toBe(offset);
    cluster.fence(1);
    cluster.register(1);
    expect(cluster.shown("single")).toBe("- [] [1] []");
    cluster.unfence(1);
    expect(cluster.shown("single")).toBe("1 [1] [] []");
  });

  test("an older registration cannot ask for it, nor an unknown broker", () => {
    const cluster = TestCluster.of(1);
    const ask = (id: number, brokerEpoch: number) =>
      decideControlledShutdown(cluster.state, { nodeId: nodeId(id), brokerEpoch }, cluster.rules);
    expect(ask(1, 0)).toMatchObject({
      records: [],
      response: { error: "STALE_BROKER_EPOCH", mayShutDown: false },
    });
    expect(ask(2, 1)).toMatchObject({ records: [], response: { error: "BROKER_ID_NOT_REGISTERED" } });
  });

  test("an epoch is refused unless it is the present one", () => {
    const cluster = TestCluster.of(1);
    const { brokerEpoch } = cluster.state.broker(nodeId(1))!;
    expect(epochRefusal(cluster.state, nodeId(1), brokerEpoch)).toBeUndefined();
    expect(epochRefusal(cluster.state, nodeId(1), brokerEpoch + 1)?.error).toBe("STALE_BROKER_EPOCH");
  });
});

describe("a full disk", () => {
  test("gives leaderships to others and leaves the ISRs; with room again its leader takes it back", () => {
    const cluster = TestCluster.of(3);
    cluster.create([wish("t", { replicationFactor: 3 }), wish("single", { replicationFactor: 1 })]);
    expect(cluster.shown("t")).toBe("1 [1,2,3] [] []");
    expect(cluster.stepAside(1)).toMatchObject({ changedBrokers: [1], newlyLeaderless: 0 });
    expect(cluster.shown("t")).toBe("2 [2,3] [] []");
    const offset = cluster.nextOffset;
    cluster.stepAside(1);
    expect(cluster.nextOffset).toBe(offset);
    expect(cluster.propose("t", 0, [1, 2, 3])).toMatchObject({ error: "INELIGIBLE_REPLICA" });
    cluster.stepAside(1, false);
    expect(cluster.shown("t")).toBe("2 [2,3] [] []");
    expect(cluster.propose("t", 0, [1, 2, 3])).toMatchObject({ error: "NONE" });
    expect(cluster.shown("t")).toBe("2 [1,2,3] [] []");
  });

  test.each([[[1, 2, 3]], [[3, 2, 1]], [[2, 1, 3]]])(
    "on all brokers, in the order %j, leaves no partition without a leader",
    (order) => {
      const cluster = TestCluster.of(3);
      cluster.create([
        wish("t", { partitions: 3, replicationFactor: 3 }),
        wish("single", { partitions: 3 }),
        wish("pair", { partitions: 3, replicationFactor: 2 }),
      ]);
      for (const id of order) expect(cluster.stepAside(id).newlyLeaderless).toBe(0);
      const last = order.at(-1);
      for (const partition of [0, 1, 2]) expect(cluster.partition("t", partition).leader).toBe(last);
      for (const id of order) {
        cluster.stepAside(id, false);
        cluster.catchUp("t");
        expect(cluster.partition("t").isr).toContain(id);
      }
      expect(cluster.partition("t").isr).toHaveLength(3);
    },
  );

  test("on all brokers in one breath leaves each partition with its leader", () => {
    const cluster = TestCluster.of(3);
    cluster.create([wish("t", { partitions: 3, replicationFactor: 3 })]);
    const before = [0, 1, 2].map((partition) => cluster.partition("t", partition).leader);
    const all = Array.from(cluster.state.brokers(), ({ nodeId: id, brokerEpoch }) => ({
      nodeId: id,
      brokerEpoch,
      isShuttingDown: true,
    }));
    expect(cluster.change(all)).toMatchObject({ newlyLeaderless: 0 });
    expect([0, 1, 2].map((partition) => cluster.partition("t", partition).leader)).toEqual(before);
  });

  test("does not keep a broker that has all from leading when the last other one dies", () => {
    const cluster = TestCluster.of(2);
    cluster.create([wish("t", { replicationFactor: 2 })]);
    cluster.stepAside(1);
    expect(cluster.shown("t")).toBe("2 [2] [1] []");
    expect(cluster.fence(2)).toMatchObject({ newlyLeaderless: 0 });
    expect(cluster.shown("t")).toBe("1 [1] [2] []");
    // Back, and in no ISR before its leader takes it there; then it leads, for it has room.
    cluster.unfence(2);
    expect(cluster.shown("t")).toBe("2 [2] [1] []");
  });

  test("does not keep a broker that comes back from leading what waits for it", () => {
    const cluster = TestCluster.of(1);
    cluster.create([wish("single")]);
    cluster.fence(1);
    expect(cluster.shown("single")).toBe("- [] [1] []");
    const { brokerEpoch } = cluster.state.broker(nodeId(1))!;
    cluster.change([{ nodeId: nodeId(1), brokerEpoch, isFenced: false, isShuttingDown: true }]);
    expect(cluster.shown("single")).toBe("1 [1] [] []");
  });

  test("is better than an unclean leader (H25)", () => {
    const cluster = TestCluster.of(3, { defaultMinInsyncReplicas: 1 });
    const configs = new Map([["unclean.leader.election.enable", "true"]]);
    cluster.create([wish("t", { replicationFactor: 3, configs })]);
    cluster.fence(3);
    cluster.fence(2);
    cluster.unfence(2, 3);
    expect(cluster.shown("t")).toBe("1 [1] [] []");
    expect(cluster.stepAside(1)).toMatchObject({ uncleanElections: [] });
    expect(cluster.shown("t")).toBe("1 [1] [] []");
  });

  test("is forgotten with the process: the next one takes part until it says so itself", () => {
    const cluster = TestCluster.of(2);
    cluster.create([wish("t", { replicationFactor: 2 })]);
    cluster.stepAside(1);
    cluster.start(1);
    expect(cluster.state.broker(nodeId(1))).toMatchObject({ isFenced: false, isShuttingDown: false });
  });

  test("takes no new replicas as leader, and where all are full the refusal names it", () => {
    const cluster = TestCluster.of(2);
    cluster.stepAside(1);
    cluster.create([wish("t", { replicationFactor: 2 })]);
    expect(cluster.partition("t").leader).toBe(2);
    cluster.stepAside(2);
    const [refused] = cluster.create([wish("more")]);
    expect(refused).toMatchObject({ error: "INVALID_REPLICATION_FACTOR" });
    expect(refused?.errorMessage).toContain(
      "2 of them about to stop, or with a full disk; start brokers, or free",
    );
  });
});
