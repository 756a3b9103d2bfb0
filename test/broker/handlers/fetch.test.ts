import { describe, expect, test } from "vitest";
import { FetchHandler } from "../../../src/broker/handlers/fetch.ts";
import type { FetchCall } from "../../../src/broker/handlers/fetch.ts";
import type { FetchedPartition } from "../../../src/broker/fetched-partition.ts";
import { batchOf, batchOfSize } from "../fake-logs.ts";
import { HostedTopics, NODE } from "../hosted-topics.ts";

const KIB = 1024;

class Poll {
  results: readonly FetchedPartition[] | undefined;
  failure: unknown;
  readonly abort = new AbortController();
  constructor(
    handler: FetchHandler,
    call: Partial<FetchCall> & { topics: readonly string[]; offset?: number },
  ) {
    const { topics, offset = 0, ...rest } = call;
    const partitions = topics.map((topic) => ({
      topic,
      partition: 0,
      offset,
      leaderEpoch: -1,
      maxBytes: 1000 * KIB,
    }));
    const defaults = { maxWaitMs: 500, minBytes: 1, maxBytes: 1000 * KIB, readCommitted: false, partitions };
    handler.fetch({ ...defaults, ...rest }, this.abort.signal).then(
      (results) => (this.results = results),
      (error: unknown) => (this.failure = error),
    );
  }
  get batches(): number {
    return (this.results ?? []).flatMap(({ records }) => records).length;
  }
}

function setUp(...topics: string[]) {
  const hosted = new HostedTopics();
  const ids = topics.map((topic) => hosted.create(topic));
  const handler = new FetchHandler({ nodeId: NODE }, { table: hosted.table, clock: hosted.clock });
  const append = (topic: string, batch: Buffer): void => {
    hosted.logs.at(topic, 0).append(batch, { leaderEpoch: 0 as never });
  };
  return { hosted, handler, append, ids };
}

describe("long poll", () => {
  test("what is there is answered at once, one result for each partition in order", async () => {
    const { hosted, handler, append } = setUp("a", "b");
    append("b", batchOf("x"));
    const poll = new Poll(handler, { topics: ["a", "b"] });
    await hosted.settle();
    expect(
      poll.results!.map(({ topic, highWatermark, records }) => [topic, highWatermark, records.length]),
    ).toEqual([
      ["a", 0, 0],
      ["b", 1, 1],
    ]);
  });

  test("an empty poll waits for the first record, and leaves nothing behind", async () => {
    const { hosted, handler, append } = setUp("a", "b");
    const poll = new Poll(handler, { topics: ["a", "b"] });
    await hosted.scheduler.advance(100);
    expect(poll.results).toBeUndefined();
    append("b", batchOf("x"));
    await hosted.settle();
    expect(poll.batches).toBe(1);
    expect(hosted.scheduler.pendingCount).toBe(0);
    expect(hosted.logs.at("a", 0).listeners.size + hosted.logs.at("b", 0).listeners.size).toBe(0);
  });

  test("it ends empty when the time is over", async () => {
    const { hosted, handler } = setUp("a");
    const poll = new Poll(handler, { topics: ["a"] });
    await hosted.scheduler.advance(499);
    expect(poll.results).toBeUndefined();
    await hosted.scheduler.advance(1);
    expect(poll.results).toMatchObject([{ error: "NONE", records: [] }]);
    expect(hosted.logs.at("a", 0).listeners.size).toBe(0);
  });

  test("it waits for minBytes over all partitions, and gives what there is at the deadline", async () => {
    const { hosted, handler, append } = setUp("a", "b");
    const first = new Poll(handler, { topics: ["a", "b"], minBytes: 3 * KIB });
    append("a", batchOfSize(2 * KIB));
    await hosted.settle();
    expect(first.results).toBeUndefined();
    append("b", batchOfSize(2 * KIB));
    await hosted.settle();
    expect(first.batches).toBe(2);
    const second = new Poll(handler, { topics: ["a"], minBytes: 3 * KIB });
    await hosted.scheduler.advance(500);
    expect(second.batches).toBe(1);
  });

  test("a record that becomes durable while the first read is under way is not missed", async () => {
    const { hosted, handler, append } = setUp("a", "b");
    append("a", batchOfSize(100));
    hosted.logs.at("a", 0).isOnDisk = true;
    const poll = new Poll(handler, { topics: ["a", "b"], minBytes: 200 });
    await hosted.settle();
    append("b", batchOfSize(300));
    hosted.logs.at("a", 0).finishReads();
    await hosted.settle();
    hosted.logs.at("a", 0).finishReads();
    await hosted.settle();
    expect(poll.batches).toBe(2);
  });

  test("what is written but not durable is neither read nor counted", async () => {
    const { hosted, handler, append } = setUp("a");
    hosted.logs.at("a", 0).isInstant = false;
    append("a", batchOf("x"));
    const poll = new Poll(handler, { topics: ["a"] });
    await hosted.scheduler.advance(10);
    expect(poll.results).toBeUndefined();
    hosted.logs.at("a", 0).sync();
    await hosted.settle();
    expect(poll.batches).toBe(1);
  });

  test("an error ends the wait at once", async () => {
    const { hosted, handler } = setUp("a");
    const poll = new Poll(handler, { topics: ["a", "ghost"] });
    await hosted.settle();
    expect(poll.results!.map(({ error }) => error)).toEqual(["NONE", "UNKNOWN_TOPIC_OR_PARTITION"]);
  });

  test("a topic that is deleted under a poll ends it with UNKNOWN_TOPIC_OR_PARTITION", async () => {
    const { hosted, handler, ids } = setUp("a");
    const poll = new Poll(handler, { topics: ["a"] });
    await hosted.settle();
    hosted.remove(ids[0]!);
    await hosted.settle();
    expect(poll.results).toMatchObject([{ error: "UNKNOWN_TOPIC_OR_PARTITION" }]);
  });

  test("an offset past the end is OFFSET_OUT_OF_RANGE", async () => {
    const { hosted, handler } = setUp("a");
    const poll = new Poll(handler, { topics: ["a"], offset: 5 });
    await hosted.settle();
    expect(poll.results).toMatchObject([{ error: "OFFSET_OUT_OF_RANGE" }]);
  });

  test("maxBytes bounds the answer, but the first batch always comes", async () => {
    const { hosted, handler, append } = setUp("a", "b");
    append("a", batchOfSize(10 * KIB));
    append("a", batchOfSize(10 * KIB));
    append("b", batchOfSize(10 * KIB));
    const poll = new Poll(handler, { topics: ["a", "b"], maxBytes: 1 });
    await hosted.settle();
    expect(poll.results!.map(({ records }) => records.length)).toEqual([1, 0]);
  });

  test("a bound of 0 is the default, not nothing", async () => {
    const { hosted, handler, append } = setUp("a");
    append("a", batchOfSize(10 * KIB));
    const partitions = [{ topic: "a", partition: 0, offset: 0, leaderEpoch: -1, maxBytes: 0 }];
    const poll = new Poll(handler, { topics: [], partitions, maxBytes: 0 });
    await hosted.settle();
    expect(poll.batches).toBe(1);
  });

  test("an abort rejects with its reason and frees everything", async () => {
    const { hosted, handler } = setUp("a");
    const poll = new Poll(handler, { topics: ["a"] });
    await hosted.settle();
    poll.abort.abort(new Error("gone"));
    await hosted.settle();
    expect(poll.failure).toMatchObject({ message: "gone" });
    expect(hosted.logs.at("a", 0).listeners.size).toBe(0);
    expect(hosted.scheduler.pendingCount).toBe(0);
  });
});
