import { describe, expect, test } from "vitest";
import { EPOCH_MS, failure, take, text, useWire } from "./wire-harness.ts";

describe.each(["direct", "grpc-js"] as const)("lane %s", (lane) => {
  const wire = useWire(lane);

  test("a reading begins at the beginning, the end, an offset, a time or a Date", async () => {
    const topic = await wire.create("positions");
    const records = Array.from({ length: 10 }, (_, index) => ({
      value: `r${index}`,
      timestamp: EPOCH_MS + index * 1000,
    }));
    for (const record of records) await wire.write(topic, [record]);
    expect(await wire.read({ topic, from: "beginning" }, 2)).toEqual(["r0", "r1"]);
    expect(await wire.read({ topic, from: { offset: 7 } }, 3)).toEqual(["r7", "r8", "r9"]);
    expect(await wire.read({ topic, from: { timestamp: EPOCH_MS + 3500 } }, 1)).toEqual(["r4"]);
    expect(await wire.read({ topic, from: new Date(EPOCH_MS + 9000) }, 1)).toEqual(["r9"]);

    await using consumer = wire.client.consumer({ assign: [{ topic, partition: 0, from: "end" }] });
    const partition = { topic, partition: 0 };
    await consumer.ready();
    const next = take(consumer, 1);
    await expect.poll(() => consumer.position(partition)).toBe(10);
    await wire.write(topic, [{ value: "new" }]);
    expect((await next).map(text)).toEqual(["new"]);
    consumer.seek(partition, 2);
    expect((await take(consumer, 1)).map(text)).toEqual(["r2"]);
    consumer.seek(partition, new Date(EPOCH_MS + 8000));
    expect((await take(consumer, 1)).map(text)).toEqual(["r8"]);
    consumer.seekToBeginning();
    expect((await take(consumer, 1)).map(text)).toEqual(["r0"]);

    const found = await wire.client.admin().listOffsets([partition], new Date(EPOCH_MS + 4000));
    expect(found).toMatchObject([{ topic, partition: 0, offset: 4, timestamp: EPOCH_MS + 4000 }]);
  });

  test("keys decide the partition, records without one fill one batch at a time, and all partitions are read", async () => {
    const topic = await wire.create("spread", { partitions: 6 });
    await using producer = wire.client.producer({ lingerMs: 20 });
    const keyed = await producer.sendBatch(
      topic,
      Array.from({ length: 60 }, (_, index) => ({ key: `k${index % 12}`, value: `${index}` })),
    );
    for (const [index, ack] of keyed.entries()) expect(ack.partition).toBe(keyed[index % 12]?.partition);
    expect(new Set(keyed.map((ack) => ack.partition)).size).toBeGreaterThan(2);
    const unkeyed = await producer.sendBatch(
      topic,
      Array.from({ length: 20 }, () => ({ value: "u" })),
    );
    expect(new Set(unkeyed.map((ack) => ack.partition)).size).toBe(1);

    await using consumer = wire.client.consumer({ topics: [topic] });
    const seen = new Map<number, number[]>();
    for (const { partition, offset } of await take(consumer, 80))
      seen.set(partition, [...(seen.get(partition) ?? []), offset]);
    for (const offsets of seen.values()) expect(offsets).toEqual(offsets.map((_, index) => index));
  });

  test("a paused partition gives nothing while others do, and goes on where it was", async () => {
    const topic = await wire.create("paused", { partitions: 2 });
    await wire.write(topic, [
      { partition: 0, value: "a0" },
      { partition: 1, value: "b0" },
    ]);
    await using consumer = wire.client.consumer({ topics: [topic] });
    await consumer.ready();
    consumer.pause([{ topic, partition: 0 }]);
    expect((await take(consumer, 1)).map(text)).toEqual(["b0"]);
    await wire.write(topic, [
      { partition: 0, value: "a1" },
      { partition: 1, value: "b1" },
    ]);
    expect((await take(consumer, 1)).map(text)).toEqual(["b1"]);
    consumer.resume();
    expect((await take(consumer, 2)).map(text)).toEqual(["a0", "a1"]);
  });

  test("eachBatch gets the batches of a partition in order until its signal", async () => {
    const topic = await wire.create("each-batch", { partitions: 3 });
    const records = Array.from({ length: 300 }, (_, index) => ({ partition: index % 3, value: `${index}` }));
    await wire.write(topic, records);
    await using consumer = wire.client.consumer({ topics: [topic] });
    const ends = new Map<number, number>();
    const stop = new AbortController();
    const run = consumer.run({
      concurrency: 3,
      signal: stop.signal,
      eachBatch: (batch) => {
        expect(batch.firstOffset).toBe(ends.get(batch.partition) ?? 0);
        ends.set(batch.partition, batch.lastOffset + 1);
        if ([...ends.values()].reduce((sum, end) => sum + end, 0) === 300) stop.abort(new Error("enough"));
      },
    });
    expect(await failure(run)).toMatchObject({ message: "enough" });
    expect([...ends.values()]).toEqual([100, 100, 100]);
  });

  test("what is fetched ahead stays within its bound while the application sleeps, and all of it arrives", async () => {
    const topic = await wire.create("prefetch");
    await using producer = wire.client.producer({ batchSize: 16 * 1024 });
    const value = Buffer.alloc(10_000, 1);
    await producer.sendBatch(
      topic,
      Array.from({ length: 400 }, () => ({ value })),
    );
    const maxPrefetchBytes = 256 * 1024;
    await using consumer = wire.client.consumer({
      topics: [topic],
      maxPrefetchBytes,
      maxMessageBytes: 64 * 1024,
    });
    await consumer.ready();
    let most = 0;
    let count = 0;
    for await (const batch of consumer.batches()) {
      count += batch.recordCount;
      most = Math.max(most, consumer.prefetchBytes);
      if (count === 400) break;
    }
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(maxPrefetchBytes);
  });
});
