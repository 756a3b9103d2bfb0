import { describe, expect, test } from "vitest";
import type { ConsumedRecord, Consumer } from "../../src/client/index.ts";
import { groupHarness, until, type GroupHarness } from "./group-harness.ts";
import { failureOf } from "./harness.ts";

/** The values of the next `count` records; the loop is left by asking for one more. */
async function read(h: GroupHarness, consumer: Consumer, count: number): Promise<string[]> {
  const out: string[] = [];
  const loop = consumer.messages();
  while (out.length < count) {
    const { value } = await h.settle(loop.next());
    if (value === undefined) break;
    out.push(String(value.value));
  }
  void loop.next();
  await h.scheduler.advance(100);
  return out;
}

describe("where a member begins", () => {
  test("at the committed offset, and at the reset position only where nothing is committed (H63)", async () => {
    const h = groupHarness({ partitions: 2 });
    await h.fill(0, 3);
    await h.fill(1, 3);
    h.group.offsets.set("t-1", 2);
    const { consumer } = h.member();
    expect((await read(h, consumer, 4)).sort()).toEqual(["0:0", "0:1", "0:2", "1:2"]);
  });

  test("an error in place of a committed offset is not taken for none", async () => {
    const h = groupHarness({ partitions: 1 });
    await h.fill(0, 3);
    h.group.offsets.set("t-0", 2);
    h.group.fetchError = () => "UNSTABLE_OFFSET_COMMIT";
    const { consumer, errors } = h.member();
    await h.settle(consumer.ready());
    await h.scheduler.advance(5000);
    expect(consumer.position({ topic: "t", partition: 0 })).toBeUndefined();
    expect(errors[0]).toMatchObject({ code: "UNSTABLE_OFFSET_COMMIT", retriable: true });
    h.group.fetchError = () => undefined;
    expect(await read(h, consumer, 1)).toEqual(["0:2"]);
  });

  test("without a commit and with autoOffsetReset none it stops and says what to do", async () => {
    const h = groupHarness({ partitions: 1 });
    const { consumer } = h.member({ autoOffsetReset: "none" });
    const error = await h.settle(failureOf(consumer.messages().next()));
    expect(error).toMatchObject({ code: "OFFSET_OUT_OF_RANGE" });
    expect(error.message).toMatch(/has committed no offset for t-0.*seek/);
  });

  test("a start at the end is committed, so that a successor does not begin at a later end", async () => {
    const h = groupHarness({ partitions: 1 });
    await h.fill(0, 3);
    const { consumer } = h.member({ autoOffsetReset: "latest" });
    await h.settle(consumer.ready());
    await until(h, () => h.group.offsets.get("t-0") === 3);
    await h.fill(0, 1);
    await h.settle(consumer.close());
    const next = h.member({ autoOffsetReset: "latest" });
    expect(await read(h, next.consumer, 1)).toEqual(["0:0"]);
  });

  test("a committed offset that is gone is reset, with an error event", async () => {
    const h = groupHarness({ partitions: 1 });
    await h.fill(0, 3);
    h.group.offsets.set("t-0", 99);
    const { consumer, errors } = h.member();
    expect(await read(h, consumer, 3)).toEqual(["0:0", "0:1", "0:2"]);
    expect(errors.map(({ code }) => code)).toContain("OFFSET_OUT_OF_RANGE");
  });

  test("what is sought or paused when it is assigned stays so", async () => {
    const h = groupHarness({ partitions: 2 });
    await h.fill(0, 3);
    await h.fill(1, 3);
    const { consumer } = h.member();
    consumer.on("assigned", () => {
      consumer.seek({ topic: "t", partition: 0 }, 2);
      consumer.pause([{ topic: "t", partition: 1 }]);
    });
    expect(await read(h, consumer, 1)).toEqual(["0:2"]);
    expect(consumer.position({ topic: "t", partition: 1 }) ?? 0).toBe(0);
    expect(() => consumer.seek({ topic: "other", partition: 0 }, 1)).toThrow(/not assigned/);
  });
});

describe("what counts as processed", () => {
  test("a record does when the next one is asked for, and not before", async () => {
    const h = groupHarness({ partitions: 1 });
    await h.fill(0, 3);
    const { consumer } = h.member();
    const loop = consumer.messages();
    await h.settle(loop.next());
    await h.settle(loop.next());
    await h.scheduler.advance(1000);
    expect(h.group.offsets.get("t-0")).toBe(1);
    void loop.next();
    await h.scheduler.advance(1000);
    expect(h.group.offsets.get("t-0")).toBe(2);
  });

  test("one that a loop was left with does not, until more is asked for", async () => {
    const h = groupHarness({ partitions: 1 });
    await h.fill(0, 3);
    const { consumer } = h.member();
    for (const value of ["0:0", "0:1"]) {
      const loop = consumer.messages();
      const { value: record } = await h.settle(loop.next());
      expect(String((record as ConsumedRecord).value)).toBe(value);
      await h.settle(loop.return());
    }
    await h.settle(consumer.close());
    expect(h.group.offsets.get("t-0")).toBe(1);
    expect(await read(h, h.member().consumer, 2)).toEqual(["0:1", "0:2"]);
  });

  test("commitOffsets counts it too", async () => {
    const h = groupHarness({ partitions: 1 });
    await h.fill(0, 3);
    const { consumer } = h.member();
    const loop = consumer.messages();
    await h.settle(loop.next());
    await h.settle(loop.return());
    await h.settle(consumer.commitOffsets());
    expect(h.group.offsets.get("t-0")).toBe(1);
    expect(await h.settle(consumer.committed())).toMatchObject([{ topic: "t", partition: 0, offset: 1 }]);
  });

  test("by hand: only what commit of a record, a batch or the consumer says", async () => {
    const h = groupHarness({ partitions: 1 });
    await h.fill(0, 5);
    const { consumer } = h.member({ commit: "manual" });
    const loop = consumer.messages();
    await h.settle(loop.next());
    const { value: second } = await h.settle(loop.next());
    await h.settle(loop.next());
    await h.scheduler.advance(1000);
    expect(h.group.commits).toEqual([]);
    const record = second as ConsumedRecord;
    await h.settle(record.commit?.() ?? Promise.reject(new Error("no commit")));
    expect(h.group.offsets.get("t-0")).toBe(2);
    await h.settle(loop.return());
    const { value: batch } = await h.settle(consumer.batches().next());
    if (batch === undefined) throw new Error("no batch");
    await h.settle(batch.commit?.() ?? Promise.reject(new Error("no commit")));
    expect(h.group.offsets.get("t-0")).toBe(4);
    await h.settle(consumer.commitOffsets([{ topic: "t", partition: 0, offset: 1 }]));
    expect(h.group.offsets.get("t-0")).toBe(1);
    await h.settle(consumer.close());
    expect(h.group.offsets.get("t-0")).toBe(1);
  });

  test("every so often: in one request, and when the partition is given up", async () => {
    const h = groupHarness({ partitions: 1 });
    await h.fill(0, 5);
    const { consumer } = h.member({ commit: { intervalMs: 5000 } });
    await read(h, consumer, 4);
    await h.scheduler.advance(3000);
    expect(h.group.offsets.get("t-0")).toBeUndefined();
    await h.scheduler.advance(2500);
    expect(h.group.offsets.get("t-0")).toBe(4);
    expect(h.group.commits).toHaveLength(1);
  });
});

describe("partitions come and go", () => {
  test("two members share, one leaves, the other goes on without a gap or a repetition", async () => {
    const h = groupHarness({ partitions: 4 });
    for (const partition of [0, 1, 2, 3]) await h.fill(partition, 20);
    const seen: string[] = [];
    const members = [h.member(), h.member()];
    const runs = members.map(({ consumer }) =>
      consumer.run({
        eachMessage: async (record) => {
          seen.push(String(record.value));
          await h.clock.sleep(20);
        },
      }),
    );
    await until(h, () => h.group.shares.length === 2 && h.group.shares.every(({ length }) => length === 2));
    await until(h, () => seen.length > 20);
    const [first] = members;
    await h.settle(first?.consumer.close() ?? Promise.resolve());
    await until(h, () => seen.length === 80);
    expect(new Set(seen).size).toBe(80);
    await h.scheduler.advance(1000);
    expect([0, 1, 2, 3].map((partition) => h.group.offsets.get(`t-${partition}`))).toEqual([20, 20, 20, 20]);
    expect(members[1]?.events.at(-1)).toMatch(/^assigned/);
    await h.settle(h.client.close());
    await h.settle(Promise.all(runs));
  });

  test("what a member keeps is not interrupted when others come", async () => {
    const h = groupHarness({ partitions: 2 });
    const first = h.member();
    await h.settle(first.consumer.ready());
    const second = h.member();
    await h.settle(second.consumer.ready());
    await until(h, () => second.consumer.assignment.length === 1);
    expect(first.events).toEqual(["assigned 0,1", "revoked 1"]);
    expect(second.events).toEqual(["assigned 1"]);
    expect(first.consumer.status).toMatchObject({ state: "stable", groupId: "g", memberEpoch: 2 });
  });

  test("the rest of a batch is not handed out once the partition is to go, and the next owner begins there", async () => {
    const h = groupHarness({ partitions: 2 });
    const producer = h.client.producer({ lingerMs: 50 });
    const records = Array.from({ length: 10 }, (_, index) => ({ value: `1:${index}`, partition: 1 }));
    await h.settle(producer.sendBatch("t", records));
    await h.settle(producer.close());
    const first = h.member();
    const loop = first.consumer.messages();
    await h.settle(loop.next());
    await h.settle(loop.next());
    const second = h.member();
    void second.consumer.ready();
    // The application has a record of it in its hands: it is waited for.
    await h.scheduler.advance(5000);
    expect(second.consumer.assignment).toEqual([]);
    expect(first.consumer.status.state).toBe("rebalancing");
    const third = loop.next();
    expect(await read(h, second.consumer, 8)).toEqual(records.slice(2).map(({ value }) => value));
    expect(first.events.at(-1)).toBe("revoked 1");
    await h.settle(first.consumer.close());
    expect(await h.settle(third)).toEqual({ value: undefined, done: true });
  });

  test("a commit that is begun when partitions are revoked is done before they are given up", async () => {
    const h = groupHarness({ partitions: 2 });
    await h.fill(1, 5);
    const first = h.member({ commit: "manual" });
    const outcomes: string[] = [];
    first.consumer.on("revoked", () => {
      first.consumer.commitOffsets([{ topic: "t", partition: 1, offset: 3 }]).then(
        () => outcomes.push("committed"),
        (error: unknown) => outcomes.push(String(error)),
      );
    });
    await h.settle(first.consumer.ready());
    await h.scheduler.advance(100);
    const second = h.member();
    expect(await read(h, second.consumer, 2)).toEqual(["1:3", "1:4"]);
    expect(outcomes).toEqual(["committed"]);
  });

  test("a handler that sleeps ten minutes keeps its partition", async () => {
    const h = groupHarness({ partitions: 1 });
    await h.fill(0, 1);
    const { consumer, events } = h.member();
    let isDone = false;
    const run = consumer.run({
      eachMessage: async () => {
        await h.clock.sleep(600_000);
        isDone = true;
      },
    });
    await h.scheduler.advance(500_000);
    expect(consumer.status.lastHeartbeatAgoMs).toBeLessThan(1100);
    await until(h, () => isDone, 200_000);
    await h.scheduler.advance(1000);
    expect(events).toEqual(["assigned 0"]);
    expect(h.group.offsets.get("t-0")).toBe(1);
    await h.settle(consumer.close());
    await h.settle(run);
  });

  test("a slow handler holds up its own partition: what else is given up goes on at once", async () => {
    const h = groupHarness({ partitions: 4 });
    await h.fill(3, 1);
    const { consumer } = h.member();
    let isDone = false;
    const run = consumer.run({
      eachMessage: async () => {
        await h.clock.sleep(100_000);
        isDone = true;
      },
    });
    await until(h, () => consumer.assignment.length === 4);
    await h.scheduler.advance(1000);
    const second = h.member();
    await h.settle(second.consumer.ready());
    await until(h, () => second.events.includes("assigned 1"), 20_000);
    expect(isDone).toBe(false);
    await until(h, () => second.events.includes("assigned 3"), 150_000);
    expect(isDone).toBe(true);
    expect(h.group.offsets.get("t-3")).toBe(1);
    await h.settle(consumer.close());
    await h.settle(run);
  });

  test("a lost membership: handlers hear of it, nothing of it is committed, and the member joins again", async () => {
    const h = groupHarness({ partitions: 1 });
    await h.fill(0, 2);
    const { consumer, events, errors } = h.member();
    let wasTold = false;
    const run = consumer.run({
      eachMessage: async (_, { signal }) => {
        if (wasTold) return;
        await h.clock.sleep(10_000, signal).catch(() => {
          wasTold = true;
        });
      },
    });
    await until(h, () => consumer.assignment.length === 1);
    await h.scheduler.advance(500);
    h.group.expel(h.group.memberId);
    await until(h, () => wasTold);
    expect(events).toContain("lost 0");
    expect(errors.map(({ code }) => code)).toContain("UNKNOWN_MEMBER_ID");
    // Where it began, and nothing beyond.
    expect(h.group.offsets.get("t-0")).toBe(0);
    await until(h, () => h.group.offsets.get("t-0") === 2);
    expect(events).toEqual(["assigned 0", "lost 0", "assigned 0"]);
    await h.settle(consumer.close());
    await h.settle(run);
  });

  test("topics that come into the assignment are read although nobody named them before", async () => {
    const h = groupHarness({ partitions: 1 });
    h.cluster.addTopic("orders-eu", 1);
    const producer = h.client.producer({ lingerMs: 0 });
    await h.settle(producer.send("orders-eu", { value: "eu" }));
    const { consumer } = h.member({ topics: [/orders-[a-z]+/] });
    h.group.share([]);
    await h.settle(consumer.ready());
    expect(h.group.heartbeats[0]).toMatchObject({
      subscribedTopicRegex: "orders-[a-z]+",
      subscribedTopics: { names: [] },
    });
    h.group.share(["orders-eu-0"]);
    expect(await read(h, consumer, 1)).toEqual(["eu"]);
  });
});

test("a topic that is deleted and made again ends no iteration: it comes as another one (H24)", async () => {
  const h = groupHarness({ partitions: 1, brokers: 2 });
  await h.fill(0, 3);
  const { consumer, events, errors } = h.member();
  const loop = consumer.messages();
  for (let count = 0; count < 3; count++) await h.settle(loop.next());
  const next = loop.next();
  h.cluster.topicIds.set("t", Buffer.alloc(16, 2));
  h.cluster.moveLeader("t", 0, 1);
  h.cluster.serveFetches();
  await until(h, () => errors.some(({ code }) => code === "INCONSISTENT_TOPIC_ID"));
  h.group.share([]);
  await until(h, () => events.length === 2);
  h.group.offsets.clear();
  h.group.share(["t-0"]);
  const { value } = await h.settle(next);
  expect(String((value as ConsumedRecord).value)).toBe("0:0");
  expect(events).toEqual(["assigned 0", "revoked 0", "assigned 0"]);
});

test("each change of the assignment is told with all of it", async () => {
  const h = groupHarness({ partitions: 2 });
  const { consumer } = h.member();
  const changes: string[] = [];
  consumer.on("rebalance", ({ assignment, memberEpoch }) =>
    changes.push(`${memberEpoch}: ${assignment.map(({ partition }) => partition).join()}`),
  );
  await h.settle(consumer.ready());
  const second = h.member();
  await h.settle(second.consumer.ready());
  await until(h, () => changes.length === 2);
  expect(changes).toEqual(["1: 0,1", "1: 0"]);
});
