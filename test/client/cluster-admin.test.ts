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
