import { describe, expect, test } from "vitest";
import type { ConsumedRecord } from "../../src/client/index.ts";
import { groupHarness, until } from "./group-harness.ts";
import { failureOf } from "./harness.ts";

describe("what is left of a partition that went away (H60)", () => {
  test("a record from before is not committed over what was committed meanwhile", async () => {
    const h = groupHarness({ partitions: 1 });
    await h.fill(0, 5);
    const { consumer, events } = h.member({ commit: "manual" });
    const loop = consumer.messages();
    const { value: old } = await h.settle(loop.next());
    h.group.expel(h.group.memberId);
    await until(h, () => events.length === 3);
    expect(events).toEqual(["assigned 0", "lost 0", "assigned 0"]);
    // Whoever had it in between came further.
    h.group.offsets.set("t-0", 4);
    const error = await h.settle(failureOf(old?.commit?.() ?? Promise.resolve()));
    expect(error).toMatchObject({ code: "ILLEGAL_GENERATION", retriable: false });
    expect(error.message).toMatch(/t-0.*taken from this member of group g.*leave the record/);
    await h.scheduler.advance(1000);
    expect(h.group.offsets.get("t-0")).toBe(4);
    await h.settle(loop.return(undefined));
  });

  test("a handler that outlives the rebalance timeout is told, and nothing of it is committed later", async () => {
    const h = groupHarness({ partitions: 2 });
    await h.fill(0, 1);
    await h.fill(1, 1);
    const first = h.member({ rebalanceTimeoutMs: 10_000 });
    const ended: string[] = [];
    const run = first.consumer.run({
      concurrency: 2,
      eachMessage: async (record, { signal }) => {
        if (record.partition === 1) await h.clock.sleep(30_000);
        ended.push(`${record.partition} ${signal.aborted ? "lost" : "kept"}`);
      },
    });
    await until(h, () => ended.length === 1);
    const second = h.member();
    await h.settle(second.consumer.ready());
    await until(h, () => second.consumer.assignment.length === 1);
    expect(first.events).toEqual(["assigned 0,1", "lost 1"]);
    expect(first.consumer.status).toMatchObject({
      state: "stable",
      assignment: [{ topic: "t", partition: 0 }],
    });
    const before = h.group.commits.length;
    await until(h, () => ended.length === 2);
    await h.scheduler.advance(5000);
    expect(ended).toEqual(["0 kept", "1 lost"]);
    const { memberId } = h.group;
    const late = h.group.commits.slice(before).filter((commit) => commit.memberId === memberId);
    expect(late).toEqual([]);
    expect(first.errors.filter(({ code }) => code === "INVALID_REQUEST")).toEqual([]);
    await h.settle(first.consumer.close());
    await h.settle(run);
  });

  test("a slow handler holds up its own partition: what was processed of the others is committed", async () => {
    const h = groupHarness({ partitions: 4 });
    for (const partition of [0, 1, 2, 3]) await h.fill(partition, 1);
    const first = h.member({ rebalanceTimeoutMs: 10_000, commit: { intervalMs: 60_000 } });
    const ended: number[] = [];
    const run = first.consumer.run({
      concurrency: 4,
      eachMessage: async ({ partition }) => {
        if (partition === 1) await h.clock.sleep(20_000);
        ended.push(partition);
      },
    });
    await until(h, () => ended.length === 3);
    const second = h.member();
    await h.settle(second.consumer.ready());
    await until(h, () => second.consumer.assignment.length === 2);
    expect(first.events).toEqual(["assigned 0,1,2,3", "revoked 3", "lost 1"]);
    expect(h.group.offsets.get("t-3")).toBe(1);
    await until(h, () => ended.length === 4);
    await h.settle(first.consumer.close());
    await h.settle(run);
  });

  test("a member that is fenced while it closes does not wait for commits that nobody takes", async () => {
    const h = groupHarness({ partitions: 1 });
    await h.fill(0, 1);
    const { consumer, events } = h.member();
    let isCalled = false;
    const run = consumer.run({
      eachMessage: async () => {
        isCalled = true;
        await h.clock.sleep(3000);
      },
    });
    await until(h, () => isCalled);
    const startMs = h.clock.monotonicMs();
    const closed = consumer.close();
    h.group.expel(h.group.memberId);
    await h.settle(closed);
    expect(h.clock.monotonicMs() - startMs).toBeLessThan(6000);
    expect(events).toEqual(["assigned 0", "lost 0"]);
    await h.settle(run);
  });
});

test("a listener that throws is its owner's error, and the member goes on", async () => {
  const h = groupHarness({ partitions: 1 });
  await h.fill(0, 1);
  const { consumer } = h.member();
  consumer.on("assigned", () => {
    throw new Error("a bug in a listener");
  });
  const loop = consumer.messages();
  const next = loop.next();
  const uncaught = await failureOf(until(h, () => false, 1000));
  expect(uncaught.message).toBe("a bug in a listener");
  const { value } = await h.settle(next);
  expect((value as ConsumedRecord | undefined)?.offset).toBe(0);
  await h.settle(loop.return(undefined));
  expect(consumer.status.state).toBe("stable");
});
