import { describe, expect, test } from "vitest";
import { groupHarness, until } from "./group-harness.ts";
import { failureOf } from "./harness.ts";

describe("the end", () => {
  test("a commit that is begun when the close revokes is done", async () => {
    const h = groupHarness({ partitions: 1 });
    await h.fill(0, 3);
    const { consumer } = h.member({ commit: "manual" });
    const outcomes: unknown[] = [];
    consumer.on("revoked", () => {
      consumer.commitOffsets([{ topic: "t", partition: 0, offset: 2 }]).then(
        () => outcomes.push("committed"),
        (error: unknown) => outcomes.push(error),
      );
    });
    await h.settle(consumer.ready());
    await h.scheduler.advance(100);
    await h.settle(consumer.close());
    expect(outcomes).toEqual(["committed"]);
    expect(h.group.offsets.get("t-0")).toBe(2);
    expect(await h.settle(failureOf(consumer.commitOffsets([])))).toMatchObject({ code: "CLOSED" });
  });

  test("close: nothing more is handed out, handlers finish, then commit, then leave; no timer is left", async () => {
    const h = groupHarness({ partitions: 1 }, { metadataMaxAgeMs: 1_000_000 });
    await h.fill(0, 5);
    const { consumer } = h.member();
    const steps: string[] = [];
    const run = consumer.run({
      eachMessage: async (record) => {
        steps.push(`begin ${record.offset}`);
        await h.clock.sleep(2000);
        steps.push(`end ${record.offset}`);
      },
    });
    await until(h, () => steps.length === 1);
    await h.settle(consumer.close());
    expect(steps).toEqual(["begin 0", "end 0"]);
    expect(h.group.offsets.get("t-0")).toBe(1);
    expect(h.group.heartbeats.at(-1)?.memberEpoch).toBe(-1);
    expect(h.group.members.size).toBe(0);
    expect(consumer.status.state).toBe("closed");
    await h.settle(run);
    await h.settle(h.client.close());
    await h.scheduler.advance(10);
    expect(h.scheduler.pendingCount).toBe(0);
  });

  test("close does not wait longer than it may for a handler that hangs, and leaves all the same", async () => {
    const h = groupHarness({ partitions: 1 });
    await h.fill(0, 1);
    const { consumer } = h.member();
    let isCalled = false;
    const run = consumer.run({
      eachMessage: async () => {
        isCalled = true;
        await h.clock.sleep(100_000);
      },
    });
    await until(h, () => isCalled);
    const startMs = h.clock.monotonicMs();
    await h.settle(consumer.close({ timeoutMs: 4000 }));
    expect(h.clock.monotonicMs() - startMs).toBeLessThanOrEqual(4001);
    expect(h.group.members.size).toBe(0);
    expect(h.group.offsets.get("t-0")).toBe(0);
    await h.settle(run);
  });

  test("a close finds partitions that are being given up: each is revoked once, and committed", async () => {
    const h = groupHarness({ partitions: 2 });
    await h.fill(1, 1);
    const first = h.member();
    let isCalled = false;
    const run = first.consumer.run({
      eachMessage: async () => {
        isCalled = true;
        await h.clock.sleep(5000);
      },
    });
    await until(h, () => isCalled);
    const second = h.member();
    await h.settle(second.consumer.ready());
    await until(h, () => first.consumer.status.state === "rebalancing");
    await h.settle(first.consumer.close());
    await h.settle(run);
    expect(first.events.toSorted()).toEqual(["assigned 0,1", "revoked 0", "revoked 1"]);
    expect(h.group.offsets.get("t-1")).toBe(1);
  });

  test("a static member leaves for a while (KIP-345)", async () => {
    const h = groupHarness({ partitions: 1 });
    const { consumer } = h.member({ instanceId: "i-1" });
    await h.settle(consumer.ready());
    await h.settle(consumer.close());
    expect(h.group.heartbeats.at(-1)).toMatchObject({ memberEpoch: -2, instanceId: "i-1" });
  });

  test("what the group refuses for good ends the iteration with its error", async () => {
    const h = groupHarness({ partitions: 1 });
    h.group.heartbeatError = () => "GROUP_MAX_SIZE_REACHED";
    const { consumer } = h.member();
    const error = await h.settle(failureOf(consumer.messages().next()));
    expect(error).toMatchObject({ code: "GROUP_MAX_SIZE_REACHED" });
    expect(consumer.status.state).toBe("closed");
  });

  test("lost streams, a moved coordinator and loading ones end no iteration", async () => {
    const h = groupHarness({ partitions: 1, brokers: 2 });
    await h.fill(0, 1);
    const { consumer, events } = h.member();
    const loop = consumer.messages();
    await h.settle(loop.next());
    const next = loop.next();
    h.cluster.cutStreams();
    await h.scheduler.advance(3000);
    h.group.coordinatorId = 1;
    await h.scheduler.advance(3000);
    let refusals = 3;
    h.group.heartbeatError = () => (refusals-- > 0 ? "COORDINATOR_LOAD_IN_PROGRESS" : undefined);
    await h.scheduler.advance(5000);
    await h.fill(0, 1);
    expect(await h.settle(next)).toMatchObject({ done: false });
    expect(events).toEqual(["assigned 0"]);
    await until(h, () => h.group.offsets.get("t-0") === 1);
  });

  test("a partition that gives nothing shows as stalled, in an event and in the status", async () => {
    const h = groupHarness({ partitions: 1 });
    h.group.fetchError = () => "COORDINATOR_NOT_AVAILABLE";
    const { consumer } = h.member({ stalledAfterMs: 3000 });
    const stalled: number[] = [];
    consumer.on("stalled", ({ partitions }) => stalled.push(partitions.length));
    await h.settle(consumer.ready());
    await h.scheduler.advance(10_000);
    expect(stalled).toEqual([1]);
    expect(consumer.status.stalled).toEqual([{ topic: "t", partition: 0 }]);
  });
});
