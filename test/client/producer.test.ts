import { describe, expect, test } from "vitest";
import { DeliveryError, ProtocolError } from "../../src/client/index.ts";
import { baseSequenceOf, producerIdOf, recordCountOf } from "../../src/model/record-batch.ts";
import { failureOf, harness } from "./harness.ts";

function allRecords(values: readonly string[]): { value: string }[] {
  return values.map((value) => ({ value }));
}

const many = Array.from({ length: 50 }, (_, index) => `v${index}`);

describe("batching", () => {
  test("records of one turn share a batch, and each learns its own offset and what was promised", async () => {
    const { client, cluster, settle } = harness({ topics: { t: 1 } });
    const producer = client.producer();
    const acks = await settle(producer.sendBatch("t", allRecords(many)));
    expect(acks.map((ack) => ack.offset)).toEqual(many.map((_, index) => index));
    expect(acks[3]).toMatchObject({
      topic: "t",
      partition: 0,
      durability: "synced",
      replicas: 1,
      leaderEpoch: 0,
    });
    expect(cluster.produced).toHaveLength(1);
    expect(cluster.log("t", 0).values()).toEqual(many);
  });

  test("a batch waits for lingerMs and no longer", async () => {
    const { client, cluster, scheduler, settle } = harness({ topics: { t: 1 } });
    const producer = client.producer({ lingerMs: 50 });
    await settle(producer.sendBatch("t", [{ value: "warm" }]));
    const startedMs = scheduler.nowMs;
    const sent = producer.send("t", { value: "a" });
    await scheduler.advance(49);
    expect(cluster.produced).toHaveLength(1);
    const second = producer.send("t", { value: "b" });
    await settle(Promise.all([sent, second]));
    expect(scheduler.nowMs - startedMs).toBeCloseTo(52, 0);
    expect(cluster.produced).toHaveLength(2);
  });

  test("with lingerMs 0 a record goes out when its turn of the loop ends", async () => {
    const { client, scheduler, settle } = harness({ topics: { t: 1 }, latencyMs: 3 });
    const producer = client.producer({ lingerMs: 0 });
    await settle(producer.send("t", { value: "warm" }));
    const startedMs = scheduler.nowMs;
    await settle(producer.send("t", { value: "a" }));
    expect(scheduler.nowMs - startedMs).toBeCloseTo(6, 0);
  });

  test("a full batch does not wait, and while there is room in flight none passes batchSize", async () => {
    const { client, cluster, settle, scheduler } = harness({ topics: { t: 1 } });
    const producer = client.producer({ lingerMs: 60_000, batchSize: 1000 });
    expect(producer.enqueue("t", { value: "warm" })).toBe(false);
    await settle(producer.drained());
    for (let i = 0; i < 42; i++) expect(producer.enqueue("t", { value: "x".repeat(100) })).toBe(true);
    await scheduler.advance(1000);
    expect(cluster.produced).toHaveLength(5);
    for (const { partitions } of cluster.produced)
      expect(partitions[0]?.records.length).toBeLessThanOrEqual(1000);
    await settle(producer.flush());
    expect(cluster.log("t", 0).endOffset).toBe(42);
  });

  test("while all batches in flight are unanswered the next one grows, up to maxRequestBytes", async () => {
    const { client, cluster, settle, scheduler } = harness({ topics: { t: 1 }, latencyMs: 50 });
    const producer = client.producer({ batchSize: 1000, maxRequestBytes: 8000 });
    await settle(producer.send("t", { value: "warm" }));
    cluster.produced.length = 0;
    for (let i = 0; i < 150; i++) producer.enqueue("t", { value: "x".repeat(100) });
    await scheduler.advance(51);
    expect(cluster.produced).toHaveLength(5);
    await settle(producer.flush());
    const sizes = cluster.produced.map(({ partitions }) => partitions[0]?.records.length ?? 0);
    expect(sizes.slice(0, 5).every((size) => size <= 1000)).toBe(true);
    expect(sizes.slice(5).some((size) => size > 5000)).toBe(true);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(8000);
    expect(cluster.log("t", 0).endOffset).toBe(151);
  });

  test("batches of several partitions that are ready together share a request up to maxRequestBytes", async () => {
    const { client, cluster, settle } = harness({ topics: { t: 8 } });
    const producer = client.producer({ lingerMs: 0, maxRequestBytes: 4096 });
    await settle(producer.send("t", { value: "warm", partition: 0 }));
    cluster.produced.length = 0;
    const sends = many.map((value, index) =>
      producer.send("t", { value: value.padEnd(100), partition: index % 8 }),
    );
    await settle(Promise.all(sends));
    expect(cluster.produced.length).toBeGreaterThan(1);
    expect(cluster.produced.length).toBeLessThan(8);
    for (const { partitions } of cluster.produced) {
      expect(partitions.reduce((sum, { records }) => sum + records.length, 0)).toBeLessThanOrEqual(4096);
    }
  });

  test.each(["gzip", "snappy", "lz4", "zstd"] as const)(
    "a batch compressed with %s is read back",
    async (compression) => {
      const { client, cluster, settle } = harness({ topics: { t: 1 } });
      const producer = client.producer({ compression });
      await settle(producer.sendBatch("t", allRecords(many)));
      expect(cluster.log("t", 0).values()).toEqual(many);
    },
  );
});

describe("partitions", () => {
  test("a key goes where Kafka's Java client puts it", async () => {
    const { client, settle } = harness({ topics: { t: 10 } });
    const producer = client.producer();
    // murmur2("21") = -973932308 & 0x7fffffff = 1173551340 (from the Java client's own tests).
    const ack = await settle(producer.send("t", { key: "21", value: "x" }));
    expect(ack.partition).toBe(1_173_551_340 % 10);
  });

  test("records without a key stay on one partition until the batch is full", async () => {
    const { client, cluster, settle } = harness({ topics: { t: 4 } });
    const producer = client.producer({ batchSize: 2000 });
    const acks = await settle(
      producer.sendBatch("t", allRecords(Array.from({ length: 200 }, () => "x".repeat(80)))),
    );
    const changes = acks.filter(
      (ack, index) => index > 0 && ack.partition !== acks[index - 1]?.partition,
    ).length;
    const batches = [0, 1, 2, 3].reduce(
      (sum, partition) => sum + cluster.log("t", partition).batches.length,
      0,
    );
    expect(changes).toBeLessThan(batches);
    expect(new Set(acks.map((ack) => ack.partition)).size).toBeGreaterThan(1);
  });

  test("a partition that does not exist is refused with the ones that do", async () => {
    const { client, settle } = harness({ topics: { t: 2 } });
    const error = await settle(failureOf(client.producer().send("t", { value: "x", partition: 7 })));
    expect(error).toMatchObject({ code: "INVALID_ARGUMENT", outcome: "failed" });
    expect(error.message).toContain("0 to 1");
  });

  test("a topic that nobody knows fails after a bounded patience", async () => {
    const { client, settle, scheduler } = harness({ topics: {} });
    const producer = client.producer();
    const error = await settle(failureOf(producer.send("nope", { value: "x" })));
    expect(error).toMatchObject({ code: "UNKNOWN_TOPIC_OR_PARTITION", outcome: "failed" });
    expect(scheduler.nowMs).toBeLessThan(10_000);
    expect(producer.enqueue("nope", { value: "x" })).toBe(false);
    expect(await settle(failureOf(producer.drained()))).toMatchObject({ code: "UNKNOWN_TOPIC_OR_PARTITION" });
    // Each was told once; nothing is left to tell.
    await settle(producer.close());
  });
});

describe("bounds", () => {
  test("a record that is too large is refused at once with the limit", async () => {
    const { client, settle } = harness({ topics: { t: 1 }, maxMessageBytes: 5000 });
    const producer = client.producer();
    const error = await settle(failureOf(producer.send("t", { value: "x".repeat(6000) })));
    expect(error).toMatchObject({ code: "MESSAGE_TOO_LARGE", outcome: "failed" });
    expect(error.message).toContain("5000");
    expect(() => producer.enqueue("t", { value: "x".repeat(6000) })).toThrow(ProtocolError);
    await settle(producer.send("t", { value: "still works" }));
  });

  test("enqueue answers false at the bound of the buffer and drained resolves when half of it is free", async () => {
    const { client, cluster, settle } = harness({ topics: { t: 1 } });
    const producer = client.producer({ maxBufferBytes: 10_000, batchSize: 1000 });
    await settle(producer.send("t", { value: "warm" }));
    let taken = 0;
    while (producer.enqueue("t", { value: "x".repeat(90) })) taken++;
    expect(taken).toBeGreaterThan(80);
    expect(producer.bufferedBytes).toBeLessThan(10_200);
    await settle(producer.drained());
    expect(producer.bufferedBytes).toBeLessThanOrEqual(5000);
    await settle(producer.flush());
    expect(cluster.log("t", 0).endOffset).toBe(taken + 1);
    expect(producer.bufferedBytes).toBe(0);
  });

  test("send waits for room and keeps its order", async () => {
    const { client, cluster, settle } = harness({ topics: { t: 1 } });
    const producer = client.producer({ maxBufferBytes: 2000, batchSize: 500 });
    const values = Array.from({ length: 200 }, (_, index) => `${index}`.padEnd(60));
    const acks = await settle(Promise.all(values.map((value) => producer.send("t", { value }))));
    expect(acks.map((ack) => ack.offset)).toEqual(values.map((_, index) => index));
    expect(cluster.log("t", 0).values()).toEqual(values);
  });

  test("unanswered bytes stay within the window that the broker granted", async () => {
    const { client, cluster, settle } = harness({ topics: { t: 4 }, windowBytes: 3000, latencyMs: 5 });
    const producer = client.producer({ batchSize: 1000 });
    const sends = Array.from({ length: 300 }, (_, i) =>
      producer.send("t", { value: "x".repeat(50), partition: i % 4 }),
    );
    await settle(Promise.all(sends));
    expect(cluster.unansweredBytesMax).toBeGreaterThan(1000);
    expect(cluster.unansweredBytesMax).toBeLessThanOrEqual(3000);
  });

  test("nothing is sent while the transport does not take more", async () => {
    const { client, cluster, scheduler, settle } = harness({ topics: { t: 1 } });
    const producer = client.producer({ lingerMs: 0 });
    await settle(producer.send("t", { value: "warm" }));
    const [stream] = cluster.streams;
    if (stream === undefined) throw new Error("no stream");
    stream.takesMore = false;
    const first = producer.send("t", { value: "a" });
    await scheduler.advance(10);
    const second = producer.send("t", { value: "b" });
    await scheduler.advance(100);
    expect(cluster.log("t", 0).values()).toEqual(["warm", "a"]);
    stream.drain();
    await settle(Promise.all([first, second]));
    expect(cluster.log("t", 0).values()).toEqual(["warm", "a", "b"]);
  });
});

describe("retries", () => {
  test("lost answers of an idempotent producer give no duplicates and keep the order", async () => {
    const { client, cluster, settle } = harness({ topics: { t: 1 }, latencyMs: 2 });
    let count = 0;
    cluster.produceFate = () => (++count % 3 === 0 ? "lose-answer" : "ok");
    const producer = client.producer({ batchSize: 200, lingerMs: 0 });
    const acks = await settle(producer.sendBatch("t", allRecords(many)));
    expect(cluster.log("t", 0).values()).toEqual(many);
    expect(acks.map((ack) => ack.offset)).toEqual(many.map((_, index) => index));
  });

  test("up to five batches of a partition are in flight, their sequences without a gap", async () => {
    const { client, cluster, settle, scheduler } = harness({ topics: { t: 1 }, latencyMs: 20 });
    const producer = client.producer({ batchSize: 200, lingerMs: 0 });
    await settle(producer.send("t", { value: "warm" }));
    cluster.produced.length = 0;
    const done = producer.sendBatch("t", allRecords(many.map((value) => value.padEnd(40))));
    await scheduler.advance(21);
    expect(cluster.produced).toHaveLength(5);
    await settle(done);
    let next = 1;
    for (const { partitions } of cluster.produced) {
      const records = partitions[0]?.records ?? Buffer.alloc(61);
      expect(baseSequenceOf(records)).toBe(next);
      next += recordCountOf(records);
    }
  });

  test("a moved leader is found and the records arrive once, in order", async () => {
    const { client, cluster, settle } = harness({ topics: { t: 1 }, brokers: 2 });
    const producer = client.producer({ batchSize: 200, lingerMs: 0 });
    await settle(producer.send("t", { value: "warm" }));
    cluster.moveLeader("t", 0, 1);
    const acks = await settle(producer.sendBatch("t", allRecords(many)));
    expect(acks.at(-1)?.leaderEpoch).toBe(1);
    expect(cluster.log("t", 0).values()).toEqual(["warm", ...many]);
  });

  test("metadata with an older leader epoch is ignored (KIP-320)", async () => {
    const { client, cluster, settle, scheduler } = harness(
      { topics: { t: 1 }, brokers: 2 },
      { metadataMaxAgeMs: 1000 },
    );
    cluster.moveLeader("t", 0, 1);
    const producer = client.producer({ lingerMs: 0 });
    await settle(producer.send("t", { value: "a" }));
    cluster.staleLeaders.set("t-0", { leaderId: 0, leaderEpoch: 0 });
    await scheduler.advance(1500);
    const requests = cluster.produced.length;
    await settle(producer.send("t", { value: "b" }));
    expect(cluster.produced.length).toBe(requests + 1);
  });

  test("without idempotence one batch is in flight, so a retry cannot reorder", async () => {
    const { client, cluster, settle } = harness({ topics: { t: 1 } });
    let count = 0;
    cluster.produceFate = () => (++count % 4 === 2 ? { error: "NOT_ENOUGH_REPLICAS" } : "ok");
    const producer = client.producer({ idempotent: false, batchSize: 200, lingerMs: 0 });
    await settle(producer.sendBatch("t", allRecords(many)));
    expect(cluster.log("t", 0).values()).toEqual(many);
    expect(cluster.calls).not.toContain("InitProducer");
  });

  test("a broker that answers nothing is left after the request timeout, and the batch goes again", async () => {
    const { client, cluster, settle } = harness({ topics: { t: 1 } }, { requestTimeoutMs: 1000 });
    let count = 0;
    cluster.produceFate = () => (++count === 1 ? "silence" : "ok");
    const ack = await settle(client.producer().send("t", { value: "a" }));
    expect(ack.offset).toBe(0);
    expect(cluster.log("t", 0).values()).toEqual(["a"]);
    expect(cluster.produced).toHaveLength(2);
  });

  test("acks=0 answers without a broker's word and promises nothing", async () => {
    const { client, cluster, settle, scheduler } = harness({ topics: { t: 1 } });
    const producer = client.producer({ acks: 0 });
    const ack = await settle(producer.send("t", { value: "a" }));
    expect(ack).toMatchObject({ offset: -1, durability: "none", replicas: 0 });
    await scheduler.advance(10);
    expect(cluster.log("t", 0).values()).toEqual(["a"]);
    expect(() => client.producer({ acks: 0, idempotent: true })).toThrow(/acks 1 or all/);
  });
});

describe("what a failure means", () => {
  test("records that no broker got fail with a known outcome at the delivery timeout", async () => {
    const { client, cluster, settle, scheduler } = harness({ topics: { t: 1 } });
    const producer = client.producer({ deliveryTimeoutMs: 2000 });
    await settle(producer.send("t", { value: "warm" }));
    cluster.down.add(0);
    cluster.cutStreams();
    const startedMs = scheduler.nowMs;
    const error = await settle(failureOf(producer.send("t", { value: "a" })));
    expect(error).toMatchObject({
      code: "DELIVERY_TIMEOUT",
      outcome: "failed",
      recordCount: 1,
      partition: 0,
    });
    expect(scheduler.nowMs - startedMs).toBeCloseTo(2000, -1);
  });

  test("records that a broker may have fail with an unknown outcome, also when the last attempt was refused", async () => {
    const { client, cluster, settle } = harness({ topics: { t: 1 } });
    const producer = client.producer({ deliveryTimeoutMs: 2000 });
    let count = 0;
    cluster.produceFate = () => (++count === 1 ? "lose-answer" : { error: "NOT_ENOUGH_REPLICAS" });
    const error = await settle(failureOf(producer.send("t", { value: "a" })));
    expect(error).toMatchObject({ code: "DELIVERY_TIMEOUT", outcome: "unknown" });
    expect(cluster.log("t", 0).values()).toEqual(["a"]);
  });

  test("a refused batch fails alone; what follows gets a new producer id and is written", async () => {
    const { client, cluster, settle } = harness({ topics: { t: 1 }, latencyMs: 10 });
    const producer = client.producer({ lingerMs: 0, batchSize: 200 });
    await settle(producer.send("t", { value: "warm" }));
    let count = 0;
    cluster.produceFate = () => (++count === 2 ? { error: "INVALID_RECORD" } : "ok");
    const results = await settle(Promise.allSettled(many.map((value) => producer.send("t", { value }))));
    const acked = many.filter((_, index) => results[index]?.status === "fulfilled");
    const failed = results.flatMap((result) =>
      result.status === "rejected" ? [result.reason as unknown] : [],
    );
    expect(failed.length).toBeGreaterThan(0);
    for (const error of failed) expect(error).toMatchObject({ code: "INVALID_RECORD", outcome: "failed" });
    expect(cluster.log("t", 0).values()).toEqual(["warm", ...acked]);
    const ids = new Set(cluster.log("t", 0).batches.map((batch) => producerIdOf(batch)));
    expect(ids.size).toBe(2);
  });

  test("a broker that forgot the producer gets the records under a new id, once", async () => {
    const { client, cluster, settle } = harness({ topics: { t: 1 } });
    const producer = client.producer({ lingerMs: 0 });
    await settle(producer.send("t", { value: "a" }));
    cluster.log("t", 0).forgetProducers();
    await settle(producer.send("t", { value: "b" }));
    expect(cluster.log("t", 0).values()).toEqual(["a", "b"]);
  });

  test("failures of enqueued records go to onError and to the next flush, once", async () => {
    const errors: unknown[] = [];
    const { client, cluster, settle } = harness({ topics: { t: 1 } });
    const producer = client.producer({ onError: (error) => errors.push(error) });
    producer.enqueue("t", { value: "warm" });
    await settle(producer.drained());
    cluster.produceFate = () => ({ error: "TOPIC_AUTHORIZATION_FAILED" });
    producer.enqueue("t", { value: "a" });
    producer.enqueue("t", { value: "b" });
    const error = await settle(failureOf(producer.flush()));
    expect(error).toBeInstanceOf(DeliveryError);
    expect(error).toMatchObject({ code: "TOPIC_AUTHORIZATION_FAILED", recordCount: 2 });
    expect(errors).toEqual([error]);
    await settle(producer.flush());
  });
});

describe("flush and close", () => {
  test("flush sends what lingers and waits for what waits for room", async () => {
    const { client, cluster, settle, scheduler } = harness({ topics: { t: 1 } });
    const producer = client.producer({ lingerMs: 60_000, batchSize: 500, maxBufferBytes: 2000 });
    const sends = Promise.all(many.map((value) => producer.send("t", { value: value.padEnd(90) })));
    await settle(producer.flush());
    expect(cluster.log("t", 0).endOffset).toBe(50);
    expect(scheduler.nowMs).toBeLessThan(1000);
    await settle(sends);
  });

  test("flush gives up at its time limit or by its signal, and the records go on", async () => {
    const { client, cluster, settle } = harness({ topics: { t: 1 } });
    const producer = client.producer({ lingerMs: 0 });
    await settle(producer.send("t", { value: "warm" }));
    cluster.produceFate = () => "silence";
    const sent = producer.send("t", { value: "a" });
    expect(await settle(failureOf(producer.flush({ timeoutMs: 100 })))).toMatchObject({ code: "TIMEOUT" });
    const controller = new AbortController();
    const flushed = failureOf(producer.flush({ signal: controller.signal }));
    controller.abort(new Error("enough"));
    expect((await settle(flushed)).message).toBe("enough");
    cluster.produceFate = () => "ok";
    cluster.cutStreams();
    expect((await settle(sent)).offset).toBe(1);
  });

  test("close flushes, refuses what comes later and leaves no timer", async () => {
    const { client, cluster, settle, scheduler } = harness({ topics: { t: 3 } });
    const producer = client.producer({ lingerMs: 1000 });
    const sends = Promise.all(many.map((value) => producer.send("t", { value, key: value })));
    await settle(producer.close());
    expect(await sends).toHaveLength(50);
    expect(() => producer.enqueue("t", { value: "x" })).toThrow(/closed/);
    expect(await failureOf(producer.send("t", { value: "x" }))).toMatchObject({
      code: "CLOSED",
      outcome: "failed",
    });
    await settle(client.close());
    await scheduler.advance(5);
    expect(cluster.isClosed).toBe(true);
    expect(scheduler.pendingCount).toBe(0);
  });

  test("close gives up at its time limit and says what is unknown", async () => {
    const { client, cluster, settle, scheduler } = harness({ topics: { t: 1 } });
    const producer = client.producer({ lingerMs: 0 });
    await settle(producer.send("t", { value: "warm" }));
    cluster.produceFate = () => "silence";
    const sent = failureOf(producer.send("t", { value: "a" }));
    const closed = failureOf(producer.close({ timeoutMs: 500 }));
    expect(await settle(closed)).toMatchObject({ code: "TIMEOUT" });
    expect(await settle(sent)).toMatchObject({ code: "CLOSED", outcome: "unknown" });
    await settle(client.close());
    await scheduler.advance(5);
    expect(scheduler.pendingCount).toBe(0);
  });
});
