import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decideAddPartitions, decideCreateTopics, decideDeleteTopics } from "../../src/controller/topics.ts";
import type { NewTopic, TopicRules } from "../../src/controller/topics.ts";
import { MetadataState } from "../../src/metadata/replay.ts";
import { ZERO_TOPIC_ID } from "../../src/model/ids.ts";
import { nodes, topicIdOf } from "../metadata/arbitrary-history.ts";

const RULES: TopicRules = {
  defaultPartitions: 3,
  defaultReplicationFactor: 1,
  maxTopicPartitions: 10,
  maxPartitions: 20,
  checkConfig: (key) => (key === "bad" ? "bad is not a key" : undefined),
};

function wish(name: string, fields: Partial<NewTopic> = {}): NewTopic {
  return { name, partitions: 1, replicationFactor: 1, configs: new Map(), ...fields };
}

let created = 0;

function create(state: MetadataState, topics: readonly NewTopic[], brokers = nodes(1), validateOnly = false) {
  const topicIds = topics.map(() => topicIdOf(++created));
  const { records, response } = decideCreateTopics(state, { topics, topicIds, brokers, validateOnly }, RULES);
  state.replay(records);
  return { records, response };
}

const errorsOf = (response: readonly { error: string }[]): string[] => response.map(({ error }) => error);

describe("create", () => {
  test("a topic comes with its partitions, settings, and an epoch of 0", () => {
    const state = new MetadataState();
    const { response } = create(state, [
      wish("orders", { partitions: 2, configs: new Map([["flush.ms", "5"]]) }),
    ]);
    expect(response).toEqual([
      expect.objectContaining({ name: "orders", error: "NONE", partitions: 2, replicationFactor: 1 }),
    ]);
    const topic = state.topic("orders")!;
    expect(topic.topicId).toBe(response[0]!.topicId);
    expect(topic.configs).toEqual(new Map([["flush.ms", "5"]]));
    expect(topic.partitions).toEqual([
      { replicas: [1], isr: [1], leader: 1, leaderEpoch: 0, partitionEpoch: 0 },
      { replicas: [1], isr: [1], leader: 1, leaderEpoch: 0, partitionEpoch: 0 },
    ]);
  });

  test("0 and -1 mean the defaults", () => {
    const state = new MetadataState();
    const { response } = create(state, [
      wish("zero", { partitions: 0, replicationFactor: 0 }),
      wish("minus", { partitions: -1, replicationFactor: -1 }),
    ]);
    expect(response.map(({ partitions }) => partitions)).toEqual([3, 3]);
    expect(state.partitionCount).toBe(6);
  });

  test.each([
    ["", "INVALID_TOPIC_EXCEPTION"],
    ["..", "INVALID_TOPIC_EXCEPTION"],
    ["a/b", "INVALID_TOPIC_EXCEPTION"],
    ["x".repeat(250), "INVALID_TOPIC_EXCEPTION"],
    ["__consumer_offsets", "INVALID_TOPIC_EXCEPTION"],
  ])("the name %j is refused", (name, error) => {
    expect(errorsOf(create(new MetadataState(), [wish(name)]).response)).toEqual([error]);
  });

  test("one bad topic does not keep the others from being created", () => {
    const state = new MetadataState();
    const { response } = create(state, [
      wish("good"),
      wish("a/b"),
      wish("many", { partitions: 11 }),
      wish("none", { partitions: -2 }),
      wish("half", { partitions: 1.5 }),
      wish("wide", { replicationFactor: 2 }),
      wish("odd", { configs: new Map([["bad", "1"]]) }),
      wish("fine"),
    ]);
    expect(errorsOf(response)).toEqual([
      "NONE",
      "INVALID_TOPIC_EXCEPTION",
      "INVALID_PARTITIONS",
      "INVALID_PARTITIONS",
      "INVALID_PARTITIONS",
      "INVALID_REPLICATION_FACTOR",
      "INVALID_CONFIG",
      "NONE",
    ]);
    expect([...state.topics()].map(({ name }) => name)).toEqual(["good", "fine"]);
    expect(
      response.filter(({ error }) => error !== "NONE").every(({ topicId }) => topicId === ZERO_TOPIC_ID),
    ).toBe(true);
  });

  test("a replication factor past the brokers is refused with both numbers", () => {
    const { response } = create(new MetadataState(), [wish("orders", { replicationFactor: 3 })]);
    expect(response[0]).toMatchObject({
      error: "INVALID_REPLICATION_FACTOR",
      errorMessage:
        "topic orders asks for 3 replicas of each partition, 1 broker is registered; " +
        "choose a replication factor of 1 to 1 or start more brokers",
    });
  });

  test("an existing topic is refused, and one that looks like it", () => {
    const state = new MetadataState();
    create(state, [wish("a.b")]);
    const { response } = create(state, [wish("a.b"), wish("a_b"), wish("c_d"), wish("c.d")]);
    expect(errorsOf(response)).toEqual([
      "TOPIC_ALREADY_EXISTS",
      "INVALID_TOPIC_EXCEPTION",
      "NONE",
      "INVALID_TOPIC_EXCEPTION",
    ]);
    expect(response[3]!.errorMessage).toContain("c_d");
  });

  test("a name given twice in one request is refused both times", () => {
    const state = new MetadataState();
    expect(errorsOf(create(state, [wish("a"), wish("b"), wish("a")]).response)).toEqual([
      "INVALID_REQUEST",
      "NONE",
      "INVALID_REQUEST",
    ]);
  });

  test("the cluster's limit counts what exists and what the request adds", () => {
    const state = new MetadataState();
    create(state, [wish("a", { partitions: 10 })]);
    const { response } = create(state, [
      wish("b", { partitions: 6 }),
      wish("c", { partitions: 5 }),
      wish("d", { partitions: 4 }),
    ]);
    expect(errorsOf(response)).toEqual(["NONE", "INVALID_PARTITIONS", "NONE"]);
    expect(state.partitionCount).toBe(20);
  });

  test("validateOnly answers the same and logs nothing", () => {
    const state = new MetadataState();
    const { records, response } = create(state, [wish("a"), wish("a/b")], nodes(1), true);
    expect(records).toEqual([]);
    expect(errorsOf(response)).toEqual(["NONE", "INVALID_TOPIC_EXCEPTION"]);
    expect(response[0]!.topicId).toBe(ZERO_TOPIC_ID);
  });

  test("what was decided can always be replayed", () => {
    const names = fc.constantFrom("a", "b", "a.b", "a_b", "c", "bad/name", "__consumer_offsets");
    const request = fc.array(
      fc.record({
        name: names,
        partitions: fc.integer({ min: -1, max: 12 }),
        replicationFactor: fc.integer({ min: 0, max: 3 }),
      }),
      { maxLength: 5 },
    );
    const step = fc.oneof(
      fc.record({ kind: fc.constant("create" as const), request }),
      fc.record({ kind: fc.constant("delete" as const), names: fc.array(names, { maxLength: 3 }) }),
      fc.record({ kind: fc.constant("grow" as const), name: names, to: fc.integer({ min: 0, max: 12 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const state = new MetadataState();
        for (const one of steps) {
          if (one.kind === "create")
            create(
              state,
              one.request.map((fields) => wish(fields.name, fields)),
              nodes(1, 2),
            );
          else if (one.kind === "delete") state.replay(decideDeleteTopics(state, one.names).records);
          else {
            const command = {
              name: one.name,
              totalPartitions: one.to,
              brokers: nodes(1, 2),
              validateOnly: false,
            };
            state.replay(decideAddPartitions(state, command, RULES).records);
          }
          expect(state.partitionCount).toBeLessThanOrEqual(RULES.maxPartitions);
        }
      }),
      { numRuns: 150 },
    );
  });
});

describe("delete", () => {
  test("a deleted topic is gone; one that is not there is named", () => {
    const state = new MetadataState();
    const { response } = create(state, [wish("a"), wish("b")]);
    const deleted = decideDeleteTopics(state, ["a", "ghost", "__consumer_offsets"]);
    state.replay(deleted.records);
    expect(errorsOf(deleted.response)).toEqual([
      "NONE",
      "UNKNOWN_TOPIC_OR_PARTITION",
      "INVALID_TOPIC_EXCEPTION",
    ]);
    expect(deleted.response[0]!.topicId).toBe(response[0]!.topicId);
    expect(deleted.response[1]!.errorMessage).toContain("ghost");
    expect([...state.topics()].map(({ name }) => name)).toEqual(["b"]);
  });

  test("a name from outside is shown escaped", () => {
    const { response } = decideDeleteTopics(new MetadataState(), ["evil\nname"]);
    expect(response[0]!.errorMessage).toContain(String.raw`"evil\nname"`);
  });
});

describe("add partitions", () => {
  test("the new ones follow the old ones, which stay where they are", () => {
    const state = new MetadataState();
    create(state, [wish("a", { partitions: 2 })], nodes(1, 2, 3));
    const before = state.topic("a")!.partitions;
    const command = { name: "a", totalPartitions: 5, brokers: nodes(1, 2, 3), validateOnly: false };
    const { records, response } = decideAddPartitions(state, command, RULES);
    state.replay(records);
    expect(response).toMatchObject({ error: "NONE", partitions: 5 });
    const { partitions } = state.topic("a")!;
    expect(partitions.slice(0, 2)).toEqual(before);
    const round = partitions.map(({ leader }) => leader);
    expect(round).toEqual(
      [1, 2, 3, 1, 2].map((_leader, index) => nodes(1, 2, 3)[(round[0]! - 1 + index) % 3]),
    );
  });

  test.each([
    ["ghost", 5, "UNKNOWN_TOPIC_OR_PARTITION"],
    ["a", 2, "INVALID_PARTITIONS"],
    ["a", 1, "INVALID_PARTITIONS"],
    ["a", 11, "INVALID_PARTITIONS"],
  ])("%s to %d partitions is refused", (name, totalPartitions, error) => {
    const state = new MetadataState();
    create(state, [wish("a", { partitions: 2 })]);
    const command = { name, totalPartitions, brokers: nodes(1), validateOnly: false };
    const decision = decideAddPartitions(state, command, RULES);
    expect(decision).toMatchObject({ records: [], response: { error } });
  });
});
