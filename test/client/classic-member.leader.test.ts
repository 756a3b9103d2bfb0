import { describe, expect, test } from "vitest";
import type { ClientAssignor } from "../../src/client/assignors/assignor.ts";
import { cooperativeStickyAssignor } from "../../src/client/assignors/cooperative-sticky.ts";
import { ClassicCluster } from "./classic-cluster.ts";

const cooperative = { assignors: [cooperativeStickyAssignor] };

describe("what a leader looks after", () => {
  test("partitions that are added to a topic are shared out", async () => {
    const cluster = new ClassicCluster({ t: 2 });
    const a = cluster.member("a", cooperative).started();
    const b = cluster.member("b", cooperative).started();
    await cluster.untilStable(a, b);
    cluster.addTopic("t", 4);
    await cluster.scheduler.runUntil(() => a.has.size + b.has.size === 4, 60_000);
    expect([a.has.size, b.has.size]).toEqual([2, 2]);
    expect([...a.events, ...b.events].filter((event) => event.startsWith("revoke t-0"))).toEqual([]);
  });

  test("a topic that does not exist yet is shared out when it does", async () => {
    const cluster = new ClassicCluster({ t: 1 });
    const a = cluster.member("a", { subscription: { topics: ["t", "later"] } }).started();
    await cluster.untilStable(a);
    expect(a.list).toEqual(["t-0"]);
    cluster.addTopic("later", 2);
    await cluster.scheduler.runUntil(() => a.list.length === 3, 60_000);
    expect(a.list).toEqual(["later-0", "later-1", "t-0"]);
  });

  test("nothing changes, so nobody joins again", async () => {
    const cluster = new ClassicCluster({ t: 3 });
    const members = ["a", "b"].map((name) => cluster.member(name, cooperative).started());
    await cluster.untilStable(...members);
    await cluster.scheduler.advance(30_000);
    const joins = cluster.count("JoinGroup");
    await cluster.scheduler.advance(120_000);
    expect(cluster.count("JoinGroup")).toBe(joins);
  });

  test.each([
    [
      "throws",
      () => {
        throw new Error("broken");
      },
      "assignor mine failed: broken",
    ],
    [
      "gives a partition away twice",
      () => new Map([["X", { partitions: [{ topic: "t", partitions: [0, 0] }] }]]),
      "t-0 to both",
    ],
    [
      "gives what does not exist",
      () => new Map([["X", { partitions: [{ topic: "t", partitions: [7] }] }]]),
      "t-7, which does not exist",
    ],
    [
      "gives to nobody it knows",
      () => new Map([["stranger", { partitions: [] }]]),
      "stranger, which is no member",
    ],
  ] as const)("an assignor that %s ends the membership, and the member leaves", async (_, plan, text) => {
    const cluster = new ClassicCluster({ t: 1 });
    const mine: ClientAssignor = {
      name: "mine",
      protocol: "eager",
      assign: (members) =>
        new Map([...plan()].map(([id, given]) => [id === "X" ? (members[0]?.memberId ?? "") : id, given])),
    };
    const a = cluster.member("a", { assignors: [mine] }).started();
    await cluster.scheduler.runUntil(() => a.fatal !== undefined && cluster.leaves.length > 0, 30_000);
    expect(a.fatal?.code).toBe("INVALID_ARGUMENT");
    expect(a.fatal?.message).toContain(text);
  });

  test("a custom assignor hears what each member said, and each member what it got", async () => {
    const cluster = new ClassicCluster({ t: 2 });
    const got: unknown[] = [];
    const heard: (string | undefined)[] = [];
    const mine: ClientAssignor = {
      name: "mine",
      protocol: "cooperative",
      subscriptionUserData: () => Buffer.from("weight 3"),
      assign: (members, topics) => {
        heard.push(...members.map(({ subscription }) => subscription.userData?.toString()));
        const partitions = topics.map(({ name, partitionCount }) => ({
          topic: name,
          partitions: Array.from({ length: partitionCount }, (_, index) => index),
        }));
        return new Map([[members[0]?.memberId ?? "", { partitions, userData: Buffer.from("note") }]]);
      },
      onAssignment: (plan, generationId) => got.push([plan.userData?.toString(), generationId]),
    };
    const a = cluster.member("a", { assignors: [mine] }).started();
    await cluster.untilStable(a);
    expect(heard).toEqual(["weight 3"]);
    expect(got).toEqual([["note", 1]]);
    expect(a.list).toEqual(["t-0", "t-1"]);
  });
});

describe("subscriptions", () => {
  test("other names are shared out after the next join; what is no longer wanted goes", async () => {
    const cluster = new ClassicCluster({ t: 1, u: 1 });
    const a = cluster.member("a", cooperative).started();
    await cluster.untilStable(a);
    a.member.subscribe({ topics: ["u"] });
    await cluster.scheduler.runUntil(() => a.list.includes("u-0"), 30_000);
    await cluster.untilStable(a);
    expect(a.list).toEqual(["u-0"]);
    expect(a.events).toEqual(["assign t-0", "assign u-0", "revoke t-0"]);
  });

  test("a pattern means whole names, and topics that come later", async () => {
    const cluster = new ClassicCluster({ "orders-eu": 1, "old-orders-eu": 1, t: 1 });
    const subscription = { topics: ["t"], pattern: /orders-[a-z]+|bills/ };
    const a = cluster.member("a", { ...cooperative, subscription, patternRefreshMs: 2000 }).started();
    await cluster.untilStable(a);
    expect(a.list).toEqual(["orders-eu-0", "t-0"]);
    cluster.addTopic("bills", 2);
    await cluster.scheduler.runUntil(() => a.list.length === 4, 30_000);
    expect(a.list).toEqual(["bills-0", "bills-1", "orders-eu-0", "t-0"]);
    await cluster.scheduler.runUntil(() => a.member.state === "stable", 10_000);
    const joins = cluster.count("JoinGroup");
    await cluster.scheduler.advance(20_000);
    expect(cluster.count("JoinGroup")).toBe(joins);
  });
});
