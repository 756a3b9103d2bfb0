import { afterEach, describe, expect, test } from "vitest";

import { PEER_MAX_MESSAGE_BYTES } from "../../src/rpc/peer-limits.ts";
import { raftTransportContract } from "../contract/raft-transport.ts";
import { clock, PeerProcess, WarningLines } from "./peer-harness.ts";

raftTransportContract("the gRPC transport", () => {
  const nodes: PeerProcess[] = [];
  return {
    clock,
    async start(id) {
      const node = await PeerProcess.start(id);
      nodes.push(node);
      return node;
    },
    async close() {
      await Promise.all(nodes.map((node) => node.close()));
    },
  };
});

describe("the gRPC transport", () => {
  const nodes: PeerProcess[] = [];
  afterEach(async () => {
    await Promise.all(nodes.splice(0).map((node) => node.close()));
  });

  async function start(...args: Parameters<typeof PeerProcess.start>): Promise<PeerProcess> {
    const node = await PeerProcess.start(...args);
    nodes.push(node);
    return node;
  }

  const text = (value: string): Uint8Array[] => [Buffer.from(value)];

  test("a peer that stands still without a word is noticed on both sides within about three seconds", async () => {
    const one = await start(1);
    const two = await start(2);
    const proxy = await two.behindProxy();
    one.transport.send(two.address, text("before"));
    await two.peer.until(() => two.peer.received.length > 0);
    const frozenMs = clock.monotonicMs();
    proxy.freeze();
    await two.peer.until(() => two.peer.closedPeers.length > 0);
    expect(clock.monotonicMs() - frozenMs).toBeLessThan(4000);
    // The sender has noticed too, and a new connection, which the proxy carries, works.
    while (two.peer.received.length < 2) {
      one.transport.send(two.address, text("after"));
      await clock.sleep(20);
    }
    expect(clock.monotonicMs() - frozenMs).toBeLessThan(5500);
  });

  test("a broken connection is told to the receiver at once, and made again for the next message", async () => {
    const one = await start(1);
    const two = await start(2);
    const proxy = await two.behindProxy();
    one.transport.send(two.address, text("before"));
    await two.peer.until(() => two.peer.received.length > 0);
    proxy.cut();
    await two.peer.until(() => two.peer.closedPeers.length > 0);
    while (two.peer.received.length < 2) {
      one.transport.send(two.address, text("after"));
      await clock.sleep(10);
    }
    expect(two.peer.closedPeers).toEqual([1]);
  });

  test("beyond the bound the newest messages are dropped and counted, and what was kept arrives in order", async () => {
    const log = new WarningLines();
    const one = await start(1, { maxQueueBytes: 10_000, logger: log });
    const two = await start(2);
    // All in one turn, so that nothing can have left.
    for (let index = 0; index < 30; index++) one.transport.send(two.address, [Buffer.alloc(1000, index)]);
    expect(one.transport.droppedMessages).toBe(21);
    await two.peer.until(() => two.peer.received.length === 9);
    expect(two.peer.received.map((message) => message[0])).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    one.transport.send(two.address, text("room again"));
    await two.peer.until(() => two.peer.received.length === 10);
    expect(log.lines.filter(({ message }) => message === "Raft messages are dropped")).toHaveLength(1);
    one.transport.retain([]);
    expect(one.transport.droppedMessages).toBe(21);
  });

  test("a message above the limit of the port is dropped, and the stream lives on", async () => {
    const one = await start(1);
    const two = await start(2);
    one.transport.send(two.address, [Buffer.alloc(PEER_MAX_MESSAGE_BYTES)]);
    one.transport.send(two.address, [Buffer.alloc(PEER_MAX_MESSAGE_BYTES - 100, 1)]);
    await two.peer.until(() => two.peer.received.length > 0);
    expect(two.peer.received.map(({ length }) => length)).toEqual([PEER_MAX_MESSAGE_BYTES - 100]);
    expect(one.transport.droppedMessages).toBe(1);
  });

  test("messages of a pause wait for the next attempt; those given to a lost stream are gone", async () => {
    const log = new WarningLines();
    const one = await start(1, { logger: log });
    const two = await start(2);
    await two.stop();
    one.transport.send(two.address, text("given to an attempt that fails"));
    while (log.lines.length === 0) await clock.sleep(1);
    await two.restart();
    one.transport.send(two.address, text("waits"));
    await two.peer.until(() => two.peer.received.length > 0);
    expect(two.peer.received.map(String)).toEqual(["waits"]);
  });

  test("a peer that refuses is logged once, not at each attempt", async () => {
    const log = new WarningLines();
    const one = await start(1, { logger: log });
    const two = await start(2);
    two.peer.clusterId = "cluster-b";
    const startMs = clock.monotonicMs();
    while (clock.monotonicMs() - startMs < 300) {
      one.transport.send(two.address, text("x"));
      await clock.sleep(5);
    }
    expect(log.lines).toHaveLength(1);
    expect(log.lines[0]?.fields["reason"]).toMatch(/belongs to cluster cluster-a/);
    expect(two.peer.received).toEqual([]);
  });

  test("a hello to a port that is no peer port says so, and one to no address says how to write it", async () => {
    const one = await start(1);
    const signal = new AbortController().signal;
    const hello = (endpoint: string): Promise<unknown> =>
      one.transport.hello(endpoint, one.peer.helloOf(""), signal);
    await expect(hello("nowhere")).rejects.toThrow(/"nowhere".*write host:port/);
    await expect(hello("")).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  test("after close, nothing is sent and nothing thrown", async () => {
    const one = await start(1);
    const two = await start(2);
    one.transport.close();
    one.transport.send(two.address, text("late"));
    one.transport.close();
    expect(two.server.connectionCount).toBe(0);
  });
});
