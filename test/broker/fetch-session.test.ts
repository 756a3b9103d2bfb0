import { describe, expect, test } from "vitest";
import type { FetchPosition } from "../../src/broker/fetch-cursor.ts";
import type { FetchedPartition } from "../../src/broker/fetched-partition.ts";
import type { FetchSession, FetchStreamOptions } from "../../src/broker/fetch-session.ts";
import { FetchHandler } from "../../src/broker/handlers/fetch.ts";
import { lastOffsetOf } from "../../src/model/record-batch.ts";
import { batchOf, batchOfSize } from "./fake-logs.ts";
import { HostedTopics, NODE } from "./hosted-topics.ts";

const KIB = 1024;

class Consumer {
  readonly messages: (readonly FetchedPartition[])[] = [];
  readonly hosted: HostedTopics;
  readonly handler: FetchHandler;
  readonly session: FetchSession;
  isSlow = false;
  closedWith: Error | undefined;

  constructor(hosted: HostedTopics, options: Partial<FetchStreamOptions> = {}) {
    this.hosted = hosted;
    this.handler = new FetchHandler({ nodeId: NODE }, { table: hosted.table, clock: hosted.clock });
    this.session = this.handler.openSession(
      { maxMessageBytes: 0, minBytes: 0, maxWaitMs: 0, readCommitted: false, ...options },
      {
        send: (partitions) => {
          this.messages.push(partitions);
          return !this.isSlow;
        },
        closed: (reason) => (this.closedWith = reason),
      },
    );
  }

  add(topic: string, fields: Partial<FetchPosition> = {}): void {
    this.session.add([{ topic, partition: 0, offset: 0, leaderEpoch: -1, generation: 0, ...fields }]);
  }

  /** Lets the session work, then answers what it sent since the last time. */
  async take(): Promise<FetchedPartition[]> {
    await this.hosted.settle();
    return this.messages.splice(0).flat();
  }

  /** The same, without news. */
  async takeRecords(): Promise<FetchedPartition[]> {
    return (await this.take()).filter(({ records }) => records.length > 0);
  }
}

function bytesOf(items: readonly FetchedPartition[]): number {
  return items.flatMap(({ records }) => records).reduce((sum, { length }) => sum + length, 0);
}

function append(hosted: HostedTopics, topic: string, partition: number, batch: Buffer): void {
  hosted.logs.at(topic, partition).append(batch, { leaderEpoch: 0 as never });
}

function setUp(topics: readonly string[] = ["a"], options: Partial<FetchStreamOptions> = {}) {
  const hosted = new HostedTopics();
  for (const topic of topics) hosted.create(topic, 4);
  return { hosted, consumer: new Consumer(hosted, options) };
}

describe("subscription", () => {
  test("news with the high watermark comes at once, without credit", async () => {
    const { hosted, consumer } = setUp();
    append(hosted, "a", 0, batchOf("x", "y"));
    consumer.add("a", { generation: 7 });
    expect(await consumer.take()).toEqual([
      {
        topic: "a",
        partition: 0,
        generation: 7,
        error: "NONE",
        errorMessage: "",
        highWatermark: 2,
        logStartOffset: 0,
        leaderEpoch: 0,
        leaderId: 1,
        records: [],
      },
    ]);
  });

  test("records come as they become durable, in order, with the position moved on", async () => {
    const { hosted, consumer } = setUp();
    consumer.add("a");
    consumer.session.grant(1000 * KIB);
    await consumer.take();
    const log = hosted.logs.at("a", 0);
    log.isInstant = false;
    append(hosted, "a", 0, batchOf("1"));
    expect(await consumer.take()).toEqual([]);
    append(hosted, "a", 0, batchOf("2", "3"));
    log.sync();
    const items = await consumer.take();
    expect(items.map(({ highWatermark }) => highWatermark)).toEqual([3]);
    expect(items[0]!.records).toEqual(log.batches);
    append(hosted, "a", 0, batchOf("4"));
    log.sync();
    expect((await consumer.take())[0]!.records).toEqual([log.batches[2]]);
  });

  test("the data of several partitions share a message", async () => {
    const { hosted, consumer } = setUp(["a", "b"]);
    consumer.session.grant(1000 * KIB);
    consumer.add("a");
    consumer.add("b");
    await consumer.take();
    append(hosted, "a", 0, batchOf("1"));
    append(hosted, "b", 0, batchOf("2"));
    await hosted.settle();
    expect(consumer.messages.length).toBe(1);
    expect(consumer.messages[0]!.map(({ topic }) => topic)).toEqual(["a", "b"]);
  });

  test("an idle session has nothing scheduled and no listener is left after its end", async () => {
    const { hosted, consumer } = setUp();
    consumer.session.grant(1000 * KIB);
    consumer.add("a");
    await consumer.take();
    expect(hosted.scheduler.pendingCount).toBe(0);
    expect(hosted.logs.at("a", 0).listeners.size).toBe(1);
    consumer.session.close();
    consumer.session.close();
    expect(hosted.logs.at("a", 0).listeners.size).toBe(0);
    expect(consumer.handler.sessionCount).toBe(0);
    append(hosted, "a", 0, batchOf("1"));
    expect(await consumer.take()).toEqual([]);
    expect(hosted.scheduler.pendingCount).toBe(0);
  });
});

describe("credit", () => {
  test("without credit nothing is read, and each grant is used up and no more", async () => {
    const { hosted, consumer } = setUp();
    for (let i = 0; i < 20; i++) append(hosted, "a", 0, batchOfSize(10 * KIB));
    consumer.add("a");
    expect(await consumer.takeRecords()).toEqual([]);
    expect(hosted.logs.at("a", 0).readCount).toBe(0);
    const [batch] = hosted.logs.at("a", 0).batches;
    consumer.session.grant(3 * batch!.length);
    expect(bytesOf(await consumer.takeRecords())).toBe(3 * batch!.length);
    consumer.session.grant(2 * batch!.length);
    expect(bytesOf(await consumer.takeRecords())).toBe(2 * batch!.length);
    expect(await consumer.takeRecords()).toEqual([]);
  });

  test("a batch larger than the credit is sent, and its debt is paid before the next", async () => {
    const { hosted, consumer } = setUp();
    append(hosted, "a", 0, batchOfSize(100 * KIB));
    append(hosted, "a", 0, batchOfSize(100));
    const [large] = hosted.logs.at("a", 0).batches;
    consumer.add("a");
    consumer.session.grant(1);
    expect(bytesOf(await consumer.takeRecords())).toBe(large!.length);
    consumer.session.grant(large!.length - 1);
    expect(await consumer.takeRecords()).toEqual([]);
    consumer.session.grant(1);
    expect((await consumer.takeRecords()).length).toBe(1);
  });

  test.each([-1, 1.5, Number.NaN, 2 ** 53])("a grant of %d is refused", (bytes) => {
    const { consumer } = setUp();
    expect(() => consumer.session.grant(bytes)).toThrow(
      expect.objectContaining({ code: "INVALID_ARGUMENT" }) as Error,
    );
  });
});

describe("messages", () => {
  test("no message has more than maxMessageBytes, but a larger batch comes alone", async () => {
    const { hosted, consumer } = setUp(["a", "b"], { maxMessageBytes: 64 * KIB });
    consumer.session.grant(10_000 * KIB);
    for (let i = 0; i < 30; i++) append(hosted, "a", 0, batchOfSize(10 * KIB));
    append(hosted, "b", 0, batchOfSize(10 * KIB));
    append(hosted, "b", 0, batchOfSize(300 * KIB));
    append(hosted, "b", 0, batchOfSize(10 * KIB));
    consumer.add("a");
    consumer.add("b");
    await hosted.settle();
    const sizes = consumer.messages.map(bytesOf);
    expect(sizes.filter((size) => size > 64 * KIB).length).toBe(1);
    const alone = consumer.messages.find((message) => bytesOf(message) > 64 * KIB)!;
    expect(alone.flatMap(({ records }) => records).length).toBe(1);
    expect(consumer.messages.flat().flatMap(({ records }) => records).length).toBe(33);
  });

  test("a partition with a long backlog does not keep another from its turn", async () => {
    const { hosted, consumer } = setUp(["a", "b"], { maxMessageBytes: 64 * KIB });
    for (let i = 0; i < 500; i++) append(hosted, "a", 0, batchOfSize(8 * KIB));
    for (let i = 0; i < 500; i++) append(hosted, "b", 0, batchOfSize(8 * KIB));
    consumer.add("a");
    consumer.add("b");
    consumer.session.grant(1024 * KIB);
    const items = await consumer.takeRecords();
    const ofA = bytesOf(items.filter(({ topic }) => topic === "a"));
    const ofB = bytesOf(items.filter(({ topic }) => topic === "b"));
    expect(Math.abs(ofA - ofB)).toBeLessThanOrEqual(80 * KIB);
  });

  test("one turn of the loop sends a bounded part, so that other work comes between", async () => {
    const { hosted, consumer } = setUp();
    for (let i = 0; i < 200; i++) append(hosted, "a", 0, batchOfSize(100 * KIB));
    consumer.add("a");
    consumer.session.grant(100_000 * KIB);
    const eventsBefore = hosted.scheduler.eventsRun;
    expect((await consumer.takeRecords()).flatMap(({ records }) => records).length).toBe(200);
    expect(hosted.scheduler.eventsRun - eventsBefore).toBeGreaterThanOrEqual(4);
  });

  test("a slow sink stops everything until it has drained", async () => {
    const { hosted, consumer } = setUp(["a", "b"], { maxMessageBytes: 64 * KIB });
    consumer.session.grant(10_000 * KIB);
    for (let i = 0; i < 50; i++) append(hosted, "a", 0, batchOfSize(10 * KIB));
    consumer.isSlow = true;
    consumer.add("a");
    await hosted.settle();
    expect(consumer.messages.length).toBe(1);
    const { readCount } = hosted.logs.at("a", 0);
    append(hosted, "a", 0, batchOf("more"));
    consumer.add("b");
    await hosted.settle();
    expect(consumer.messages.length).toBe(1);
    expect(hosted.logs.at("a", 0).readCount).toBe(readCount);
    expect(hosted.scheduler.pendingCount).toBe(0);
    consumer.isSlow = false;
    consumer.session.drained();
    await hosted.settle();
    expect(consumer.messages.flat().flatMap(({ records }) => records).length).toBe(51);
  });

  test("minBytes holds records back until there are enough, the wait is over, or there is a backlog", async () => {
    const { hosted, consumer } = setUp(["a"], { minBytes: 2 * KIB, maxWaitMs: 500 });
    consumer.session.grant(1000 * KIB);
    consumer.add("a");
    append(hosted, "a", 0, batchOfSize(KIB));
    expect(await consumer.takeRecords()).toEqual([]);
    append(hosted, "a", 0, batchOfSize(2 * KIB));
    expect((await consumer.takeRecords())[0]!.records.length).toBe(2);
    append(hosted, "a", 0, batchOfSize(KIB));
    expect(await consumer.takeRecords()).toEqual([]);
    await hosted.scheduler.advance(499);
    expect(consumer.messages).toEqual([]);
    await hosted.scheduler.advance(1);
    expect((await consumer.takeRecords()).length).toBe(1);
    expect(hosted.scheduler.pendingCount).toBe(0);
  });
});

describe("disk reads", () => {
  test("at most four are under way, and the partitions behind them get their turn", async () => {
    const names = ["a", "b", "c", "d", "e", "f"];
    const { hosted, consumer } = setUp(names);
    consumer.session.grant(1000 * KIB);
    for (const name of names) {
      append(hosted, name, 0, batchOf(name));
      hosted.logs.at(name, 0).isOnDisk = true;
      consumer.add(name);
    }
    await consumer.take();
    const openReads = (): number => names.reduce((sum, name) => sum + hosted.logs.at(name, 0).openReads, 0);
    expect(openReads()).toBe(4);
    for (const name of names) hosted.logs.at(name, 0).finishReads();
    const first = await consumer.takeRecords();
    expect(openReads()).toBe(2);
    for (const name of names) hosted.logs.at(name, 0).finishReads();
    const second = await consumer.takeRecords();
    expect([...first, ...second].map(({ topic }) => topic).sort()).toEqual(names);
  });

  test("what a read brought waits for credit and is not read again", async () => {
    const { hosted, consumer } = setUp(["a", "b"]);
    for (const name of ["a", "b"]) {
      append(hosted, name, 0, batchOfSize(10 * KIB));
      hosted.logs.at(name, 0).isOnDisk = true;
      consumer.add(name);
    }
    consumer.session.grant(1);
    await consumer.take();
    hosted.logs.at("a", 0).finishReads();
    hosted.logs.at("b", 0).finishReads();
    expect((await consumer.takeRecords()).map(({ topic }) => topic)).toEqual(["a"]);
    consumer.session.grant(20 * KIB);
    expect((await consumer.takeRecords()).map(({ topic }) => topic)).toEqual(["b"]);
    expect(hosted.logs.at("b", 0).readCount).toBe(1);
  });

  test("a read that began before a seek or a removal is dropped", async () => {
    const { hosted, consumer } = setUp();
    consumer.session.grant(1000 * KIB);
    for (const value of ["1", "2", "3"]) append(hosted, "a", 0, batchOf(value));
    const log = hosted.logs.at("a", 0);
    log.isOnDisk = true;
    consumer.add("a", { generation: 1 });
    await consumer.take();
    consumer.add("a", { generation: 2, offset: 2 });
    await consumer.take();
    expect(log.openReads).toBe(2);
    log.finishReads();
    const items = await consumer.takeRecords();
    expect(items.map(({ generation }) => generation)).toEqual([2]);
    expect(lastOffsetOf(items[0]!.records[0]!)).toBe(2);
    append(hosted, "a", 0, batchOf("4"));
    await consumer.take();
    consumer.session.remove([{ topic: "a", partition: 0 }]);
    log.finishReads();
    expect(await consumer.take()).toEqual([]);
    expect(log.listeners.size).toBe(0);
  });
});

describe("errors end a partition's part and name themselves", () => {
  test("an unknown topic, an unknown partition", async () => {
    const { consumer } = setUp();
    consumer.add("ghost", { generation: 3 });
    consumer.add("a", { partition: 99 });
    const items = await consumer.take();
    expect(items.map(({ error, generation }) => [error, generation])).toEqual([
      ["UNKNOWN_TOPIC_OR_PARTITION", 3],
      ["UNKNOWN_TOPIC_OR_PARTITION", 0],
    ]);
    expect(items[0]!.errorMessage).toContain("ghost");
  });

  test.each([
    [1, "OFFSET_OUT_OF_RANGE"],
    [6, "OFFSET_OUT_OF_RANGE"],
  ])("offset %d of a log from 2 to 5 is %s and both ends are named", async (offset, error) => {
    const { hosted, consumer } = setUp();
    for (let i = 0; i < 5; i++) append(hosted, "a", 0, batchOf("x"));
    await hosted.logs.at("a", 0).advanceLogStart(2 as never);
    consumer.add("a", { offset });
    const [item] = await consumer.take();
    expect(item).toMatchObject({ error, logStartOffset: 2, highWatermark: 5 });
    expect(item!.errorMessage).toContain(`offsets 2 to 5 (exclusive), ${offset}`);
  });

  test("the end itself, and what is written but not yet durable, are not out of range", async () => {
    const { hosted, consumer } = setUp();
    hosted.logs.at("a", 0).isInstant = false;
    append(hosted, "a", 0, batchOf("x"));
    consumer.add("a", { offset: 1 });
    expect((await consumer.take()).map(({ error, highWatermark }) => [error, highWatermark])).toEqual([
      ["NONE", 0],
    ]);
  });

  test("deleting records under a reader is OFFSET_OUT_OF_RANGE at its next read, not silence", async () => {
    const { hosted, consumer } = setUp();
    for (let i = 0; i < 3; i++) append(hosted, "a", 0, batchOf("x"));
    consumer.add("a");
    await consumer.take();
    await hosted.logs.at("a", 0).advanceLogStart(2 as never);
    consumer.session.grant(1000);
    expect((await consumer.take()).map(({ error }) => error)).toEqual(["OFFSET_OUT_OF_RANGE"]);
  });

  test.each([
    [4, "FENCED_LEADER_EPOCH"],
    [6, "UNKNOWN_LEADER_EPOCH"],
    [5, "NONE"],
    [-1, "NONE"],
  ])("leader epoch %d against 5 is %s", async (leaderEpoch, error) => {
    const hosted = new HostedTopics();
    hosted.create("a", 1, { epoch: 5 });
    const consumer = new Consumer(hosted);
    consumer.add("a", { leaderEpoch });
    expect((await consumer.take()).map((item) => item.error)).toEqual([error]);
  });

  test("a partition led elsewhere says by whom", async () => {
    const hosted = new HostedTopics();
    hosted.create("a", 1, { leader: 2 });
    const consumer = new Consumer(hosted);
    consumer.add("a");
    expect(await consumer.take()).toMatchObject([{ error: "NOT_LEADER_OR_FOLLOWER", leaderId: 2 }]);
  });

  test("deleting the topic, a new epoch, and a failed disk are told at once, without credit", async () => {
    const hosted = new HostedTopics();
    const topicId = hosted.create("gone");
    hosted.create("moved");
    hosted.create("broken");
    const consumer = new Consumer(hosted);
    consumer.add("gone");
    consumer.add("moved", { leaderEpoch: 0 });
    consumer.add("broken");
    await consumer.take();
    const brokenLog = hosted.logs.at("broken", 0);
    hosted.remove(topicId);
    hosted.raiseEpochs();
    brokenLog.fail();
    expect((await consumer.take()).map(({ topic, error }) => [topic, error])).toEqual([
      ["gone", "UNKNOWN_TOPIC_OR_PARTITION"],
      ["moved", "FENCED_LEADER_EPOCH"],
      ["broken", "KAFKA_STORAGE_ERROR"],
    ]);
    expect(brokenLog.listeners.size).toBe(0);
  });

  test("a log that cannot be opened is told, and the next add tries again", async () => {
    const { hosted, consumer } = setUp();
    hosted.logs.failure = new Error("no disk");
    consumer.add("a");
    expect((await consumer.take()).map(({ error }) => error)).toEqual(["KAFKA_STORAGE_ERROR"]);
    hosted.logs.failure = undefined;
    consumer.add("a");
    expect((await consumer.take()).map(({ error }) => error)).toEqual(["NONE"]);
  });

  test("the broker's end closes the session with its reason", async () => {
    const { hosted, consumer } = setUp();
    consumer.add("a");
    await consumer.take();
    consumer.handler.close(new Error("stopping"));
    expect(consumer.closedWith?.message).toBe("stopping");
    expect(hosted.logs.at("a", 0).listeners.size).toBe(0);
  });
});
