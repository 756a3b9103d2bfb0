import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decideAddPartitions, decideDeleteTopics } from "../../src/controller/topics.ts";
import { ZERO_TOPIC_ID } from "../../src/model/ids.ts";
import { nodes } from "../metadata/arbitrary-history.ts";
import { RULES, TestCluster, wish } from "./test-cluster.ts";

const errorsOf = (response: readonly { error: string }[]): string[] => response.map(({ error }) => error);

const BEGINNING = {
  addingReplicas: [],
  removingReplicas: [],
  elr: [],
  lastKnownElr: [],
  leaderEpoch: 0,
  partitionEpoch: 0,
};

describe("create", () => {
  test("a topic comes with its partitions, settings, and an epoch of 0", () => {
    const cluster = TestCluster.of(1);
    const response = cluster.create([
      wish("orders", { partitions: 2, configs: new Map([["flush.ms", "5"]]) }),
    ]);
    expect(response).toEqual([
      expect.objectContaining({ name: "orders", error: "NONE", partitions: 2, replicationFactor: 1 }),
    ]);
    const topic = cluster.state.topic("orders")!;
    expect(topic.topicId).toBe(response[0]!.topicId);
    expect(topic.configs).toEqual(new Map([["flush.ms", "5"]]));
    expect(topic.partitions).toEqual([
      { ...BEGINNING, replicas: [1], isr: [1], leader: 1 },
      { ...BEGINNING, replicas: [1], isr: [1], leader: 1 },
    ]);
  });

  test("0 and -1 mean the defaults", () => {
    const cluster = TestCluster.of(1);
    const response = cluster.create([
      wish("zero", { partitions: 0, replicationFactor: 0 }),
      wish("minus", { partitions: -1, replicationFactor: -1 }),
    ]);
    expect(response.map(({ partitions }) => partitions)).toEqual([3, 3]);
    expect(cluster.state.partitionCount).toBe(6);
  });

  test.each([
    ["", "INVALID_TOPIC_EXCEPTION"],
    ["..", "INVALID_TOPIC_EXCEPTION"],
    ["a/b", "INVALID_TOPIC_EXCEPTION"],
    ["x".repeat(250), "INVALID_TOPIC_EXCEPTION"],
    ["__consumer_offsets", "INVALID_TOPIC_EXCEPTION"],
  ])("the name %j is refused", (name, error) => {
    expect(errorsOf(TestCluster.of(1).create([wish(name)]))).toEqual([error]);
  });

  test("one bad topic does not keep the others from being created", () => {
    const cluster = TestCluster.of(1);
    const response = cluster.create([
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
    expect([...cluster.state.topics()].map(({ name }) => name)).toEqual(["good", "fine"]);
    expect(
      response.filter(({ error }) => error !== "NONE").every(({ topicId }) => topicId === ZERO_TOPIC_ID),
    ).toBe(true);
  });

  test("a replication factor past the brokers is refused with both numbers", () => {
    const response = TestCluster.of(1).create([wish("orders", { replicationFactor: 3 })]);
    expect(response[0]).toMatchObject({
      error: "INVALID_REPLICATION_FACTOR",
      errorMessage:
        "topic orders asks for 3 replicas of each partition, 1 broker is registered; " +
        "choose a replication factor of 1 to 1, or start more brokers",
    });
  });

  test("brokers that are away get replicas only when the others are too few, and are not in sync then", () => {
    const cluster = TestCluster.of(5);
    cluster.fence(2, 5);
    cluster.shutDown(3);
    const response = cluster.create([
      wish("fits", { replicationFactor: 2, partitions: 4 }),
      wish("wide", { replicationFactor: 3, partitions: 4 }),
      wish("wider", { replicationFactor: 6 }),
    ]);
    expect(errorsOf(response)).toEqual(["NONE", "NONE", "INVALID_REPLICATION_FACTOR"]);
    for (const { replicas } of cluster.state.topic("fits")!.partitions)
      expect(replicas.toSorted((a, b) => a - b)).toEqual([1, 4]);
    for (const { replicas, isr, leader } of cluster.state.topic("wide")!.partitions) {
      expect(isr).toEqual(replicas.slice(0, 2));
      expect(isr.toSorted((a, b) => a - b)).toEqual([1, 4]);
      expect(leader).toBe(isr[0]);
    }
    expect(response[2]!.errorMessage).toBe(
      "topic wider asks for 6 replicas of each partition, 5 brokers are registered; choose a replication factor of 1 " +
        "to 5, or start more brokers",
    );
  });

  test("without any broker in service, or with drained ones only, nothing is made, and the refusal says why", () => {
    const cluster = TestCluster.of(3);
    cluster.drain(3);
    expect(cluster.create([wish("wide", { replicationFactor: 3 })])[0]!.errorMessage).toBe(
      "topic wide asks for 3 replicas of each partition, 3 brokers are registered, 1 of them drained; choose a " +
        "replication factor of 1 to 2, undrain brokers, or start more brokers",
    );
    cluster.fence(1, 2);
    expect(cluster.create([wish("orders")])[0]!.errorMessage).toBe(
      "topic orders asks for 1 replicas of each partition, 3 brokers are registered, 2 of them fenced (down or not yet " +
        "caught up), 1 of them drained; start brokers",
    );
  });

  test("without any broker the next step is to start one", () => {
    const [result] = new TestCluster().create([wish("orders")]);
    expect(result!.errorMessage).toContain("0 brokers are registered; start brokers");
  });

  test("ten thousand partitions are created at once", () => {
    const cluster = TestCluster.of(3, { maxTopicPartitions: 10_000, maxPartitions: 10_000 });
    const startedMs = performance.now();
    cluster.create([wish("big", { partitions: 10_000, replicationFactor: 3 })]);
    expect(performance.now() - startedMs).toBeLessThan(1500);
    expect(new Set(cluster.state.topic("big")!.partitions.map(({ isr }) => isr)).size).toBe(6);
  });

  test("an existing topic is refused, and one that looks like it", () => {
    const cluster = TestCluster.of(1);
    cluster.create([wish("a.b")]);
    const response = cluster.create([wish("a.b"), wish("a_b"), wish("c_d"), wish("c.d")]);
    expect(errorsOf(response)).toEqual([
      "TOPIC_ALREADY_EXISTS",
      "INVALID_TOPIC_EXCEPTION",
      "NONE",
      "INVALID_TOPIC_EXCEPTION",
    ]);
    expect(response[3]!.errorMessage).toContain("c_d");
  });

  test("a name given twice in one request is refused both times", () => {
    expect(errorsOf(TestCluster.of(1).create([wish("a"), wish("b"), wish("a")]))).toEqual([
      "INVALID_REQUEST",
      "NONE",
      "INVALID_REQUEST",
    ]);
  });

  test("the cluster's limit counts what exists and what the request adds", () => {
    const cluster = TestCluster.of(1);
    cluster.create([wish("a", { partitions: 10 })]);
    const response = cluster.create([
      wish("b", { partitions: 6 }),
      wish("c", { partitions: 5 }),
      wish("d", { partitions: 4 }),
    ]);
    expect(errorsOf(response)).toEqual(["NONE", "INVALID_PARTITIONS", "NONE"]);
    expect(cluster.state.partitionCount).toBe(20);
  });

  test("validateOnly answers the same and logs nothing", () => {
    const cluster = TestCluster.of(1);
    const offset = cluster.nextOffset;
    const response = cluster.create([wish("a"), wish("a/b")], true);
    expect([cluster.nextOffset, cluster.state.topicCount]).toEqual([offset, 0]);
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
        const cluster = TestCluster.of(2);
        const { state } = cluster;
        for (const one of steps) {
          if (one.kind === "create") cluster.create(one.request.map((fields) => wish(fields.name, fields)));
          else if (one.kind === "delete") cluster.commit(decideDeleteTopics(state, one.names));
          else {
            const command = { name: one.name, totalPartitions: one.to, validateOnly: false };
            cluster.commit(decideAddPartitions(state, command, RULES));
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
    const cluster = TestCluster.of(1);
    const response = cluster.create([wish("a"), wish("b")]);
    const deleted = decideDeleteTopics(cluster.state, ["a", "ghost", "__consumer_offsets"]);
    cluster.commit(deleted);
    expect(errorsOf(deleted.response)).toEqual([
      "NONE",
      "UNKNOWN_TOPIC_OR_PARTITION",
      "INVALID_TOPIC_EXCEPTION",
    ]);
    expect(deleted.response[0]!.topicId).toBe(response[0]!.topicId);
    expect(deleted.response[1]!.errorMessage).toContain("ghost");
    expect([...cluster.state.topics()].map(({ name }) => name)).toEqual(["b"]);
  });

  test("a name from outside is shown escaped", () => {
    const { response } = decideDeleteTopics(new TestCluster().state, ["evil\nname"]);
    expect(response[0]!.errorMessage).toContain(String.raw`"evil\nname"`);
  });
});

describe("add partitions", () => {
  test("new partitions are led by brokers that are up, and are on them as far as there are enough", () => {
    const cluster = TestCluster.of(3);
    cluster.create([wish("two", { replicationFactor: 2 }), wish("three", { replicationFactor: 3 })]);
    cluster.fence(1);
    const grow = (name: string) =>
      cluster.commit(
        decideAddPartitions(cluster.state, { name, totalPartitions: 3, validateOnly: false }, RULES),
      );
    expect(errorsOf([grow("two"), grow("three")])).toEqual(["NONE", "NONE"]);
    const added = (name: string) => cluster.state.topic(name)!.partitions.slice(1);
    for (const { replicas } of added("two")) expect(replicas.toSorted((a, b) => a - b)).toEqual([2, 3]);
    for (const { replicas, isr } of added("three")) {
      expect(replicas[2]).toBe(1);
      expect(isr).toEqual(replicas.slice(0, 2));
    }
  });

  test("the new ones follow the old ones, which stay where they are", () => {
    const cluster = TestCluster.of(3);
    const { state } = cluster;
    cluster.create([wish("a", { partitions: 2 })]);
    const before = state.topic("a")!.partitions;
    const command = { name: "a", totalPartitions: 5, validateOnly: false };
    const response = cluster.commit(decideAddPartitions(state, command, RULES));
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
    const cluster = TestCluster.of(1);
    cluster.create([wish("a", { partitions: 2 })]);
    const command = { name, totalPartitions, validateOnly: false };
    const decision = decideAddPartitions(cluster.state, command, RULES);
    expect(decision).toMatchObject({ records: [], response: { error } });
  });
});
