import { expect, test } from "vitest";
import { Deferred } from "../../src/base/deferred.ts";
import { ClassicCluster } from "./classic-cluster.ts";

test("a member that is closed gives everything up, leaves, and leaves no timer behind", async () => {
  const cluster = new ClassicCluster({ t: 2 });
  const a = cluster.member("a").started();
  await cluster.untilStable(a);
  const order: string[] = [];
  a.revoking = async () => {
    await cluster.clock.sleep(2000);
    order.push(`revoked, ${cluster.leaves.length} leaves`);
  };
  const memberId = a.member.identity?.memberId;
  await cluster.scheduler.settle(a.member.close({ timeoutMs: 10_000 }), 20_000);
  expect(order).toEqual(["revoked, 0 leaves"]);
  expect(cluster.leaves.map(({ members }) => members[0]?.memberId)).toEqual([memberId]);
  expect(a.member.state).toBe("closed");
  expect(a.member.identity).toBeUndefined();
  const seen = cluster.seen.length;
  a.context.metadata.close();
  await cluster.scheduler.advance(60_000);
  expect(cluster.seen.length).toBe(seen);
  expect(cluster.scheduler.pendingCount).toBeLessThanOrEqual(1);
});

test("the others take over at once when a member is closed", async () => {
  const cluster = new ClassicCluster({ t: 2 });
  const a = cluster.member("a").started();
  const b = cluster.member("b").started();
  await cluster.untilStable(a, b);
  await cluster.scheduler.settle(a.member.close({ timeoutMs: 5000 }), 10_000);
  await cluster.scheduler.runUntil(() => b.list.length === 2, 4000);
  expect(cluster.doubles).toEqual([]);
});

test("a static member that is closed does not leave, unless it was told to", async () => {
  for (const leavesOnClose of [undefined, true]) {
    const cluster = new ClassicCluster({ t: 2 });
    const leaves = leavesOnClose === undefined ? {} : { leavesOnClose };
    const a = cluster.member("a", { instanceId: "i", ...leaves }).started();
    await cluster.untilStable(a);
    await cluster.scheduler.settle(a.member.close({ timeoutMs: 5000 }), 10_000);
    expect(cluster.leaves).toHaveLength(leavesOnClose === undefined ? 0 : 1);
  }
});

test("a static member that is back within its session gets its partitions without a rebalance of the others", async () => {
  const cluster = new ClassicCluster({ t: 4 });
  const a = cluster.member("a", { instanceId: "ia" }).started();
  const b = cluster.member("b", { instanceId: "ib" }).started();
  await cluster.untilStable(a, b);
  const before = b.list;
  const events = a.events.length;
  await cluster.scheduler.settle(b.member.close({ timeoutMs: 5000 }), 10_000);
  const again = cluster.member("b2", { instanceId: "ib" }).started();
  await cluster.untilStable(again);
  expect(again.list).toEqual(before);
  await cluster.scheduler.advance(20_000);
  expect(a.events.length).toBe(events);
});

test("a close ends on time although handlers and the coordinator hang", async () => {
  const cluster = new ClassicCluster({ t: 2 });
  const a = cluster.member("a").started();
  await cluster.untilStable(a);
  a.revoking = () => new Deferred<void>().promise;
  cluster.fate = () => "hang";
  const beganMs = cluster.clock.monotonicMs();
  await cluster.scheduler.settle(a.member.close({ timeoutMs: 4000 }), 10_000);
  expect(cluster.clock.monotonicMs() - beganMs).toBeLessThanOrEqual(4000);
});

test("a close in the middle of a join ends at once, and the half-made member is taken back", async () => {
  const cluster = new ClassicCluster({ t: 2 });
  const a = cluster.member("a").started();
  await cluster.scheduler.runUntil(() => cluster.count("JoinGroup") === 2, 5000);
  const beganMs = cluster.clock.monotonicMs();
  await cluster.scheduler.settle(a.member.close({ timeoutMs: 10_000 }), 20_000);
  expect(cluster.clock.monotonicMs() - beganMs).toBeLessThan(100);
  expect(cluster.leaves).toHaveLength(1);
  await a.member.close({ timeoutMs: 1 });
});

test("a member that is closed before its start never joins", async () => {
  const cluster = new ClassicCluster({ t: 2 });
  const a = cluster.member("a");
  await a.member.close({ timeoutMs: 1000 });
  a.member.start();
  expect(a.member.state).toBe("closed");
  expect(cluster.seen).toEqual([]);
});
