import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { silentLogger } from "../../src/base/logger.ts";
import { GrpcTransport } from "../../src/client/grpc-transport.ts";
import { LograftClient, type LograftError } from "../../src/client/index.ts";
import { createNodePlatform } from "../../src/platform/node/node-platform.ts";
import { errorFromStatus } from "../../src/rpc/error-details.ts";
import { encodeFetchStreamRequest } from "../../src/rpc/fetch-codec.ts";
import { FETCH_METHOD } from "../../src/rpc/method-names.ts";
import { REQUEST_ID_KEY } from "../../src/rpc/request-id.ts";
import type { StreamChannel } from "../../src/rpc/stream/byte-stream.ts";
import { DirectChannel } from "../../src/rpc/stream/direct-channel.ts";
import { GrpcJsChannel } from "../../src/rpc/stream/grpc-js-channel.ts";
import type { RunningBroker } from "../../src/testing.ts";
import { startBroker } from "../../src/testing.ts";

let broker: RunningBroker;
beforeAll(async () => {
  broker = await startBroker({ config: { "auto.create.topics.enable": "false" } });
});
afterAll(async () => {
  await broker.close();
});

function channel(lane: "direct" | "grpc-js"): StreamChannel {
  const { clock } = createNodePlatform();
  const [host = "", port = ""] = broker.address.split(":");
  const options = { host, port: Number(port), maxMessageBytes: 1 << 20 };
  const deps = { clock, logger: silentLogger };
  return lane === "direct" ? new DirectChannel(options, deps) : new GrpcJsChannel(options, deps);
}

/** What a stream that breaks the rules is told: its first message grants nothing. */
async function refused(
  lane: "direct" | "grpc-js",
  metadata: ReadonlyMap<string, string>,
): Promise<LograftError> {
  const to = channel(lane);
  try {
    const status = await new Promise<Parameters<typeof errorFromStatus>[0]>((resolve) => {
      const stream = to.openStream(FETCH_METHOD, { metadata });
      stream.onClose(resolve);
      stream.send(encodeFetchStreamRequest({ creditBytes: 0, add: [], remove: [] }));
    });
    return errorFromStatus(status);
  } finally {
    to.close();
  }
}

describe.each(["direct", "grpc-js"] as const)("a stream on the lane %s", (lane) => {
  test("that is refused is told the id that it came with", async () => {
    const error = await refused(lane, new Map([[REQUEST_ID_KEY, "shop-9"]]));
    expect(error).toMatchObject({ code: "INVALID_ARGUMENT", requestId: "shop-9" });
  });

  test("that came with none, or a bad one, is told one of the broker's", async () => {
    expect((await refused(lane, new Map())).requestId).toMatch(/^broker-[0-9a-z]+-\d+$/);
    const bad = await refused(lane, new Map([[REQUEST_ID_KEY, "two words"]]));
    expect(bad.requestId).toMatch(/^broker-[0-9a-z]+-\d+$/);
  });

  test("of the SDK names its request in the error of a record", async () => {
    await using client = new LograftClient({ brokers: [broker.address], lane });
    const topic = `small-${lane}`;
    await client.admin().createTopics([{ name: topic, configs: { "max.message.bytes": "2048" } }]);
    await using producer = client.producer({ lingerMs: 0, deliveryTimeoutMs: 5000 });
    await producer.send(topic, { value: "x" });
    await client.admin().alterTopicConfigs(topic, { set: { "max.message.bytes": "1024" } });
    const error = (await producer
      .send(topic, { value: "y".repeat(1500) })
      .catch((e: unknown) => e)) as LograftError;
    expect(error).toMatchObject({ code: "MESSAGE_TOO_LARGE" });
    expect(error.requestId).toMatch(/^[0-9a-f]{8}-\d+#\d+$/);
  });
});

test("a call of the SDK that nobody answers carries the id that it would have had", async () => {
  const { clock, random } = createNodePlatform();
  const transport = new GrpcTransport(
    { lane: "direct", clientId: "test" },
    { clock, random, logger: silentLogger },
  );
  const call = transport.call("127.0.0.1:1", "InitProducer", {}, { timeoutMs: 10_000 });
  const lost = (await call.catch((error: unknown) => error)) as LograftError;
  await transport.close();
  expect(lost.code).toBe("CONNECTION_FAILED");
  expect(lost.requestId).toMatch(/^[0-9a-f]{8}-1$/);
});
