import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { DeliveryError, LograftClient, LograftError } from "../../src/client/index.ts";
import { startBroker } from "../../src/testing.ts";
import { QUICK_RETRY, failure, take, text, useWire } from "./wire-harness.ts";

describe.each(["direct", "grpc-js"] as const)("lane %s", (lane) => {
  const wire = useWire(lane);

  test("partitions that are added are written to and read without a new client", async () => {
    const topic = await wire.create("grows");
    await using other = new LograftClient({
      brokers: [wire.address],
      lane: wire.lane,
      metadataMaxAgeMs: 100,
    });
    await using consumer = other.consumer({ topics: [topic] });
    await using producer = wire.client.producer({ lingerMs: 0 });
    await producer.send(topic, { value: "first" });
    expect((await take(consumer, 1)).map(text)).toEqual(["first"]);
    await wire.client.admin().createPartitions(topic, 3);
    // The producer learns of it by being asked for it.
    await expect
      .poll(() => producer.send(topic, { partition: 2, value: "third partition" }))
      .toMatchObject({ partition: 2, offset: 0 });
    expect((await take(consumer, 1)).map(text)).toEqual(["third partition"]);
    expect(consumer.assignment).toHaveLength(3);
  });

  test("a reader and a writer of a topic that is deleted are told so by a typed error", async () => {
    const topic = await wire.create("doomed");
    await using producer = wire.client.producer({ lingerMs: 0, deliveryTimeoutMs: 500 });
    await producer.send(topic, { value: "only" });
    await using consumer = wire.client.consumer({ topics: [topic] });
    await take(consumer, 1);
    const told = new Promise((resolve) => consumer.on("error", resolve));
    const stop = new AbortController();
    const reading = failure(take(consumer, 1, stop.signal));
    await wire.client.admin().deleteTopics([topic]);
    const error = await Promise.race([told, reading]);
    expect(error).toBeInstanceOf(LograftError);
    expect(error).toMatchObject({ code: "UNKNOWN_TOPIC_OR_PARTITION" });
    stop.abort();
    await reading;
    const refused = await failure(producer.send(topic, { value: "late" }));
    expect(refused).toBeInstanceOf(DeliveryError);
    expect(refused).toMatchObject({ outcome: "failed", retriable: false });
  });

  test("a reader of a topic that is made again is told, and skips none of the new records (H24)", async () => {
    const topic = await wire.create("again");
    const admin = wire.client.admin();
    await using producer = wire.client.producer({ lingerMs: 0 });
    for (const value of ["a", "b"]) await producer.send(topic, { value });
    await using consumer = wire.client.consumer({ topics: [topic] });
    await take(consumer, 2);
    await admin.deleteTopics([topic]);
    await admin.createTopics([{ name: topic, partitions: 1 }]);
    await using other = new LograftClient({ brokers: [wire.address], lane: wire.lane });
    await using writer = other.producer({ lingerMs: 0 });
    for (const value of ["new 0", "new 1", "new 2"]) await writer.send(topic, { value });
    expect(await failure(take(consumer, 1))).toMatchObject({
      code: "INCONSISTENT_TOPIC_ID",
      retriable: false,
    });
    await using fresh = other.consumer({ topics: [topic] });
    expect((await take(fresh, 3)).map(text)).toEqual(["new 0", "new 1", "new 2"]);
  });

  test("an unknown topic, an illegal name and a wrong setting are typed errors that say what to do", async () => {
    const admin = wire.client.admin();
    expect(await failure(admin.describeTopics(["nowhere"]))).toMatchObject({
      code: "UNKNOWN_TOPIC_OR_PARTITION",
    });
    expect(await failure(admin.createTopics([{ name: "../x" }]))).toMatchObject({
      code: "INVALID_TOPIC_EXCEPTION",
    });
    const misspelt = admin.createTopics([{ name: "t", configs: { "retention.mss": "1" } }]);
    expect(await failure(misspelt)).toMatchObject({
      code: "INVALID_CONFIG",
      retriable: false,
      message: expect.stringContaining("retention.ms") as string,
    });
  });

  test("every call that waits ends with the reason of its signal, and the client stays usable", async () => {
    const topic = await wire.create("aborted");
    const reason = new Error("changed my mind");
    const soon = (): { readonly signal: AbortSignal } => {
      const controller = new AbortController();
      setImmediate(() => controller.abort(reason));
      return { signal: controller.signal };
    };
    await using consumer = wire.client.consumer({ topics: [topic] });
    const iterate = async (records: AsyncIterable<unknown>): Promise<void> => {
      for await (const one of records) expect(one).toBeUndefined();
    };
    expect(await failure(iterate(consumer.batches(soon())))).toBe(reason);
    expect(await failure(iterate(consumer.messages(soon())))).toBe(reason);
    expect(await failure(consumer.run({ ...soon(), eachMessage: () => undefined }))).toBe(reason);
    await using slow = wire.client.producer({ lingerMs: 60_000, maxBufferBytes: 4096 });
    await slow.drained();
    const kept = slow.send(topic, { value: "kept" });
    const aborted = AbortSignal.abort(reason);
    expect(await failure(wire.client.admin().listTopics({ signal: aborted }))).toBe(reason);
    expect(await failure(wire.client.ready({ signal: aborted }))).toBe(reason);
    expect(await failure(slow.flush({ signal: aborted }))).toBe(reason);
    await slow.flush();
    await kept;
    expect((await take(consumer, 1)).map(text)).toEqual(["kept"]);
  });
});

test.each(["direct", "grpc-js"] as const)(
  "lane %s: producer and consumer go on over a restart of the broker, without loss, double or new client",
  async (lane) => {
    const dataDirectory = await mkdtemp(join(tmpdir(), "lograft-restart-"));
    let broker = await startBroker({ dataDirectory });
    const port = Number(broker.address.split(":").at(-1));
    try {
      await using client = new LograftClient({
        brokers: [broker.address],
        lane,
        retry: QUICK_RETRY,
      });
      await client.admin().createTopics([{ name: "orders", partitions: 2, replicationFactor: 1 }]);
      await using consumer = client.consumer({ topics: ["orders"] });
      await using producer = client.producer({ lingerMs: 0 });
      const sent = Array.from({ length: 300 }, (_, index) => `${index}`);
      const reading = take(consumer, sent.length);
      const sends: Promise<unknown>[] = [];
      for (const [index, value] of sent.entries()) {
        const record = { key: value, value };
        if (index < 250) sends.push(producer.send("orders", record));
        else await producer.send("orders", record);
        // Requests are on their way, unanswered, when the broker goes.
        if (index === 100) {
          await broker.close();
          broker = await startBroker({ dataDirectory, port });
        }
      }
      await Promise.all(sends);
      const values = (await reading).map(text);
      expect(values.toSorted((a, b) => Number(a) - Number(b))).toEqual(sent);
    } finally {
      await broker.close();
      await rm(dataDirectory, { recursive: true, force: true });
    }
  },
);
