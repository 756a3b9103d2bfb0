import { expect, test } from "vitest";
import { decideAlterConfigs, topicConfigRefusal } from "../../src/controller/configs.ts";
import { MetadataState } from "../../src/metadata/replay.ts";
import { leaderEpoch } from "../../src/model/offsets.ts";
import { nodes, topicIdOf } from "../metadata/arbitrary-history.ts";

function stateWith(configs: Readonly<Record<string, string>>): MetadataState {
  const state = new MetadataState();
  const topicId = topicIdOf(1);
  state.replay([
    { type: "Topic", name: "orders", topicId },
    {
      type: "Partition",
      topicId,
      partition: 0,
      replicas: nodes(1),
      isr: nodes(1),
      leader: nodes(1)[0]!,
      leaderEpoch: leaderEpoch(0),
      partitionEpoch: 0,
    },
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
  const decision = decideAlterConfigs(state, {
    name: "orders",
    set: new Map(Object.entries(set)),
    unset,
    validateOnly,
  });
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
  const ghost = decideAlterConfigs(state, { name: "ghost", set: new Map(), unset: [], validateOnly: false });
  expect(ghost.response).toMatchObject({ name: "ghost", error: "UNKNOWN_TOPIC_OR_PARTITION" });
});

test("a setting of a new topic is checked the same way", () => {
  expect(topicConfigRefusal("retention.ms", "7d")).toBeUndefined();
  expect(topicConfigRefusal("retention.ms", "soon")).toContain("retention.ms");
});
