import { once } from "node:events";
import { connect, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http2";
import { createServer, type AddressInfo } from "node:net";

import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { ByteBudget } from "../../../src/base/byte-budget.ts";
import { RPC_CODES } from "../../../src/rpc/status.ts";
import { DirectServer } from "../../../src/rpc/stream/direct-server.ts";
import { Recorder } from "../../contract/byte-stream.ts";
import { clock, deps, openLaneChannel, startLaneServer } from "./lane-harness.ts";
import { callHeaders, END_HEADERS, frame, FRAME, RawHttp2Client } from "./raw-http2.ts";

const MAX_MESSAGE_BYTES = 256 * 1024;

let server: DirectServer;
let port: number;
let closeTcp: () => void;

beforeEach(async () => {
  server = new DirectServer(
    { maxMessageBytes: MAX_MESSAGE_BYTES, keepalive: { intervalMs: 40, timeoutMs: 60 } },
    deps,
  );
  server.handle("/test/Echo", (stream) => {
    stream.onMessage((message) => void stream.send([message]));
    stream.onEnd(() => stream.end());
  });
  const tcp = createServer((socket) => server.accept(socket));
  tcp.listen(0, "127.0.0.1");
  await once(tcp, "listening");
  port = (tcp.address() as AddressInfo).port;
  closeTcp = () => tcp.close();
});

afterEach(async () => {
  await server.close({ graceMs: 0 });
  closeTcp();
});

/** One request of a plain HTTP/2 client: the headers of the answer, and its trailers when it has some. */
async function request(
  headers: OutgoingHttpHeaders,
  body?: Buffer,
): Promise<{ headers: IncomingHttpHeaders; trailers: IncomingHttpHeaders | undefined }> {
  const session = connect(`http://127.0.0.1:${port}`);
  const stream = session.request({
    ":method": "POST",
    ":path": "/test/Echo",
    "content-type": "application/grpc",
    te: "trailers",
    ...headers,
  });
  let trailers: IncomingHttpHeaders | undefined;
  stream.on("trailers", (received: IncomingHttpHeaders) => {
    trailers = received;
  });
  stream.end(body);
  const [answer] = (await once(stream, "response")) as [IncomingHttpHeaders];
  stream.resume();
  await once(stream, "close");
  session.close();
  return { headers: answer, trailers };
}

describe("the direct lane answers a plain HTTP/2 client", () => {
  test("with 415 for other content types and 405 for other methods, outside gRPC", async () => {
    for (const type of ["application/json", "application/grpc-web+proto", "text/plain"]) {
      const { headers } = await request({ "content-type": type });
      expect(headers[":status"], type).toBe(415);
      expect(headers["grpc-status"]).toBeUndefined();
    }
    expect((await request({ ":method": "PUT" })).headers[":status"]).toBe(405);
  });

  test("with a message and OK in the trailers", async () => {
    const { headers, trailers } = await request({}, Buffer.from("000000000161", "hex"));
    expect(headers[":status"]).toBe(200);
    expect(headers["content-type"]).toBe("application/grpc+proto");
    expect(headers["grpc-status"]).toBeUndefined();
    expect(trailers?.["grpc-status"]).toBe("0");
  });

  test.each([
    ["an unknown method", { ":path": "/test/None" }, undefined, RPC_CODES.UNIMPLEMENTED],
    ["a timeout that is none", { "grpc-timeout": "1x" }, undefined, RPC_CODES.INTERNAL],
    ["a timeout of nine digits", { "grpc-timeout": "123456789m" }, undefined, RPC_CODES.INTERNAL],
    ["a timeout of zero", { "grpc-timeout": "0m" }, undefined, undefined],
    ["a compressed message", {}, "010000000161", RPC_CODES.UNIMPLEMENTED],
    ["a flag of two", {}, "020000000161", RPC_CODES.INTERNAL],
    ["a message above the limit", {}, "0000040001", RPC_CODES.RESOURCE_EXHAUSTED],
    ["an end inside a message", {}, "0000000009616263", RPC_CODES.INTERNAL],
  ])("with Trailers-Only for %s", async (_name, headers, body, code) => {
    const bytes = body === undefined ? undefined : Buffer.from(body, "hex");
    const answer = await request(headers as OutgoingHttpHeaders, bytes);
    expect(answer.headers[":status"]).toBe(200);
    const status = answer.headers["grpc-status"] ?? answer.trailers?.["grpc-status"];
    expect(status).toBeDefined();
    if (code !== undefined) expect(status).toBe(String(code));
  });

  test("and needs no half-close to end a call: the client is told to stop sending", async () => {
    const session = connect(`http://127.0.0.1:${port}`);
    const stream = session.request(
      { ":method": "POST", ":path": "/test/None", "content-type": "application/grpc", te: "trailers" },
      { endStream: false },
    );
    stream.resume();
    await once(stream, "close");
    expect(stream.rstCode).toBe(0);
    session.close();
  });
});

test("a closing server lets open calls end, refuses new ones, and then cuts", async () => {
  const channel = openLaneChannel("direct", port, MAX_MESSAGE_BYTES);
  const ending = new Recorder(channel.openStream("/test/Echo"));
  const staying = new Recorder(channel.openStream("/test/Echo"));
  ending.stream.send([Buffer.from("a")]);
  staying.stream.send([Buffer.from("a")]);
  await Promise.all([ending.waitFor(1), staying.waitFor(1)]);
  const closed = server.close({ graceMs: 150 });
  ending.stream.send([Buffer.from("b")]);
  ending.stream.end();
  expect((await ending.closed).code).toBe(RPC_CODES.OK);
  expect(ending.messages.length).toBe(2);
  expect((await staying.closed).code).toBe(RPC_CODES.UNAVAILABLE);
  await closed;
  expect(server.sessionCount).toBe(0);
  const late = new Recorder(channel.openStream("/test/Echo"));
  expect((await late.closed).code).toBe(RPC_CODES.UNAVAILABLE);
  channel.close();
});

test("a client that answers no pings is dropped after interval and timeout", async () => {
  const client = new RawHttp2Client(port);
  const startMs = clock.monotonicMs();
  client.send(frame(FRAME.HEADERS, END_HEADERS, 1, callHeaders("/test/Echo")));
  await client.closed();
  expect(client.frames.some((seen) => seen.type === FRAME.PING)).toBe(true);
  expect(clock.monotonicMs() - startMs).toBeLessThan(1000);
});

test("a client that answers pings stays", async () => {
  const channel = openLaneChannel("direct", port, MAX_MESSAGE_BYTES);
  const call = new Recorder(channel.openStream("/test/Echo"));
  await clock.sleep(250);
  call.stream.send([Buffer.from("a")]);
  await call.waitFor(1);
  channel.close();
});

describe.each(["direct", "grpc-js"] as const)("a byte budget on the %s lane", (lane) => {
  test("stops reading when it is exhausted, and goes on as it is released", async () => {
    const budget = new ByteBudget(100_000);
    let note: (recorder: Recorder) => void = () => undefined;
    const served = new Promise<Recorder>((resolve) => {
      note = resolve;
    });
    const running = await startLaneServer(lane, {
      handlers: { "/test/Hold": (stream) => note(new Recorder(stream)) },
      maxMessageBytes: MAX_MESSAGE_BYTES,
      budget,
    });
    const channel = openLaneChannel(lane, running.port, MAX_MESSAGE_BYTES);
    const call = new Recorder(channel.openStream("/test/Hold"));
    for (let index = 0; index < 20; index++) call.stream.send([Buffer.alloc(40_000, index)]);
    call.stream.end();
    const holder = await served;
    await holder.waitFor(2);
    await clock.sleep(50);
    expect(holder.messages.length).toBe(2);
    expect(budget.usedBytes).toBe(80_000);
    for (let index = 0; index < 20; index++) {
      await holder.waitFor(index + 1);
      budget.release(40_000);
    }
    await holder.ended;
    expect(holder.messages.map((message) => message[0])).toEqual(
      Array.from({ length: 20 }, (_, index) => index),
    );
    expect(budget.usedBytes).toBe(0);
    channel.close();
    await running.close();
  });

  test("gets back what a call held in transit when the call ends", async () => {
    const budget = new ByteBudget(100_000);
    let note: (recorder: Recorder) => void = () => undefined;
    const served = new Promise<Recorder>((resolve) => {
      note = resolve;
    });
    const running = await startLaneServer(lane, {
      handlers: { "/test/Hold": (stream) => note(new Recorder(stream)) },
      maxMessageBytes: MAX_MESSAGE_BYTES,
      budget,
    });
    const channel = openLaneChannel(lane, running.port, MAX_MESSAGE_BYTES);
    const call = new Recorder(channel.openStream("/test/Hold"));
    for (let index = 0; index < 5; index++) call.stream.send([Buffer.alloc(60_000)]);
    const holder = await served;
    await holder.waitFor(1);
    await clock.sleep(30);
    call.stream.cancel();
    await holder.closed;
    // What was handed over is still the handler's to release.
    expect(budget.usedBytes).toBe(60_000);
    expect(budget.waitingCount).toBe(0);
    channel.close();
    await running.close();
  });
});
