import { once } from "node:events";
import { createServer as createHttp2, type ServerHttp2Stream } from "node:http2";
import { connect, createServer, Socket, type AddressInfo, type Server } from "node:net";

import { afterEach, describe, expect, test } from "vitest";

import { Deferred } from "../../../src/base/deferred.ts";
import { RPC_CODES, type RpcStatus } from "../../../src/rpc/status.ts";
import { DirectChannel, type DirectChannelOptions } from "../../../src/rpc/stream/direct-channel.ts";
import { Recorder } from "../../contract/byte-stream.ts";
import { clock, deps } from "./lane-harness.ts";

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0).reverse()) close();
});

async function listening(server: Server | ReturnType<typeof createHttp2>): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closers.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

function channelTo(port: number, options: Partial<DirectChannelOptions> = {}): DirectChannel {
  const channel = new DirectChannel({ host: "127.0.0.1", port, maxMessageBytes: 1024, ...options }, deps);
  closers.push(() => channel.close());
  return channel;
}

async function closeOf(channel: DirectChannel): Promise<RpcStatus> {
  return new Recorder(channel.openStream("/test/Any")).closed;
}

describe("a channel without a server", () => {
  test("closes calls with UNAVAILABLE that names the address and the cause, at once while it pauses", async () => {
    const channel = channelTo(1, { reconnectMinMs: 10_000, reconnectMaxMs: 10_000 });
    const first = await closeOf(channel);
    expect(first.code).toBe(RPC_CODES.UNAVAILABLE);
    expect(first.message).toContain("127.0.0.1:1");
    expect(first.message).toContain("ECONNREFUSED");
    expect(first.connection).toBe("refused");
    const second = await closeOf(channel);
    expect(second.code).toBe(RPC_CODES.UNAVAILABLE);
    expect(second.message).toContain("next attempt");
    expect(second.connection).toBe("refused");
  });

  test("tells a connection that was never there from one that took what was sent", async () => {
    const port = await listening(createServer((socket) => socket.destroy()));
    expect((await closeOf(channelTo(port))).connection).toBe("lost");
    const broken = channelTo(port, {
      createConnection: () => {
        const socket = new Socket();
        socket.destroy(new Error("no route"));
        return socket;
      },
    });
    expect(await closeOf(broken)).toMatchObject({ connection: "failed", message: /no route/ });
  });

  test("connects again when the pause is over", async () => {
    const port = await listening(createServer((socket) => socket.destroy()));
    const channel = channelTo(port, { reconnectMinMs: 20, reconnectMaxMs: 20 });
    expect((await closeOf(channel)).code).toBe(RPC_CODES.UNAVAILABLE);
    await clock.sleep(25);
    const again = await closeOf(channel);
    expect(again.code).toBe(RPC_CODES.UNAVAILABLE);
    expect(again.message).not.toContain("next attempt");
  });

  test("gives up on one that accepts and never speaks, at the connect timeout", async () => {
    const port = await listening(createServer((socket) => closers.push(() => socket.destroy())));
    const status = await closeOf(channelTo(port, { connectTimeoutMs: 40 }));
    expect(status.code).toBe(RPC_CODES.UNAVAILABLE);
    expect(status.message).toContain("40 ms");
  });

  test("finds out that a server stopped answering, by its pings", async () => {
    const gate = createServer((socket) => {
      socket.on("error", () => undefined);
      closers.push(() => socket.destroy());
      // SETTINGS of 0 entries and nothing more, ever.
      socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]));
      socket.resume();
    });
    const port = await listening(gate);
    const status = await closeOf(channelTo(port, { keepalive: { intervalMs: 20, timeoutMs: 40 } }));
    expect(status.code).toBe(RPC_CODES.UNAVAILABLE);
    expect(status.message).toContain("pings");
  });
});

test("a channel that is closed lets go of a server that ends nothing", async () => {
  const acknowledged = new Deferred<void>();
  const frozen = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    closers.push(() => socket.destroy());
    // SETTINGS of 0 entries; then it reads and never ends its side.
    socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]));
    socket.on("data", (piece) => {
      if (piece.includes(Buffer.from([0, 0, 0, 4, 1, 0, 0, 0, 0]))) acknowledged.resolve();
    });
  });
  const socket = connect({ host: "127.0.0.1", port: await listening(frozen) });
  const channel = channelTo(1, { createConnection: () => socket });
  const stream = new Recorder(channel.openStream("/test/Any"));
  await acknowledged.promise;
  const gone = once(socket, "close");
  channel.close();
  expect((await stream.closed).code).toBe(RPC_CODES.CANCELLED);
  await gone;
  expect(socket.destroyed).toBe(true);
});

describe("answers that are not gRPC", () => {
  async function answered(answer: (stream: ServerHttp2Stream) => void): Promise<RpcStatus> {
    const http2 = createHttp2();
    http2.on("session", (session) => closers.push(() => session.destroy()));
    http2.on("stream", (stream) => {
      stream.on("error", () => undefined);
      answer(stream);
    });
    return closeOf(channelTo(await listening(http2)));
  }

  test("an HTTP status stands for the gRPC status it maps to", async () => {
    const codes = [401, 403, 404, 429, 500, 503];
    const statuses = await Promise.all(
      codes.map(async (code) =>
        answered((stream) => stream.respond({ ":status": code }, { endStream: true })),
      ),
    );
    expect(statuses.map((status) => status.code)).toEqual([16, 7, 12, 14, 2, 14]);
    const withBody = await answered((stream) => {
      stream.respond({ ":status": 502, "content-type": "text/html" });
      stream.end("<html>bad gateway</html>");
    });
    expect(withBody.code).toBe(RPC_CODES.UNAVAILABLE);
  });

  test("an end without a status, or with another content type, is UNKNOWN", async () => {
    const bare = await answered((stream) => {
      stream.respond({ ":status": 200, "content-type": "application/grpc" });
      stream.end();
    });
    expect(bare.code).toBe(RPC_CODES.UNKNOWN);
    const json = await answered((stream) => {
      stream.respond({ ":status": 200, "content-type": "application/json" });
      stream.end("{}");
    });
    expect(json.code).toBe(RPC_CODES.UNKNOWN);
  });

  test("resets map as the description's table says", async () => {
    const resets = [7, 8, 11, 12, 1, 2];
    const statuses = await Promise.all(
      resets.map(async (code) => answered((stream) => void setImmediate(() => stream.close(code)))),
    );
    expect(statuses.map((status) => status.code)).toEqual([14, 1, 8, 7, 13, 13]);
  });

  test("OK behind half a message is INTERNAL; a message above the limit or compressed is refused", async () => {
    const end = (bytes: string) => (stream: ServerHttp2Stream) => {
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.end(Buffer.from(bytes, "hex"));
    };
    expect((await answered(end("00000000056162"))).code).toBe(RPC_CODES.INTERNAL);
    expect((await answered(end("0000000401"))).code).toBe(RPC_CODES.RESOURCE_EXHAUSTED);
    expect((await answered(end("010000000161"))).code).toBe(RPC_CODES.UNIMPLEMENTED);
    expect((await answered(end("000000000161"))).code).toBe(RPC_CODES.OK);
  });

  test("an OK whose messages were not all read before the connection was lost is UNAVAILABLE", async () => {
    const http2 = createHttp2();
    http2.on("stream", (stream) => {
      const { session } = stream;
      stream.on("error", () => undefined);
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => {
        stream.sendTrailers({ "grpc-status": "0" });
        setTimeout(() => session?.destroy(), 30);
      });
      stream.end(Buffer.from("000000000161000000000162", "hex"));
    });
    // Node tells of a lost connection late while a finished stream is unread; the pings find out.
    const keepalive = { intervalMs: 20, timeoutMs: 40 };
    const call = new Recorder(channelTo(await listening(http2), { keepalive }).openStream("/test/Any"));
    call.stream.pause();
    expect((await call.closed).code).toBe(RPC_CODES.UNAVAILABLE);
  });
});
