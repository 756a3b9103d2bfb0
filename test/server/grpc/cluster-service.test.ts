import { Client, credentials } from "@grpc/grpc-js";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ProtocolError } from "../../../src/model/error-code.ts";
import { NodeClock } from "../../../src/platform/node/node-clock.ts";
import type * as admin from "../../../src/rpc/admin-messages.ts";
import { callUnary, unaryMethod } from "../../../src/rpc/unary-client.ts";
import { FakeBrokers } from "../../cli/fake-brokers.ts";

/* The service over the wire, without the SDK in between. */

let fake: FakeBrokers;
let client: Client;

beforeAll(async () => {
  fake = await FakeBrokers.start(1);
  client = new Client(fake.address(1), credentials.createInsecure());
});

afterAll(async () => {
  client.close();
  await fake[Symbol.asyncDispose]();
});

beforeEach(() => {
  fake.changes.length = 0;
  fake.refusal = undefined;
  fake.leaderId = 1;
  fake.positions.clear();
});

function call<Response>(method: string, request: object = {}): Promise<Response> {
  const definition = unaryMethod<object, Response>("lograft.v1.AdminService", method);
  return callUnary({ client, clock: new NodeClock() }, definition, request, { timeoutMs: 5000 });
}

test("what a broker says of the cluster arrives with every field", async () => {
  fake.positions.set(1, { metadataOffset: -1, stateHash: 2 ** 53 - 1 });
  const cluster = await call<admin.DescribeClusterResponse>("DescribeCluster");
  expect(cluster).toEqual({
    clusterId: "fake-cluster",
    controllerId: 1,
    controllerEpoch: 7,
    brokers: fake.brokers,
    features: fake.features,
    answeredBy: { nodeId: 1, metadataOffset: -1, stateHash: 2 ** 53 - 1 },
  });
});

test("what a broker says of the quorum arrives with every field", async () => {
  fake.leaderId = -1;
  fake.setReplica(1, { logEndOffset: -1 });
  const quorum = await call<admin.DescribeQuorumResponse>("DescribeQuorum");
  expect(quorum).toEqual({
    leaderId: -1,
    epoch: 7,
    commitOffset: 120,
    replicas: fake.replicas,
    answeredBy: {
      nodeId: 1,
      role: "follower",
      epoch: 7,
      logEndOffset: 121,
      durableOffset: 121,
      appliedOffset: 120,
      snapshotOffset: -1,
      stateHash: 4711,
    },
  });
});

test("an absent directory is left out, a present one is handed on", async () => {
  await call("RemoveVoter", { nodeId: 2 });
  await call("RemoveVoter", { nodeId: 2, directoryId: "d" });
  expect(fake.changes).toEqual([
    ["removeVoter", { nodeId: 2 }],
    ["removeVoter", { nodeId: 2, directoryId: "d" }],
  ]);
});

test("an election of all topics, and of some", async () => {
  await call("ElectLeaders", { allTopics: true });
  await call("ElectLeaders", { topics: ["a", "b"] });
  expect(fake.changes).toEqual([
    ["electLeaders", {}],
    ["electLeaders", { topics: ["a", "b"] }],
  ]);
});

test("what moves, and where it is to go", async () => {
  fake.outcomes = [{ topic: "a", partition: 1, error: "INVALID_REPLICA_ASSIGNMENT", errorMessage: "why" }];
  const results = [{ topic: "a", partition: 1, errorCode: 39, errorMessage: "why" }];
  const partitions = [{ topic: "a", partition: 1, replicas: [0, 3] }];
  expect(await call("ReassignPartitions", { partitions, validateOnly: true })).toEqual({ results });
  expect(await call("CancelReassignments", { partitions: [{ topic: "a", partition: 1 }] })).toEqual({
    results,
  });
  await call("CancelReassignments", { allPartitions: true });
  fake.drained = { movedLeaders: 4, ledPartitions: 1 };
  expect(await call("DrainBroker", { nodeId: 0, isDrained: true })).toEqual(fake.drained);
  expect(fake.changes).toEqual([
    ["reassignPartitions", { partitions, validateOnly: true }],
    ["cancelReassignments", { partitions: [{ topic: "a", partition: 1 }] }],
    ["cancelReassignments", {}],
    ["drainBroker", { nodeId: 0, isDrained: true }],
  ]);
  const moving = { addingReplicas: [4], removingReplicas: [0], isr: [0, 1] };
  fake.reassignments = [{ topic: "a", partition: 2, target: [4, 1], ...moving }];
  expect(await call("ListReassignments")).toEqual({ reassignments: fake.reassignments });
});

test("a feature's answer is what it became", async () => {
  const { feature } = await call<admin.UpdateFeatureResponse>("UpdateFeature", { name: "f", level: 3 });
  expect(feature).toEqual({ name: "f", level: 3, min: 1, max: 3 });
  expect(fake.changes).toEqual([["updateFeature", { name: "f", level: 3, isDryRun: false }]]);
});

describe("requests that cannot be meant are refused before the broker sees them", () => {
  test.each([
    ["AddVoter", { nodeId: -1 }],
    ["RemoveVoter", { nodeId: -2 }],
    ["UnregisterBroker", { nodeId: -1 }],
    ["ElectLeaders", {}],
    ["ReassignPartitions", {}],
    ["ReassignPartitions", { partitions: [{ topic: "a", partition: 0, replicas: [-1] }] }],
    ["ReassignPartitions", { partitions: [{ topic: "a", partition: -1, replicas: [1] }] }],
    ["CancelReassignments", {}],
    ["CancelReassignments", { allPartitions: true, partitions: [{ topic: "a", partition: 0 }] }],
    ["DrainBroker", { nodeId: -1, isDrained: true }],
    ["ElectLeaders", { topics: ["a"], allTopics: true }],
  ])("%s %j", async (method, request) => {
    await expect(call(method, request)).rejects.toMatchObject({ code: "INVALID_REQUEST" });
    expect(fake.changes).toEqual([]);
  });
});

test("a refusal reaches the caller with its code, its text and whether it may pass", async () => {
  fake.refusal = new ProtocolError("INVALID_VOTER_KEY", "broker 2 is behind", { retriable: true });
  const error: unknown = await call("AddVoter", { nodeId: 2 }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ProtocolError);
  expect(error).toMatchObject({ code: "INVALID_VOTER_KEY", message: "broker 2 is behind", retriable: true });
});
