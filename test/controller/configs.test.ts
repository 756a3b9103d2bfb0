import { expect, test } from "vitest";
import { decideAlterConfigs, topicConfigRefusal } from "../../src/controller/configs.ts";
import { MetadataState } from "../../src/metadata/replay.ts";
import { nodes, partitionOf, topicIdOf, unfencedBrokers } from "../metadata/arbitrary-history.ts";
import { RULES, TestCluster, wish } from "./test-cluster.ts";

function stateWith(configs: Readonly<Record<string, string>>): MetadataState {
  const state = new MetadataState();
  const topicId = topicIdOf(1);
  state.replay([
    ...unfencedBrokers(1),
    { type: "Topic", name: "orders", topicId },
    partitionOf(1, 0, { replicas: nodes(1) }),
    ...Object.entries(configs).map(([key, value]) => ({ type: "TopicConfig", topicId, key, value }) as const),
  ]);
  return state;
}

function alter(
  state: MetadataState,
  set: Readonly<Record<string, string>>,
  unset: readonly string[] = [],
  validateOnly = false,
) {
  const command = { name: "orders", set: new Map(Object.entries(set)), unset, validateOnly };
  const decision = decideAlterConfigs(state, command, RULES);
  state.replay(decision.records);
  return decision;
}

test("keys are set and taken away in one commit", () => {
  const state = stateWith({ "retention.ms": "1000", "flush.ms": "7" });
  const { response } = alter(state, { "flush.policy": "os", "flush.ms": "8" }, ["retention.ms"]);
  expect(response).toMatchObject({ name: "orders", error: "NONE", partitions: 1 });
  expect(state.topic("orders")!.configs).toEqual(
    new Map([
      ["flush.ms", "8"],
      ["flush.policy", "os"],
    ]),
  );
});

test("a value that is already there is not logged again", () => {
  expect(alter(stateWith({ "flush.ms": "7" }), { "flush.ms": "7" }, ["retention.ms"]).records).toEqual([]);
});

test("an unknown key is refused with the nearest known one, and nothing of the request is done", () => {
  const state = stateWith({});
  const { response } = alter(state, { "flush.ms": "8", "retentoin.ms": "5" });
  expect(response.error).toBe("INVALID_CONFIG");
  expect(response.errorMessage).toContain("did you mean retention.ms?");
  expect(state.topic("orders")!.configs.size).toBe(0);
});

test("a bad value, an unknown key to unset, and a key both ways are all named at once", () => {
  const { response } = alter(stateWith({}), { "flush.policy": "maybe", "flush.ms": "1" }, [
    "nope.key",
    "flush.ms",
  ]);
  expect(response.error).toBe("INVALID_CONFIG");
  for (const part of ["flush.policy", "nope.key", "both set and unset"])
    expect(response.errorMessage).toContain(part);
});

test("a stored key that no release knows can be taken away", () => {
  const state = stateWith({ "old.key": "1" });
  expect(alter(state, {}, ["old.key"]).response.error).toBe("NONE");
  expect(state.topic("orders")!.configs.size).toBe(0);
});

test("validateOnly logs nothing; an unknown topic is named", () => {
  const state = stateWith({});
  expect(alter(state, { "flush.ms": "1" }, [], true)).toMatchObject({
    records: [],
    response: { error: "NONE" },
  });
  const command = { name: "ghost", set: new Map(), unset: [], validateOnly: false };
  const ghost = decideAlterConfigs(state, command, RULES);
  expect(ghost.response).toMatchObject({ name: "ghost", error: "UNKNOWN_TOPIC_OR_PARTITION" });
});

test("a setting of a new topic is checked the same way", () => {
  expect(topicConfigRefusal("retention.ms", "7d")).toBeUndefined();
  expect(topicConfigRefusal("retention.ms", "soon")).toContain("retention.ms");
});

/** Topic "t" on three brokers of which only 1 is left in the ISR, and 2 in the ELR. */
function shrunkCluster(): TestCluster {
  const cluster = TestCluster.of(3);
  cluster.create([wish("t", { replicationFactor: 3 })]);
  cluster.fence(3);
  cluster.fence(2);
  return cluster;
}

function alterTopic(cluster: TestCluster, key: string, value: string, validateOnly = false) {
  const command = { name: "t", set: new Map([[key, value]]), unset: [], validateOnly };
  return cluster.commit(decideAlterConfigs(cluster.state, command, RULES));
}

test("a minimum that the ISR has ends the ELR in the same entry (KIP-966)", () => {
  const cluster = shrunkCluster();
  expect(cluster.shown("t")).toBe("1 [1] [2] []");
  const { leaderEpoch } = cluster.partition("t");
  alterTopic(cluster, "min.insync.replicas", "1", true);
  expect(cluster.shown("t")).toBe("1 [1] [2] []");
  alterTopic(cluster, "min.insync.replicas", "1");
  expect(cluster.shown("t")).toBe("1 [1] [] []");
  expect(cluster.partition("t").leaderEpoch).toBe(leaderEpoch);
});

test("a higher minimum leaves ISR and ELR as they are", () => {
  const cluster = shrunkCluster();
  const before = cluster.partition("t");
  alterTopic(cluster, "min.insync.replicas", "3");
  expect(cluster.partition("t")).toBe(before);
});

test("a partition that waits for a clean leader gets one at once when the topic allows an unclean election (H25)", () => {
  const cluster = shrunkCluster();
  cluster.fence(1);
  cluster.unfence(3);
  expect(cluster.shown("t")).toBe("- [] [1,2] []");
  const { uncleanElections } = alterTopic(cluster, "unclean.leader.election.enable", "true");
  expect(uncleanElections).toEqual([{ topic: "t", partition: 0, leader: 3 }]);
  expect(cluster.shown("t")).toBe("3 [3] [] []");
});
