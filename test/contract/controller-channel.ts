import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { operationError } from "../../src/base/errors.ts";
import type { ControllerChannel, SessionEnd, SessionStream } from "../../src/broker/controller-channel.ts";
import { ProtocolError } from "../../src/model/error-code.ts";
import { nodeId } from "../../src/model/ids.ts";
import type { PeerAddress } from "../../src/model/peer-address.ts";
import type { RecordedPeer, RecordedSession } from "./recorded-peer.ts";

/** A broker's way to a controller, and the controller. */
export interface ChannelHarness {
  readonly channel: ControllerChannel;
  readonly controller: RecordedPeer;
  readonly address: PeerAddress;
  /** The controller's process is killed; nothing listens at its address any more. */
  kill(): Promise<void>;
  close(): Promise<void>;
}

const never = new AbortController().signal;

/** The broker's side of a session, written down. */
class Session {
  readonly frames: string[] = [];
  readonly ends: { reason: SessionEnd; cause: Error }[] = [];
  readonly stream: SessionStream;
  readonly #waiting: (() => void)[] = [];

  constructor(channel: ControllerChannel, to: PeerAddress) {
    this.stream = channel.openSession(to, {
      onFrame: (frame) => {
        this.frames.push(frame.toString());
        this.#wake();
      },
      onEnd: (reason, cause) => {
        this.ends.push({ reason, cause });
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

/** What every channel to the controller does, real or simulated. */
export function controllerChannelContract(name: string, create: () => Promise<ChannelHarness>): void {
  describe(`${name} keeps the controller channel contract`, () => {
    let harness: ChannelHarness;
    beforeEach(async () => {
      harness = await create();
    });
    afterEach(() => harness.close());

    const call = (request: string | Buffer, signal: AbortSignal = never): Promise<Buffer> =>
      harness.channel.call(harness.address, Buffer.from(request), signal);

    /** A session whose first frame has arrived. */
    async function openSession(): Promise<{ session: Session; accepted: RecordedSession }> {
      const { controller } = harness;
      const session = new Session(harness.channel, harness.address);
      session.stream.send(Buffer.from("register"));
      await controller.until(() => (controller.sessions[0]?.frames.length ?? 0) > 0);
      return { session, accepted: controller.sessions[0]! };
    }

    test("a request gets its answer, also one of three MiB, and many side by side", async () => {
      expect(String(await call("ping"))).toBe("ping");
      const large = Buffer.alloc(3 * 1024 * 1024, "lograft");
      expect((await call(large)).equals(large)).toBe(true);
      const answers = await Promise.all(Array.from({ length: 150 }, (_, index) => call(`call ${index}`)));
      expect(answers.map(String)).toEqual(Array.from({ length: 150 }, (_, index) => `call ${index}`));
    });

    test("what the controller throws arrives with code, text, context and retriability", async () => {
      const errors = [
        new ProtocolError("TOPIC_ALREADY_EXISTS", "topic orders exists", { context: { topic: "orders" } }),
        new ProtocolError("NOT_CONTROLLER", "ask node 3", { context: { leaderId: 3 } }),
        operationError("NO_QUORUM", "no majority of 1, 2, 3", {
          retriable: true,
          context: { voters: "1,2,3" },
        }),
      ];
      for (const error of errors) {
        harness.controller.answerCall = () => Promise.reject(error);
        const { code, message, retriable, context } = error;
        await expect(call("x")).rejects.toMatchObject({ code, message, retriable, context });
      }
    });

    test("a failure that is not an error of ours tells nothing of its inside", async () => {
      harness.controller.answerCall = () => Promise.reject(new Error("secret"));
      await expect(call("x")).rejects.toMatchObject({ code: "UNKNOWN_SERVER_ERROR" });
      await expect(call("x")).rejects.not.toThrow(/secret/);
    });

    test("a call ends with the reason of its signal, and the controller hears of it", async () => {
      const reason = operationError("TIMEOUT", "no time left");
      await expect(call("x", AbortSignal.abort(reason))).rejects.toBe(reason);
      const heard = new Promise<void>((resolve) => {
        harness.controller.answerCall = (_, signal) => {
          signal.addEventListener("abort", () => resolve(), { once: true });
          aborting.abort(reason);
          return new Promise(() => undefined);
        };
      });
      const aborting = new AbortController();
      await expect(call("x", aborting.signal)).rejects.toBe(reason);
      await heard;
    });

    test("a call to where nobody listens says that it was refused", async () => {
      await harness.kill();
      await expect(call("x")).rejects.toMatchObject({
        code: "CONNECTION_FAILED",
        retriable: true,
        context: { isRefused: true },
      });
    });

    test("a call whose controller dies fails and does not hang", async () => {
      const { controller } = harness;
      let hasCall = false;
      controller.answerCall = () => {
        hasCall = true;
        controller.wake();
        return new Promise(() => undefined);
      };
      const calling = expect(call("x")).rejects.toMatchObject({ code: "CONNECTION_FAILED" });
      await controller.until(() => hasCall);
      await harness.kill();
      await calling;
    });

    test("a call for another node or another store is refused with what to do", async () => {
      const { address, channel } = harness;
      const toOther = channel.call({ ...address, nodeId: nodeId(9) }, Buffer.from("x"), never);
      await expect(toOther).rejects.toMatchObject({ code: "INVALID_VOTER_KEY" });
      await expect(toOther).rejects.toThrow(/looks for node 9/);
      const toStore = channel.call({ ...address, directoryId: "gone" }, Buffer.from("x"), never);
      await expect(toStore).rejects.toMatchObject({ code: "INVALID_VOTER_KEY" });
      await expect(toStore).rejects.toThrow(/its store gone/);
    });

    test("frames of a session pass both ways, in order", async () => {
      const { session, accepted } = await openSession();
      for (let index = 0; index < 100; index++) {
        session.stream.send(Buffer.from(`beat ${index}`));
        accepted.stream.send(Buffer.from(`state ${index}`));
      }
      await harness.controller.until(() => accepted.frames.length === 101);
      await session.until(() => session.frames.length === 100);
      expect(accepted.frames.slice(1)).toEqual(Array.from({ length: 100 }, (_, index) => `beat ${index}`));
      expect(session.frames).toEqual(Array.from({ length: 100 }, (_, index) => `state ${index}`));
    });

    test("a session that the broker closes ends at the controller, with what was sent before", async () => {
      const { session, accepted } = await openSession();
      session.stream.send(Buffer.from("goodbye"));
      session.stream.close();
      session.stream.close();
      session.stream.send(Buffer.from("late"));
      await harness.controller.until(() => accepted.ends > 0);
      expect(accepted.frames).toEqual(["register", "goodbye"]);
      expect(accepted.ends).toBe(1);
      expect(session.ends).toEqual([]);
    });

    test("a session that the controller closes ends as closed, with what was sent before", async () => {
      const { session, accepted } = await openSession();
      accepted.stream.send(Buffer.from("not the controller any more"));
      accepted.stream.close();
      await session.until(() => session.ends.length > 0);
      expect(session.frames).toEqual(["not the controller any more"]);
      expect(session.ends.map(({ reason }) => reason)).toEqual(["closed"]);
      expect(accepted.ends).toBe(0);
    });

    test("an error of the controller over a frame ends the session with it", async () => {
      const error = operationError("SERIALIZATION_FAILED", "this is no frame");
      const { session } = await openSession();
      harness.controller.onFrame = () => {
        throw error;
      };
      session.stream.send(Buffer.from("?"));
      await session.until(() => session.ends.length > 0);
      expect(session.ends).toMatchObject([
        { reason: "closed", cause: { code: error.code, message: error.message } },
      ]);
    });

    test("the session of a killed controller ends as refused", async () => {
      const { session } = await openSession();
      await harness.kill();
      await session.until(() => session.ends.length > 0);
      expect(session.ends).toMatchObject([{ reason: "refused", cause: { code: "CONNECTION_FAILED" } }]);
    });

    test("a session to where nobody listens ends as refused, after the call that opened it", async () => {
      await harness.kill();
      const session = new Session(harness.channel, harness.address);
      expect(session.ends).toEqual([]);
      await session.until(() => session.ends.length > 0);
      expect(session.ends.map(({ reason }) => reason)).toEqual(["refused"]);
    });

    test("a session to no address ends as closed, and not at all when it was closed first", async () => {
      const nowhere = { ...harness.address, endpoint: "nowhere" };
      const closed = new Session(harness.channel, nowhere);
      closed.stream.close();
      const session = new Session(harness.channel, nowhere);
      session.stream.send(Buffer.from("lost"));
      await session.until(() => session.ends.length > 0);
      expect(session.ends.map(({ reason }) => reason)).toEqual(["closed"]);
      expect(closed.ends).toEqual([]);
    });
  });
}
