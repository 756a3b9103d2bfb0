import { describe, expect, test } from "vitest";
import { ProtocolError } from "../../src/client/index.ts";
import { errorCodeOf } from "../../src/model/error-code.ts";
import { failureOf, harness } from "./harness.ts";

const CLUSTER = { clusterId: "c", controllerId: 0, controllerEpoch: 3, brokers: [], features: [] };
const position = (nodeId: number) => ({ nodeId, metadataOffset: 9, stateHash: 1 });

describe("describeCluster", () => {
  test("asks any broker, or the one at an address and no other", async () => {
    const { client, cluster, settle } = harness(
      { topics: {}, brokers: 2 },
      { brokers: ["b0:9092", "b1:9092"] },
    );
    cluster.answers.DescribeCluster = (_request, address) => ({
      ...CLUSTER,
      answeredBy: position(address === "b1:9092" ? 1 : 0),
    });
    const admin = client.admin();
    const there = await settle(admin.describeCluster({ address: "b1:9092" }));
    expect(there).toEqual({ ...CLUSTER, answeredBy: position(1) });
    cluster.down.add(1);
    expect((await settle(admin.describeCluster())).answeredBy.nodeId).toBe(0);
    const error = await settle(failureOf(admin.describeCluster({ address: "b1:9092" })));
    expect(error).toMatchObject({ code: "CONNECTION_FAILED", message: "b1:9092 is down" });
  });

  test("an answer without its main part is an error that says so", async () => {
    const { client, cluster, settle } = harness({ topics: {} });
    cluster.answers.DescribeCluster = () => ({ ...CLUSTER, answeredBy: null });
    const error = await settle(failureOf(client.admin().describeCluster()));
    expect(error).toMatchObject({
      code: "UNKNOWN_SERVER_ERROR",
      message: "the answer to DescribeCluster lacks its main part",
    });
  });
});

describe("changes", () => {
  test("are sent once each, with what was left out as the protocol's default", async () => {
    const { client, cluster, settle } = harness({ topics: {} });
    const seen: [string, unknown][] = [];
    const feature = { name: "f", level: 2, min: 1, max: 2 };
    cluster.answers.AddVoter = (request) => (seen.push(["AddVoter", request]), {});
    cluster.answers.RemoveVoter = (request) => (seen.push(["RemoveVoter", request]), {});
    cluster.answers.UnregisterBroker = (request) => (seen.push(["UnregisterBroker", request]), {});
    cluster.answers.UpdateFeature = (request) => (seen.push(["UpdateFeature", request]), { feature });
    const admin = client.admin();
    await settle(admin.addVoter(4));
    await settle(admin.removeVoter(4));
    await settle(admin.removeVoter(4, { directoryId: "old" }));
    await settle(admin.unregisterBroker(5));
    expect(await settle(admin.updateFeature("f", 2))).toEqual(feature);
    expect(seen).toEqual([
      ["AddVoter", { nodeId: 4 }],
      ["RemoveVoter", { nodeId: 4, directoryId: "" }],
      ["RemoveVoter", { nodeId: 4, directoryId: "old" }],
      ["UnregisterBroker", { nodeId: 5 }],
      ["UpdateFeature", { name: "f", level: 2, isDryRun: false }],
    ]);
  });

  test("one whose answer is lost is not sent again", async () => {
    const { client, cluster, settle } = harness({ topics: {} });
    cluster.callError = (method) =>
      method === "AddVoter" ? new ProtocolError("NETWORK_EXCEPTION", "the answer was lost") : undefined;
    const error = await settle(failureOf(client.admin().addVoter(4)));
    expect(error).toMatchObject({ code: "NETWORK_EXCEPTION", retriable: true });
    expect(cluster.calls.filter((method) => method === "AddVoter")).toHaveLength(1);
  });
});

describe("electLeaders", () => {
  const result = (
    partition: number,
    error: "NONE" | "ELECTION_NOT_NEEDED" | "PREFERRED_LEADER_NOT_AVAILABLE",
  ) => ({
    topic: "t",
    partition,
    errorCode: errorCodeOf(error),
    errorMessage: "",
    leaderId: 1,
  });

  test("a leader that need not move is a success without a change", async () => {
    const { client, cluster, settle } = harness({ topics: {} });
    let request: unknown;
    cluster.answers.ElectLeaders = (given) => {
      request = given;
      return { results: [result(0, "NONE"), result(1, "ELECTION_NOT_NEEDED")] };
    };
    const elected = await settle(client.admin().electLeaders());
    expect(request).toEqual({ topics: [], allTopics: true });
    expect(elected).toEqual([
      { topic: "t", partition: 0, leaderId: 1, isChanged: true, error: undefined },
      { topic: "t", partition: 1, leaderId: 1, isChanged: false, error: undefined },
    ]);
  });

  test("a failure is thrown with the partition's name, or left in the results", async () => {
    const { client, cluster, settle } = harness({ topics: {} });
    cluster.answers.ElectLeaders = () => ({ results: [result(2, "PREFERRED_LEADER_NOT_AVAILABLE")] });
    const admin = client.admin();
    expect(await settle(failureOf(admin.electLeaders({ topics: ["t"] })))).toMatchObject({
      code: "PREFERRED_LEADER_NOT_AVAILABLE",
      message: "t-2: PREFERRED_LEADER_NOT_AVAILABLE",
    });
    const [left] = await settle(admin.electLeaders({ topics: ["t"], throwOnError: false }));
    expect(left?.error?.code).toBe("PREFERRED_LEADER_NOT_AVAILABLE");
    expect(left?.isChanged).toBe(false);
  });
});

describe("moving partitions", () => {
  const results = [
    { topic: "t", partition: 0, errorCode: 0, errorMessage: "" },
    {
      topic: "t",
      partition: 1,
      errorCode: errorCodeOf("REASSIGNMENT_IN_PROGRESS"),
      errorMessage: "it moves",
    },
  ];

  test("sends what was asked for, once; each partition comes out by itself", async () => {
    const { client, cluster, settle } = harness({ topics: {} });
    const seen: unknown[] = [];
    cluster.answers.ReassignPartitions = (request) => (seen.push(request), { results });
    cluster.answers.CancelReassignments = (request) => (seen.push(request), { results: [] });
    const admin = client.admin();
    const wanted = [{ topic: "t", partition: 0, replicas: [1, 2] }];
    const moved = await settle(admin.reassignPartitions(wanted, { throwOnError: false, validateOnly: true }));
    expect(moved.map(({ partition, error }) => [partition, error?.message])).toEqual([
      [0, undefined],
      [1, "t-1: it moves"],
    ]);
    expect(await settle(failureOf(admin.reassignPartitions(wanted)))).toMatchObject({
      code: "REASSIGNMENT_IN_PROGRESS",
    });
    await settle(admin.cancelReassignments());
    await settle(admin.cancelReassignments({ partitions: [{ topic: "t", partition: 1 }] }));
    expect(seen).toEqual([
      { partitions: wanted, validateOnly: true },
      { partitions: wanted, validateOnly: false },
      { partitions: [], allPartitions: true },
      { partitions: [{ topic: "t", partition: 1 }], allPartitions: false },
    ]);
  });

  test("what is under way is asked of any broker", async () => {
    const { client, cluster, settle } = harness({ topics: {} });
    const moving = {
      topic: "t",
      partition: 0,
      target: [1, 2],
      addingReplicas: [2],
      removingReplicas: [3],
      isr: [1, 3],
    };
    cluster.answers.ListReassignments = () => ({ reassignments: [moving] });
    expect(await settle(client.admin().listReassignments())).toEqual([moving]);
  });

  test("a broker is drained and given back by the same call", async () => {
    const { client, cluster, settle } = harness({ topics: {} });
    const seen: unknown[] = [];
    const answer = { movedLeaders: 3, ledPartitions: 1 };
    cluster.answers.DrainBroker = (request) => (seen.push(request), answer);
    expect(await settle(client.admin().drainNode(2))).toEqual(answer);
    expect(await settle(client.admin().undrainNode(2))).toEqual(answer);
    expect(seen).toEqual([
      { nodeId: 2, isDrained: true },
      { nodeId: 2, isDrained: false },
    ]);
  });
});

test("listPartitions flattens the topics, and an unknown one is thrown", async () => {
  const { client, settle } = harness({ topics: { t: 2 }, brokers: 2 });
  const admin = client.admin();
  expect(await settle(admin.listPartitions({ topics: ["t"] }))).toEqual([
    { topic: "t", partition: 0, leaderId: 0, leaderEpoch: 0, replicas: [0], isr: [0] },
    { topic: "t", partition: 1, leaderId: 1, leaderEpoch: 0, replicas: [1], isr: [1] },
  ]);
  expect(await settle(failureOf(admin.listPartitions({ topics: ["x"] })))).toMatchObject({
    code: "UNKNOWN_TOPIC_OR_PARTITION",
  });
});
