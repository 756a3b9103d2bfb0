import { once } from "node:events";
import { connect, type Socket } from "node:net";

import { Server, ServerCredentials } from "@grpc/grpc-js";
import { afterEach, describe, expect, test } from "vitest";

import { silentLogger, type LogFields, type Logger } from "../../src/base/logger.ts";
import { RPC_CODES } from "../../src/rpc/status.ts";
import type { StreamHandler } from "../../src/rpc/stream/byte-stream.ts";
import { DirectServer } from "../../src/rpc/stream/direct-server.ts";
import { HTTP2_PREFACE } from "../../src/rpc/stream/first-settings.ts";
import { grpcJsServerOptions } from "../../src/rpc/stream/grpc-js-options.ts";
import { grpcJsBidiHandler, passThroughBidi } from "../../src/rpc/stream/grpc-js-server.ts";
import { LANE_SETTING_ID } from "../../src/rpc/stream/http2-limits.ts";
import { inspectFirstBytes } from "../../src/server/first-bytes.ts";
import { Listener, type ListenerOptions } from "../../src/server/listener.ts";
import { Recorder } from "../contract/byte-stream.ts";
import { clock, deps, openLaneChannel } from "../rpc/stream/lane-harness.ts";

const MAX_MESSAGE_BYTES = 1024 * 1024;

const echo: StreamHandler = (stream) => {
  stream.onMessage((message) => void stream.send([message]));
  stream.onEnd(() => stream.end());
};

interface Line {
  readonly message: string;
  readonly fields: LogFields;
}

class Lines implements Logger {
  readonly lines: Line[] = [];
  debug(): void {}
  info(): void {}
  error(): void {}
  warn(message: string, fields: LogFields = {}): void {
    this.lines.push({ message, fields });
  }
  child(): Logger {
    return this;
  }
}

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface Running {
  readonly listener: Listener;
  readonly port: number;
  readonly log: Lines;
  /** Lanes in the order in which connections came to them. */
  readonly lanes: string[];
}

async function start(options: Partial<ListenerOptions> = {}, withKafka = false): Promise<Running> {
  const direct = new DirectServer({ maxMessageBytes: MAX_MESSAGE_BYTES }, deps);
  direct.handle("/test/Echo", echo);
  const grpc = new Server(grpcJsServerOptions({ maxMessageBytes: MAX_MESSAGE_BYTES }));
  grpc.addService(
    { echo: passThroughBidi("/test/Echo") },
    { echo: grpcJsBidiHandler(echo, { maxMessageBytes: MAX_MESSAGE_BYTES }, deps) },
  );
  const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure());
  const lanes: string[] = [];
  const log = new Lines();
  const kafka = (socket: Socket): void => {
    lanes.push("kafka");
    socket.on("data", (data: Buffer) => socket.write(data));
    socket.resume();
  };
  const listener = new Listener(
    { host: "127.0.0.1", port: 0, ...options },
    {
      targets: {
        direct: (socket) => {
          lanes.push("direct");
          direct.accept(socket);
        },
        grpc: (socket) => {
          lanes.push("grpc");
          injector.injectConnection(socket);
        },
        ...(withKafka ? { kafka } : {}),
      },
      clock,
      logger: log,
    },
  );
  await listener.listen();
  closers.push(async () => {
    injector.destroy();
    grpc.forceShutdown();
    await Promise.all([direct.close({ graceMs: 50 }), listener.close({ graceMs: 50 })]);
  });
  return { listener, port: listener.address().port, log, lanes };
}

function dial(port: number): Socket {
  const socket = connect({ host: "127.0.0.1", port, noDelay: true });
  socket.on("error", () => undefined);
  closers.push(() => void socket.destroy());
  return socket;
}

/** The end of a connection, by a reset or a refusal too. */
function gone(socket: Socket): Promise<void> {
  socket.resume();
  return new Promise((resolve) => {
    socket.once("close", () => resolve());
  });
}

/** Every byte that comes, until the other side closes. */
async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  await gone(socket);
  return Buffer.concat(chunks);
}

function settings(pairs: readonly (readonly [number, number])[]): Buffer {
  const frame = Buffer.alloc(9 + pairs.length * 6);
  frame.writeUIntBE(pairs.length * 6, 0, 3);
  frame[3] = 4;
  for (const [index, [id, value]] of pairs.entries()) {
    frame.writeUInt16BE(id, 9 + index * 6);
    frame.writeUInt32BE(value, 11 + index * 6);
  }
  return frame;
}

const DIRECT_HELLO = Buffer.concat([
  HTTP2_PREFACE,
  settings([
    [4, 1_000_000],
    [LANE_SETTING_ID, 1],
  ]),
]);
const GRPC_HELLO = Buffer.concat([HTTP2_PREFACE, settings([[4, 1_000_000]])]);
/** ApiVersions, version 3, correlation id 7. */
const KAFKA_HELLO = Buffer.from("0000000e0012000300000007000474657374", "hex");

async function echoThrough(lane: "direct" | "grpc-js", port: number): Promise<void> {
  const channel = openLaneChannel(lane, port, MAX_MESSAGE_BYTES);
  const call = new Recorder(channel.openStream("/test/Echo"));
  call.stream.send([Buffer.from(lane)]);
  call.stream.end();
  expect((await call.closed).code).toBe(RPC_CODES.OK);
  expect(call.messages).toEqual([Buffer.from(lane)]);
  channel.close();
}

describe("the first bytes decide", () => {
  test("at every length of every hello: undecided until enough is there, never something else", () => {
    const cases = [
      [DIRECT_HELLO, "direct"],
      [GRPC_HELLO, "grpc"],
      [KAFKA_HELLO.subarray(0, 8), "kafka"],
      [Buffer.from("GET "), "http1"],
    ] as const;
    for (const [hello, verdict] of cases) {
      for (let length = 0; length < hello.length; length++) {
        expect(inspectFirstBytes(hello.subarray(0, length)), `${verdict} at ${length}`).toBe("undecided");
      }
      expect(inspectFirstBytes(hello)).toBe(verdict);
    }
  });

  test("a preface that goes wrong is not HTTP/2; HTTP/2 that goes wrong is for HTTP/2 to refuse", () => {
    const wrong = Buffer.from(HTTP2_PREFACE);
    wrong[20] = 0;
    expect(inspectFirstBytes(wrong)).toBe("unknown");
    const ping = Buffer.concat([HTTP2_PREFACE, Buffer.from([0, 0, 8, 6, 0, 0, 0, 0, 0])]);
    expect(inspectFirstBytes(ping)).toBe("grpc");
    const endless = Buffer.concat([HTTP2_PREFACE, Buffer.from([0xff, 0xff, 0xff, 4, 0, 0, 0, 0, 0])]);
    expect(inspectFirstBytes(endless)).toBe("grpc");
  });

  test("an absurd Kafka length, key or version is unknown; a TLS hello is told", () => {
    expect(inspectFirstBytes(Buffer.from("7fffffff00120003", "hex"))).toBe("unknown");
    expect(inspectFirstBytes(Buffer.from("ffffffff00120003", "hex"))).toBe("unknown");
    expect(inspectFirstBytes(Buffer.from("0000000000120003", "hex"))).toBe("unknown");
    expect(inspectFirstBytes(Buffer.from("0000000e7f120003", "hex"))).toBe("unknown");
    expect(inspectFirstBytes(Buffer.from("16030100", "hex"))).toBe("tls");
  });
});

describe("a listener", () => {
  test("serves both lanes at once on one port", async () => {
    const { port, lanes, listener } = await start();
    await Promise.all(
      (["direct", "grpc-js", "direct", "grpc-js"] as const).map(async (lane) => echoThrough(lane, port)),
    );
    expect(lanes.sort()).toEqual(["direct", "direct", "grpc", "grpc"]);
    expect(listener.undecidedCount).toBe(0);
  });

  test("gives each hello to its lane at every split over TCP segments, and the lane gets all of it", async () => {
    const { port, lanes } = await start();
    const splits = DIRECT_HELLO.length - 1;
    await Promise.all(
      Array.from({ length: splits }, async (_, index) => {
        for (const hello of [DIRECT_HELLO, GRPC_HELLO]) {
          const socket = dial(port);
          await once(socket, "connect");
          const split = Math.min(index + 1, hello.length - 1);
          socket.write(hello.subarray(0, split));
          await new Promise((resolve) => setTimeout(resolve, 15));
          socket.write(hello.subarray(split));
          // The lane's own SETTINGS, and its acknowledgement of ours, prove that it read the whole hello.
          let seen = Buffer.alloc(0);
          while (!seen.includes(Buffer.from([0, 0, 0, 4, 1, 0, 0, 0, 0]))) {
            const [chunk] = (await once(socket, "data")) as [Buffer];
            seen = Buffer.concat([seen, chunk]);
          }
          socket.destroy();
        }
      }),
    );
    expect(lanes.filter((lane) => lane === "direct").length).toBe(splits);
    expect(lanes.filter((lane) => lane === "grpc").length).toBe(splits);
  });

  test("drops silent and slow connections at the deadline", async () => {
    const { port, log, listener } = await start({ decisionTimeoutMs: 60 });
    const silent = dial(port);
    const slow = dial(port);
    slow.write("PRI * HT");
    const closed = [gone(silent), gone(slow)];
    await Promise.all(closed);
    expect(log.lines.map((line) => line.message)).toEqual(
      Array(2).fill("a connection did not say in time what it speaks"),
    );
    expect(listener.undecidedCount).toBe(0);
  });

  test("answers HTTP/1 in its own language", async () => {
    const { port } = await start();
    const socket = dial(port);
    socket.write("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    const answer = (await readAll(socket)).toString();
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toContain("gRPC");
  });

  test("closes on random bytes and logs the peer and the bytes in hex, within a rate", async () => {
    const { port, log } = await start();
    for (let index = 0; index < 15; index++) {
      const socket = dial(port);
      socket.write(Buffer.from("deadbeefcafe0001", "hex"));
      await readAll(socket);
    }
    expect(log.lines.length).toBe(10);
    expect(log.lines[0]?.fields["firstBytes"]).toBe("deadbeefcafe0001");
    expect(log.lines[0]?.fields["peer"]).toMatch(/^127\.0\.0\.1:\d+$/);
  });

  test("turns Kafka clients away with a line in the log, or gives them their handler", async () => {
    const without = await start();
    const refused = dial(without.port);
    refused.write(KAFKA_HELLO);
    expect((await readAll(refused)).length).toBe(0);
    expect(without.log.lines[0]?.message).toContain("Kafka");
    const running = await start({}, true);
    const served = dial(running.port);
    served.write(KAFKA_HELLO.subarray(0, 6));
    await new Promise((resolve) => setTimeout(resolve, 15));
    served.write(KAFKA_HELLO.subarray(6));
    const [echoed] = (await once(served, "data")) as [Buffer];
    expect(echoed).toEqual(KAFKA_HELLO);
    expect(running.lanes).toEqual(["kafka"]);
  });

  test.each(["maxUndecidedPerAddress", "maxUndecided"])(
    "%s: the longest silent makes room",
    async (limit) => {
      const { port, listener, log } = await start({ [limit]: 3, maxConnectionsPerAddress: 5 });
      const oldest = dial(port);
      await once(oldest, "connect");
      const silent = [dial(port), dial(port)];
      await Promise.all(silent.map(async (socket) => once(socket, "connect")));
      silent.push(dial(port));
      await gone(oldest);
      expect(listener.undecidedCount).toBe(3);
      expect(log.lines[0]?.message).toContain(limit);
      for (const socket of silent) socket.write(GRPC_HELLO);
      await Promise.all(silent.map(async (socket) => once(socket, "data")));
      expect(listener.undecidedCount).toBe(0);
      expect(listener.connectionCount).toBe(3);
      for (const socket of silent) socket.destroy();
      await echoThrough("direct", port);
    },
  );

  test("bounds the connections of an address, silent ones included", async () => {
    const { port, listener, log } = await start({ maxConnectionsPerAddress: 2 });
    const open = [dial(port), dial(port)];
    await Promise.all(open.map(async (socket) => once(socket, "connect")));
    await gone(dial(port));
    expect(listener.connectionCount).toBe(2);
    expect(log.lines[0]?.message).toContain("maxConnectionsPerAddress");
    for (const socket of open) socket.destroy();
    await Promise.all(open.map(async (socket) => gone(socket)));
    for (;;) {
      if (listener.connectionCount === 0) break;
      await new Promise((resolve) => setImmediate(resolve));
    }
    await echoThrough("direct", port);
  });

  test("names the address that is in use and the next step", async () => {
    const { port } = await start();
    const second = new Listener(
      { host: "127.0.0.1", port },
      { targets: { direct: () => undefined, grpc: () => undefined }, clock, logger: silentLogger },
    );
    await expect(second.listen()).rejects.toMatchObject({
      code: "ADDRESS_IN_USE",
      message: expect.stringContaining(`127.0.0.1:${port}`) as unknown,
    });
    await second.close({ graceMs: 0 });
    expect(() => second.address()).toThrow(/does not listen/);
  });

  test("closes: no new connections, the undecided dropped, the rest cut after the grace", async () => {
    const { port, listener } = await start();
    const decided = dial(port);
    decided.write(GRPC_HELLO);
    await once(decided, "data");
    const undecided = dial(port);
    await once(undecided, "connect");
    const closed = [gone(decided), gone(undecided)];
    await listener.close({ graceMs: 30 });
    await Promise.all(closed);
    expect(listener.connectionCount).toBe(0);
    const late = dial(port);
    await gone(late);
  });
});
