import { expect, test } from "vitest";
import { decideBootstrap, decideUpdateFeature, SUPPORTED_FEATURES } from "../../src/controller/features.ts";
import { decideReassign } from "../../src/controller/reassignments.ts";
import { nodeId } from "../../src/model/ids.ts";
import { nodes } from "../metadata/arbitrary-history.ts";
import { TestCluster, wish } from "./test-cluster.ts";

/** A controller of a later release: the test brokers support metadata.version 1 to 3. */
const LATER = new Map([
  ["metadata.version", { min: 1, max: 4 }],
  ["raft.version", { min: 1, max: 1 }],
]);

function clusterAt(level: number): TestCluster {
  const cluster = TestCluster.of(2);
  const records = [{ type: "FeatureLevel", name: "metadata.version", level }] as const;
  cluster.commit({ records, response: undefined });
  return cluster;
}

function update(cluster: TestCluster, name: string, level: number, isDryRun = false) {
  return cluster.commit(decideUpdateFeature(cluster.state, { name, level, isDryRun }, LATER));
}

test("a new cluster begins with the highest levels of its first controller, once", () => {
  const cluster = new TestCluster();
  cluster.commit(decideBootstrap(cluster.state));
  expect(cluster.state.features).toEqual(
    new Map([
      ["metadata.version", 3],
      ["raft.version", 1],
    ]),
  );
  expect(decideBootstrap(cluster.state).records).toEqual([]);
});

test("a broker of this release can be in a cluster of this release", () => {
  const cluster = new TestCluster();
  cluster.commit(decideBootstrap(cluster.state));
  expect(cluster.register(1, { broker: { features: SUPPORTED_FEATURES } }).error).toBe("NONE");
});

test("in a cluster that the last release founded nothing moves and nothing is drained until the level is raised", () => {
  const cluster = clusterAt(1);
  cluster.create([wish("a", { replicationFactor: 1 })]);
  const [from] = cluster.partition("a").replicas;
  const partitions = [{ topic: "a", partition: 0, replicas: nodes(from === 1 ? 2 : 1) }];
  const reassign = () =>
    cluster.commit(decideReassign(cluster.state, { partitions, validateOnly: false }, cluster.rules));
  const offset = cluster.nextOffset;
  expect(reassign()).toEqual([
    {
      topic: "a",
      partition: 0,
      error: "UNSUPPORTED_VERSION",
      errorMessage:
        "partitions can be moved from metadata.version 2 on, and this cluster works with 1; once every broker runs a " +
        "release that supports it, raise it: lograft features upgrade --feature metadata.version=2",
    },
  ]);
  const refused = cluster.drain(1);
  expect(refused).toMatchObject({ error: "UNSUPPORTED_VERSION", movedLeaders: 0, ledPartitions: 0 });
  expect(refused.errorMessage).toContain("brokers can be drained from metadata.version 2 on");
  expect(cluster.drain(1, false)).toMatchObject({ error: "NONE" });
  expect(cluster.nextOffset).toBe(offset);

  expect(update(cluster, "metadata.version", 2).error).toBe("NONE");
  expect(reassign()).toMatchObject([{ error: "NONE" }]);
  expect(cluster.drain(1)).toMatchObject({ error: "NONE" });
});

test("a broker with several listeners is refused until the level says what becomes of them", () => {
  const cluster = clusterAt(2);
  const listeners = [
    { name: "INSIDE", host: "inside", port: 9092 },
    { name: "OUTSIDE", host: "outside", port: 19_092 },
  ];
  const offset = cluster.nextOffset;
  const refused = cluster.register(3, { broker: { listeners } });
  expect(refused).toMatchObject({ error: "UNSUPPORTED_VERSION", brokerEpoch: -1 });
  expect(refused.errorMessage).toBe(
    "a broker can have several listeners for clients from metadata.version 3 on, and this cluster works with 2; once " +
      "every broker runs a release that supports it, raise it: lograft features upgrade --feature metadata.version=3",
  );
  expect(cluster.nextOffset).toBe(offset);
  expect(cluster.register(4).error).toBe("NONE");

  expect(update(cluster, "metadata.version", 3).error).toBe("NONE");
  expect(cluster.register(3, { broker: { listeners } }).error).toBe("NONE");
  expect(cluster.state.broker(nodeId(3))?.listeners).toEqual(listeners);
});

test("a level is raised when all brokers support it", () => {
  const cluster = clusterAt(1);
  expect(update(cluster, "metadata.version", 2)).toMatchObject({ error: "NONE", level: 2 });
  expect(cluster.state.features.get("metadata.version")).toBe(2);
});

test("a dry run answers the same and changes nothing", () => {
  const cluster = clusterAt(1);
  expect(update(cluster, "metadata.version", 2, true)).toMatchObject({ error: "NONE", level: 2 });
  expect(cluster.state.features.get("metadata.version")).toBe(1);
});

test("the level that holds is not logged again", () => {
  const cluster = clusterAt(2);
  const offset = cluster.nextOffset;
  expect(update(cluster, "metadata.version", 2).error).toBe("NONE");
  expect(cluster.nextOffset).toBe(offset);
});

test("a broker that cannot work with the level holds it up, fenced or not, and is named", () => {
  const cluster = clusterAt(1);
  cluster.fence(2);
  const result = update(cluster, "metadata.version", 4);
  expect(result).toMatchObject({ error: "FEATURE_UPDATE_FAILED", level: 1 });
  expect(result.errorMessage).toContain("brokers 1, 2 cannot work with it");
});

test.each([
  ["ghost.version", 1, "there is no feature"],
  ["metadata.version", 5, "supports 1 to 4"],
  ["metadata.version", 0, "supports 1 to 4"],
  ["metadata.version", 1.5, "supports 1 to 4"],
  ["metadata.version", 1, "can only be raised"],
])("%s to %d is INVALID_UPDATE_VERSION", (name, level, text) => {
  const cluster = clusterAt(2);
  const result = update(cluster, name, level);
  expect(result.error).toBe("INVALID_UPDATE_VERSION");
  expect(result.errorMessage).toContain(text);
  expect(cluster.state.features.get("metadata.version")).toBe(2);
});
