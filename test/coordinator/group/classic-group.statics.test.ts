import { expect, test } from "vitest";
import { answered, ClassicBench, partOf } from "./classic-bench.ts";
import type { Joined } from "./classic-bench.ts";
import { encodeSubscription } from "../../../src/model/consumer-protocol.ts";
import { subscriptionTo } from "./shard-requests.ts";

const S = { groupInstanceId: "s" };

function pair(bench: ClassicBench, ...fields: Parameters<ClassicBench["stable"]>): [Joined, Joined] {
  const [a, b] = bench.stable(...fields);
  if (a === undefined || b === undefined) throw new Error("nobody joined");
  return [a, b];
}

test("a static member needs no second join, and its id tells its name", () => {
  const bench = new ClassicBench();
  const joined = answered(bench.join({ ...S, requireKnownMemberId: true }));
  expect(joined.memberId).toBe("s-id-0");
});

test("a static member that was started again goes on with its partitions, and no other notices (KIP-345)", () => {
  const bench = new ClassicBench();
  const [a, old] = pair(bench, {}, S);
  const joined = answered(bench.join(S));
  expect(joined).toMatchObject({ generationId: old.generationId, leader: a.memberId, members: [] });
  expect(joined.memberId).not.toBe(old.memberId);
  expect([bench.group.state, bench.heartbeat(a)]).toEqual(["Stable", "NONE"]);
  expect(answered(bench.sync(joined, {}, S)).assignment).toEqual(partOf(1));
  expect(bench.values.at(-1)).toMatchObject({
    generation: old.generationId,
    members: [{ memberId: a.memberId }, { memberId: joined.memberId, groupInstanceId: "s" }],
  });
});

test("the former self of a static member is fenced in all it does (H60)", () => {
  const bench = new ClassicBench();
  const [, old] = pair(bench, {}, S);
  answered(bench.join(S));
  expect(bench.heartbeat(old, "s")).toBe("FENCED_INSTANCE_ID");
  expect(bench.commit(old, S)).toBe("FENCED_INSTANCE_ID");
  expect(bench.sync(old, {}, S).answer?.error).toBe("FENCED_INSTANCE_ID");
  expect(bench.join({ ...S, memberId: old.memberId }).answer?.error).toBe("FENCED_INSTANCE_ID");
  expect(bench.leave({ ...S, memberId: old.memberId }).members[0]?.error).toBe("FENCED_INSTANCE_ID");
  expect(bench.heartbeat(old)).toBe("UNKNOWN_MEMBER_ID");
});

test("of two processes with one instance id that wait, the older one is fenced", () => {
  const bench = new ClassicBench();
  bench.stable({});
  const [older, newer] = [bench.join(S), bench.join(S)];
  expect([older.answer?.error, newer.answer]).toEqual(["FENCED_INSTANCE_ID", undefined]);
});

test("a sync that waits is fenced when its member is started again, and the group meets", () => {
  const bench = new ClassicBench({ initialRebalanceDelayMs: 1_000 });
  const joins = [bench.join(), bench.join(S)];
  bench.pass(1_000);
  const [, b] = joins.map((join) => answered(join));
  if (b === undefined) throw new Error("nobody joined");
  const sync = bench.sync(b, {}, S);
  const again = bench.join(S);
  expect([sync.answer?.error, again.answer]).toEqual(["FENCED_INSTANCE_ID", undefined]);
  expect(bench.group.state).toBe("PreparingRebalance");
});

test("a static member that comes back with another subscription begins a rebalance", () => {
  const bench = new ClassicBench();
  const [a, old] = pair(bench, {}, S);
  const again = bench.join({ ...S, protocols: [{ name: "range", metadata: subscriptionTo("bills") }] });
  expect([again.answer, bench.heartbeat(a)]).toEqual([undefined, "REBALANCE_IN_PROGRESS"]);
  bench.join({ memberId: a.memberId });
  expect(answered(again).generationId).toBe(old.generationId + 1);
});

test("that a static member owns nothing after its start is no change of its subscription", () => {
  const bench = new ClassicBench();
  const metadata = encodeSubscription({
    topics: ["orders"],
    ownedPartitions: [{ topic: "orders", partitions: [1] }],
    userData: undefined,
    generationId: 4,
    rackId: undefined,
  });
  pair(bench, {}, { ...S, protocols: [{ name: "range", metadata }] });
  answered(bench.join(S));
  expect(bench.group.state).toBe("Stable");
});

test("a static member whose start changes the protocol in use begins a rebalance", () => {
  const bench = new ClassicBench();
  const metadata = subscriptionTo("orders");
  const [range, sticky] = [
    { name: "range", metadata },
    { name: "sticky", metadata },
  ];
  pair(bench, { protocols: [sticky, range] }, { ...S, protocols: [range] });
  const again = bench.join({ ...S, protocols: [sticky, range] });
  expect([again.answer, bench.group.state]).toEqual([undefined, "PreparingRebalance"]);
});

test("a leader that was started again is told that the plan stands (KIP-814)", () => {
  const bench = new ClassicBench();
  const [old, b] = pair(bench, S, {});
  const joined = answered(bench.join({ ...S, supportsSkippingAssignment: true }));
  expect(joined).toMatchObject({
    skipAssignment: true,
    leader: joined.memberId,
    generationId: old.generationId,
  });
  expect(joined.members.map(({ memberId }) => memberId).sort()).toEqual([joined.memberId, b.memberId].sort());
  expect(answered(bench.sync(joined, {}, S)).assignment).toEqual(partOf(0));
});

test("a leader that cannot skip its plan is shown its former self as the leader", () => {
  const bench = new ClassicBench();
  const [old] = pair(bench, S, {});
  const joined = answered(bench.join(S));
  expect(joined).toMatchObject({ skipAssignment: false, leader: old.memberId, members: [] });
  expect(answered(bench.sync(joined, {}, S)).assignment).toEqual(partOf(0));
});

test("a static follower skips nothing", () => {
  const bench = new ClassicBench();
  pair(bench, {}, S);
  const joined = answered(bench.join({ ...S, supportsSkippingAssignment: true }));
  expect([joined.skipAssignment, joined.members]).toEqual([false, []]);
});

test("a static member takes its own place in a full group", () => {
  const bench = new ClassicBench({ maxSize: 2 });
  pair(bench, {}, S);
  expect(answered(bench.join(S)).generationId).toBe(2);
});

test("a static member is known to the next coordinator by its last id", () => {
  const bench = new ClassicBench();
  const [, old] = pair(bench, {}, S);
  const joined = answered(bench.join(S));
  bench.failOver();
  expect([bench.heartbeat(joined, "s"), bench.heartbeat(old, "s")]).toEqual(["NONE", "FENCED_INSTANCE_ID"]);
  expect(answered(bench.join(S)).generationId).toBe(old.generationId);
});

test("a static member that is gone for longer than its session is a new one", () => {
  const bench = new ClassicBench();
  const [old] = bench.stable(S);
  bench.pass(10_000);
  expect(bench.group.state).toBe("Empty");
  expect(bench.join({ ...S, memberId: old?.memberId ?? "" }).answer?.error).toBe("UNKNOWN_MEMBER_ID");
  expect(answered(bench.join(S)).generationId).toBe(3);
});

test("an id of a dynamic member does not make somebody a static one", () => {
  const bench = new ClassicBench();
  const memberId = bench.join({ requireKnownMemberId: true }).answer?.memberId ?? "";
  expect(bench.join({ ...S, memberId }).answer?.error).toBe("UNKNOWN_MEMBER_ID");
});
