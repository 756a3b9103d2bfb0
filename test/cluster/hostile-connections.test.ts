import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LograftClient } from "../../src/client/index.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import { HTTP2_PREFACE } from "../../src/rpc/stream/first-settings.ts";
import { LANE_SETTING_ID, LANE_SETTING_VALUE } from "../../src/rpc/stream/http2-limits.ts";
import { startBroker } from "../../src/testing.ts";
import {
  ACK,
  callHeaders,
  END_HEADERS,
  frame,
  FRAME,
  headerBlock,
  RawHttp2Client,
} from "../rpc/stream/raw-http2.ts";
import { BrokerProcess } from "../../src/chaos/broker-process.ts";
import { Calls, LANES, type Lane } from "./calls.ts";
import { expectUnharmed, Neighbour } from "./neighbour.ts";

/** Lines of a broker are written behind its back. */
const LOGGED = { timeout: 10_000 };

const MIB = 1024 * 1024;
const FETCH = "/lograft.v1.ClientService/Fetch";
const PRODUCE = "/lograft.v1.ClientService/Produce";
const SILENT_SOCKETS = 3000;
/** The memory that hostile connections may cost the broker, all of this file together. */
const MAX_GROWTH_BYTES = 300 * MIB;

let directory: string;
let broker: BrokerProcess;
let neighbour: Neighbour;
let memoryBefore: number;
/** Opened first, looked at last: their deadline passes while the other tests run. */
let dawdlers: { readonly what: string; readonly closed: Promise<void> }[];
const sockets: Socket[] = [];
const clients: RawHttp2Client[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "lograft-hostile-"));
  broker = await BrokerProcess.start({ dataDirectory: directory, port: 0 });
  neighbour = await Neighbour.start(broker);
  memoryBefore = await residentBytes();
  const settings = frame(FRAME.SETTINGS, 0, 0);
  const beginnings = {
    silence: Buffer.alloc(0),
    "one byte": HTTP2_PREFACE.subarray(0, 1),
    "half a preface": HTTP2_PREFACE.subarray(0, 12),
    "a preface without SETTINGS": HTTP2_PREFACE,
    "half a SETTINGS frame": Buffer.concat([HTTP2_PREFACE, settings.subarray(0, 5)]),
    "half a Kafka header": Buffer.from("0000", "hex"),
    "a direct lane without a call": Buffer.concat([HTTP2_PREFACE, settingsOf("direct")]),
  };
  // From an address of its own: who makes room when an address has too many silent sockets is another test's matter.
  dawdlers = Object.entries(beginnings).map(([what, bytes]) => {
    const socket = dial("127.0.0.99");
    socket.write(bytes);
    return { what, closed: gone(socket) };
  });
});

afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  for (const client of clients) client.close();
  await neighbour[Symbol.asyncDispose]();
  await broker[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

function dial(localAddress?: string): Socket {
  const host = "127.0.0.1";
  const socket = connect({
    host,
    port: broker.port,
    ...(localAddress === undefined ? {} : { localAddress }),
  });
  socket.on("error", () => undefined);
  sockets.push(socket);
  return socket;
}

function settingsOf(lane: Lane): Buffer {
  if (lane === "grpc-js") return frame(FRAME.SETTINGS, 0, 0);
  const setting = Buffer.alloc(6);
  setting.writeUInt16BE(LANE_SETTING_ID, 0);
  setting.writeUInt32BE(LANE_SETTING_VALUE, 2);
  return frame(FRAME.SETTINGS, 0, 0, setting);
}

function raw(lane: Lane): RawHttp2Client {
  const client = new RawHttp2Client(broker.port, settingsOf(lane));
  clients.push(client);
  return client;
}

function headers(streamId: number, path: string, flags: number = END_HEADERS): Buffer {
  return frame(FRAME.HEADERS, flags, streamId, callHeaders(path));
}

async function residentBytes(): Promise<number> {
  const status = await readFile(`/proc/${broker.pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}

/** One turn of this process's loop: enough for the bytes to go out, whatever the time that takes. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A client that comes now is served, and the one that was there goes on. */
async function expectServed(): Promise<void> {
  await using client = new LograftClient({ brokers: [broker.address] });
  expect((await client.admin().listTopics()).length).toBeGreaterThan(0);
  await using producer = client.producer();
  await producer.send("neighbour-of-many", { value: "v" });
  await neighbour.progress();
}

/** The end of a connection, by a reset too. */
async function gone(socket: Socket): Promise<void> {
  socket.resume();
  if (!socket.closed) await new Promise((resolve) => socket.once("close", resolve));
}

async function readAll(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
  });
  await gone(socket);
  return text;
}

describe("first bytes of something else", () => {
  const random = new SeededRandom(3);

  test("random bytes are dropped", async () => {
    await Promise.all(
      Array.from({ length: 100 }, async () => {
        const socket = dial();
        // The first byte keeps noise from being the beginning of TLS, HTTP or a small Kafka frame.
        socket.write(Buffer.concat([Buffer.from([0xee]), Buffer.from(random.bytes(1 + random.below(2000)))]));
        socket.write(Buffer.alloc(16, 0xee));
        expect(await readAll(socket)).toBe("");
      }),
    );
    await expectServed();
  });

  test("an HTTP/1 request is answered with what this port is", async () => {
    const socket = dial();
    socket.write("GET / HTTP/1.1\r\nHost: broker\r\n\r\n");
    expect(await readAll(socket)).toMatch(/^HTTP\/1\.1 400 [^]*gRPC/);
  });

  test("a Kafka ApiVersions request and a TLS hello are turned away with a line in the log", async () => {
    const kafka = dial();
    kafka.write(Buffer.from("000000170012000300000001000464656d6f000264310003312e3000", "hex"));
    expect(await readAll(kafka)).toBe("");
    await expect.poll(() => broker.log, LOGGED).toMatch(/Kafka/);
    const tls = dial();
    tls.write(Buffer.from("16030100c8010000c40303", "hex"));
    expect(await readAll(tls)).toBe("");
    await expect.poll(() => broker.log, LOGGED).toMatch(/TLS/);
    await expectServed();
  });

  test("HTTP/2 that breaks at once, on either lane, costs only its own connection", async () => {
    const frames = [
      frame(FRAME.DATA, 0, 1, Buffer.from("x")),
      frame(FRAME.SETTINGS, 0, 0, Buffer.from("odd")),
      frame(FRAME.HEADERS, END_HEADERS, 2, callHeaders(FETCH)),
      frame(FRAME.HEADERS, END_HEADERS, 1, Buffer.alloc(5, 0xff)),
      Buffer.from(random.bytes(4096)),
    ];
    await Promise.all(
      LANES.flatMap((lane) =>
        frames.map(async (bad) => {
          const client = raw(lane);
          client.send(bad, bad);
          await client.closed();
        }),
      ),
    );
    await expectServed();
  });
});

describe.each(LANES)("floods on the %s lane", (lane) => {
  test("rapid reset: 20,000 calls opened and reset", async () => {
    const client = raw(lane);
    const cancelled = Buffer.from([0, 0, 0, 8]);
    for (let streamId = 1; streamId < 40_000 && !client.isClosed;) {
      const frames: Buffer[] = [];
      for (let index = 0; index < 100; index++, streamId += 2) {
        frames.push(headers(streamId, FETCH), frame(FRAME.RST_STREAM, 0, streamId, cancelled));
      }
      client.send(...frames);
      await turn();
    }
    await client.closed();
    await expectServed();
  });

  test.each([
    ["PING", frame(FRAME.PING, 0, 0, Buffer.alloc(8))],
    ["SETTINGS", frame(FRAME.SETTINGS, 0, 0)],
  ])("%s: 200,000 frames from a peer that reads no answer", async (_name, one) => {
    const client = raw(lane);
    client.send(headers(1, FETCH));
    client.socket.pause();
    const many = Buffer.concat(Array.from({ length: 1000 }, () => one));
    for (let index = 0; index < 200 && !client.isClosed; index++) {
      client.send(many);
      await turn();
    }
    await expectServed();
    client.close();
  });

  test("CONTINUATION without end", async () => {
    const client = raw(lane);
    client.send(headers(1, FETCH, 0));
    const more = frame(FRAME.CONTINUATION, 0, 1, headerBlock({ "x-more": "y".repeat(4000) }));
    for (let index = 0; index < 5000 && !client.isClosed; index++) {
      client.send(more);
      if (index % 50 === 0) await turn();
    }
    await client.closed();
    await expectServed();
  });

  test("more calls than a connection may have are refused, and the others live", async () => {
    const client = raw(lane);
    client.send(...Array.from({ length: 120 }, (_, index) => headers(1 + index * 2, FETCH)));
    const refused = await client.find((seen) => seen.type === FRAME.RST_STREAM);
    expect(refused?.payload.readUInt32BE(0)).toBe(7);
    await expectServed();
    client.close();
  });

  test("requests of empty messages and empty frames keep nobody from being served", async () => {
    const client = raw(lane);
    client.send(headers(1, PRODUCE));
    const empty = frame(FRAME.DATA, 0, 1, Buffer.alloc(5 * 100));
    const nothing = frame(FRAME.DATA, 0, 1);
    for (let index = 0; index < 100 && !client.isClosed; index++) {
      client.send(empty, nothing, nothing);
      await turn();
    }
    await expectServed();
    client.close();
  });
});

describe("a peer that stops", () => {
  const records = 48;
  let calls: Calls;
  let client: LograftClient;

  beforeAll(async () => {
    calls = new Calls(broker);
    client = new LograftClient({ brokers: [broker.address] });
    await client.admin().createTopics([{ name: "much" }]);
    await using producer = client.producer();
    const value = Buffer.alloc(MIB / 2, 7);
    await Promise.all(Array.from({ length: records }, async () => producer.send("much", { value })));
  });

  afterAll(async () => {
    calls.close();
    await client.close();
  });

  test.each(LANES)("reading, in the middle of a fetch with all the credit there is (%s)", async (lane) => {
    const before = await residentBytes();
    const peers = Array.from({ length: 20 }, () => {
      const peer = raw(lane);
      const add = { topic: "much", leaderEpoch: -1 };
      const request = calls.encode("Fetch", { creditBytes: Number.MAX_SAFE_INTEGER, add: [add] });
      const prefix = Buffer.alloc(5);
      prefix.writeUInt32BE(request.length, 1);
      peer.send(headers(1, FETCH), frame(FRAME.DATA, 0, 1, Buffer.concat([prefix, request])));
      return peer;
    });
    await Promise.all(peers.map(async (peer) => peer.find((seen) => seen.type === FRAME.DATA)));
    for (const peer of peers) peer.socket.pause();
    await expectServed();
    // 20 readers of 24 MiB each, none of which reads: what waits for them is bounded for each of them.
    expect((await residentBytes()) - before).toBeLessThan(200 * MIB);
    for (const peer of peers) peer.close();
  });

  test("being there, without a FIN, in the middle of a batch", async () => {
    for (const lane of LANES) {
      for (let round = 0; round < 20; round++) {
        const peer = raw(lane);
        // The message promises half a mebibyte; a tenth of it comes.
        const prefix = Buffer.from("0000080000", "hex");
        peer.send(
          headers(1, PRODUCE),
          frame(FRAME.DATA, 0, 1, Buffer.concat([prefix, Buffer.alloc(16_000)])),
        );
        peer.send(frame(FRAME.SETTINGS, ACK, 0));
        await peer.find((seen) => seen.type === FRAME.SETTINGS);
        peer.socket.resetAndDestroy();
      }
    }
    await expectServed();
    const [end] = await client.admin().listOffsets([{ topic: "much", partition: 0 }], "end");
    expect(end?.offset).toBe(records);
  });
});

describe("many connections", () => {
  test(`${SILENT_SOCKETS} silent sockets keep no client out, from their own address either`, async () => {
    const before = await residentBytes();
    for (let index = 0; index < SILENT_SOCKETS; index += 100) {
      const opened = Array.from({ length: 100 }, (_, each) => dial(`127.0.0.${1 + ((index + each) % 20)}`));
      await Promise.all(opened.map(async (socket) => once(socket, "connect")));
      if (index % 500 === 0) await expectServed();
    }
    await expectServed();
    expect((await residentBytes()) - before).toBeLessThan(100 * MIB);
  });

  test("the cap of an address holds, and is for that address only", async () => {
    await using capped = await startBroker({ config: { "max.connections.per.ip": "3" } });
    const port = Number(capped.address.split(":")[1]);
    const from = (localAddress: string): Socket => {
      const socket = connect({ host: "127.0.0.1", port, localAddress });
      socket.on("error", () => undefined);
      sockets.push(socket);
      socket.write(Buffer.concat([HTTP2_PREFACE, frame(FRAME.SETTINGS, 0, 0)]));
      return socket;
    };
    const held = [from("127.0.0.7"), from("127.0.0.7"), from("127.0.0.7")];
    await Promise.all(held.map(async (socket) => once(socket, "data")));
    const refused = from("127.0.0.7");
    await gone(refused);
    await using client = new LograftClient({ brokers: [capped.address] });
    await client.producer().send("t", { value: "v" });
    for (const socket of held) expect(socket.destroyed).toBe(false);
  });

  test("the cap of all connections holds, and frees what is closed", async () => {
    await using capped = await startBroker({ config: { "max.connections": "4" } });
    const port = Number(capped.address.split(":")[1]);
    const open = async (): Promise<"served" | "closed"> => {
      const socket = connect({ host: "127.0.0.1", port });
      socket.on("error", () => undefined);
      sockets.push(socket);
      socket.write(Buffer.concat([HTTP2_PREFACE, frame(FRAME.SETTINGS, 0, 0)]));
      return Promise.race([
        new Promise<"served">((resolve) => socket.once("data", () => resolve("served"))),
        gone(socket).then(() => "closed" as const),
      ]);
    };
    const from = sockets.length;
    for (let index = 0; index < 4; index++) expect(await open()).toBe("served");
    expect(await open()).toBe("closed");
    for (const socket of sockets.slice(from)) socket.destroy();
    // The broker hears of the closes a little later than we do.
    while ((await open()) === "closed") await turn();
  });
});

test("connections that never say what they want are closed at the deadline", async () => {
  const closed = new Set<string>();
  await Promise.all(dawdlers.map(async (dawdler) => dawdler.closed.then(() => closed.add(dawdler.what))));
  expect(closed.size).toBe(dawdlers.length);
});

test("through all of it the neighbour lost nothing and the broker stayed what it was", async () => {
  await expectUnharmed(neighbour);
  expect((await residentBytes()) - memoryBefore).toBeLessThan(MAX_GROWTH_BYTES);
});
