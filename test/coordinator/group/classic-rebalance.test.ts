import { expect, test } from "vitest";
import { answered, ClassicBench, GROUP, partOf, REBALANCE_MS, SESSION_MS } from "./classic-bench.ts";
import { subscriptionTo } from "./shard-requests.ts";

const DELAY_MS = 3_000;

test("the first members of an empty group are waited for, from each join anew", () => {
  const bench = new ClassicBench({ initialRebalanceDelayMs: DELAY_MS });
  const joins = [bench.join()];
  for (let i = 0; i < 3; i++) {
    bench.pass(DELAY_MS - 1);
    joins.push(bench.join());
  }
  bench.pass(DELAY_MS - 1);
  expect(joins.map(({ answer }) => answer)).toEqual([undefined, undefined, undefined, undefined]);
  bench.pass(1);
  expect(joins.map((join) => answered(join).generationId)).toEqual([1, 1, 1, 1]);
});

test("however many still come, the first members wait no longer than the rebalance timeout", () => {
  const bench = new ClassicBench({ initialRebalanceDelayMs: DELAY_MS });
  const first = bench.join({ rebalanceTimeoutMs: 7_000 });
  for (let i = 0; i < 3; i++) {
    bench.pass(2_000);
    bench.join({ rebalanceTimeoutMs: 7_000 });
  }
  bench.pass(999);
  expect(first.answer).toBeUndefined();
  bench.pass(1);
  expect(answered(first).members).toHaveLength(4);
});

test("an empty group whose first members leave again at once is empty", () => {
  const bench = new ClassicBench({ initialRebalanceDelayMs: DELAY_MS });
  const memberId = bench.join({ requireKnownMemberId: true }).answer?.memberId ?? "";
  const join = bench.join({ memberId });
  bench.leave({ memberId });
  expect([join.answer?.error, bench.group.isEmpty]).toEqual(["UNKNOWN_MEMBER_ID", true]);
});

test("a new member begins a rebalance, which ends when all have come again", () => {
  const bench = new ClassicBench();
  const [a, b] = bench.stable({}, {});
  const third = bench.join();
  for (const member of [a, b]) {
    expect(member === undefined ? "" : bench.heartbeat(member)).toBe("REBALANCE_IN_PROGRESS");
  }
  const first = bench.join({ memberId: a?.memberId ?? "" });
  expect([first.answer, third.answer]).toEqual([undefined, undefined]);
  bench.join({ memberId: b?.memberId ?? "" });
  expect(answered(first)).toMatchObject({ generationId: 3, leader: a?.memberId });
  expect(answered(third).generationId).toBe(3);
  expect(bench.group.state).toBe("CompletingRebalance");
});

test("who does not come again within the longest rebalance timeout is out, and another one leads", () => {
  const bench = new ClassicBench();
  const session = { sessionTimeoutMs: 1_000_000 };
  const slow = { ...session, rebalanceTimeoutMs: 90_000 };
  const [a, b] = bench.stable(session, slow);
  const protocols = [{ name: "range", metadata: subscriptionTo("x") }];
  const again = bench.join({ ...slow, memberId: b?.memberId ?? "", protocols });
  bench.pass(89_999);
  expect(again.answer).toBeUndefined();
  bench.pass(1);
  expect(answered(again)).toMatchObject({ leader: b?.memberId, generationId: 3 });
  expect(a === undefined ? "" : bench.heartbeat(a)).toBe("UNKNOWN_MEMBER_ID");
});

test("static members that do not come stay in the generation until their session ends", () => {
  const bench = new ClassicBench();
  const [a, s] = bench.stable(
    { rebalanceTimeoutMs: 5_000 },
    { groupInstanceId: "s", rebalanceTimeoutMs: 5_000, sessionTimeoutMs: 20_000 },
  );
  const again = bench.join({ memberId: a?.memberId ?? "", rebalanceTimeoutMs: 5_000 });
  bench.pass(5_000);
  expect(answered(again).members.map(({ memberId }) => memberId)).toEqual([a?.memberId, s?.memberId]);
});

test("while only static members are left and none comes, the join phase goes on until their sessions are over", () => {
  const bench = new ClassicBench();
  const fields = { rebalanceTimeoutMs: 0, sessionTimeoutMs: 20_000 };
  const [a, , c] = bench.stable(
    { ...fields, groupInstanceId: "a" },
    { ...fields, groupInstanceId: "b" },
    { ...fields, sessionTimeoutMs: 6_000 },
  );
  bench.leave(c ?? {});
  bench.pass(19_999);
  expect(bench.group.state).toBe("PreparingRebalance");
  expect(a === undefined ? "" : bench.heartbeat(a, "a")).toBe("REBALANCE_IN_PROGRESS");
  bench.pass(1);
  expect(bench.group.describe().members.map(({ groupInstanceId }) => groupInstanceId)).toEqual(["a"]);
  bench.pass(20_000);
  expect([bench.group.state, bench.values.at(-1)?.members]).toEqual(["Empty", []]);
});

test("syncs wait for the leader's plan, and everybody gets its own bytes as they were sent", () => {
  const bench = new ClassicBench({ initialRebalanceDelayMs: DELAY_MS });
  const joins = [bench.join(), bench.join(), bench.join()];
  bench.pass(DELAY_MS);
  const [a, b, c] = joins.map((join) => answered(join));
  if (a === undefined || b === undefined || c === undefined) throw new Error("not joined");
  const waiting = bench.sync(b);
  expect(waiting.answer).toBeUndefined();
  const plan = { [a.memberId]: partOf(0), [b.memberId]: Buffer.from("anything"), stranger: partOf(9) };
  expect(answered(bench.sync(a, plan)).assignment).toEqual(partOf(0));
  expect(answered(waiting)).toMatchObject({ assignment: Buffer.from("anything"), protocolName: "range" });
  expect(answered(bench.sync(c)).assignment).toHaveLength(0);
});

test("the record of a generation is written with the leader's plan, and not before", () => {
  const bench = new ClassicBench();
  const a = answered(bench.join({ clientId: "app" }));
  expect(bench.values).toEqual([]);
  bench.sync(a, { [a.memberId]: partOf(0) });
  expect(bench.values).toEqual([
    {
      protocolType: "consumer",
      generation: 1,
      protocol: "range",
      leader: a.memberId,
      currentStateTimestampMs: bench.context.wallMs,
      members: [
        {
          memberId: a.memberId,
          groupInstanceId: null,
          clientId: "app",
          clientHost: "/127.0.0.1",
          rebalanceTimeoutMs: REBALANCE_MS,
          sessionTimeoutMs: SESSION_MS,
          subscription: subscriptionTo("orders"),
          assignment: partOf(0),
        },
      ],
    },
  ]);
});

test("the answers of a plan come behind its record", () => {
  const bench = new ClassicBench({ initialRebalanceDelayMs: DELAY_MS });
  const joins = [bench.join(), bench.join()];
  bench.pass(DELAY_MS);
  const [a, b] = joins.map((join) => answered(join));
  if (a === undefined || b === undefined) throw new Error("not joined");
  const order: string[] = [];
  const effects = {
    record: (record: Parameters<typeof bench.effects.record>[0]) => {
      order.push("record");
      bench.effects.record(record);
    },
    reply: () => order.push("reply"),
  };
  bench.group.syncGroup({ groupId: GROUP, ...b, assignments: [] }, {}, bench.context, effects);
  bench.group.syncGroup({ groupId: GROUP, ...a, assignments: [] }, {}, bench.context, effects);
  expect(order).toEqual(["record", "reply", "reply"]);
});

test("a second plan of one generation changes nothing", () => {
  const bench = new ClassicBench();
  const [a] = bench.stable({});
  if (a === undefined) throw new Error("not joined");
  expect(answered(bench.sync(a, { [a.memberId]: partOf(7) })).assignment).toEqual(partOf(0));
  expect(bench.values).toHaveLength(1);
});

test("syncs that wait are sent to join again when a member comes meanwhile", () => {
  const bench = new ClassicBench({ initialRebalanceDelayMs: DELAY_MS });
  const joins = [bench.join(), bench.join()];
  bench.pass(DELAY_MS);
  const [a, b] = joins.map((join) => answered(join));
  if (a === undefined || b === undefined) throw new Error("not joined");
  const waiting = bench.sync(b);
  bench.join();
  expect(waiting.answer?.error).toBe("REBALANCE_IN_PROGRESS");
  expect(bench.sync(a, { [a.memberId]: partOf(0) }).answer?.error).toBe("REBALANCE_IN_PROGRESS");
  expect(bench.values).toEqual([]);
});

test("a leader that brings no plan within the rebalance timeout is out, and those who wait join again", () => {
  const bench = new ClassicBench({ initialRebalanceDelayMs: DELAY_MS });
  const session = { sessionTimeoutMs: 1_000_000, rebalanceTimeoutMs: 30_000 };
  const joins = [bench.join(session), bench.join(session)];
  bench.pass(DELAY_MS);
  const [a, b] = joins.map((join) => answered(join));
  if (a === undefined || b === undefined) throw new Error("not joined");
  const waiting = bench.sync(b);
  bench.pass(29_999);
  expect([waiting.answer, bench.heartbeat(a)]).toEqual([undefined, "NONE"]);
  bench.pass(1);
  expect([waiting.answer?.error, bench.heartbeat(a)]).toEqual(["REBALANCE_IN_PROGRESS", "UNKNOWN_MEMBER_ID"]);
  expect(answered(bench.join({ ...session, memberId: b.memberId }))).toMatchObject({ leader: b.memberId });
});

test("a follower that never asks for its part is out after the rebalance timeout", () => {
  const bench = new ClassicBench({ initialRebalanceDelayMs: DELAY_MS });
  const session = { sessionTimeoutMs: 1_000_000, rebalanceTimeoutMs: 30_000 };
  const joins = [bench.join(session), bench.join(session)];
  bench.pass(DELAY_MS);
  const [a, b] = joins.map((join) => answered(join));
  if (a === undefined || b === undefined) throw new Error("not joined");
  bench.sync(a, { [a.memberId]: partOf(0) });
  bench.pass(30_000);
  expect([bench.heartbeat(a), bench.heartbeat(b)]).toEqual(["REBALANCE_IN_PROGRESS", "UNKNOWN_MEMBER_ID"]);
});

test("when all have synced, nothing but their sessions is due", () => {
  const bench = new ClassicBench();
  const [a] = bench.stable({ sessionTimeoutMs: 1_000_000 });
  bench.pass(REBALANCE_MS * 10);
  expect(a === undefined ? "" : bench.heartbeat(a)).toBe("NONE");
});

test("the older of two syncs of one member is answered", () => {
  const bench = new ClassicBench({ initialRebalanceDelayMs: DELAY_MS });
  const joins = [bench.join(), bench.join()];
  bench.pass(DELAY_MS);
  const [a, b] = joins.map((join) => answered(join));
  if (a === undefined || b === undefined) throw new Error("not joined");
  const [older, newer] = [bench.sync(b), bench.sync(b)];
  expect([older.answer?.error, newer.answer]).toEqual(["REBALANCE_IN_PROGRESS", undefined]);
  bench.sync(a);
  expect(answered(newer).assignment).toHaveLength(0);
});

test("a sync of another generation, member, type or protocol is refused", () => {
  const bench = new ClassicBench();
  const [a] = bench.stable({});
  if (a === undefined) throw new Error("not joined");
  const errors = [
    bench.sync({ ...a, generationId: a.generationId + 1 }),
    bench.sync({ ...a, generationId: a.generationId - 1 }),
    bench.sync({ ...a, memberId: "stranger" }),
    bench.sync(a, {}, { protocolType: "connect" }),
    bench.sync(a, {}, { protocolName: "sticky" }),
    bench.sync(a, {}, { protocolType: "consumer", protocolName: "range" }),
  ].map(({ answer }) => answer?.error);
  expect(errors).toEqual([
    "ILLEGAL_GENERATION",
    "ILLEGAL_GENERATION",
    "UNKNOWN_MEMBER_ID",
    "INCONSISTENT_GROUP_PROTOCOL",
    "INCONSISTENT_GROUP_PROTOCOL",
    "NONE",
  ]);
});

test("a plan that is too large for one member, or for one record, is refused and not written (H62)", () => {
  const bench = new ClassicBench({ maxMemberBytes: 300_000, initialRebalanceDelayMs: DELAY_MS });
  const joins = Array.from({ length: 4 }, () => bench.join());
  bench.pass(DELAY_MS);
  const members = joins.map((join) => answered(join));
  const [leader] = members;
  if (leader === undefined) throw new Error("not joined");
  const planOf = (bytes: number) =>
    Object.fromEntries(members.map(({ memberId }) => [memberId, Buffer.alloc(bytes)]));
  expect(bench.sync(leader, planOf(300_001)).answer?.error).toBe("INVALID_REQUEST");
  expect(bench.sync(leader, planOf(290_000)).answer?.error).toBe("RECORD_LIST_TOO_LARGE");
  expect(bench.values).toEqual([]);
  expect(bench.sync(leader, planOf(200_000)).answer?.error).toBe("NONE");
});

test("the group is empty in the next generation when all have left, and says since when", () => {
  const bench = new ClassicBench();
  const [a, b] = bench.stable({}, {});
  bench.pass(500);
  bench.leave(a ?? {}, b ?? {});
  expect(bench.values.at(-1)).toEqual({
    protocolType: "consumer",
    generation: (a?.generationId ?? 0) + 1,
    protocol: null,
    leader: null,
    currentStateTimestampMs: bench.context.wallMs,
    members: [],
  });
  expect([bench.group.state, bench.group.isEmpty, bench.group.emptySinceMs]).toEqual([
    "Empty",
    true,
    bench.context.wallMs,
  ]);
});

test("a group whose members all go is empty at once, also while an id is given out to somebody", () => {
  const bench = new ClassicBench();
  bench.stable({});
  bench.pass(SESSION_MS - 1);
  const { memberId = "" } = bench.join({ requireKnownMemberId: true }).answer ?? {};
  bench.pass(1);
  expect([bench.group.state, bench.values.at(-1)?.members]).toEqual(["Empty", []]);
  expect(bench.group.nextDeadlineMs).toBeGreaterThan(bench.nowMs);
  expect(answered(bench.join({ memberId })).generationId).toBe(3);
});
