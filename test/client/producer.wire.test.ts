import { describe, expect, test } from "vitest";
import type { Codec, ProducerRecord } from "../../src/client/index.ts";
import { DeliveryError } from "../../src/client/index.ts";
import { EPOCH_MS, failure, take, useWire } from "./wire-harness.ts";

const MIB = 1024 * 1024;

describe.each(["direct", "grpc-js"] as const)("lane %s", (lane) => {
  const wire = useWire(lane);

  test("every acknowledgement says offset, leader epoch and what was promised", async () => {
    const synced = await wire.create("acks-synced");
    const written = await wire.create("acks-written", { configs: { "flush.policy": "os" } });
    await using producer = wire.client.producer({ lingerMs: 0 });
    const ack = { partition: 0, leaderEpoch: 0, replicas: 1 };
    const record = { value: "a", timestamp: EPOCH_MS };
    const stamped = { timestamp: EPOCH_MS };
    expect(await producer.send(synced, record)).toEqual({
      topic: synced,
      offset: 0,
      durability: "synced",
      ...ack,
      ...stamped,
    });
    expect(await producer.send(synced, record)).toMatchObject({ offset: 1 });
    expect(await producer.send(written, record)).toMatchObject({ offset: 0, durability: "written", ...ack });

    await using careless = wire.client.producer({ acks: 0, lingerMs: 0 });
    expect(await careless.send(synced, record)).toMatchObject({
      offset: -1,
      durability: "none",
      replicas: 0,
    });
    await using leaderOnly = wire.client.producer({ acks: 1, idempotent: false });
    // The acknowledgement of the record before says nothing; that it was written shows here.
    await expect.poll(async () => (await wire.ends(synced))[0]).toBe(3);
    expect(await leaderOnly.send(synced, record)).toMatchObject({ offset: 3, durability: "synced" });
  });

  test.each<Codec>(["none", "gzip", "snappy", "lz4", "zstd"])(
    "records compressed with %s come back whole: null keys and values, headers, bytes",
    async (codec) => {
      const topic = await wire.create(`codec-${codec}`);
      const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
      const records: ProducerRecord[] = [
        { key: null, value: "no key" },
        { key: "tombstone", value: null },
        { key: "", value: "" },
        { key: bytes, value: bytes, timestamp: EPOCH_MS },
        {
          key: "headers",
          value: "x".repeat(20_000),
          headers: [
            { key: "twice", value: "1" },
            { key: "twice", value: bytes },
            { key: "none", value: null },
          ],
        },
      ];
      await using producer = wire.client.producer({ compression: codec });
      await producer.sendBatch(topic, records);
      await using consumer = wire.client.consumer({ topics: [topic] });
      const got = await take(consumer, records.length);
      expect(got.map(({ key, value }) => [key?.toString("latin1") ?? null, value?.length ?? null])).toEqual([
        [null, 6],
        ["tombstone", null],
        ["", 0],
        [Buffer.from(bytes).toString("latin1"), 256],
        ["headers", 20_000],
      ]);
      expect(got[3]?.value).toEqual(Buffer.from(bytes));
      expect(got[3]?.timestamp).toBe(EPOCH_MS);
      expect(got[4]?.headers.map(({ key, value }) => [String(key), value?.length ?? null])).toEqual([
        ["twice", 1],
        ["twice", 256],
        ["none", null],
      ]);
    },
  );

  test("a record larger than the consumer's messages arrives; one larger than the producer's request is refused", async () => {
    const topic = await wire.create("large");
    const value = Buffer.alloc(5 * MIB, "0123456789");
    await using producer = wire.client.producer({ maxRequestBytes: 7 * MIB });
    await producer.sendBatch(topic, [{ value }, { value: "small" }]);
    await using consumer = wire.client.consumer({ topics: [topic] });
    const [large, small] = await take(consumer, 2);
    expect(large?.value?.equals(value)).toBe(true);
    expect(small?.value?.toString()).toBe("small");

    await using modest = wire.client.producer();
    const refused = await failure(modest.send(topic, { value }));
    expect(refused).toBeInstanceOf(DeliveryError);
    expect(refused).toMatchObject({ code: "MESSAGE_TOO_LARGE", retriable: false, outcome: "failed" });
  });

  test("a full buffer refuses, drains, and loses nothing", async () => {
    const topic = await wire.create("bounded");
    await using producer = wire.client.producer({ maxBufferBytes: 64 * 1024, batchSize: 8 * 1024 });
    const value = Buffer.alloc(1000, 1);
    let refusals = 0;
    for (let index = 0; index < 500; index++) {
      while (!producer.enqueue(topic, { value })) {
        refusals++;
        // The record that reaches the bound is the last one taken.
        expect(producer.bufferedBytes).toBeLessThan(64 * 1024 + 1100);
        await producer.drained({ timeoutMs: 20_000 });
      }
    }
    await producer.flush();
    expect(refusals).toBeGreaterThan(1);
    expect(producer.bufferedBytes).toBe(0);
    expect(await wire.ends(topic)).toEqual([500]);
  });

  test("`lingerMs: 0` sends at the end of the turn, what one turn gave in one batch", async () => {
    const topic = await wire.create("no-linger");
    await using producer = wire.client.producer({ lingerMs: 0 });
    await producer.send(topic, { value: "warm" });
    await Promise.all(["a", "b", "c"].map((value) => producer.send(topic, { value })));
    await using consumer = wire.client.consumer({ assign: [{ topic, from: 1 }] });
    for await (const batch of consumer.batches()) {
      expect(batch.recordCount).toBe(3);
      break;
    }
  });
});
