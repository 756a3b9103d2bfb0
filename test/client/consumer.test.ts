import { describe, expect, test } from "vitest";
import type { Consumer, ConsumedBatch, LograftError } from "../../src/client/index.ts";
import { failureOf, harness, type Harness } from "./harness.ts";

/** Writes `count` records of about `size` bytes, a few in each batch. */
async function fill(
  { client, settle }: Harness,
  topic: string,
  partition: number,
  count: number,
  size = 10,
): Promise<string[]> {
  const producer = client.producer({
    batchSize: Math.max(300, size * 3),
    maxRequestBytes: Math.max(1024, size * 4),
    lingerMs: 0,
  });
  const values = Array.from({ length: count }, (_, index) => `${partition}:${index}`.padEnd(size, "."));
  await settle(
    producer.sendBatch(
      topic,
      values.map((value) => ({ value, partition })),
    ),
  );
  await settle(producer.close());
  return values;
}

/** The next `count` values. */
async function read(h: Harness, consumer: Consumer, count: number, signal?: AbortSignal): Promise<string[]> {
  const run = async (): Promise<string[]> => {
    const out: string[] = [];
    for await (const record of consumer.messages(signal === undefined ? {} : { signal })) {
      out.push(record.value?.toString() ?? "null");
      if (out.length === count) break;
    }
    return out;
  };
  return h.settle(run());
}

describe("start positions", () => {
  test("an assignment reads from the beginning, an offset, a time or the end", async () => {
    const h = harness({ topics: { t: 1 } });
    const values = await fill(h, "t", 0, 10);
    await h.scheduler.advance(5000);
    const laterMs = h.clock.wallMs();
    const more = await fill(h, "t", 0, 3);
    const all = [...values, ...more];
    const from = (start: "beginning" | number | Date, count: number): Promise<string[]> =>
      read(h, h.client.consumer({ assign: [{ topic: "t", partition: 0, from: start }] }), count);
    expect(await from("beginning", 13)).toEqual(all);
    expect(await from(4, 9)).toEqual(all.slice(4));
    expect(await from(new Date(laterMs), 3)).toEqual(more);
    const atEnd = h.client.consumer({ topics: ["t"], from: "end" });
    await h.settle(atEnd.ready());
    await h.scheduler.advance(50);
    expect(atEnd.position({ topic: "t", partition: 0 })).toBe(13);
    const next = read(h, atEnd, 1);
    expect(await fill(h, "t", 0, 1)).toEqual(await next);
  });

  test("a whole topic is read, with the partitions that are added to it later", async () => {
    const h = harness({ topics: { t: 2 } }, { metadataMaxAgeMs: 1000 });
    await fill(h, "t", 0, 2);
    await fill(h, "t", 1, 2);
    const consumer = h.client.consumer({ topics: ["t"] });
    expect((await read(h, consumer, 4)).sort()).toEqual(
      ["0:0", "0:1", "1:0", "1:1"].map((value) => value.padEnd(10, ".")),
    );
    h.cluster.addTopic("t", 3);
    await h.scheduler.advance(2500);
    expect(consumer.assignment).toHaveLength(3);
    const values = await fill(h, "t", 2, 2);
    expect(await read(h, consumer, 2)).toEqual(values);
  });

  test("an unknown topic or partition is refused by name", async () => {
    const h = harness({ topics: { t: 1 } });
    const unknown = h.client.consumer({ topics: ["nope"] });
    expect(await h.settle(failureOf(unknown.ready()))).toMatchObject({ code: "UNKNOWN_TOPIC_OR_PARTITION" });
    const missing = h.client.consumer({ assign: [{ topic: "t", partition: 5 }] });
    expect(await h.settle(failureOf(missing.ready()))).toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(() => h.client.consumer({})).toThrow(/assign or topics/);
  });
});

describe("batches", () => {
  test("a batch tells what was stored, and skips records before the wanted offset", async () => {
    const h = harness({ topics: { t: 1 } });
    const values = await fill(h, "t", 0, 30);
    const consumer = h.client.consumer({ assign: [{ topic: "t", partition: 0, from: 5 }] });
    const batches = async (): Promise<ConsumedBatch[]> => {
      const out: ConsumedBatch[] = [];
      for await (const batch of consumer.batches()) {
        out.push(batch);
        if (batch.lastOffset === 29) break;
      }
      return out;
    };
    const got = await h.settle(batches());
    const [first] = got;
    expect(first).toMatchObject({
      topic: "t",
      partition: 0,
      baseOffset: 0,
      firstOffset: 5,
      highWatermark: 30,
      leaderEpoch: 0,
    });
    expect(first?.recordCount).toBe((first?.lastOffset ?? 0) + 1);
    expect(got.flatMap((batch) => batch.records().map((record) => record.value?.toString()))).toEqual(
      values.slice(5),
    );
    expect(first?.records()[0]).toMatchObject({
      topic: "t",
      partition: 0,
      offset: 5,
      key: null,
      headers: [],
    });
  });

  test("keys, headers, tombstones and times come back as they were written", async () => {
    const h = harness({ topics: { t: 1 } });
    const producer = h.client.producer();
    const headers = [
      { key: "a", value: "1" },
      { key: "a", value: null },
    ];
    await h.settle(producer.send("t", { key: "k", value: null, headers, timestamp: 1234 }));
    const consumer = h.client.consumer({ topics: ["t"] });
    const { value: record } = await h.settle(consumer.messages().next());
    if (record === undefined) throw new Error("no record");
    expect(record.key?.toString()).toBe("k");
    expect(record.value).toBeNull();
    expect(record.timestamp).toBe(1234);
    const asText = record.headers.map(({ key, value }) => [
      key,
      value === null ? null : Buffer.from(value).toString(),
    ]);
    expect(asText).toEqual([
      ["a", "1"],
      ["a", null],
    ]);
  });

  test("leaving messages in the middle of a batch loses nothing", async () => {
    const h = harness({ topics: { t: 1 } });
    const values = await fill(h, "t", 0, 20);
    const consumer = h.client.consumer({ topics: ["t"] });
    const got = [
      ...(await read(h, consumer, 7)),
      ...(await read(h, consumer, 6)),
      ...(await read(h, consumer, 7)),
    ];
    expect(got).toEqual(values);
  });
});

describe("jumps", () => {
  test("after a seek no record of before the seek comes", async () => {
    const h = harness({ topics: { t: 1 }, latencyMs: 10 });
    const values = await fill(h, "t", 0, 100);
    const consumer = h.client.consumer({ topics: ["t"] });
    await read(h, consumer, 3);
    // Data of the old position is here and under way.
    consumer.seek({ topic: "t", partition: 0 }, 90);
    expect(consumer.position({ topic: "t", partition: 0 })).toBe(90);
    expect(await read(h, consumer, 10)).toEqual(values.slice(90));
    consumer.seekToBeginning();
    expect(await read(h, consumer, 2)).toEqual(values.slice(0, 2));
    consumer.seek({ topic: "t", partition: 0 }, 50);
    consumer.seek({ topic: "t", partition: 0 }, "end");
    consumer.seek({ topic: "t", partition: 0 }, 60);
    expect(await read(h, consumer, 2)).toEqual(values.slice(60, 62));
  });

  test("a paused partition keeps nothing of the prefetch, the others go on, and it resumes where it stood", async () => {
    const h = harness({ topics: { t: 2 } });
    const first = await fill(h, "t", 0, 40);
    const second = await fill(h, "t", 1, 40);
    const consumer = h.client.consumer({ topics: ["t"] });
    await h.settle(consumer.ready());
    await h.scheduler.advance(100);
    consumer.pause([{ topic: "t", partition: 0 }]);
    expect(await read(h, consumer, 40)).toEqual(second);
    consumer.resume();
    expect(await read(h, consumer, 40)).toEqual(first);
  });

  test("an offset that is gone resets by policy and says so, or stops the reading", async () => {
    const h = harness({ topics: { t: 1 } });
    const values = await fill(h, "t", 0, 20);
    const log = h.cluster.log("t", 0);
    log.startOffset = 10;
    const errors: LograftError[] = [];
    const consumer = h.client.consumer({ assign: [{ topic: "t", partition: 0, from: 3 }] });
    consumer.on("error", (error) => errors.push(error));
    log.batches.splice(
      0,
      log.batches.findIndex((batch) => batch.readUInt32BE(4) >= 10),
    );
    const got = await read(h, consumer, 1);
    expect(values.indexOf(got[0] ?? "")).toBeGreaterThanOrEqual(10);
    expect(errors.map((error) => error.code)).toEqual(["OFFSET_OUT_OF_RANGE"]);
    const strict = h.client.consumer({
      assign: [{ topic: "t", partition: 0, from: 3 }],
      autoOffsetReset: "none",
    });
    const failed = await failureOf(read(h, strict, 1));
    expect(failed).toMatchObject({
      code: "OFFSET_OUT_OF_RANGE",
      context: { position: 3, logStartOffset: 10 },
    });
    strict.seekToEnd();
    const waiting = read(h, strict, 1);
    await fill(h, "t", 0, 1);
    expect(await waiting).toHaveLength(1);
  });
});

describe("bounds", () => {
  test("what is granted and not taken stays within maxPrefetchBytes, and credit comes back as batches are taken", async () => {
    const h = harness({ topics: { t: 1 } });
    const maxPrefetchBytes = 200_000;
    await fill(h, "t", 0, 800, 1000);
    const consumer = h.client.consumer({ topics: ["t"], maxPrefetchBytes, maxMessageBytes: 65_536 });
    await h.settle(consumer.ready());
    await h.scheduler.advance(1000);
    const granted = (): number =>
      h.cluster.fetchRequests.reduce((sum, request) => sum + request.creditBytes, 0);
    expect(granted()).toBe(maxPrefetchBytes);
    let taken = 0;
    const drain = async (): Promise<void> => {
      for await (const batch of consumer.batches()) {
        taken += batch.sizeBytes;
        expect(granted()).toBeLessThanOrEqual(maxPrefetchBytes + taken);
        if (batch.lastOffset === 799) return;
      }
    };
    await h.settle(drain());
    expect(taken).toBeGreaterThan(800_000);
    expect(h.cluster.fetchRequests.length).toBeLessThan(40);
  });

  test("two iterations at once are refused", async () => {
    const h = harness({ topics: { t: 1 } });
    const consumer = h.client.consumer({ topics: ["t"] });
    const first = consumer.batches().next();
    expect(await failureOf(consumer.batches().next())).toMatchObject({ code: "INVALID_ARGUMENT" });
    await consumer.close();
    expect((await h.settle(first)).done).toBe(true);
  });
});

describe("failures", () => {
  test("a leader that was cut off and takes itself for the leader still is left behind within half a second (H31)", async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const h = harness({ topics: { t: 1 }, brokers: 3 }, {}, seed);
      const consumer = h.client.consumer({ topics: ["t"] });
      await h.settle(consumer.ready());
      await h.scheduler.advance(2000);
      expect(h.cluster.carriers("t", 0)).toEqual([0]);
      h.cluster.behind = new Set([0]);
      h.cluster.staleLeaders.set("t-0", { leaderId: 0, leaderEpoch: 0 });
      h.cluster.moveLeader("t", 0, 1);
      h.cluster.inject("t", 0, { error: "NOT_LEADER_OR_FOLLOWER" });
      await h.scheduler.advance(500);
      expect(h.cluster.carriers("t", 0), `seed ${seed}`).toEqual([1]);
      await h.settle(h.client.close());
    }
  });

  test("an iteration survives lost connections and moved leaders, and gives each record once in order", async () => {
    const h = harness({ topics: { t: 1 }, brokers: 3, latencyMs: 2 });
    const values = await fill(h, "t", 0, 300, 60);
    const consumer = h.client.consumer({ topics: ["t"] });
    const errors: LograftError[] = [];
    let batches = 0;
    consumer.on("error", (error) => errors.push(error));
    const run = async (): Promise<string[]> => {
      const out: string[] = [];
      for await (const batch of consumer.batches()) {
        out.push(...batch.records().map((record) => record.value?.toString() ?? ""));
        if (++batches % 4 === 0) h.cluster.cutStreams();
        if (out.length > 100 && out.length < 120) h.cluster.moveLeader("t", 0, 1);
        if (out.length > 200 && out.length < 220) h.cluster.moveLeader("t", 0, 2);
        if (out.length >= values.length) return out;
      }
      return out;
    };
    expect(await h.settle(run())).toEqual(values);
    expect(errors).toEqual([]);
  });

  test("a damaged batch is fetched again; damage that stays ends the reading", async () => {
    const h = harness({ topics: { t: 1 } });
    const values = await fill(h, "t", 0, 60);
    const batch = h.cluster.log("t", 0).batches[1];
    if (batch === undefined) throw new Error("no batch");
    const at = batch.length - 3;
    batch[at] = (batch[at] ?? 0) ^ 1;
    const consumer = h.client.consumer({ topics: ["t"] });
    let heals = true;
    consumer.on("error", () => {
      if (heals) batch[at] = (batch[at] ?? 0) ^ 1;
      heals = false;
    });
    expect(await read(h, consumer, 60)).toEqual(values);
    batch[at] = (batch[at] ?? 0) ^ 1;
    consumer.seekToBeginning();
    expect(await failureOf(read(h, consumer, 30))).toMatchObject({ code: "CORRUPT_MESSAGE" });
    consumer.seek({ topic: "t", partition: 0 }, 50);
    expect(await read(h, consumer, 10)).toEqual(values.slice(50));
  });

  test("a partition that gives nothing although it has something is told as stalled, once", async () => {
    const h = harness({ topics: { t: 1 } });
    await fill(h, "t", 0, 5);
    h.cluster.servesFetch = false;
    const consumer = h.client.consumer({ topics: ["t"], stalledAfterMs: 1000 });
    const stalled: unknown[] = [];
    consumer.on("stalled", (event) => stalled.push(event));
    await h.settle(consumer.ready());
    await h.scheduler.advance(5000);
    expect(stalled).toEqual([{ partitions: [{ topic: "t", partition: 0 }] }]);
  });

  test("an abort ends the wait with its reason and leaves no listener", async () => {
    const h = harness({ topics: { t: 1 } });
    const consumer = h.client.consumer({ topics: ["t"] });
    const controller = new AbortController();
    let listeners = 0;
    const { signal } = controller;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners++;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners--;
      remove(...args);
    };
    const first = read(h, consumer, 1, signal);
    await fill(h, "t", 0, 1);
    await first;
    const waiting = failureOf(consumer.messages({ signal }).next());
    await h.scheduler.drain();
    // That of the present wait alone.
    expect(listeners).toBe(1);
    controller.abort(new Error("stop"));
    expect((await waiting).message).toBe("stop");
    expect(listeners).toBe(1);
  });

  test("close ends the iteration, the streams and every timer", async () => {
    const h = harness({ topics: { t: 2 } });
    await fill(h, "t", 0, 5);
    const consumer = h.client.consumer({ topics: ["t"] });
    await read(h, consumer, 5);
    const next = consumer.batches().next();
    await h.client.close();
    expect((await next).done).toBe(true);
    await h.scheduler.advance(5);
    expect(h.scheduler.pendingCount).toBe(0);
    expect(h.cluster.streams.size).toBe(0);
  });
});

describe("run", () => {
  test("partitions run beside each other, each in order, up to the concurrency", async () => {
    const h = harness({ topics: { t: 4 } });
    for (const partition of [0, 1, 2, 3]) await fill(h, "t", partition, 20);
    const consumer = h.client.consumer({ topics: ["t"] });
    const controller = new AbortController();
    const seen = new Map<number, number>();
    let running = 0;
    let most = 0;
    let total = 0;
    const run = consumer.run({
      concurrency: 3,
      signal: controller.signal,
      eachMessage: async (record) => {
        most = Math.max(most, ++running);
        await h.clock.sleep(5);
        running--;
        expect(record.offset).toBe(seen.get(record.partition) ?? 0);
        seen.set(record.partition, record.offset + 1);
        if (++total === 80) controller.abort(new Error("enough"));
      },
    });
    expect((await h.settle(failureOf(run))).message).toBe("enough");
    expect([...seen.values()]).toEqual([20, 20, 20, 20]);
    expect(most).toBe(3);
  });

  test("a slow partition does not hold up the others", async () => {
    const h = harness({ topics: { t: 2 } });
    await fill(h, "t", 0, 5);
    const consumer = h.client.consumer({ topics: ["t"] });
    const got: string[] = [];
    const run = consumer.run({
      concurrency: 2,
      eachBatch: async (batch) => {
        got.push(`${batch.partition}`);
        if (batch.partition === 0) await h.clock.sleep(10_000);
      },
    });
    await h.scheduler.advance(100);
    await fill(h, "t", 1, 5);
    await h.scheduler.advance(100);
    expect(got).toEqual(["0", "1"]);
    const closed = consumer.close();
    await h.settle(Promise.all([run, closed]));
  });

  test("a handler that throws ends the run, and its record comes again", async () => {
    const h = harness({ topics: { t: 1 } });
    const values = await fill(h, "t", 0, 10);
    const consumer = h.client.consumer({ topics: ["t"] });
    const run = consumer.run({
      eachMessage: (record) => {
        if (record.offset === 4) throw new Error("bad record");
      },
    });
    expect((await h.settle(failureOf(run))).message).toBe("bad record");
    expect(await read(h, consumer, 6)).toEqual(values.slice(4));
  });
});
