import { afterEach, describe, expect, test } from "vitest";

import { controllerChannelContract } from "../contract/controller-channel.ts";
import { clock, PeerProcess } from "./peer-harness.ts";

controllerChannelContract("the gRPC channel", async () => {
  const broker = await PeerProcess.start(1);
  const controller = await PeerProcess.start(2);
  await controller.behindProxy();
  return {
    channel: broker.channel,
    controller: controller.peer,
    address: controller.address,
    kill: () => controller.kill(),
    async close() {
      await Promise.all([broker.close(), controller.close()]);
    },
  };
});

describe("the gRPC channel", () => {
  const nodes: PeerProcess[] = [];
  afterEach(async () => {
    await Promise.all(nodes.splice(0).map((node) => node.close()));
  });

  async function pair(): Promise<{ broker: PeerProcess; controller: PeerProcess }> {
    const broker = await PeerProcess.start(1);
    const controller = await PeerProcess.start(2);
    nodes.push(broker, controller);
    return { broker, controller };
  }

  /** The end of a session, as its handlers hear of it. */
  function sessionEnd(broker: PeerProcess, controller: PeerProcess): Promise<string> {
    return new Promise((resolve) => {
      const session = broker.channel.openSession(controller.address, {
        onFrame: () => undefined,
        onEnd: (reason) => resolve(reason),
      });
      session.send(Buffer.from("register"));
    });
  }

  test("a connection that is cut while the controller lives ends its session as closed", async () => {
    const { broker, controller } = await pair();
    const proxy = await controller.behindProxy();
    const ended = sessionEnd(broker, controller);
    await controller.peer.until(() => controller.peer.sessions.length > 0);
    proxy.cut();
    expect(await ended).toBe("closed");
    await controller.peer.until(() => controller.peer.sessions[0]?.ends === 1);
  });

  test("a controller that stands still without a word is noticed on both sides within about three seconds", async () => {
    const { broker, controller } = await pair();
    const proxy = await controller.behindProxy();
    const ended = sessionEnd(broker, controller);
    await controller.peer.until(() => (controller.peer.sessions[0]?.frames.length ?? 0) > 0);
    const frozenMs = clock.monotonicMs();
    proxy.freeze();
    expect(await ended).toBe("closed");
    await controller.peer.until(() => controller.peer.sessions[0]?.ends === 1);
    expect(clock.monotonicMs() - frozenMs).toBeLessThan(4500);
  });

  test("a session is on a connection that carries nothing else", async () => {
    const { broker, controller } = await pair();
    const session = sessionEnd(broker, controller);
    await broker.channel.call(controller.address, Buffer.from("x"), new AbortController().signal);
    await controller.peer.until(() => (controller.peer.sessions[0]?.frames.length ?? 0) > 0);
    expect(controller.server.connectionCount).toBe(2);
    broker.channel.close();
    await controller.stop();
    await session;
  });

  test("a controller that does not read its session any more is given up when too much waits", async () => {
    const { broker, controller } = await pair();
    const proxy = await controller.behindProxy();
    const ends: { reason: string; cause: Error }[] = [];
    let wake: () => void = () => undefined;
    const ended = new Promise<void>((resolve) => {
      wake = resolve;
    });
    const session = broker.channel.openSession(controller.address, {
      onFrame: () => undefined,
      onEnd: (reason, cause) => {
        ends.push({ reason, cause });
        wake();
      },
    });
    session.send(Buffer.from("register"));
    await controller.peer.until(() => (controller.peer.sessions[0]?.frames.length ?? 0) > 0);
    proxy.freeze();
    for (let sent = 0; sent < 40; sent++) session.send(Buffer.alloc(1024 * 1024));
    await ended;
    expect(ends).toMatchObject([{ reason: "closed", cause: { code: "BUFFER_EXHAUSTED" } }]);
  });

  test("a call after the controller is back succeeds within a second", async () => {
    const { broker, controller } = await pair();
    const signal = new AbortController().signal;
    const call = (): Promise<Buffer> => broker.channel.call(controller.address, Buffer.from("x"), signal);
    await call();
    await controller.stop();
    for (let attempt = 0; attempt < 20; attempt++) {
      await expect(call()).rejects.toMatchObject({ code: "CONNECTION_FAILED" });
      await clock.sleep(5);
    }
    await controller.restart();
    const startedMs = clock.monotonicMs();
    let answer: Buffer | undefined;
    while (answer === undefined) {
      answer = await call().catch(() => undefined);
      if (answer === undefined) await clock.sleep(5);
    }
    expect(clock.monotonicMs() - startedMs).toBeLessThan(1000);
  });
});
