import { fileURLToPath } from "node:url";

import { Client, credentials, Metadata, type ServiceDefinition } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { afterEach, describe, expect, test } from "vitest";

import { nodeId } from "../../src/model/ids.ts";
import { errorFromStatus } from "../../src/rpc/error-details.ts";
import {
  CONTROL_METHOD,
  HELLO_METHOD,
  RAFT_METHOD,
  REPLICATE_METHOD,
  SESSION_METHOD,
} from "../../src/rpc/method-names.ts";
import { encodePayload } from "../../src/rpc/payload-codec.ts";
import { peerMetadata } from "../../src/rpc/peer-headers.ts";
import { RPC_CODES } from "../../src/rpc/status.ts";
import type { RpcMetadata } from "../../src/rpc/stream/byte-stream.ts";
import { fromGrpcJsStatus, toGrpcJsMetadata } from "../../src/rpc/stream/grpc-js-metadata.ts";
import type { PeerServer } from "../../src/server/peer-server.ts";
import { WarningLines } from "../peer/peer-harness.ts";
import {
  closeAll,
  closers,
  GOOD,
  LANES,
  open,
  openChannel,
  payload,
  start,
  TARGET,
} from "./peer-server-harness.ts";

afterEach(closeAll);

for (const lane of LANES) {
  for (const isDirectOnly of [false, true]) {
    describe(`the ${lane} client at a server that takes it ${isDirectOnly ? "directly" : "by its lane"}`, () => {
      test("sends Raft messages, and is told once that it was accepted", async () => {
        const { server, peer } = await start({ isDirectOnly });
        const call = open(openChannel(server, lane), RAFT_METHOD);
        await call.waitFor(1);
        expect(call.messages.map(({ length }) => length)).toEqual([0]);
        const large = Buffer.alloc(4 * 1024 * 1024, "r");
        call.stream.send(payload("vote"));
        call.stream.send(encodePayload([large]));
        await peer.until(() => peer.received.length === 2);
        expect(String(peer.received[0])).toBe("vote");
        expect(peer.received[1]?.equals(large)).toBe(true);
        expect(peer.closedPeers).toEqual([]);
        call.stream.end();
        expect((await call.closed).code).toBe(RPC_CODES.OK);
        await peer.until(() => peer.closedPeers.length > 0);
        expect(peer.closedPeers).toEqual([1]);
      });

      test("keeps a session", async () => {
        const { server, peer } = await start({ isDirectOnly });
        const call = open(openChannel(server, lane), SESSION_METHOD);
        call.stream.send(payload("register"));
        await peer.until(() => peer.sessions[0]?.frames.length === 1);
        peer.sessions[0]?.stream.send(Buffer.from("registered"));
        await call.waitFor(1);
        expect(call.messages[0]).toEqual(Buffer.concat(payload("registered")));
        call.stream.cancel();
        await peer.until(() => peer.sessions[0]?.ends === 1);
      });

      test("follows a leader", async () => {
        const { server, peer } = await start({ isDirectOnly });
        const call = open(openChannel(server, lane), REPLICATE_METHOD);
        call.stream.send(payload("follow"));
        await peer.until(() => peer.replicas[0]?.frames.length === 1);
        expect(String(peer.replicas[0]?.frames[0])).toBe("follow");
        const batches = [Buffer.alloc(61, "h"), Buffer.alloc(1024 * 1024, "r")];
        peer.replicas[0]?.stream.send(batches);
        await call.waitFor(1);
        expect(call.messages[0]?.equals(Buffer.concat(encodePayload(batches)))).toBe(true);
        call.stream.end();
        expect((await call.closed).code).toBe(RPC_CODES.OK);
        await peer.until(() => peer.replicas[0]?.ends === 1);
      });

      test("asks and is answered", async () => {
        const { server } = await start({ isDirectOnly });
        const call = open(openChannel(server, lane), CONTROL_METHOD);
        call.stream.send(payload("create"));
        call.stream.end();
        expect((await call.closed).code).toBe(RPC_CODES.OK);
        expect(call.messages).toEqual([Buffer.concat(payload("create"))]);
      });
    });
  }
}

describe("a gRPC client that knows nothing but the proto file", () => {
  const proto = loadSync(fileURLToPath(new URL("../../proto/lograft/v1/peer.proto", import.meta.url)), {
    longs: Number,
    defaults: true,
  });
  const service = proto["lograft.v1.PeerService"] as ServiceDefinition;

  function callUnary(
    server: PeerServer,
    method: string,
    request: object,
    metadata?: Metadata,
  ): Promise<unknown> {
    const client = new Client(`127.0.0.1:${server.port}`, credentials.createInsecure());
    closers.push(() => client.close());
    const { path, requestSerialize, responseDeserialize } = service[method]!;
    return new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadata ?? toGrpcJsMetadata(GOOD),
        { deadline: Date.now() + 10_000 },
        (error, answer) => {
          if (error === null) resolve(answer);
          else reject(errorFromStatus(fromGrpcJsStatus(error)));
        },
      );
    });
  }

  test.each([false, true])("says hello and asks the controller (direct lane: %s)", async (isDirectOnly) => {
    const { server, peer } = await start({ isDirectOnly });
    const leader = { nodeId: nodeId(3), directoryId: "store-3", endpoint: "c:3" };
    peer.answerHello = () => ({ ...peer.helloOf("b:2"), voters: [leader], leader, epoch: 5 });
    const from = { nodeId: 1, directoryId: "store-1", endpoint: "a:1", clusterId: "cluster-a", epoch: 4 };
    expect(await callUnary(server, "Hello", { from })).toMatchObject({
      node: { nodeId: 2, endpoint: "b:2", clusterId: "cluster-a", voters: [leader], leader, epoch: 5 },
    });
    expect(peer.hellos).toMatchObject([{ ...from, foundingVoters: [], voters: [], leader: undefined }]);
    expect(await callUnary(server, "Control", { payload: Buffer.from("x") })).toEqual({
      payload: Buffer.from("x"),
    });
  });

  test("without the metadata of a peer it is told what this port is", async () => {
    const { server } = await start();
    await expect(callUnary(server, "Control", { payload: Buffer.from("x") }, new Metadata())).rejects.toThrow(
      /no valid lograft-node-id.*brokers of one cluster/,
    );
  });
});

describe("who is refused", () => {
  const metadata = (change: Readonly<Record<string, string | undefined>>): RpcMetadata => {
    const out = new Map(GOOD);
    for (const [name, value] of Object.entries(change)) {
      if (value === undefined) out.delete(name);
      else out.set(name, value);
    }
    return out;
  };

  test.each([
    [
      "another cluster",
      { "lograft-cluster-id": "cluster-b" },
      "INCONSISTENT_CLUSTER_ID",
      /node 2 of cluster cluster-a; the caller belongs to cluster cluster-b/,
    ],
    [
      "who looks for another node",
      { "lograft-to-node-id": "3" },
      "INVALID_VOTER_KEY",
      /this is node 2; the caller looks for node 3/,
    ],
    [
      "who looks for another store",
      { "lograft-to-directory-id": "old" },
      "INVALID_VOTER_KEY",
      /store store-2; the caller looks for its store old.*remove the voter/,
    ],
    ["who has the same node id", { "lograft-node-id": "2" }, "INVALID_VOTER_KEY", /another node\.id/],
    ["who has no node id", { "lograft-node-id": undefined }, "INVALID_ARGUMENT", /no valid lograft-node-id/],
    ["whose node id is none", { "lograft-node-id": "-1" }, "INVALID_ARGUMENT", /no valid lograft-node-id/],
    [
      "whose node id is too large",
      { "lograft-node-id": "2147483648" },
      "INVALID_ARGUMENT",
      /no valid lograft-node-id/,
    ],
    [
      "who has no store",
      { "lograft-directory-id": undefined },
      "INVALID_ARGUMENT",
      /no valid lograft-directory-id/,
    ],
    [
      "whose ids are too long",
      { "lograft-cluster-id": "x".repeat(65) },
      "INVALID_ARGUMENT",
      /no valid lograft-cluster-id/,
    ],
    [
      "whose target is none",
      { "lograft-to-node-id": "two" },
      "INVALID_ARGUMENT",
      /no valid lograft-to-node-id/,
    ],
    [
      "whose target store is none",
      { "lograft-to-directory-id": "a b" },
      "INVALID_ARGUMENT",
      /no valid lograft-to-directory-id/,
    ],
  ])("%s, on every method", async (_, change, code, text) => {
    const { server, peer } = await start();
    const channel = openChannel(server);
    for (const method of [HELLO_METHOD, CONTROL_METHOD, RAFT_METHOD, SESSION_METHOD, REPLICATE_METHOD]) {
      const call = open(channel, method, metadata(change));
      call.stream.send(payload("x"));
      const error = errorFromStatus(await call.closed);
      expect(error, method).toMatchObject({ code });
      expect(error.message, method).toMatch(text);
    }
    expect([peer.received, peer.hellos, peer.sessions, peer.closedPeers]).toEqual([[], [], [], []]);
    expect(peer.replicas).toEqual([]);
  });

  test("a node that knows no cluster yet is heard, and hears every other", async () => {
    const { server, peer } = await start();
    const channel = openChannel(server);
    await open(channel, RAFT_METHOD, metadata({ "lograft-cluster-id": undefined })).waitFor(1);
    peer.clusterId = undefined;
    await open(channel, RAFT_METHOD, metadata({ "lograft-cluster-id": "cluster-b" })).waitFor(1);
    await open(
      channel,
      RAFT_METHOD,
      metadata({ "lograft-to-node-id": undefined, "lograft-to-directory-id": undefined }),
    ).waitFor(1);
  });

  test("a node that calls itself is heard", async () => {
    const { server } = await start();
    const own = peerMetadata({ nodeId: nodeId(2), directoryId: "store-2", clusterId: "cluster-a" }, TARGET);
    await open(openChannel(server), RAFT_METHOD, own).waitFor(1);
  });

  test("each is logged once in a while, and the others go on", async () => {
    const log = new WarningLines();
    const { server, peer } = await start({ logger: log });
    const channel = openChannel(server);
    const good = open(channel, RAFT_METHOD);
    for (let attempt = 0; attempt < 20; attempt++) {
      await open(channel, RAFT_METHOD, metadata({ "lograft-cluster-id": "cluster-b" })).closed;
      await open(
        channel,
        RAFT_METHOD,
        metadata({ "lograft-cluster-id": "cluster-b", "lograft-node-id": "7" }),
      ).closed;
    }
    expect(log.lines.map(({ message, fields }) => [message, fields["peerId"]])).toEqual([
      ["a peer was refused", 1],
      ["a peer was refused", 7],
    ]);
    good.stream.send(payload("still here"));
    await peer.until(() => peer.received.length === 1);
    expect(peer.closedPeers).toEqual([]);
  });
});

describe("a server that stops", () => {
  test("ends streams and sessions with a reason, answers what it was asked, and takes nothing new", async () => {
    const { server, peer } = await start();
    const channel = openChannel(server);
    const raft = open(channel, RAFT_METHOD);
    const session = open(channel, SESSION_METHOD);
    await raft.waitFor(1);
    let answer: ((bytes: Buffer) => void) | undefined;
    peer.answerCall = () =>
      new Promise((resolve) => {
        answer = resolve;
        peer.wake();
      });
    const call = open(channel, CONTROL_METHOD);
    call.stream.send(payload("x"));
    await peer.until(() => answer !== undefined);
    server.drain();
    expect(errorFromStatus(await raft.closed)).toMatchObject({ code: "CLOSED", retriable: true });
    expect(errorFromStatus(await session.closed)).toMatchObject({ code: "CLOSED", retriable: true });
    expect(errorFromStatus(await open(channel, RAFT_METHOD).closed)).toMatchObject({ code: "CLOSED" });
    const closing = server.close({ graceMs: 10_000 });
    answer?.(Buffer.from("done"));
    expect((await call.closed).code).toBe(RPC_CODES.OK);
    channel.close();
    await closing;
    expect(peer.closedPeers).toEqual([1]);
  });

  test("cuts what does not end within its grace", async () => {
    const { server, peer } = await start();
    peer.answerCall = () => new Promise(() => undefined);
    const call = open(openChannel(server), CONTROL_METHOD);
    call.stream.send(payload("x"));
    await peer.until(() => true);
    await server.close({ graceMs: 20 });
    await server.close({ graceMs: 20 });
    expect((await call.closed).code).not.toBe(RPC_CODES.OK);
  });
});
