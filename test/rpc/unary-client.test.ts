import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";

import { Server, ServerCredentials, type sendUnaryData, type ServerUnaryCall } from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, test } from "vitest";

import { ProtocolError } from "../../src/model/error-code.ts";
import type { ListTopicsRequest, ListTopicsResponse } from "../../src/rpc/admin-messages.ts";
import { statusFromError } from "../../src/rpc/error-details.ts";
import { protoService } from "../../src/rpc/load-proto.ts";
import { GrpcJsChannel } from "../../src/rpc/stream/grpc-js-channel.ts";
import { toGrpcJsStatus } from "../../src/rpc/stream/grpc-js-metadata.ts";
import { callUnary, unaryMethod } from "../../src/rpc/unary-client.ts";
import { deps } from "./stream/lane-harness.ts";

type ListCall = ServerUnaryCall<ListTopicsRequest, ListTopicsResponse>;

const listTopics = unaryMethod<ListTopicsRequest, ListTopicsResponse>(
  "lograft.v1.AdminService",
  "ListTopics",
);
const server = new Server();
const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
const tcp = createServer((socket) => injector.injectConnection(socket));
let channel: GrpcJsChannel;
let answer: (call: ListCall, callback: sendUnaryData<ListTopicsResponse>) => void;

beforeAll(async () => {
  server.addService(protoService("lograft.v1.AdminService"), {
    ListTopics: (call: ListCall, callback: sendUnaryData<ListTopicsResponse>) => answer(call, callback),
  });
  tcp.listen(0, "127.0.0.1");
  await once(tcp, "listening");
  const { port } = tcp.address() as AddressInfo;
  channel = new GrpcJsChannel({ host: "127.0.0.1", port, maxMessageBytes: 1024 * 1024 }, deps);
});

afterAll(() => {
  channel.close();
  injector.destroy();
  server.forceShutdown();
  tcp.close();
});

test("a call brings its answer, with defaults filled in", async () => {
  answer = (call, callback) => {
    expect(call.request).toEqual({ includeInternal: true });
    expect(call.metadata.get("x-a")).toEqual(["b"]);
    const topic = { name: "t", partitions: 3 } as ListTopicsResponse["topics"][number];
    callback(null, { topics: [topic] });
  };
  const metadata = new Map([["x-a", "b"]]);
  const response = await callUnary(
    channel,
    listTopics,
    { includeInternal: true },
    { timeoutMs: 2000, metadata },
  );
  expect(response.topics).toEqual([
    { name: "t", topicId: Buffer.alloc(0), partitions: 3, replicationFactor: 0, isInternal: false },
  ]);
});

test("a failed call rejects with the error of its details", async () => {
  answer = (_call, callback) => {
    callback(
      toGrpcJsStatus(statusFromError(new ProtocolError("NOT_CONTROLLER", "ask broker 2"), { leaderId: 2 })),
    );
  };
  await expect(callUnary(channel, listTopics, {}, { timeoutMs: 2000 })).rejects.toMatchObject({
    code: "NOT_CONTROLLER",
    message: "ask broker 2",
    context: { leaderId: 2 },
  });
});

test("a call that is not answered rejects with TIMEOUT at its deadline", async () => {
  answer = () => undefined;
  await expect(callUnary(channel, listTopics, {}, { timeoutMs: 50 })).rejects.toMatchObject({
    code: "TIMEOUT",
  });
});

test("an abort rejects with its reason, before the call and during it", async () => {
  const controller = new AbortController();
  answer = () => controller.abort(new Error("enough"));
  const options = { timeoutMs: 2000, signal: controller.signal };
  await expect(callUnary(channel, listTopics, {}, options)).rejects.toThrow("enough");
  await expect(callUnary(channel, listTopics, {}, options)).rejects.toThrow("enough");
});

test("a broker that is not there is CONNECTION_FAILED, and retriable", async () => {
  const nobody = new GrpcJsChannel({ host: "127.0.0.1", port: 1, maxMessageBytes: 1024 }, deps);
  await expect(callUnary(nobody, listTopics, {}, { timeoutMs: 2000 })).rejects.toMatchObject({
    code: "CONNECTION_FAILED",
    retriable: true,
  });
  nobody.close();
});

test("a method that is not unary is refused by name", () => {
  expect(() => unaryMethod("lograft.v1.ClientService", "Produce")).toThrow(/Produce/);
});
