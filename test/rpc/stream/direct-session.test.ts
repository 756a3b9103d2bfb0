import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { RPC_CODES } from "../../../src/rpc/status.ts";
import type { StreamHandler } from "../../../src/rpc/stream/byte-stream.ts";
import { Recorder } from "../../contract/byte-stream.ts";
import { openLaneChannel, startLaneServer, type LaneServer } from "./lane-harness.ts";
import {
  callHeaders,
  END_HEADERS,
  END_STREAM,
  frame,
  FRAME,
  headerBlock,
  RawHttp2Client,
  type RawFrame,
} from "./raw-http2.ts";

const MAX_MESSAGE_BYTES = 1024 * 1024;
/** So long may a test take on a machine that has other things to do: what is shown is that it ends. */
const PATIENCE_MS = 30_000;
const CALL_PATIENCE_MS = 10_000;

let server: LaneServer;
let flooded: Promise<{ sentBytes: () => number }>;
const clients: RawHttp2Client[] = [];

const echo: StreamHandler = (stream) => {
  stream.onMessage((message) => void stream.send([message]));
  stream.onEnd(() => stream.end());
};

beforeEach(async () => {
  // Not a deadline that a client could miss because this process is busy with the flood beside it.
  server = await start(PATIENCE_MS);
});

async function start(firstRequestTimeoutMs: number): Promise<LaneServer> {
  let note: (value: { sentBytes: () => number }) => void = () => undefined;
  flooded = new Promise((resolve) => {
    note = resolve;
  });
  return startLaneServer("direct", {
    maxMessageBytes: MAX_MESSAGE_BYTES,
    direct: { firstRequestTimeoutMs, keepalive: { intervalMs: 60_000, timeoutMs: 1000 } },
    handlers: {
      "/test/Echo": echo,
      "/test/Flood": (stream) => {
        const message = Buffer.alloc(64 * 1024);
        let sent = 0;
        const fill = (): void => {
          while (sent < 1000 && stream.send([message])) sent += 1;
        };
        stream.onDrain(fill);
        note({ sentBytes: () => sent * message.length });
        fill();
      },
    },
  });
}

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await server.close();
});

function raw(): RawHttp2Client {
  const client = new RawHttp2Client(server.port);
  clients.push(client);
  return client;
}

function headers(streamId: number, block: Buffer, flags = END_HEADERS): Buffer {
  return frame(FRAME.HEADERS, flags, streamId, block);
}

function code(value: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(value);
  return payload;
}

/** The headers of an answer come Huffman-coded, so statuses are read by what Node's HPACK leaves readable: none. */
const isAnswer = (streamId: number) => (seen: RawFrame) =>
  seen.streamId === streamId && (seen.type === FRAME.HEADERS || seen.type === FRAME.RST_STREAM);

/** Another client, on both sides of the abuse, is served in time. */
async function expectServed(): Promise<void> {
  const channel = openLaneChannel("direct", server.port, MAX_MESSAGE_BYTES);
  const call = new Recorder(channel.openStream("/test/Echo", { timeoutMs: CALL_PATIENCE_MS }));
  call.stream.send([Buffer.from("still here")]);
  call.stream.end();
  expect(await call.closed).toEqual({ code: RPC_CODES.OK, message: "" });
  expect(call.messages[0]?.toString()).toBe("still here");
  channel.close();
}

describe("the direct lane survives, and serves others meanwhile", () => {
  test(
    "rapid reset: the connection is ended, not served for ever",
    async () => {
      const client = raw();
      let streamId = 1;
      const flood = (): void => {
        if (client.isClosed || streamId > 40_000) return;
        const frames: Buffer[] = [];
        for (let index = 0; index < 100; index++, streamId += 2) {
          frames.push(
            headers(streamId, callHeaders("/test/Echo")),
            frame(FRAME.RST_STREAM, 0, streamId, code(8)),
          );
        }
        client.send(...frames);
        setImmediate(flood);
      };
      flood();
      await expectServed();
      await client.closed();
      expect(streamId).toBeLessThan(40_000);
      await expectServed();
    },
    PATIENCE_MS,
  );

  test.each([
    ["PING", frame(FRAME.PING, 0, 0, Buffer.alloc(8))],
    ["SETTINGS", frame(FRAME.SETTINGS, 0, 0)],
  ])(
    "a flood of %s: told to calm down and dropped",
    async (_name, one) => {
      const client = raw();
      client.send(headers(1, callHeaders("/test/Echo")));
      for (let index = 0; index < 20 && !client.isClosed; index++) {
        client.send(...Array.from({ length: 100 }, () => one));
        await new Promise((resolve) => setImmediate(resolve));
      }
      await expectServed();
      await client.closed();
      const goaway = client.frames.find((seen) => seen.type === FRAME.GOAWAY);
      expect(goaway?.payload.readUInt32BE(4)).toBe(11);
    },
    PATIENCE_MS,
  );

  test(
    "CONTINUATION without end",
    async () => {
      const client = raw();
      client.send(headers(1, callHeaders("/test/Echo"), 0));
      const more = frame(FRAME.CONTINUATION, 0, 1, headerBlock({ "x-more": "y".repeat(1000) }));
      for (let index = 0; index < 2000 && !client.isClosed; index++) {
        client.send(more);
        if (index % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      await expectServed();
      await client.closed();
    },
    PATIENCE_MS,
  );

  test(
    "a huge header list is refused",
    async () => {
      const client = raw();
      const many = Object.fromEntries(
        Array.from({ length: 500 }, (_, index) => [`x-${index}`, "v".repeat(20)]),
      );
      client.send(headers(1, callHeaders("/test/Echo", many)));
      const answer = await client.find((seen) => isAnswer(1)(seen) || seen.type === FRAME.GOAWAY);
      expect(answer?.type ?? FRAME.RST_STREAM).not.toBe(FRAME.HEADERS);
      await expectServed();
    },
    PATIENCE_MS,
  );

  test(
    "a reader whose window never opens stops its sender",
    async () => {
      const client = raw();
      client.send(headers(1, callHeaders("/test/Flood")));
      const { sentBytes } = await flooded;
      await expectServed();
      expect(sentBytes()).toBeLessThan(2 * 1024 * 1024);
    },
    PATIENCE_MS,
  );

  test(
    "a connection without a call is dropped at the deadline",
    async () => {
      const hasty = await start(150);
      try {
        const client = new RawHttp2Client(hasty.port);
        clients.push(client);
        await client.closed();
      } finally {
        await hasty.close();
      }
      await expectServed();
    },
    PATIENCE_MS,
  );

  test(
    "frames that break the protocol end their connection",
    async () => {
      const frames = [
        frame(FRAME.DATA, 0, 1, Buffer.from("x")),
        frame(FRAME.SETTINGS, 0, 0, Buffer.from("odd")),
        frame(FRAME.WINDOW_UPDATE, 0, 0, code(0)),
        headers(2, callHeaders("/test/Echo")),
        headers(1, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff])),
      ];
      await Promise.all(
        frames.map(async (bad) => {
          const client = raw();
          client.send(bad);
          await client.closed();
        }),
      );
      await expectServed();
    },
    PATIENCE_MS,
  );

  test(
    "streams above the announced number are refused, the others go on",
    async () => {
      const client = raw();
      const opened = Array.from({ length: 80 }, (_, index) =>
        headers(1 + index * 2, callHeaders("/test/Echo")),
      );
      client.send(...opened);
      const refused = await client.find((seen) => seen.type === FRAME.RST_STREAM);
      expect(refused?.payload.readUInt32BE(0)).toBe(7);
      expect(refused?.streamId).toBeGreaterThan(128);
      await expectServed();
    },
    PATIENCE_MS,
  );

  test(
    "windows of many streams stay within the connection's total",
    async () => {
      const client = raw();
      client.send(
        ...Array.from({ length: 9 }, (_, index) => headers(1 + index * 2, callHeaders("/test/Echo"))),
      );
      const announced: number[] = [];
      const ack = frame(FRAME.SETTINGS, 1, 0);
      for (let seen = 0; announced.at(-1) !== 2 * 1024 * 1024; seen++) {
        await client.find((each) => client.frames.indexOf(each) >= seen);
        const each = client.frames[seen];
        if (each === undefined || each.type !== FRAME.SETTINGS || each.flags === 1) continue;
        client.send(ack);
        for (let at = 0; at < each.payload.length; at += 6) {
          if (each.payload.readUInt16BE(at) === 4) announced.push(each.payload.readUInt32BE(at + 2));
        }
      }
      expect(announced[0]).toBe(8 * 1024 * 1024);
    },
    PATIENCE_MS,
  );
});

describe("what is almost gRPC is refused as gRPC says", () => {
  /** The bytes after which the server ends the stream; the answer is read by a real client where it matters. */
  async function outcome(...frames: readonly Buffer[]): Promise<RawFrame | undefined> {
    const client = raw();
    client.send(...frames);
    return client.find(
      (seen) =>
        seen.streamId === 1 &&
        (seen.type === FRAME.RST_STREAM || (seen.type === FRAME.HEADERS && (seen.flags & END_STREAM) !== 0)),
    );
  }

  const hello = Buffer.from("000000000568656c6c6f", "hex");

  test("a message prefix that promises 4 GiB ends the call before a byte of it", async () => {
    const answer = await outcome(
      headers(1, callHeaders("/test/Echo")),
      frame(FRAME.DATA, 0, 1, Buffer.from("00ffffffff", "hex")),
    );
    expect(answer?.type).toBe(FRAME.HEADERS);
  });

  test("an end of stream inside a prefix or a message ends the call with a status", async () => {
    for (let length = 1; length < hello.length; length++) {
      const answer = await outcome(
        headers(1, callHeaders("/test/Echo")),
        frame(FRAME.DATA, END_STREAM, 1, hello.subarray(0, length)),
      );
      expect(answer?.type, `${length} bytes`).toBe(FRAME.HEADERS);
    }
  });

  test("a message split over DATA frames at any byte is one message", async () => {
    for (let split = 0; split <= hello.length; split++) {
      const client = raw();
      client.send(
        headers(1, callHeaders("/test/Echo")),
        frame(FRAME.DATA, 0, 1, hello.subarray(0, split)),
        frame(FRAME.DATA, END_STREAM, 1, hello.subarray(split)),
      );
      const data = await client.find((seen) => seen.type === FRAME.DATA && seen.payload.length > 0);
      expect(data?.payload, `split at ${split}`).toEqual(hello);
      client.close();
    }
  });
});
