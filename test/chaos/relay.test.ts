import { once } from "node:events";
import type { Server, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Relay } from "../../src/chaos/relay.ts";

let target: Server;
let relay: Relay;
const opened: Socket[] = [];

beforeEach(async () => {
  target = createServer((socket) => {
    opened.push(socket);
    socket.on("error", () => undefined);
    socket.on("data", (piece: Buffer) => socket.write(`<${piece.toString()}>`));
  });
  target.listen(0, "127.0.0.1");
  await once(target, "listening");
  const address = target.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  relay = await Relay.listen(address.port);
});

afterEach(async () => {
  await relay[Symbol.asyncDispose]();
  for (const socket of opened.splice(0)) socket.destroy();
  const closed = once(target, "close");
  target.close();
  await closed;
});

test("bytes go both ways", async () => {
  const client = await connected();
  expect(await answerTo(client, "hello")).toBe("<hello>");
});

test("what is sent into a cut arrives, in order, when it is healed", async () => {
  const client = await connected();
  await answerTo(client, "first");
  relay.cut("forward");
  client.write("a");
  const other = await connected();
  other.write("b");
  const heard = await Promise.race([once(client, "data"), pause(50)]);
  expect(heard).toBeUndefined();
  const answers = [once(client, "data"), once(other, "data")];
  relay.heal();
  expect((await Promise.all(answers)).map(([piece]) => String(piece))).toEqual(["<a>", "<b>"]);
});

test("a cut of the way back lets requests through and holds the answers", async () => {
  const client = await connected();
  await answerTo(client, "first");
  relay.cut("back");
  const [server] = opened;
  if (server === undefined) throw new Error("nobody connected");
  const arrived = once(server, "data");
  client.write("a");
  expect(String((await arrived)[0])).toBe("a");
  expect(await Promise.race([once(client, "data"), pause(50)])).toBeUndefined();
});

test("the end of a connection is not seen through a cut, and is when it is healed", async () => {
  const client = await connected();
  await answerTo(client, "first");
  relay.cut("back");
  const closed = closeOf(client);
  for (const socket of opened) socket.destroy();
  expect(await Promise.race([closed, pause(50)])).toBeUndefined();
  relay.heal();
  await closed;
  expect(relay.connectionCount).toBe(0);
});

test("dropped connections are reset on both sides, and new ones work", async () => {
  const client = await connected();
  await answerTo(client, "first");
  const closed = closeOf(client);
  relay.drop();
  await closed;
  expect(await answerTo(await connected(), "again")).toBe("<again>");
});

test("where nobody listens any more it refuses, from the first attempt on, and accepts again with its target", async () => {
  const client = await connected();
  await answerTo(client, "first");
  const address = target.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const closed = closeOf(client);
  target.close();
  for (const socket of opened) socket.destroy();
  await closed;
  expect(await attempt()).toBe("ECONNREFUSED");
  target.listen(address.port, "127.0.0.1");
  await expect.poll(attempt).toBe("accepted");
  expect(await answerTo(await connected(), "again")).toBe("<again>");
});

test("a cut link refuses nobody, though nobody listens behind it", async () => {
  const client = await connected();
  await answerTo(client, "first");
  relay.cut("forward", "back");
  target.close();
  for (const socket of opened) socket.destroy();
  expect(await attempt()).toBe("accepted");
  target.listen();
});

test("it counts what passed, and who came while it was cut", async () => {
  const client = await connected();
  await answerTo(client, "first");
  expect(relay.counts).toEqual({ passedBytes: "first<first>".length, blockedConnections: 0 });
  relay.cut("forward", "back");
  client.write("a");
  await connected();
  await expect.poll(() => relay.counts.blockedConnections).toBe(1);
  expect(relay.counts.passedBytes).toBe("first<first>".length);
});

test("a delay holds each piece back for that long", async () => {
  const client = await connected();
  await answerTo(client, "first");
  relay.delay(30);
  const startedAt = performance.now();
  expect(await answerTo(client, "late")).toBe("<late>");
  // Once on the way there and once back; a timer may fire up to a millisecond early.
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(58);
});

/** How an attempt to connect ends. */
async function attempt(): Promise<string> {
  const socket = connect({ port: relay.port, host: "127.0.0.1" });
  try {
    await once(socket, "connect");
    return "accepted";
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code);
  } finally {
    socket.destroy();
  }
}

async function connected(): Promise<Socket> {
  const socket = connect({ port: relay.port, host: "127.0.0.1" });
  socket.on("error", () => undefined);
  await once(socket, "connect");
  return socket;
}

/** Unlike `once` it does not reject for the error of a reset. */
async function closeOf(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once("close", () => resolve());
  });
}

async function answerTo(socket: Socket, text: string): Promise<string> {
  const answer = once(socket, "data");
  socket.write(text);
  return String((await answer)[0]);
}

/** Long enough for anything that is not held back to arrive over loopback. */
async function pause(ms: number): Promise<undefined> {
  return new Promise((resolve) => {
    setTimeout(() => resolve(undefined), ms);
  });
}
