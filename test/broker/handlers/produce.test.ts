import { describe, expect, test } from "vitest";
import { ProduceHandler } from "../../../src/broker/handlers/produce.ts";
import type { ProduceCall, ProduceResult } from "../../../src/broker/handlers/produce.ts";
import { nodeId } from "../../../src/model/ids.ts";
import { offset } from "../../../src/model/offsets.ts";
import type { LeaderEpoch } from "../../../src/model/offsets.ts";
import { baseOffsetOf, leaderEpochOf, recordCountOf } from "../../../src/model/record-batch.ts";
import { batchOf } from "../fake-logs.ts";
import { brokerConfig, HostedTopics, NODE } from "../hosted-topics.ts";

function setUp(hosted = new HostedTopics()) {
  const handler = new ProduceHandler(
    { nodeId: NODE },
    {
      table: hosted.table,
      clock: hosted.clock,
      isContactLost: () => false,
    },
  );
  const produce = (
    topic: string,
    values: readonly string[] = ["x"],
    fields: { acks?: ProduceCall["acks"]; timeoutMs?: number; leaderEpoch?: number; partition?: number } = {},
  ): Promise<ProduceResult> => {
    const { acks = -1, timeoutMs = 1000, leaderEpoch = -1, partition = 0 } = fields;
    const partitions = [{ topic, partition, leaderEpoch, records: batchOf(...values) }];
    return handler.produce({ acks, timeoutMs, partitions }).then(([result]) => result!);
  };
  return { hosted, handler, produce };
}

/** Whether a promise has settled, without waiting for it. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol("pending");
  await new Promise((resolve) => setImmediate(resolve));
  return (await Promise.race([promise, Promise.resolve(pending)])) !== pending;
}

describe("acknowledgement", () => {
  test.each([1, -1] as const)("acks=%d waits until the batch is durable and says so", async (acks) => {
    const { hosted, produce } = setUp();
    hosted.create("a", 1, { epoch: 7 });
    const log = hosted.logs.at("a", 0);
    log.isInstant = false;
    const producing = produce("a", ["x", "y"], { acks });
    expect(await isSettled(producing)).toBe(false);
    log.sync();
    expect(await producing).toEqual({
      topic: "a",
      partition: 0,
      error: "NONE",
      errorMessage: "",
      baseOffset: 0,
      logAppendTimeMs: -1,
      logStartOffset: 0,
      leaderEpoch: 7,
      durability: "synced",
      replicas: 1,
      duplicate: false,
      leaderId: 1,
    });
    expect(leaderEpochOf(log.batches[0]!)).toBe(7);
    expect(hosted.scheduler.pendingCount).toBe(0);
  });

  test("acks=0 answers at once and promises nothing", async () => {
    const { hosted, produce } = setUp();
    hosted.create("a");
    hosted.logs.at("a", 0).isInstant = false;
    expect(await produce("a", ["x"], { acks: 0 })).toMatchObject({
      error: "NONE",
      baseOffset: -1,
      durability: "none",
      replicas: 0,
    });
    hosted.logs.at("a", 0).fail();
    expect(await produce("a", ["x"], { acks: 0 })).toMatchObject({ error: "KAFKA_STORAGE_ERROR" });
  });

  test("a disk that does not answer is REQUEST_TIMED_OUT after the call's time, and the late answer changes nothing", async () => {
    const { hosted, produce } = setUp();
    hosted.create("a");
    const log = hosted.logs.at("a", 0);
    log.isInstant = false;
    const producing = produce("a", ["x"], { timeoutMs: 250 });
    await hosted.scheduler.advance(249);
    expect(await isSettled(producing)).toBe(false);
    await hosted.scheduler.advance(1);
    expect(await producing).toMatchObject({ error: "REQUEST_TIMED_OUT", baseOffset: -1 });
    expect((await producing).errorMessage).toContain("250 ms");
    log.sync();
    await hosted.settle();
  });

  test("a disk failure is KAFKA_STORAGE_ERROR", async () => {
    const { hosted, produce } = setUp();
    hosted.create("a");
    hosted.logs.at("a", 0).isInstant = false;
    const producing = produce("a");
    expect(await isSettled(producing)).toBe(false);
    hosted.logs.at("a", 0).fail();
    expect(await producing).toMatchObject({ error: "KAFKA_STORAGE_ERROR", durability: "none" });
  });
});

describe("refusals write nothing", () => {
  test("the leader epoch must be the broker's, if one is given", async () => {
    const { hosted, produce } = setUp();
    hosted.create("a", 1, { epoch: 5 });
    const errors: string[] = [];
    for (const leaderEpoch of [4, 6, 5, -1]) errors.push((await produce("a", ["x"], { leaderEpoch })).error);
    expect(errors).toEqual(["FENCED_LEADER_EPOCH", "UNKNOWN_LEADER_EPOCH", "NONE", "NONE"]);
    expect(hosted.logs.at("a", 0).batches.length).toBe(2);
  });

  test("a partition led elsewhere names its leader", async () => {
    const { hosted, produce } = setUp();
    hosted.create("a", 1, { leader: 2 });
    expect(await produce("a")).toMatchObject({ error: "NOT_LEADER_OR_FOLLOWER", leaderId: 2 });
    expect(hosted.logs.at("a", 0).batches).toEqual([]);
  });

  test("an unknown topic or partition, an internal topic, and impossible acks are named", async () => {
    const { hosted, produce } = setUp();
    hosted.create("a");
    hosted.create("__consumer_offsets");
    expect(await produce("ghost")).toMatchObject({ error: "UNKNOWN_TOPIC_OR_PARTITION", leaderId: -1 });
    expect(await produce("a", ["x"], { partition: 1 })).toMatchObject({
      error: "UNKNOWN_TOPIC_OR_PARTITION",
    });
    expect(await produce("a", ["x"], { partition: -1 })).toMatchObject({
      error: "UNKNOWN_TOPIC_OR_PARTITION",
    });
    expect(await produce("__consumer_offsets")).toMatchObject({ error: "INVALID_TOPIC_EXCEPTION" });
    expect(await produce("a", ["x"], { acks: 2 as never })).toMatchObject({ error: "INVALID_REQUIRED_ACKS" });
    expect(hosted.logs.at("a", 0).batches).toEqual([]);
  });

  test("fewer in-sync replicas than min.insync.replicas refuse acks=all before the append, and only acks=all", async () => {
    const { hosted, produce } = setUp();
    const topicId = hosted.create("a", 1, { replicas: [1, 2], isr: [1] });
    hosted.setConfig(topicId, "min.insync.replicas", "2");
    const refused = await produce("a");
    expect(refused.error).toBe("NOT_ENOUGH_REPLICAS");
    expect(refused.errorMessage).toContain("min.insync.replicas=2");
    expect(hosted.logs.at("a", 0).batches).toEqual([]);
    expect((await produce("a", ["x"], { acks: 1 })).error).toBe("NONE");
  });

  test("a batch that too few replicas have when the time is over is told from one that is only late", async () => {
    const { hosted, produce } = setUp();
    const topicId = hosted.create("a", 1, { replicas: [1, 2], isr: [1] });
    const log = hosted.logs.at("a", 0);
    log.isInstant = false;
    const producing = produce("a");
    expect(await isSettled(producing)).toBe(false);
    hosted.setConfig(topicId, "min.insync.replicas", "2");
    log.sync();
    expect(await isSettled(producing)).toBe(false);
    await hosted.scheduler.advance(30_000);
    expect(await producing).toMatchObject({ error: "NOT_ENOUGH_REPLICAS_AFTER_APPEND", baseOffset: -1 });
  });

  test("acks=all is answered when the slowest in-sync replica has the batch, acks=1 when this broker has it", async () => {
    const { hosted, produce } = setUp();
    hosted.create("a", 1, { replicas: [1, 2], isr: [1, 2] });
    const all = produce("a");
    expect(await isSettled(all)).toBe(false);
    expect(await produce("a", ["y"], { acks: 1 })).toMatchObject({
      error: "NONE",
      baseOffset: 1,
      replicas: 1,
    });
    const role = hosted.table.find("a", 0)!.leaderRole!;
    const follower = { nodeId: nodeId(2), brokerEpoch: 2 };
    const at = { leaderEpoch: role.leaderEpoch, logEndOffset: offset(0), lastEpoch: -1 as LeaderEpoch };
    expect(role.follow(follower, at)).toEqual({ type: "ok" });
    role.progress(follower, offset(1));
    expect(await all).toMatchObject({ error: "NONE", baseOffset: 0, replicas: 2, durability: "synced" });
  });

  test("a partition of one replica needs no more than that one", async () => {
    const { hosted, produce } = setUp();
    hosted.setConfig(hosted.create("a"), "min.insync.replicas", "2");
    expect(await produce("a")).toMatchObject({ error: "NONE", replicas: 1 });
  });

  test("the broker's own min.insync.replicas holds for topics without one", async () => {
    const { hosted, produce } = setUp(new HostedTopics(brokerConfig({ "min.insync.replicas": "2" })));
    hosted.create("a", 1, { replicas: [1, 2], isr: [1] });
    expect((await produce("a")).error).toBe("NOT_ENOUGH_REPLICAS");
  });

  test("a leader that was deposed between append and sync does not acknowledge, and does not say that nothing was written", async () => {
    const { hosted, produce } = setUp();
    hosted.create("a");
    const log = hosted.logs.at("a", 0);
    log.isInstant = false;
    const producing = produce("a");
    expect(await isSettled(producing)).toBe(false);
    hosted.raiseEpochs();
    log.sync();
    expect(await producing).toMatchObject({ error: "NOT_ENOUGH_REPLICAS_AFTER_APPEND" });
  });

  test("a transactional batch is INVALID_TXN_STATE", async () => {
    const { hosted, handler } = setUp();
    hosted.create("a");
    const records = batchOf("x");
    records.writeInt16BE(0x10, 21);
    const call = {
      acks: -1,
      timeoutMs: 0,
      partitions: [{ topic: "a", partition: 0, leaderEpoch: -1, records }],
    } as const;
    expect(await handler.produce(call)).toMatchObject([{ error: "INVALID_TXN_STATE" }]);
  });
});

describe("order and openings", () => {
  test("calls that wait for a log to open are appended in the order of the calls, those of meanwhile behind them", async () => {
    const { hosted, produce } = setUp();
    hosted.create("a");
    hosted.logs.isHeld = true;
    const calls = ["1", "2", "3"].map((value) => produce("a", [value]));
    expect(await isSettled(Promise.race(calls))).toBe(false);
    expect(hosted.logs.openCount).toBe(1);
    hosted.logs.releaseOpenings();
    calls.push(produce("a", ["4"]));
    expect((await Promise.all(calls)).map(({ baseOffset }) => baseOffset)).toEqual([0, 1, 2, 3]);
    expect(hosted.logs.openCount).toBe(1);
  });

  test("two batches for one partition in one call keep their order", async () => {
    const { hosted, handler } = setUp();
    hosted.create("a");
    const partitions = [batchOf("1", "2"), batchOf("3")].map((records) => ({
      topic: "a",
      partition: 0,
      leaderEpoch: -1,
      records,
    }));
    const results = await handler.produce({ acks: -1, timeoutMs: 0, partitions });
    expect(results.map(({ baseOffset }) => baseOffset)).toEqual([0, 2]);
    expect(
      hosted.logs.at("a", 0).batches.map((batch) => [baseOffsetOf(batch), recordCountOf(batch)]),
    ).toEqual([
      [0, 2],
      [2, 1],
    ]);
  });

  test("results stand in the order of the call, good and bad ones mixed", async () => {
    const { hosted, handler } = setUp();
    hosted.create("a");
    hosted.create("b");
    const partitions = ["ghost", "a", "ghost", "b"].map((topic) => ({
      topic,
      partition: 0,
      leaderEpoch: -1,
      records: batchOf("x"),
    }));
    const results = await handler.produce({ acks: 1, timeoutMs: 0, partitions });
    expect(results.map(({ topic, error }) => [topic, error === "NONE"])).toEqual([
      ["ghost", false],
      ["a", true],
      ["ghost", false],
      ["b", true],
    ]);
    expect(await handler.produce({ acks: 1, timeoutMs: 0, partitions: [] })).toEqual([]);
  });

  test("a log that cannot be opened is told to all who wait, and tried again by the next call", async () => {
    const { hosted, produce } = setUp();
    hosted.create("a");
    hosted.logs.failure = new Error("no such device");
    const both = await Promise.all([produce("a"), produce("a")]);
    expect(both.map(({ error }) => error)).toEqual(["KAFKA_STORAGE_ERROR", "KAFKA_STORAGE_ERROR"]);
    expect(both[0]!.errorMessage).toContain("no such device");
    hosted.logs.failure = undefined;
    expect((await produce("a")).error).toBe("NONE");
  });

  test("a call whose time is over while the log opens is not appended any more", async () => {
    const { hosted, produce } = setUp();
    hosted.create("a");
    hosted.logs.isHeld = true;
    const producing = produce("a", ["late"], { timeoutMs: 10 });
    await hosted.scheduler.advance(10);
    expect((await producing).error).toBe("REQUEST_TIMED_OUT");
    hosted.logs.releaseOpenings();
    await hosted.settle();
    expect(hosted.logs.at("a", 0).batches).toEqual([]);
  });

  test("a topic that is deleted while its log opens is unknown, and its files go behind the opening", async () => {
    const { hosted, produce } = setUp();
    const topicId = hosted.create("a");
    hosted.logs.isHeld = true;
    const producing = produce("a");
    expect(await isSettled(producing)).toBe(false);
    hosted.remove(topicId);
    expect(hosted.logs.deleted).toEqual([]);
    hosted.logs.releaseOpenings();
    expect((await producing).error).toBe("UNKNOWN_TOPIC_OR_PARTITION");
    await hosted.table.idle();
    expect(hosted.logs.deleted).toEqual([`a-0 ${topicId}`]);
  });

  test("a new topic of a deleted one's name is opened behind the deletion of the old files", async () => {
    const { hosted, produce } = setUp();
    const oldId = hosted.create("a");
    await produce("a", ["old"]);
    hosted.remove(oldId);
    hosted.create("a");
    expect(await produce("a", ["new"])).toMatchObject({ error: "NONE", baseOffset: 0 });
    expect(hosted.logs.deleted).toEqual([`a-0 ${oldId}`]);
  });
});
