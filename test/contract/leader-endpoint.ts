import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { operationError } from "../../src/base/errors.ts";
import { ProtocolError } from "../../src/model/error-code.ts";
import { nodeId } from "../../src/model/ids.ts";
import type { PeerAddress } from "../../src/model/peer-address.ts";
import type { LeaderEndpoint, ReplicaChannel } from "../../src/replication/leader-endpoint.ts";
import type { RecordedPeer, RecordedReplica } from "./recorded-peer.ts";

/** A follower's way to a leader, and the leader. */
export interface LeaderHarness {
  readonly endpoint: LeaderEndpoint;
  readonly leader: RecordedPeer;
  readonly address: PeerAddress;
  /** The leader's process is killed; nothing listens at its address any more. */
  kill(): Promise<void>;
  close(): Promise<void>;
}

/** The follower's side of a replica stream, written down. */
export class RecordedChannel {
  readonly frames: Buffer[] = [];
  readonly ends: Error[] = [];
  readonly channel: ReplicaChannel;
  drains = 0;
  onFrame: (frame: Buffer) => void = () => undefined;
  readonly #waiting: (() => void)[] = [];

  constructor(endpoint: LeaderEndpoint, to: PeerAddress) {
    this.channel = endpoint.open(to, {
      onFrame: (frame) => {
        this.frames.push(frame);
        this.#wake();
        this.onFrame(frame);
      },
      onDrain: () => {
        this.drains += 1;
        this.#wake();
      },
      onEnd: (cause) => {
        this.ends.push(cause);
        this.#wake();
      },
    });
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

/** A stream that its leader has accepted and heard from. */
export async function openReplica(
  harness: Pick<LeaderHarness, "endpoint" | "leader" | "address">,
): Promise<{ follower: RecordedChannel; accepted: RecordedReplica }> {
  const { leader } = harness;
  const index = leader.replicas.length;
  const follower = new RecordedChannel(harness.endpoint, harness.address);
  follower.channel.send([Buffer.from("open")]);
  await leader.until(() => (leader.replicas[index]?.frames.length ?? 0) > 0);
  return { follower, accepted: leader.replicas[index]! };
}

const MIB = 1024 * 1024;

/** More than any form lets wait; a `send` that never answers false must not run for ever. */
const MOST_FRAMES = 64;

/** Frames of one MiB until `send` says to stop; answers how many. */
function sendUntilFalse(send: (chunks: readonly Uint8Array[]) => boolean): number {
  for (let sent = 1; sent <= MOST_FRAMES; sent++) if (!send([Buffer.alloc(MIB, sent)])) return sent;
  throw new Error(`${MOST_FRAMES} MiB were taken without a word`);
}

/** What every way to a leader does, real or simulated. */
export function leaderEndpointContract(name: string, create: () => Promise<LeaderHarness>): void {
  describe(`${name} keeps the leader endpoint contract`, () => {
    let harness: LeaderHarness;
    beforeEach(async () => {
      harness = await create();
    });
    afterEach(() => harness.close());

    /** The error that a stream ends with which is never accepted. */
    async function refusal(change: Partial<PeerAddress>): Promise<Error | undefined> {
      const follower = new RecordedChannel(harness.endpoint, { ...harness.address, ...change });
      follower.channel.send([Buffer.from("open")]);
      await follower.until(() => follower.ends.length > 0);
      expect(harness.leader.replicas).toEqual([]);
      return follower.ends[0];
    }

    test("frames pass both ways, in order", async () => {
      const { follower, accepted } = await openReplica(harness);
      for (let index = 0; index < 2000; index++) {
        follower.channel.send([Buffer.from("progress "), Buffer.from(String(index))]);
        accepted.stream.send([Buffer.from("records "), Buffer.from(String(index))]);
      }
      await harness.leader.until(() => accepted.frames.length === 2001);
      await follower.until(() => follower.frames.length === 2000);
      const numbered = (word: string): string[] =>
        Array.from({ length: 2000 }, (_, index) => `${word} ${index}`);
      expect(accepted.frames.slice(1).map(String)).toEqual(numbered("progress"));
      expect(follower.frames.map(String)).toEqual(numbered("records"));
    });

    test("a frame of a header and many batches, above one MiB, is one contiguous buffer", async () => {
      const { follower, accepted } = await openReplica(harness);
      const header = Buffer.alloc(61, "h");
      const batches = Array.from({ length: 64 }, (_, index) => Buffer.alloc(MIB / 64, index));
      const frame = Buffer.concat([header, ...batches]);
      expect(frame.length).toBe(MIB + 61);
      for (let count = 0; count < 3; count++) accepted.stream.send([header, ...batches]);
      await follower.until(() => follower.frames.length === 3);
      expect(follower.frames.map((received) => received.equals(frame))).toEqual([true, true, true]);
    });

    test("a frame is the receiver's to keep: what follows does not change it", async () => {
      const { follower, accepted } = await openReplica(harness);
      for (let index = 0; index < 200; index++) accepted.stream.send([Buffer.alloc(40_000, index)]);
      await follower.until(() => follower.frames.length === 200);
      const isWhole = (frame: Buffer, index: number): boolean => frame.equals(Buffer.alloc(40_000, index));
      expect(follower.frames.findIndex((frame, index) => !isWhole(frame, index))).toBe(-1);
    });

    test("a leader that sends too much is told to stop, keeps what it sent, and is told to go on", async () => {
      const { follower, accepted } = await openReplica(harness);
      const sent = sendUntilFalse((chunks) => accepted.stream.send(chunks));
      expect(accepted.drains).toBe(0);
      await harness.leader.until(() => accepted.drains > 0);
      await follower.until(() => follower.frames.length === sent);
      expect(follower.frames.map((frame) => frame[0])).toEqual(Array.from({ length: sent }, (_, i) => i + 1));
      expect(accepted.drains).toBe(1);
      expect(accepted.stream.send([Buffer.from("on")])).toBe(true);
    });

    test("a follower that sends too much is told so too", async () => {
      const { follower, accepted } = await openReplica(harness);
      const sent = sendUntilFalse((chunks) => follower.channel.send(chunks));
      await follower.until(() => follower.drains > 0);
      await harness.leader.until(() => accepted.frames.length === sent + 1);
      expect(accepted.frames.slice(1).map((frame) => frame[0])).toEqual(
        Array.from({ length: sent }, (_, i) => i + 1),
      );
    });

    test("a store that the follower does not know yet is any store of that node", async () => {
      const { accepted } = await openReplica({
        ...harness,
        address: { ...harness.address, directoryId: "" },
      });
      expect(accepted.frames.map(String)).toEqual(["open"]);
    });

    test("another node, another store and another cluster are refused with what to do", async () => {
      const node = await refusal({ nodeId: nodeId(9) });
      expect(node).toMatchObject({ code: "INVALID_VOTER_KEY" });
      expect(node?.message).toMatch(/looks for node 9/);
      const store = await refusal({ directoryId: "gone" });
      expect(store).toMatchObject({ code: "INVALID_VOTER_KEY" });
      expect(store?.message).toMatch(/its store gone/);
      harness.leader.clusterId = "cluster-b";
      const cluster = await refusal({});
      expect(cluster).toMatchObject({ code: "INCONSISTENT_CLUSTER_ID" });
      expect(cluster?.message).toMatch(/node 2 of cluster cluster-b/);
    });

    test("a leader that takes no stream says why", async () => {
      const error = operationError("CLOSED", "this broker leads nothing", { retriable: true });
      harness.leader.replicaRefusal = error;
      const { code, message, retriable } = error;
      expect(await refusal({})).toMatchObject({ code, message, retriable });
    });

    test("a stream that the follower closes ends at the leader once, and says nothing more to either", async () => {
      const { follower, accepted } = await openReplica(harness);
      for (let index = 0; index < 8; index++) accepted.stream.send([Buffer.alloc(MIB)]);
      follower.channel.close();
      follower.channel.close();
      expect(follower.channel.send([Buffer.from("late")])).toBe(false);
      const framesAtClose = follower.frames.length;
      await harness.leader.until(() => accepted.ends > 0);
      expect(accepted.stream.send([Buffer.from("late")])).toBe(false);
      accepted.stream.close();
      // A stream that is opened after it shows that what was on its way has had its time.
      const next = await openReplica(harness);
      next.accepted.stream.send([Buffer.from("next")]);
      await next.follower.until(() => next.follower.frames.length > 0);
      expect(accepted.frames.map(String)).toEqual(["open"]);
      expect(accepted.ends).toBe(1);
      expect(follower.frames.length).toBe(framesAtClose);
      expect(follower.ends).toEqual([]);
    });

    test("a stream that the leader closes with an error ends with it, after what was sent before", async () => {
      const errors = [
        new ProtocolError("STALE_BROKER_EPOCH", "broker 1 has epoch 7", { context: { brokerEpoch: "7" } }),
        operationError("CLOSED", "the broker is stopping", { retriable: true }),
      ];
      for (const error of errors) {
        const { follower, accepted } = await openReplica(harness);
        accepted.stream.send([Buffer.alloc(MIB, "r")]);
        accepted.stream.send([Buffer.from("last")]);
        accepted.stream.close(error);
        accepted.stream.close();
        expect(accepted.stream.send([Buffer.from("late")])).toBe(false);
        await follower.until(() => follower.ends.length > 0);
        expect(follower.frames.map(({ length }) => length)).toEqual([MIB, 4]);
        const { code, message, retriable, context } = error;
        expect(follower.ends).toMatchObject([{ code, message, retriable, context }]);
        expect(accepted.ends).toBe(0);
      }
    });

    test("a stream that the leader closes without an error may be tried again", async () => {
      const { follower, accepted } = await openReplica(harness);
      accepted.stream.close();
      await follower.until(() => follower.ends.length > 0);
      expect(follower.ends).toMatchObject([{ code: "CONNECTION_FAILED", retriable: true }]);
      expect(accepted.ends).toBe(0);
    });

    test("what the leader throws over a frame ends the stream with it, and no other", async () => {
      const other = await openReplica(harness);
      const { follower, accepted } = await openReplica(harness);
      const error = operationError("SERIALIZATION_FAILED", "this is no frame");
      harness.leader.onReplicaFrame = (_, frame) => {
        if (String(frame) === "?") throw error;
      };
      follower.channel.send([Buffer.from("?")]);
      await follower.until(() => follower.ends.length > 0);
      expect(follower.ends).toMatchObject([{ code: error.code, message: error.message }]);
      await harness.leader.until(() => accepted.ends > 0);
      other.accepted.stream.send([Buffer.from("still here")]);
      await other.follower.until(() => other.follower.frames.length > 0);
      expect(other.follower.ends).toEqual([]);
    });

    test("what the follower throws over a frame ends the stream with it", async () => {
      const { follower, accepted } = await openReplica(harness);
      const error = new ProtocolError("CORRUPT_MESSAGE", "a frame is cut off");
      follower.onFrame = () => {
        throw error;
      };
      accepted.stream.send([Buffer.from("?")]);
      await follower.until(() => follower.ends.length > 0);
      expect(follower.ends).toMatchObject([{ code: error.code, message: error.message }]);
      await harness.leader.until(() => accepted.ends > 0);
      expect(accepted.ends).toBe(1);
    });

    test("the stream of a killed leader ends", async () => {
      const { follower } = await openReplica(harness);
      await harness.kill();
      await follower.until(() => follower.ends.length > 0);
      expect(follower.ends).toMatchObject([{ code: "CONNECTION_FAILED", retriable: true }]);
      expect(follower.channel.send([Buffer.from("late")])).toBe(false);
    });

    test("a stream to where nobody listens ends after the call that opened it", async () => {
      await harness.kill();
      const follower = new RecordedChannel(harness.endpoint, harness.address);
      follower.channel.send([Buffer.from("lost")]);
      expect(follower.ends).toEqual([]);
      await follower.until(() => follower.ends.length > 0);
      expect(follower.ends).toMatchObject([{ code: "CONNECTION_FAILED", retriable: true }]);
    });
  });
}
