import { afterEach, describe, expect, test } from "vitest";

import { LograftError, operationError } from "../../../src/base/errors.ts";
import { errorFromStatus, statusFromError } from "../../../src/rpc/error-details.ts";
import { OK_STATUS, RPC_CODES } from "../../../src/rpc/status.ts";
import type { CallOptions, StreamChannel, StreamHandler } from "../../../src/rpc/stream/byte-stream.ts";
import { callOnce } from "../../../src/rpc/stream/call-once.ts";
import { serveOnce } from "../../../src/rpc/stream/serve-once.ts";
import { Recorder } from "../../contract/byte-stream.ts";
import { clock, openLaneChannel, startLaneServer, type LaneName } from "./lane-harness.ts";

const METHOD = "/test/Once";
const MAX_BYTES = 1024 * 1024;

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function start(lane: LaneName, handler: StreamHandler): Promise<StreamChannel> {
  const server = await startLaneServer(lane, { handlers: { [METHOD]: handler }, maxMessageBytes: MAX_BYTES });
  const channel = openLaneChannel(lane, server.port, MAX_BYTES);
  closers.push(
    () => server.close(),
    () => channel.close(),
  );
  return channel;
}

const once = (
  serve: (request: Buffer) => Promise<readonly Uint8Array[]>,
  requestTimeoutMs = 10_000,
): StreamHandler =>
  serveOnce({ requestTimeoutMs }, { clock, serve, statusOf: (error) => statusFromError(error) });

function call(channel: StreamChannel, request: string, options: CallOptions = {}): Promise<Buffer> {
  return callOnce(channel, METHOD, [Buffer.from(request)], {
    timeoutMs: 10_000,
    errorOf: errorFromStatus,
    ...options,
  });
}

describe.each(["direct", "grpc-js"] as const)("one message each way on the %s lane", (lane) => {
  test("is answered, also with nothing", async () => {
    const channel = await start(
      lane,
      once(async (request) => (request.length === 0 ? [] : [request, request])),
    );
    expect(String(await call(channel, "ab"))).toBe("abab");
    expect(String(await call(channel, ""))).toBe("");
  });

  test("fails with what was thrown", async () => {
    const error = operationError("DISK_FULL", "no room", { retriable: true });
    const channel = await start(
      lane,
      once(() => Promise.reject(error)),
    );
    await expect(call(channel, "x")).rejects.toMatchObject({
      code: "DISK_FULL",
      message: "no room",
      retriable: true,
    });
  });

  test("fails at its deadline, and with the reason of its signal", async () => {
    const controller = new AbortController();
    const reason = new LograftError("STOP", "enough");
    const channel = await start(
      lane,
      once((request) => {
        if (request.toString() === "abort") controller.abort(reason);
        return new Promise(() => undefined);
      }),
    );
    await expect(call(channel, "x", { timeoutMs: 30 })).rejects.toMatchObject({ code: "TIMEOUT" });
    await expect(call(channel, "abort", { signal: controller.signal })).rejects.toBe(reason);
    await expect(call(channel, "late", { signal: controller.signal })).rejects.toBe(reason);
  });

  test("that ends well without an answer is an error", async () => {
    const channel = await start(lane, (stream) => stream.end(OK_STATUS));
    await expect(call(channel, "x")).rejects.toThrow(/answered without a message/);
  });

  test("that brings no request in time is ended by the server", async () => {
    const channel = await start(
      lane,
      once(async (request) => [request], 20),
    );
    const silent = new Recorder(channel.openStream(METHOD));
    expect(await silent.closed).toMatchObject({
      code: RPC_CODES.DEADLINE_EXCEEDED,
      message: "no request came within 20 ms",
    });
  });
});
