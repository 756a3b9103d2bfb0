import { afterEach, describe, expect, test } from "vitest";

import { OK_STATUS, RPC_CODES, rpcStatus, type RpcStatus } from "../../src/rpc/status.ts";
import type {
  ByteStream,
  CallOptions,
  StreamChannel,
  StreamHandler,
} from "../../src/rpc/stream/byte-stream.ts";

export const CONTRACT_MAX_MESSAGE_BYTES = 6 * 1024 * 1024;

/** What a lane, or a pair of lanes, is tested through. */
export interface ByteStreamHarness {
  start(handlers: Readonly<Record<string, StreamHandler>>): Promise<{
    readonly channel: StreamChannel;
    /** Breaks the connection without a word. */
    cut(): void;
    close(): Promise<void>;
  }>;
}

/** A stream's events, gathered, with promises for its turns. */
export class Recorder {
  readonly stream: ByteStream;
  readonly messages: Buffer[] = [];
  readonly events: string[] = [];
  readonly closed: Promise<RpcStatus>;
  readonly ended: Promise<void>;
  #wakers: (() => void)[] = [];

  constructor(stream: ByteStream) {
    this.stream = stream;
    stream.onMessage((message) => {
      this.messages.push(message);
      this.events.push("message");
      for (const wake of this.#wakers.splice(0)) wake();
    });
    this.ended = new Promise((resolve) => {
      stream.onEnd(() => {
        this.events.push("end");
        resolve();
      });
    });
    this.closed = new Promise((resolve) => {
      stream.onClose((status) => {
        this.events.push("close");
        resolve(status);
      });
    });
  }

  async waitFor(count: number): Promise<void> {
    while (this.messages.length < count) {
      await new Promise<void>((resolve) => this.#wakers.push(resolve));
    }
  }
}

const bytes = (text: string): Uint8Array[] => [Buffer.from(text)];

function echo(stream: ByteStream): void {
  stream.onMessage((message) => {
    if (!stream.send([message])) stream.pause();
  });
  stream.onDrain(() => stream.resume());
  stream.onEnd(() => stream.end());
}

/** Every lane, and every pairing of lanes, passes this. */
export function byteStreamContract(name: string, harness: ByteStreamHarness): void {
  describe(`byte stream contract: ${name}`, () => {
    let stop: (() => Promise<void>) | undefined;
    afterEach(async () => {
      await stop?.();
      stop = undefined;
    });

    /** The channel, and the server's end of each call as it comes. */
    async function setup(handler: StreamHandler = echo): Promise<{
      open: (options?: CallOptions) => Recorder;
      channel: StreamChannel;
      cut: () => void;
      served: Promise<Recorder>;
    }> {
      let serve: (recorder: Recorder) => void = () => undefined;
      const served = new Promise<Recorder>((resolve) => {
        serve = resolve;
      });
      const running = await harness.start({
        "/test/Echo": handler,
        "/test/Record": (stream) => serve(new Recorder(stream)),
      });
      stop = async () => {
        running.channel.close();
        await running.close();
      };
      const open = (options?: CallOptions): Recorder =>
        new Recorder(running.channel.openStream("/test/Echo", options));
      return { open, channel: running.channel, cut: () => running.cut(), served };
    }

    test("messages come back as they were, and a half-close ends the call with OK", async () => {
      const { open } = await setup();
      const call = open();
      const texts = ["", "a", "hello", "x".repeat(70_000)];
      for (const text of texts) call.stream.send(bytes(text));
      call.stream.end();
      expect(await call.closed).toEqual(OK_STATUS);
      expect(call.messages.map((message) => message.toString())).toEqual(texts);
      expect(call.stream.signal.aborted).toBe(true);
      expect(call.stream.send(bytes("late"))).toBe(false);
    });

    test("chunks of any sizes are one message", async () => {
      const { open } = await setup();
      const call = open();
      const sizes = [0, 3, 5000, 1, 0, 1023, 1024, 100_000, 2];
      const chunks = sizes.map((size, index) => Buffer.alloc(size, index + 1));
      call.stream.send(chunks);
      call.stream.send([]);
      call.stream.end();
      expect(await call.closed).toEqual(OK_STATUS);
      expect(call.messages.map((message) => message.length)).toEqual([Buffer.concat(chunks).length, 0]);
      expect(call.messages[0]?.equals(Buffer.concat(chunks))).toBe(true);
    });

    test("10,000 small messages keep their order", async () => {
      const { open } = await setup();
      const call = open();
      for (let index = 0; index < 10_000; index++) call.stream.send(bytes(`message ${index}`));
      call.stream.end();
      expect(await call.closed).toEqual(OK_STATUS);
      expect(call.messages.length).toBe(10_000);
      expect(call.messages.findIndex((message, index) => message.toString() !== `message ${index}`)).toBe(-1);
    });

    test("a message of 5 MiB passes both ways", async () => {
      const { open } = await setup();
      const call = open();
      const large = Buffer.alloc(5 * 1024 * 1024, "lograft");
      call.stream.send([large.subarray(0, 1_000_000), large.subarray(1_000_000)]);
      call.stream.end();
      expect(await call.closed).toEqual(OK_STATUS);
      expect(call.messages[0]?.equals(large)).toBe(true);
    });

    test("sending a message above the limit ends the call with RESOURCE_EXHAUSTED", async () => {
      const { open } = await setup();
      const call = open();
      expect(call.stream.send([Buffer.alloc(CONTRACT_MAX_MESSAGE_BYTES + 1)])).toBe(false);
      expect((await call.closed).code).toBe(RPC_CODES.RESOURCE_EXHAUSTED);
    });

    test("a server that sends a message above its limit ends the call with RESOURCE_EXHAUSTED", async () => {
      const { open } = await setup((stream) => {
        stream.send([Buffer.alloc(CONTRACT_MAX_MESSAGE_BYTES + 1)]);
      });
      expect((await open().closed).code).toBe(RPC_CODES.RESOURCE_EXHAUSTED);
    });

    test("the server's status arrives with its text and details, after its messages", async () => {
      const status = rpcStatus("ABORTED", "50 % übrig \u{1F600}\n", Buffer.from([0, 1, 254, 255]));
      const { open } = await setup((stream) => {
        stream.send(bytes("one"));
        stream.send(bytes("two"));
        stream.end(status);
      });
      const call = open();
      expect(await call.closed).toEqual(status);
      expect(call.messages.map((message) => message.toString())).toEqual(["one", "two"]);
      expect(call.events).toEqual(["message", "message", "close"]);
    });

    test("a server that ends at once gives its status without messages", async () => {
      const { open } = await setup((stream) => stream.end(rpcStatus("NOT_FOUND", "no such thing")));
      expect(await open().closed).toEqual(rpcStatus("NOT_FOUND", "no such thing"));
    });

    test("a server may end while the client is still sending", async () => {
      const { open } = await setup((stream) => {
        stream.onMessage(() => stream.end(rpcStatus("OUT_OF_RANGE", "enough")));
      });
      const call = open();
      for (let index = 0; index < 50; index++) call.stream.send([Buffer.alloc(50_000)]);
      expect(await call.closed).toEqual(rpcStatus("OUT_OF_RANGE", "enough"));
    });

    test("a half-close reaches the server, which may still send", async () => {
      const { channel, served } = await setup();
      const call = new Recorder(channel.openStream("/test/Record"));
      call.stream.send(bytes("in"));
      call.stream.end();
      const server = await served;
      await server.ended;
      expect(server.events).toEqual(["message", "end"]);
      server.stream.send(bytes("out"));
      server.stream.end();
      expect(await call.closed).toEqual(OK_STATUS);
      expect((await server.closed).code).toBe(RPC_CODES.OK);
      expect(call.messages.map((message) => message.toString())).toEqual(["out"]);
    });

    test("a client that cancels is CANCELLED on both sides", async () => {
      const { channel, served } = await setup();
      const call = new Recorder(channel.openStream("/test/Record"));
      call.stream.send(bytes("in"));
      const server = await served;
      await server.waitFor(1);
      call.stream.cancel();
      expect((await call.closed).code).toBe(RPC_CODES.CANCELLED);
      expect((await server.closed).code).toBe(RPC_CODES.CANCELLED);
      expect(server.stream.signal.aborted).toBe(true);
    });

    test("a server that cancels gives CANCELLED, or the status it names", async () => {
      const { channel, served, open } = await setup((stream) => {
        stream.send(bytes("a"));
        stream.cancel(rpcStatus("UNAVAILABLE", "shutting down"));
      });
      const call = new Recorder(channel.openStream("/test/Record"));
      const server = await served;
      server.stream.send(bytes("x"));
      await call.waitFor(1);
      server.stream.cancel();
      expect((await call.closed).code).toBe(RPC_CODES.CANCELLED);
      expect((await server.closed).code).toBe(RPC_CODES.CANCELLED);
      expect(await open().closed).toEqual(rpcStatus("UNAVAILABLE", "shutting down"));
    });

    test("the deadline ends the call on both sides", async () => {
      const { channel, served } = await setup();
      const call = new Recorder(channel.openStream("/test/Record", { timeoutMs: 150 }));
      call.stream.send(bytes("in"));
      const server = await served;
      expect((await call.closed).code).toBe(RPC_CODES.DEADLINE_EXCEEDED);
      expect([RPC_CODES.DEADLINE_EXCEEDED, RPC_CODES.CANCELLED]).toContain((await server.closed).code);
    });

    test("a call without time left closes with DEADLINE_EXCEEDED, after its handlers are set", async () => {
      const { open } = await setup();
      expect((await open({ timeoutMs: 0 }).closed).code).toBe(RPC_CODES.DEADLINE_EXCEEDED);
    });

    test("an abort signal cancels the call, also one that fired before", async () => {
      const { open } = await setup();
      const controller = new AbortController();
      const call = open({ signal: controller.signal });
      call.stream.send(bytes("a"));
      await call.waitFor(1);
      controller.abort(new Error("not needed any more"));
      expect((await call.closed).code).toBe(RPC_CODES.CANCELLED);
      expect((await open({ signal: controller.signal }).closed).code).toBe(RPC_CODES.CANCELLED);
    });

    test("metadata arrives in lower case, binary values as base64", async () => {
      const { channel, served } = await setup();
      const metadata = new Map([
        ["x-client", "a b"],
        ["token-bin", Buffer.from([0, 200, 255]).toString("base64")],
      ]);
      const call = new Recorder(channel.openStream("/test/Record", { metadata }));
      call.stream.send(bytes("a"));
      const server = await served;
      expect(server.stream.metadata.get("x-client")).toBe("a b");
      expect(Buffer.from(server.stream.metadata.get("token-bin") ?? "", "base64")).toEqual(
        Buffer.from([0, 200, 255]),
      );
      expect(
        [...server.stream.metadata.keys()].filter((key) => /^(?:grpc-|:|te$|content-)/.test(key)),
      ).toEqual([]);
      expect(server.stream.method).toBe("/test/Record");
      expect(server.stream.peer).toContain("127.0.0.1");
    });

    test("metadata that gRPC cannot carry is refused before anything is sent", async () => {
      const { open } = await setup();
      expect(() => open({ metadata: new Map([["Bad Name", "x"]]) })).toThrow(/Bad Name/);
      expect(() => open({ metadata: new Map([["x", "line\nbreak"]]) })).toThrow(/cannot be sent/);
    });

    test("a method that is not served is UNIMPLEMENTED", async () => {
      const { channel } = await setup();
      const call = new Recorder(channel.openStream("/test/None"));
      call.stream.send(bytes("a"));
      expect((await call.closed).code).toBe(RPC_CODES.UNIMPLEMENTED);
    });

    test("a handler that throws ends its call with INTERNAL, at its start and later; others go on", async () => {
      let calls = 0;
      const { open } = await setup((stream) => {
        calls += 1;
        if (calls === 1) throw new Error("at the start");
        stream.onMessage((message) => {
          if (message.toString() === "bad") throw new Error("in a message");
          stream.send([message]);
        });
      });
      expect((await open().closed).code).toBe(RPC_CODES.INTERNAL);
      const good = open();
      const bad = open();
      bad.stream.send(bytes("bad"));
      expect((await bad.closed).code).toBe(RPC_CODES.INTERNAL);
      good.stream.send(bytes("good"));
      await good.waitFor(1);
    });

    test("a lost connection is UNAVAILABLE at the client, and the next call works", async () => {
      const { channel, served, cut, open } = await setup();
      const call = new Recorder(channel.openStream("/test/Record"));
      call.stream.send(bytes("in"));
      const server = await served;
      await server.waitFor(1);
      cut();
      expect((await call.closed).code).toBe(RPC_CODES.UNAVAILABLE);
      expect((await server.closed).code).not.toBe(RPC_CODES.OK);
      const again = open();
      again.stream.send(bytes("again"));
      await again.waitFor(1);
    });

    test("closing the channel closes its open streams with CANCELLED", async () => {
      const { channel, open } = await setup();
      const call = open();
      call.stream.send(bytes("a"));
      await call.waitFor(1);
      channel.close();
      channel.close();
      expect((await call.closed).code).toBe(RPC_CODES.CANCELLED);
      expect((await open().closed).code).toBe(RPC_CODES.CANCELLED);
    });

    test("a paused reader stops its sender within the windows, and gets everything when it resumes", async () => {
      const { channel, served } = await setup();
      const call = new Recorder(channel.openStream("/test/Record"));
      call.stream.send(bytes("go"));
      const server = await served;
      server.stream.pause();
      const message = Buffer.alloc(256 * 1024, 7);
      let sent = 0;
      let drained = 0;
      let isBlocked = false;
      const fill = (): void => {
        isBlocked = false;
        while (sent < 160 && !isBlocked) {
          isBlocked = !call.stream.send([message]);
          sent += 1;
        }
      };
      call.stream.onDrain(() => {
        drained += 1;
        fill();
      });
      fill();
      // Turns of the loop until nothing moves any more.
      for (let seen = -1; seen !== sent;) {
        seen = sent;
        await new Promise((resolve) => setTimeout(resolve, 60));
      }
      expect(sent).toBeLessThan(160);
      expect(call.stream.bufferedBytes).toBeLessThanOrEqual(1024 * 1024 + message.length);
      expect(server.messages.length).toBeLessThanOrEqual(1);
      server.stream.resume();
      await server.waitFor(161);
      expect(drained).toBeGreaterThan(0);
      expect(server.messages.length).toBe(161);
    });

    test("a reader that pauses inside a message handler gets one message at a time", async () => {
      const { channel, served } = await setup();
      const call = new Recorder(channel.openStream("/test/Record"));
      for (let index = 0; index < 20; index++) call.stream.send(bytes(`${index}`));
      call.stream.end();
      const { stream } = await served;
      const seen: string[] = [];
      await new Promise<void>((resolve) => {
        let inFlight = 0;
        stream.onMessage((message) => {
          inFlight += 1;
          expect(inFlight).toBe(1);
          seen.push(message.toString());
          stream.pause();
          setImmediate(() => {
            inFlight -= 1;
            stream.resume();
          });
        });
        stream.onEnd(resolve);
      });
      expect(seen).toEqual(Array.from({ length: 20 }, (_, index) => `${index}`));
      stream.end();
      expect(await call.closed).toEqual(OK_STATUS);
    });

    test("nothing is called after the close", async () => {
      const { channel, served } = await setup();
      const call = new Recorder(channel.openStream("/test/Record"));
      for (let index = 0; index < 100; index++) call.stream.send([Buffer.alloc(10_000)]);
      const server = await served;
      server.stream.onMessage(() => server.stream.cancel(rpcStatus("ABORTED", "stop")));
      await server.closed;
      await call.closed;
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(server.events.at(-1)).toBe("close");
      expect(call.events.filter((event) => event === "close").length).toBe(1);
      expect(call.events.at(-1)).toBe("close");
    });
  });
}
