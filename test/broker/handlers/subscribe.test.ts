import { describe, expect, test } from "vitest";
import { FetchHandler } from "../../../src/broker/handlers/fetch.ts";
import { OffsetsHandler } from "../../../src/broker/handlers/offsets.ts";
import { openSubscription } from "../../../src/broker/handlers/subscribe.ts";
import type { SubscribeCall, Subscription } from "../../../src/broker/handlers/subscribe.ts";
import { BatchBuilder } from "../../../src/model/batch-builder.ts";
import { encodeMarkerBatch } from "../../../src/model/control-record.ts";
import { batchOf } from "../fake-logs.ts";
import { HostedTopics, NODE } from "../hosted-topics.ts";

class Reader {
  readonly values: string[] = [];
  readonly sends: number[] = [];
  outcome: string | undefined;
  endCount = 0;
  isSlow = false;
  readonly subscription: Subscription;

  constructor(hosted: HostedTopics, fields: Partial<SubscribeCall> = {}) {
    const call = {
      topic: "a",
      partitions: [],
      from: { kind: "beginning" } as const,
      maxRecords: 0,
      stopAtEnd: false,
      maxMessageBytes: 0,
      ...fields,
    };
    const node = { nodeId: NODE };
    const { table, clock } = hosted;
    const fetch = new FetchHandler(node, { table, clock });
    this.subscription = openSubscription(
      call,
      {
        send: (records) => {
          this.values.push(
            ...records.map(({ partition, offset, value }) => `${partition}/${offset} ${String(value)}`),
          );
          this.sends.push(records.length);
          return !this.isSlow;
        },
        end: ({ error }) => {
          this.outcome = error;
          this.endCount++;
        },
      },
      { table, fetch, offsets: new OffsetsHandler(node, { table }) },
    );
  }
}

function setUp(partitions = 1) {
  const hosted = new HostedTopics();
  const topicId = hosted.create("a", partitions);
  const append = (batch: Buffer, partition = 0): void => {
    hosted.logs.at("a", partition).append(batch, { leaderEpoch: 0 as never });
  };
  return { hosted, topicId, append };
}

describe("subscription", () => {
  test("plain records come from the beginning on, and later ones as they are written", async () => {
    const { hosted, append } = setUp();
    append(batchOf("x", "y"));
    const reader = new Reader(hosted);
    await hosted.settle();
    append(batchOf("z"));
    await hosted.settle();
    expect(reader.values).toEqual(["0/0 x", "0/1 y", "0/2 z"]);
    expect(reader.outcome).toBeUndefined();
    reader.subscription.close();
    append(batchOf("after"));
    await hosted.settle();
    expect([reader.values.length, reader.endCount, hosted.logs.at("a", 0).listeners.size]).toEqual([3, 0, 0]);
  });

  test("an offset inside a batch begins there", async () => {
    const { hosted, append } = setUp();
    append(batchOf("0", "1", "2"));
    const reader = new Reader(hosted, { from: { kind: "offset", offset: 1 } });
    await hosted.settle();
    expect(reader.values).toEqual(["0/1 1", "0/2 2"]);
  });

  test("from the end only what comes is seen", async () => {
    const { hosted, append } = setUp();
    append(batchOf("old"));
    const reader = new Reader(hosted, { from: { kind: "end" } });
    await hosted.settle();
    append(batchOf("new"));
    await hosted.settle();
    expect(reader.values).toEqual(["0/1 new"]);
  });

  test("stopAtEnd ends at the ends of the call, over all partitions, empty ones included", async () => {
    const { hosted, append } = setUp(3);
    append(batchOf("x", "y"), 0);
    append(batchOf("z"), 2);
    const reader = new Reader(hosted, { stopAtEnd: true });
    await hosted.settle();
    expect(reader.values.toSorted()).toEqual(["0/0 x", "0/1 y", "2/0 z"]);
    expect([reader.outcome, reader.endCount]).toEqual(["NONE", 1]);
    const empty = new Reader(hosted, { stopAtEnd: true, partitions: [1] });
    await hosted.settle();
    expect([empty.outcome, empty.values]).toEqual(["NONE", []]);
  });

  test("maxRecords ends in the middle of a batch", async () => {
    const { hosted, append } = setUp();
    append(batchOf("0", "1", "2"));
    const reader = new Reader(hosted, { maxRecords: 2 });
    await hosted.settle();
    expect([reader.values, reader.outcome]).toEqual([["0/0 0", "0/1 1"], "NONE"]);
  });

  test("control batches are passed over, and the end is reached all the same", async () => {
    const { hosted, append } = setUp();
    append(batchOf("x"));
    append(
      encodeMarkerBatch({
        outcome: "commit",
        coordinatorEpoch: 0,
        producerId: 1 as never,
        producerEpoch: 0 as never,
        timestamp: 1 as never,
        baseOffset: 0 as never,
        leaderEpoch: 0 as never,
      } as never),
    );
    const reader = new Reader(hosted, { stopAtEnd: true });
    await hosted.settle();
    expect([reader.values, reader.outcome]).toEqual([["0/0 x"], "NONE"]);
  });

  test("compressed batches are inflated", async () => {
    const { hosted, append } = setUp();
    const builder = new BatchBuilder({ codec: "gzip", targetBytes: 100_000 });
    for (let i = 0; i < 10; i++) builder.tryAppend(1, null, "z".repeat(100) + i);
    append(builder.build());
    const reader = new Reader(hosted, { stopAtEnd: true });
    await hosted.settle();
    expect(reader.values.length).toBe(10);
  });

  test("a slow sink gets no more until it has drained, and the log is not read ahead without bound", async () => {
    const { hosted, append } = setUp();
    for (let i = 0; i < 100; i++) append(batchOf("x".repeat(10_000)));
    const reader = new Reader(hosted, { maxMessageBytes: 20_000 });
    reader.isSlow = true;
    await hosted.settle();
    expect(reader.sends.length).toBe(1);
    expect(hosted.logs.at("a", 0).readCount).toBeLessThanOrEqual(3);
    for (let step = 0; step < 200 && reader.values.length < 100; step++) {
      reader.subscription.drained();
      await hosted.settle();
    }
    expect(reader.values.length).toBe(100);
    expect(Math.max(...reader.sends)).toBeLessThanOrEqual(2);
  });

  test.each([
    [{ topic: "ghost" }, "UNKNOWN_TOPIC_OR_PARTITION"],
    [{ partitions: [7] }, "UNKNOWN_TOPIC_OR_PARTITION"],
    [{ from: { kind: "offset", offset: 9 } as const }, "OFFSET_OUT_OF_RANGE"],
  ])("%j ends once with %s", async (fields, error) => {
    const { hosted } = setUp();
    const reader = new Reader(hosted, fields);
    await hosted.settle();
    expect([reader.outcome, reader.endCount]).toEqual([error, 1]);
  });

  test("a deleted topic ends the subscription", async () => {
    const { hosted, topicId } = setUp();
    const reader = new Reader(hosted);
    await hosted.settle();
    hosted.remove(topicId);
    await hosted.settle();
    expect([reader.outcome, reader.endCount]).toEqual(["UNKNOWN_TOPIC_OR_PARTITION", 1]);
  });

  test("a batch that does not hold together ends it with CORRUPT_MESSAGE", async () => {
    const { hosted, append } = setUp();
    const batch = batchOf("x");
    batch.writeUInt8(0xff, 61);
    append(batch);
    const reader = new Reader(hosted);
    await hosted.settle();
    expect([reader.outcome, reader.values]).toEqual(["CORRUPT_MESSAGE", []]);
  });
});
