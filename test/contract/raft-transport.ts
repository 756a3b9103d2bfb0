import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { operationError } from "../../src/base/errors.ts";
import { ProtocolError } from "../../src/model/error-code.ts";
import { nodeId } from "../../src/model/ids.ts";
import type { PeerAddress } from "../../src/model/peer-address.ts";
import type { Clock } from "../../src/platform/clock.ts";
import type { Hello, RaftTransport } from "../../src/quorum/raft-transport.ts";
import type { RecordedPeer } from "./recorded-peer.ts";

/** One node under test: what its peers told it, and its way to them. */
export interface TransportNode {
  readonly peer: RecordedPeer;
  readonly transport: RaftTransport;
  readonly address: PeerAddress;
  /** The process ends; nothing listens at its address any more. */
  stop(): Promise<void>;
  /** A new process at the same address, with the same `peer` and `transport`. */
  restart(): Promise<void>;
}

export interface RaftTransportHarness {
  readonly clock: Clock;
  start(id: number): Promise<TransportNode>;
  /** Ends all nodes. */
  close(): Promise<void>;
}

const never = new AbortController().signal;

/** What every transport of Raft messages does, real or simulated. */
export function raftTransportContract(name: string, create: () => RaftTransportHarness): void {
  describe(`${name} keeps the Raft transport contract`, () => {
    let harness: RaftTransportHarness;
    let one: TransportNode;
    let two: TransportNode;
    beforeEach(async () => {
      harness = create();
      one = await harness.start(1);
      two = await harness.start(2);
    });
    afterEach(() => harness.close());

    /** Sends as Raft does, again and again, until the other side has more than it had. */
    async function sendUntilReceived(): Promise<void> {
      const before = two.peer.received.length;
      while (two.peer.received.length === before) {
        one.transport.send(two.address, [Buffer.from("again")]);
        await harness.clock.sleep(10);
      }
    }

    test("messages of all sizes arrive whole, each once, in the order sent", async () => {
      const sizes = [1, 10, 127, 128, 1000, 70_000, 300_000, 1, 5, 1_000_000];
      const messages = sizes.map((size, index) => Buffer.alloc(size, index + 1));
      for (const message of messages) one.transport.send(two.address, [message]);
      await two.peer.until(() => two.peer.received.length >= messages.length);
      expect(two.peer.received.map(({ length }) => length)).toEqual(sizes);
      expect(two.peer.received.every((message, index) => message.equals(messages[index]!))).toBe(true);
    });

    test("3000 messages keep their order", async () => {
      for (let index = 0; index < 3000; index++) one.transport.send(two.address, [Buffer.from(`m${index}`)]);
      await two.peer.until(() => two.peer.received.length >= 3000);
      expect(two.peer.received.findIndex((message, index) => message.toString() !== `m${index}`)).toBe(-1);
    });

    test("chunks are one message", async () => {
      one.transport.send(two.address, [Buffer.from("ab"), Buffer.alloc(0), Buffer.alloc(5000, "c")]);
      await two.peer.until(() => two.peer.received.length > 0);
      expect(two.peer.received[0]?.toString()).toBe(`ab${"c".repeat(5000)}`);
    });

    test("both directions work side by side", async () => {
      one.transport.send(two.address, [Buffer.from("to two")]);
      two.transport.send(one.address, [Buffer.from("to one")]);
      await two.peer.until(() => two.peer.received.length > 0);
      await one.peer.until(() => one.peer.received.length > 0);
      expect(String(two.peer.received[0])).toBe("to two");
      expect(String(one.peer.received[0])).toBe("to one");
    });

    test("a peer that is back is reached within a second of its start", async () => {
      await sendUntilReceived();
      await two.stop();
      const stoppedMs = harness.clock.monotonicMs();
      while (harness.clock.monotonicMs() < stoppedMs + 400) {
        one.transport.send(two.address, [Buffer.from("lost")]);
        await harness.clock.sleep(20);
      }
      await two.restart();
      const startedMs = harness.clock.monotonicMs();
      await sendUntilReceived();
      expect(harness.clock.monotonicMs() - startedMs).toBeLessThan(1200);
    });

    test("a peer that ends is noticed at once by whom it sent to", async () => {
      two.transport.send(one.address, [Buffer.from("hello")]);
      await one.peer.until(() => one.peer.received.length > 0);
      expect(one.peer.closedPeers).toEqual([]);
      await two.stop();
      await one.peer.until(() => one.peer.closedPeers.length > 0);
      expect(one.peer.closedPeers).toEqual([2]);
    });

    test("a message is delivered to whom it is addressed or to nobody", async () => {
      const strangers = [
        { ...two.address, nodeId: nodeId(7) },
        { ...two.address, directoryId: "another-store" },
      ];
      for (const stranger of strangers) one.transport.send(stranger, [Buffer.from("for a stranger")]);
      await sendUntilReceived();
      // An address that does not know the store reaches any.
      one.transport.send({ ...two.address, directoryId: "" }, [Buffer.from("any store")]);
      await two.peer.until(() => two.peer.received.some((message) => message.toString() === "any store"));
      expect(two.peer.received.some((message) => message.toString() === "for a stranger")).toBe(false);
    });

    test("a node of another cluster is not heard, and disturbs no connection", async () => {
      await sendUntilReceived();
      const three = await harness.start(3);
      three.peer.clusterId = "cluster-b";
      three.transport.send(two.address, [Buffer.from("foreign")]);
      await expect(
        three.transport.hello(two.address.endpoint, three.peer.helloOf(""), never),
      ).rejects.toThrow(ProtocolError);
      await sendUntilReceived();
      expect(two.peer.received.some((message) => message.toString() === "foreign")).toBe(false);
      expect(two.peer.closedPeers).toEqual([]);
    });

    test("sending to where nobody is drops the message and throws nothing", async () => {
      await two.stop();
      one.transport.send(two.address, [Buffer.from("lost")]);
      one.transport.send({ nodeId: nodeId(9), directoryId: "", endpoint: "no address" }, [
        Buffer.from("lost"),
      ]);
      one.transport.send({ nodeId: nodeId(9), directoryId: "", endpoint: "" }, [Buffer.from("lost")]);
      await expect(one.transport.hello(two.address.endpoint, one.peer.helloOf(""), never)).rejects.toThrow();
    });

    test("addresses that are not retained are let go", async () => {
      await sendUntilReceived();
      one.transport.retain([two.address]);
      await sendUntilReceived();
      expect(two.peer.closedPeers).toEqual([]);
      one.transport.retain([]);
      await two.peer.until(() => two.peer.closedPeers.length > 0);
      expect(two.peer.closedPeers).toEqual([1]);
      await sendUntilReceived();
    });

    test("a hello carries all that is known, both ways", async () => {
      const leader = { nodeId: nodeId(2), directoryId: "store-2", endpoint: "b:2" };
      const mine: Hello = {
        ...one.peer.helloOf("a:1"),
        clusterId: undefined,
        foundingVoters: [
          { nodeId: nodeId(1), endpoint: "a:1" },
          { nodeId: nodeId(2), endpoint: "b:2" },
        ],
      };
      const answer: Hello = { ...two.peer.helloOf("b:2"), voters: [leader], leader, epoch: 2 ** 40 };
      two.peer.answerHello = () => answer;
      expect(await one.transport.hello(two.address.endpoint, mine, never)).toEqual(answer);
      expect(two.peer.hellos).toMatchObject([mine]);
    });

    test("a hello to where nobody listens says that it was refused", async () => {
      await two.stop();
      await expect(
        one.transport.hello(two.address.endpoint, one.peer.helloOf(""), never),
      ).rejects.toMatchObject({
        code: "CONNECTION_FAILED",
        retriable: true,
        context: { isRefused: true },
      });
    });

    test("a hello to another cluster names both", async () => {
      two.peer.clusterId = "cluster-b";
      const hello = one.transport.hello(two.address.endpoint, one.peer.helloOf(""), never);
      await expect(hello).rejects.toMatchObject({ code: "INCONSISTENT_CLUSTER_ID" });
      await expect(hello).rejects.toThrow(
        /node 2 of cluster cluster-b.*belongs to cluster cluster-a.*node 1/,
      );
      expect(two.peer.hellos).toEqual([]);
    });

    test("a hello that is refused by the other node brings its words", async () => {
      two.peer.answerHello = () => {
        throw operationError("CONFIG_INVALID", "our voters are others", { context: { voters: "1,2" } });
      };
      await expect(
        one.transport.hello(two.address.endpoint, one.peer.helloOf(""), never),
      ).rejects.toMatchObject({
        code: "CONFIG_INVALID",
        message: "our voters are others",
        retriable: false,
        context: { voters: "1,2" },
      });
    });

    test("a hello ends with the reason of its signal", async () => {
      const reason = operationError("TIMEOUT", "no time left");
      await expect(
        one.transport.hello(two.address.endpoint, one.peer.helloOf(""), AbortSignal.abort(reason)),
      ).rejects.toBe(reason);
      const controller = new AbortController();
      two.peer.answerHello = () => {
        controller.abort(reason);
        return two.peer.helloOf("");
      };
      await expect(
        one.transport.hello(two.address.endpoint, one.peer.helloOf(""), controller.signal),
      ).rejects.toBe(reason);
    });
  });
}
