import { describe, expect, test } from "vitest";
import type { SubscribedRecord } from "../../src/broker/plain-record-reader.ts";
import { readIfPresent, writeAtomically } from "../../src/platform/atomic-file.ts";
import { entryKey } from "../../src/quorum/store-format.ts";
import { batchOf } from "./fake-logs.ts";
import { SimBroker } from "./sim-broker.ts";

async function started(options: ConstructorParameters<typeof SimBroker>[0] = {}): Promise<SimBroker> {
  const machine = new SimBroker(options);
  await machine.start();
  return machine;
}

async function readAll(machine: SimBroker, topic: string): Promise<string[]> {
  const records: SubscribedRecord[] = [];
  let outcome: string | undefined;
  machine.broker.subscribe(
    {
      topic,
      partitions: [],
      from: { kind: "beginning" },
      maxRecords: 0,
      stopAtEnd: true,
      maxMessageBytes: 0,
    },
    {
      send: (some) => {
        records.push(
          ...some.map((record) => ({ ...record, value: record.value && Buffer.from(record.value) })),
        );
        return true;
      },
      end: ({ error }) => (outcome = error),
    },
  );
  await machine.scheduler.runUntil(() => outcome !== undefined, 60_000);
  expect(outcome).toBe("NONE");
  return records.map(({ value }) => Buffer.from(value ?? []).toString());
}

describe("restart", () => {
  test("topics, ids, settings, records and the cluster id are as before a clean stop", async () => {
    const machine = await started();
    await machine.create("orders", 2, { "flush.ms": "7" });
    await machine.produce("orders", ["a", "b"]);
    const { clusterId } = machine.broker;
    const before = machine.broker.image.topic("orders")!;
    await machine.stop();
    await machine.start();
    const after = machine.broker.image.topic("orders")!;
    expect(machine.broker.clusterId).toBe(clusterId);
    expect({ ...after, partitions: [] }).toEqual({ ...before, partitions: [] });
    for (const [partition, { leader, isr, replicas }] of after.partitions.entries()) {
      expect([partition, leader, isr, replicas]).toEqual([partition, 1, [1], [1]]);
    }
    expect(await machine.end("orders")).toBe(2);
    expect(await readAll(machine, "orders")).toEqual(["a", "b"]);
  });

  test("a killed broker comes back with all that was acknowledged and a higher leader epoch", async () => {
    const machine = await started();
    await machine.create("orders");
    await machine.produce("orders", ["a"]);
    machine.cutPower();
    await machine.start();
    expect(await readAll(machine, "orders")).toEqual(["a"]);
    const { leaderEpoch } = machine.broker.image.topic("orders")!.partitions[0]!;
    expect(leaderEpoch).toBeGreaterThan(0);
    expect(machine.broker.image.broker(machine.broker.nodeId)?.clean).toBe(false);
    const result = await machine.produce("orders", ["b"]);
    expect(result).toMatchObject({ error: "NONE", baseOffset: 1, leaderEpoch });
    await machine.stop();
    await machine.start();
    expect(machine.broker.image.broker(machine.broker.nodeId)?.clean).toBe(true);
  });

  test("producer ids are never given twice, over clean stops and crashes", async () => {
    const machine = await started();
    const seen = new Set<number>();
    for (let round = 0; round < 6; round++) {
      for (let i = 0; i < 5; i++) {
        const { producerId, producerEpoch } = await machine.run(machine.broker.initProducer());
        expect([seen.has(producerId), producerEpoch]).toEqual([false, 0]);
        seen.add(producerId);
      }
      if (round % 2 === 0) machine.cutPower();
      else await machine.stop();
      await machine.start();
    }
  });

  test("two thousand producers at once get two thousand ids", async () => {
    const machine = await started();
    const all = Array.from({ length: 2500 }, () => machine.broker.initProducer());
    const ids = new Set((await machine.run(Promise.all(all))).map(({ producerId }) => producerId));
    expect(ids.size).toBe(2500);
  });

  test("a deleted topic stays deleted, and its name can be used again with other data", async () => {
    const machine = await started();
    await machine.create("orders");
    await machine.produce("orders", ["old"]);
    const oldId = machine.broker.image.topic("orders")!.topicId;
    await machine.run(machine.broker.deleteTopics(["orders"]));
    await machine.create("orders");
    expect(machine.broker.image.topic("orders")!.topicId).not.toBe(oldId);
    expect(await machine.end("orders")).toBe(0);
    await machine.produce("orders", ["new"]);
    await machine.stop();
    await machine.start();
    expect(await readAll(machine, "orders")).toEqual(["new"]);
  });

  test("a crash right behind a committed deletion leaves no data that blocks the name", async () => {
    const machine = await started();
    await machine.create("orders");
    await machine.produce("orders", ["old"]);
    const deleting = machine.broker.deleteTopics(["orders"]);
    await machine.scheduler.runUntil(() => machine.broker.image.topic("orders") === undefined, 1000);
    machine.cutPower();
    deleting.catch(() => undefined); // Its process is gone.
    await machine.start();
    expect(machine.broker.image.topic("orders")).toBeUndefined();
    await machine.create("orders");
    await machine.produce("orders", ["new"]);
    expect(await readAll(machine, "orders")).toEqual(["new"]);
  });
});

describe("crash between the commit and the reply", () => {
  test("at any write a topic is there or not after the restart, and whoever was told of it finds it", async () => {
    for (let failAfter = 1; failAfter < 60; failAfter++) {
      const machine = new SimBroker({ failAfterOperations: failAfter });
      let isAcknowledged = false;
      try {
        await machine.start();
        await machine.create("orders");
        isAcknowledged = true;
      } catch {
        // The process died at this write, which is the point.
      }
      machine.cutPower();
      await machine.start();
      const isThere = machine.broker.image.topic("orders") !== undefined;
      expect([failAfter, isAcknowledged && !isThere]).toEqual([failAfter, false]);
      if (!isThere) await machine.create("orders");
      expect(await machine.produce("orders", ["a"])).toMatchObject({ error: "NONE", baseOffset: 0 });
      if (isAcknowledged) return;
    }
    throw new Error("the topic was never acknowledged; raise the bound");
  });
});

describe("metadata", () => {
  test("a named topic is created on demand, with the defaults, if both sides want it", async () => {
    const machine = await started({ config: { "num.partitions": "3" } });
    const call = { topics: ["made", "bad/name"], allTopics: false, allowAutoCreate: true };
    const { topics, brokers } = await machine.run(machine.broker.metadata(call));
    expect(topics.map(({ name, error, partitions }) => [name, error, partitions.length])).toEqual([
      ["made", "NONE", 3],
      ["bad/name", "INVALID_TOPIC_EXCEPTION", 0],
    ]);
    expect(brokers).toEqual([{ nodeId: 1, host: "127.0.0.1", port: 9092, rack: "" }]);
    const asked = await machine.run(
      machine.broker.metadata({ ...call, topics: ["other"], allowAutoCreate: false }),
    );
    expect(asked.topics.map(({ error }) => error)).toEqual(["UNKNOWN_TOPIC_OR_PARTITION"]);
  });

  test("auto.create.topics.enable=false leaves a missing topic missing", async () => {
    const machine = await started({ config: { "auto.create.topics.enable": "false" } });
    const call = { topics: ["made"], allTopics: false, allowAutoCreate: true };
    expect((await machine.run(machine.broker.metadata(call))).topics[0]!.error).toBe(
      "UNKNOWN_TOPIC_OR_PARTITION",
    );
  });

  test("two callers that want one missing topic both get it", async () => {
    const machine = await started();
    const call = { topics: ["made"], allTopics: false, allowAutoCreate: true };
    const both = await machine.run(
      Promise.all([machine.broker.metadata(call), machine.broker.metadata(call)]),
    );
    expect(both.map(({ topics }) => topics[0]!.error)).toEqual(["NONE", "NONE"]);
  });

  test("all topics, their own message limit, and the address that is advertised", async () => {
    const machine = await started({ advertised: { host: "broker.example", port: 19092 } });
    await machine.create("a", 1, { "max.message.bytes": "5000" });
    await machine.create("b");
    const answer = await machine.run(
      machine.broker.metadata({ topics: [], allTopics: true, allowAutoCreate: false }),
    );
    expect(answer.topics.map(({ name, maxMessageBytes }) => [name, maxMessageBytes])).toEqual([
      ["a", 5000],
      ["b", 1_048_576],
    ]);
    expect(answer).toMatchObject({
      controllerId: 1,
      maxBatchBytes: 1_048_576,
      brokers: [{ host: "broker.example", port: 19092 }],
    });
  });
});

describe("topics", () => {
  test("are described with offsets, sizes and settings, and listed by name", async () => {
    const machine = await started();
    await machine.create("b", 2, { "retention.ms": "1000" });
    await machine.create("a");
    await machine.produce("b", ["x", "y"], 1);
    expect(
      machine.broker.listTopics({ includeInternal: false }).map(({ name, partitions }) => [name, partitions]),
    ).toEqual([
      ["a", 1],
      ["b", 2],
    ]);
    const [described, missing] = await machine.run(machine.broker.describeTopics(["b", "ghost"]));
    expect(described!.partitions).toMatchObject([
      { partition: 0, logStartOffset: 0, logEndOffset: 0, sizeBytes: 0, leaderId: 1, error: "NONE" },
      { partition: 1, logStartOffset: 0, logEndOffset: 2, replicas: [1], isr: [1] },
    ]);
    expect(described!.partitions[1]!.sizeBytes).toBeGreaterThan(61);
    expect(described!.configs.find(({ name }) => name === "retention.ms")).toMatchObject({
      value: "1000",
      source: "topic",
    });
    expect(missing!.error).toBe("UNKNOWN_TOPIC_OR_PARTITION");
    await machine.stop();
    await machine.start();
    const [again] = await machine.run(machine.broker.describeTopics(["b"]));
    expect(again!.partitions[1]).toMatchObject({
      logEndOffset: 2,
      sizeBytes: described!.partitions[1]!.sizeBytes,
    });
  });

  test("grow, and a setting that changes holds for the open log at once", async () => {
    const machine = await started();
    await machine.create("a");
    expect(await machine.produce("a", ["x".repeat(500)])).toMatchObject({ error: "NONE" });
    const alter = { name: "a", set: new Map([["max.message.bytes", "100"]]), unset: [], validateOnly: false };
    await machine.run(machine.broker.alterTopicConfigs(alter));
    expect(await machine.produce("a", ["x".repeat(500)])).toMatchObject({ error: "MESSAGE_TOO_LARGE" });
    const grown = await machine.run(
      machine.broker.createPartitions({ name: "a", totalPartitions: 3, validateOnly: false }),
    );
    expect(grown).toMatchObject({ error: "NONE", partitions: 3 });
    expect(await machine.produce("a", ["y"], 2)).toMatchObject({ error: "NONE", baseOffset: 0 });
  });

  test("deleted records are gone for readers, also after a restart", async () => {
    const machine = await started();
    await machine.create("a");
    for (const value of ["0", "1", "2"]) await machine.produce("a", [value]);
    const [result] = await machine.run(
      machine.broker.deleteRecords([{ topic: "a", partition: 0, beforeOffset: 2 }]),
    );
    expect(result).toMatchObject({ error: "NONE", logStartOffset: 2 });
    expect(await readAll(machine, "a")).toEqual(["2"]);
    await machine.stop();
    await machine.start();
    expect(await readAll(machine, "a")).toEqual(["2"]);
    const refused = await machine.run(
      machine.broker.deleteRecords([
        { topic: "a", partition: 0, beforeOffset: 4 },
        { topic: "ghost", partition: 0, beforeOffset: 0 },
        { topic: "a", partition: 0, beforeOffset: -1 },
      ]),
    );
    expect(refused.map(({ error, logStartOffset }) => [error, logStartOffset])).toEqual([
      ["OFFSET_OUT_OF_RANGE", -1],
      ["UNKNOWN_TOPIC_OR_PARTITION", -1],
      ["NONE", 3],
    ]);
  });

  test("offsets are found by end, start and time", async () => {
    const machine = await started();
    await machine.create("a");
    await machine.produce("a", ["0"]);
    const ask = async (timestampMs: number): Promise<number> => {
      const [result] = await machine.run(
        machine.broker.listOffsets([{ topic: "a", partition: 0, timestampMs }]),
      );
      expect(result!.leaderEpoch).toBe(0);
      return result!.error === "NONE" ? result!.offset : Number.NaN;
    };
    expect(await ask(-1)).toBe(1);
    expect(await ask(-2)).toBe(0);
    expect(await ask(-3)).toBe(0);
    expect(await ask(500)).toBe(0);
    expect(await ask(1_000)).toBe(0);
    expect(await ask(1_001)).toBe(-1);
    expect(await ask(-4)).toBeNaN();
  });
});

describe("close", () => {
  test("new work is refused with CLOSED, sessions end, and a second close is the first", async () => {
    const machine = await started();
    await machine.create("a");
    const { broker } = machine;
    let reason: Error | undefined;
    broker.openFetch(
      { maxMessageBytes: 0, minBytes: 0, maxWaitMs: 0, readCommitted: false },
      { send: () => true, closed: (error) => (reason = error) },
    );
    const long = broker.fetch(
      {
        maxWaitMs: 100_000,
        minBytes: 1,
        maxBytes: 1000,
        readCommitted: false,
        partitions: [{ topic: "a", partition: 0, offset: 0, leaderEpoch: -1, maxBytes: 1000 }],
      },
      new AbortController().signal,
    );
    const startedMs = machine.scheduler.nowMs;
    await machine.run(Promise.all([broker.close(), broker.close()]));
    expect(machine.scheduler.nowMs - startedMs).toBeLessThan(1000);
    expect((await long).map(({ error, records }) => [error, records.length])).toEqual([["NONE", 0]]);
    expect(reason).toMatchObject({ code: "CLOSED" });
    expect(broker.state).toBe("closed");
    await expect(broker.initProducer()).rejects.toMatchObject({ code: "CLOSED", retriable: true });
    expect(() => broker.listTopics({ includeInternal: true })).toThrow(
      expect.objectContaining({ code: "CLOSED" }) as Error,
    );
  });

  test("what is in progress is finished and acknowledged before the stop", async () => {
    const machine = await started();
    await machine.create("a");
    const partitions = [{ topic: "a", partition: 0, leaderEpoch: -1, records: batchOf("last") }];
    const producing = machine.broker.produce({ acks: -1, timeoutMs: 0, partitions });
    const [results] = await machine.run(Promise.all([producing, machine.broker.close()]));
    expect(results).toMatchObject([{ error: "NONE", baseOffset: 0 }]);
    await machine.start();
    expect(await readAll(machine, "a")).toEqual(["last"]);
  });
});

describe("damage", () => {
  test("a metadata store that lost its end stops the start and deletes nothing", async () => {
    const machine = await started();
    await machine.create("a");
    await machine.produce("a", ["kept"]);
    await machine.stop();
    machine.platform.keyValues.loseRecord("data/quorum/store", entryKey(2));
    await expect(machine.start()).rejects.toMatchObject({ code: "METADATA_CORRUPT" });
    expect((await machine.run(machine.platform.disk.list("data"))).map(({ name }) => name)).toContain("a-0");
  });

  test("a data directory whose id the cluster does not know is refused, and nothing in it is touched", async () => {
    const machine = await started();
    await machine.create("a");
    await machine.produce("a", ["kept"]);
    await machine.stop();
    const { disk } = machine.platform;
    const own = String(await machine.run(readIfPresent(disk, "data/meta.properties")));
    const foreign = own.replace(
      /directory\.id=./,
      (text) => `${text.slice(0, -1)}${text.endsWith("0") ? "1" : "0"}`,
    );
    await machine.run(writeAtomically(disk, "data/meta.properties", Buffer.from(foreign)));
    await expect(machine.start()).rejects.toMatchObject({ code: "DUPLICATE_BROKER_REGISTRATION" });
    expect((await machine.run(machine.platform.disk.list("data"))).map(({ name }) => name)).toContain("a-0");
  });

  test("a metadata store that is gone stops the start and deletes nothing", async () => {
    const machine = await started();
    await machine.create("a");
    await machine.produce("a", ["kept"]);
    await machine.stop();
    await machine.run(machine.platform.disk.removeDir("data/quorum"));
    await expect(machine.start()).rejects.toMatchObject({ code: "METADATA_CORRUPT" });
    expect((await machine.run(machine.platform.disk.list("data"))).map(({ name }) => name)).toContain("a-0");
  });

  test("a failed write of the metadata is told to the caller and to whoever watches the broker", async () => {
    const machine = await started();
    machine.platform.keyValues.failNextBatch("data/quorum/store");
    // Whether it is on the disk only the next start can tell.
    await expect(machine.create("a")).rejects.toMatchObject({ context: { isIndefinite: true } });
    expect(await machine.broker.failure).toMatchObject({ code: "DISK_WRITE_FAILED" });
    await expect(machine.create("b")).rejects.toMatchObject({ code: "NO_QUORUM" });
  });
});

test("fifty thousand partitions are one metadata append and no file", async () => {
  const machine = await started();
  const filesBefore = machine.platform.mutationCount;
  await machine.create("many", 50_000);
  expect(machine.platform.mutationCount - filesBefore).toBe(1);
  expect(machine.broker.image.partitionCount).toBe(50_000);
  expect(await machine.produce("many", ["x"], 49_999)).toMatchObject({ error: "NONE", baseOffset: 0 });
});
