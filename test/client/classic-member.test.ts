import { describe, expect, test } from "vitest";
import { cooperativeStickyAssignor } from "../../src/client/assignors/cooperative-sticky.ts";
import { rangeAssignor } from "../../src/client/assignors/range.ts";
import { stickyAssignor } from "../../src/client/assignors/sticky.ts";
import { Deferred } from "../../src/base/deferred.ts";
import { decodeSubscription } from "../../src/model/consumer-protocol.ts";
import { ClassicCluster } from "./classic-cluster.ts";

const cooperative = { assignors: [cooperativeStickyAssignor] };

describe("joining", () => {
  test("a first member gets everything, and says who it is", async () => {
    const cluster = new ClassicCluster({ t: 3 });
    const a = cluster.member("a");
    expect(a.member.identity).toBeUndefined();
    a.started();
    expect(a.member.state).toBe("joining");
    await cluster.untilStable(a);
    expect(a.events).toEqual(["assign t-0 t-1 t-2"]);
    expect(a.member.identity).toMatchObject({ groupId: "g", generationIdOrMemberEpoch: 1 });
    // KIP-394: once without an id, once with the one it was given.
    expect(cluster.count("JoinGroup")).toBe(2);
    expect(cluster.seen[0]?.memberId).toBe("");
    expect(cluster.seen[1]?.memberId).toBe(a.member.identity?.memberId);
  });

  test("members of the default share by range; partitions beyond them all are spread, members beyond them idle", async () => {
    const cluster = new ClassicCluster({ t: 2 });
    const members = ["a", "b", "c"].map((name) => cluster.member(name).started());
    await cluster.untilStable(...members);
    expect(members.map(({ list }) => list.length)).toEqual([1, 1, 0]);
    expect(members[2]?.events.at(-1)).toBe("assign");
    expect(cluster.doubles).toEqual([]);
  });

  test("a later member makes the others give everything up (eager)", async () => {
    const cluster = new ClassicCluster({ t: 4 });
    const a = cluster.member("a").started();
    await cluster.untilStable(a);
    const b = cluster.member("b").started();
    await cluster.untilStable(a, b);
    expect(a.events).toEqual(["assign t-0 t-1 t-2 t-3", "revoke t-0 t-1 t-2 t-3", "assign t-0 t-1"]);
    expect(b.events).toEqual(["assign t-2 t-3"]);
    expect(cluster.doubles).toEqual([]);
  });

  test("sticky members keep most over an eager rebalance", async () => {
    const cluster = new ClassicCluster({ t: 6 });
    const options = { assignors: [stickyAssignor] };
    const a = cluster.member("a", options).started();
    const b = cluster.member("b", options).started();
    await cluster.untilStable(a, b);
    const before = [a.list, b.list];
    const c = cluster.member("c", options).started();
    await cluster.untilStable(a, b, c);
    expect([a, b, c].map(({ list }) => list.length)).toEqual([2, 2, 2]);
    expect(before[0]).toEqual(expect.arrayContaining(a.list));
    expect(before[1]).toEqual(expect.arrayContaining(b.list));
  });

  test("a member gives up only what it loses, in two rebalances, when all assignors are cooperative (KIP-429)", async () => {
    const cluster = new ClassicCluster({ t: 4 });
    const a = cluster.member("a", cooperative).started();
    await cluster.untilStable(a);
    const b = cluster.member("b", cooperative).started();
    await cluster.scheduler.runUntil(() => b.has.size === 2, 60_000);
    await cluster.untilStable(a, b);
    expect(a.events).toEqual(["assign t-0 t-1 t-2 t-3", "revoke t-2 t-3"]);
    expect(b.events).toEqual(["assign", "assign t-2 t-3"]);
    expect(cluster.doubles).toEqual([]);
  });

  test("a group with one eager assignor in common stays eager", async () => {
    const cluster = new ClassicCluster({ t: 2 });
    const a = cluster.member("a").started();
    const b = cluster.member("b", { assignors: [rangeAssignor] }).started();
    await cluster.untilStable(a, b);
    expect(a.list.length + b.list.length).toBe(2);
    expect(cluster.doubles).toEqual([]);
  });

  test("members without a common assignor: the second one is refused for good", async () => {
    const cluster = new ClassicCluster({ t: 2 });
    const a = cluster.member("a", { assignors: [rangeAssignor] }).started();
    await cluster.untilStable(a);
    const b = cluster.member("b", { assignors: [stickyAssignor] }).started();
    await cluster.scheduler.runUntil(() => b.fatal !== undefined, 60_000);
    expect(b.fatal?.code).toBe("INCONSISTENT_GROUP_PROTOCOL");
    expect(b.member.state).toBe("closed");
    expect(a.list).toEqual(["t-0", "t-1"]);
  });
});

describe("heartbeats", () => {
  test("go on while a handler takes its time to give up partitions, which keeps the member in the group", async () => {
    const cluster = new ClassicCluster({ t: 2 });
    const a = cluster.member("a").started();
    await cluster.untilStable(a);
    const handled = new Deferred<void>();
    a.revoking = () => handled.promise;
    const b = cluster.member("b").started();
    // Three sessions long.
    await cluster.scheduler.advance(30_000);
    expect(a.list).toEqual(["t-0", "t-1"]);
    expect(b.list).toEqual([]);
    handled.resolve();
    await cluster.untilStable(a, b);
    expect([a.list, b.list]).toEqual([["t-0"], ["t-1"]]);
    expect(a.errors).toEqual([]);
  });

  test("come every interval and note when the coordinator answered last", async () => {
    const cluster = new ClassicCluster({ t: 1 });
    const a = cluster.member("a", { heartbeatIntervalMs: 1000 }).started();
    await cluster.untilStable(a);
    const before = cluster.count("Heartbeat");
    await cluster.scheduler.advance(10_000);
    expect(cluster.count("Heartbeat") - before).toBeGreaterThanOrEqual(9);
    expect(cluster.count("Heartbeat") - before).toBeLessThanOrEqual(10);
    expect(cluster.clock.monotonicMs() - (a.member.lastHeartbeatMs ?? 0)).toBeLessThan(1100);
  });

  test("a handler that never gives up loses its place when the coordinator's patience ends, and the member goes on", async () => {
    const cluster = new ClassicCluster({ t: 2 });
    const a = cluster.member("a").started();
    await cluster.untilStable(a);
    a.revoking = () => new Deferred<void>().promise;
    const b = cluster.member("b").started();
    await cluster.scheduler.runUntil(() => b.list.length > 0, 70_000);
    await cluster.scheduler.runUntil(() => a.member.state === "stable", 60_000);
    expect(b.list).toHaveLength(1);
    // It must not commit what its handler does after that in its next generation (H60).
    expect(a.events.slice(0, 3)).toEqual(["assign t-0 t-1", "revoke t-0 t-1", "lost t-0 t-1"]);
    expect(a.list).toHaveLength(1);
  });

  test.each(["UNKNOWN_MEMBER_ID", "ILLEGAL_GENERATION"] as const)(
    "%s: what it had is lost at once, and it joins again",
    async (error) => {
      const cluster = new ClassicCluster({ t: 2 });
      const a = cluster.member("a").started();
      await cluster.untilStable(a);
      let isDue = true;
      cluster.fate = (method) => {
        if (method !== "Heartbeat" || !isDue) return undefined;
        isDue = false;
        return error;
      };
      await cluster.scheduler.runUntil(() => a.events.includes("lost t-0 t-1"), 20_000);
      expect(a.member.identity).toBeUndefined();
      expect(a.errors.map(({ code }) => code)).toEqual([error]);
      await cluster.scheduler.runUntil(() => a.list.length === 2, 60_000);
      expect(a.events).toEqual(["assign t-0 t-1", "lost t-0 t-1", "assign t-0 t-1"]);
    },
  );

  test("FENCED_INSTANCE_ID ends it: another one bears its name (KIP-345)", async () => {
    const cluster = new ClassicCluster({ t: 2 });
    const a = cluster.member("a", { instanceId: "i" }).started();
    await cluster.untilStable(a);
    const b = cluster.member("b", { instanceId: "i" }).started();
    await cluster.scheduler.runUntil(() => a.fatal !== undefined, 30_000);
    await cluster.untilStable(b);
    expect(a.fatal?.code).toBe("FENCED_INSTANCE_ID");
    expect(a.events.at(-1)).toBe("lost t-0 t-1");
    expect(b.list).toEqual(["t-0", "t-1"]);
    // The one that came later is not thrown out by a leave of the first.
    expect(cluster.leaves).toEqual([]);
  });

  test("lost answers are not the end: they are told and tried again", async () => {
    const cluster = new ClassicCluster({ t: 2 });
    const a = cluster.member("a").started();
    await cluster.untilStable(a);
    let isDown = true;
    cluster.fate = (method) => (method === "Heartbeat" && isDown ? "down" : undefined);
    await cluster.scheduler.advance(15_000);
    isDown = false;
    // The session is over by then.
    await cluster.scheduler.runUntil(() => a.events.includes("lost t-0 t-1"), 60_000);
    await cluster.scheduler.runUntil(() => a.list.length === 2, 60_000);
    expect(a.errors.map(({ code }) => code)).toContain("TIMEOUT");
    expect(a.fatal).toBeUndefined();
  });

  test("a member that died is replaced when its session is over", async () => {
    const cluster = new ClassicCluster({ t: 4 });
    const a = cluster.member("a", cooperative).started();
    const b = cluster.member("b", cooperative).started();
    await cluster.untilStable(a, b);
    await cluster.scheduler.runUntil(() => a.has.size === 2 && b.has.size === 2, 60_000);
    a.kill();
    await cluster.scheduler.runUntil(() => b.has.size === 4, 30_000);
    expect(b.events.filter((event) => event.startsWith("revoke"))).toEqual([]);
    expect(cluster.doubles).toEqual([]);
  });
});

describe("answers to JoinGroup and SyncGroup", () => {
  test.each([
    ["JoinGroup", "UNKNOWN_MEMBER_ID"],
    ["JoinGroup", "COORDINATOR_LOAD_IN_PROGRESS"],
    ["JoinGroup", "NOT_COORDINATOR"],
    ["SyncGroup", "REBALANCE_IN_PROGRESS"],
    ["SyncGroup", "ILLEGAL_GENERATION"],
    ["SyncGroup", "UNKNOWN_MEMBER_ID"],
    ["SyncGroup", "COORDINATOR_NOT_AVAILABLE"],
    ["SyncGroup", "down"],
    ["JoinGroup", "down"],
  ] as const)("%s answers %s twice: it joins all the same", async (method, error) => {
    const cluster = new ClassicCluster({ t: 2 });
    let left = 2;
    cluster.fate = (one) => (one === method && left-- > 0 ? error : undefined);
    const a = cluster.member("a").started();
    await cluster.scheduler.runUntil(() => a.list.length === 2, 120_000);
    await cluster.untilStable(a);
    expect(a.fatal).toBeUndefined();
    expect(a.events).toEqual(["assign t-0 t-1"]);
  });

  test.each(["GROUP_AUTHORIZATION_FAILED", "GROUP_MAX_SIZE_REACHED", "INVALID_SESSION_TIMEOUT"] as const)(
    "%s is final",
    async (error) => {
      const cluster = new ClassicCluster({ t: 2 });
      cluster.fate = (method) => (method === "JoinGroup" ? error : undefined);
      const a = cluster.member("a").started();
      await cluster.scheduler.runUntil(() => a.fatal !== undefined, 10_000);
      expect(a.fatal?.code).toBe(error);
      expect(a.fatal?.message).toContain("group g");
      expect(a.member.state).toBe("closed");
    },
  );

  test("a group that answers nothing but trouble is asked less and less often", async () => {
    const cluster = new ClassicCluster({ t: 2 });
    cluster.fate = (method) => (method === "JoinGroup" ? "UNKNOWN_MEMBER_ID" : undefined);
    const a = cluster.member("a").started();
    await cluster.scheduler.advance(60_000);
    expect(a.errors.length).toBeLessThan(80);
    expect(a.errors.length).toBeGreaterThan(20);
    await a.member.close({ timeoutMs: 0 });
  });

  test("a cooperative member whose sync is answered REBALANCE_IN_PROGRESS keeps what it has", async () => {
    const cluster = new ClassicCluster({ t: 4 });
    const a = cluster.member("a", cooperative).started();
    await cluster.untilStable(a);
    const b = cluster.member("b", cooperative);
    let left = 2;
    cluster.fate = (method, memberId) =>
      method === "SyncGroup" && memberId === a.member.identity?.memberId && left-- > 0
        ? "REBALANCE_IN_PROGRESS"
        : undefined;
    b.started();
    await cluster.scheduler.runUntil(() => b.has.size === 2, 120_000);
    expect(a.events).toEqual(["assign t-0 t-1 t-2 t-3", "revoke t-2 t-3"]);
    expect(cluster.doubles).toEqual([]);
    // What it says to have it got in the first generation, whatever it joined since without getting a plan.
    const claims = cluster.joins
      .filter(({ clientId }) => clientId === "a")
      .map(({ protocols }) => decodeSubscription(protocols[0]?.metadata ?? Buffer.alloc(0)))
      .filter(({ ownedPartitions }) => ownedPartitions[0]?.partitions.length === 4);
    expect(claims.length).toBeGreaterThan(2);
    for (const { generationId } of claims) expect(generationId).toBe(1);
  });

  test("an assignment that comes after the membership was lost is not taken", async () => {
    const cluster = new ClassicCluster({ t: 2 });
    const a = cluster.member("a", { heartbeatIntervalMs: 1000 });
    const once = new Set<string>();
    cluster.fate = (method) => {
      if (method === "JoinGroup" || method === "LeaveGroup" || once.has(method)) return undefined;
      once.add(method);
      return method === "SyncGroup" ? "slow" : "UNKNOWN_MEMBER_ID";
    };
    a.started();
    await cluster.scheduler.runUntil(() => a.list.length > 0, 60_000);
    expect(once.size).toBe(2);
    expect(a.member.identity).toBeDefined();
    await cluster.untilStable(a);
    expect(a.events).toEqual(["assign t-0 t-1"]);
  });
});
