import { expect, test } from "vitest";
import { answered, ClassicBench, GROUP, partOf, SESSION_MS } from "./classic-bench.ts";
import type { Joined } from "./classic-bench.ts";
import { subscriptionTo } from "./shard-requests.ts";

const OUTSIDE: Joined = { memberId: "", generationId: -1 };

function only(members: readonly Joined[]): Joined {
  const [first] = members;
  if (first === undefined) throw new Error("nobody joined");
  return first;
}

test("a heartbeat of another generation or of a stranger is refused", () => {
  const bench = new ClassicBench();
  const a = only(bench.stable({}));
  expect(bench.heartbeat(a)).toBe("NONE");
  expect(bench.heartbeat({ ...a, generationId: a.generationId + 1 })).toBe("ILLEGAL_GENERATION");
  expect(bench.heartbeat({ ...a, memberId: "stranger" })).toBe("UNKNOWN_MEMBER_ID");
});

test("a heartbeat while the plan is made is in order", () => {
  const bench = new ClassicBench();
  expect(bench.heartbeat(answered(bench.join()))).toBe("NONE");
});

test("a member that is silent for its session timeout is out, and the others meet", () => {
  const bench = new ClassicBench();
  const [a, b] = bench.stable({}, {});
  if (a === undefined || b === undefined) throw new Error("nobody joined");
  bench.pass(SESSION_MS - 1);
  expect(bench.heartbeat(b)).toBe("NONE");
  bench.pass(1);
  expect([bench.heartbeat(a), bench.heartbeat(b)]).toEqual(["UNKNOWN_MEMBER_ID", "REBALANCE_IN_PROGRESS"]);
});

test("heartbeat, join, sync and an accepted commit each renew the session; a refused commit does not", () => {
  const calls = {
    heartbeat: (bench: ClassicBench, member: Joined) => bench.heartbeat(member),
    join: (bench: ClassicBench, { memberId }: Joined) => bench.join({ memberId }),
    sync: (bench: ClassicBench, member: Joined) => bench.sync(member),
    commit: (bench: ClassicBench, member: Joined) => bench.commit(member),
    refused: (bench: ClassicBench, member: Joined) => bench.commit({ ...member, generationId: 77 }),
  };
  const after = Object.entries(calls).map(([name, call]) => {
    const bench = new ClassicBench();
    const [a, b] = bench.stable({ sessionTimeoutMs: 1_000_000 }, {});
    if (a === undefined || b === undefined) throw new Error("nobody joined");
    bench.pass(SESSION_MS - 1);
    call(bench, b);
    bench.pass(SESSION_MS - 1);
    return [name, bench.heartbeat(b)];
  });
  expect(after).toEqual([
    ["heartbeat", "NONE"],
    ["join", "NONE"],
    ["sync", "NONE"],
    ["commit", "NONE"],
    ["refused", "UNKNOWN_MEMBER_ID"],
  ]);
});

test("a member that waits for an answer does not expire, and has a full session from the answer on", () => {
  const bench = new ClassicBench();
  const [a, b] = bench.stable({ sessionTimeoutMs: 30_000 }, {});
  if (a === undefined || b === undefined) throw new Error("nobody joined");
  const fields = { protocols: [{ name: "range", metadata: subscriptionTo("bills") }] };
  const again = bench.join({ ...fields, memberId: b.memberId });
  bench.pass(SESSION_MS * 2);
  expect(again.answer).toBeUndefined();
  bench.join({ memberId: a.memberId, sessionTimeoutMs: 30_000 });
  const joined = answered(again);
  bench.pass(SESSION_MS - 1);
  expect(bench.heartbeat(joined)).toBe("NONE");
});

test("while an answer to a member waits for a commit its session stands still (H62)", () => {
  const bench = new ClassicBench();
  const [a, b] = bench.stable({}, {});
  if (a === undefined || b === undefined) throw new Error("nobody joined");
  bench.pass(SESSION_MS - 1_000);
  bench.heartbeat(b);
  bench.hold();
  bench.heartbeat(a);
  bench.pass(SESSION_MS - 1_001);
  bench.release();
  bench.pass(SESSION_MS - 1);
  expect(bench.heartbeat(a)).toBe("REBALANCE_IN_PROGRESS");
  expect(bench.heartbeat(b)).toBe("UNKNOWN_MEMBER_ID");
  bench.pass(SESSION_MS);
  expect(bench.heartbeat(a)).toBe("UNKNOWN_MEMBER_ID");
});

test("a member whose part of the plan waits for a commit has a full session from when it gets it (H62)", () => {
  const bench = new ClassicBench();
  const [member] = [answered(bench.join())];
  bench.hold();
  const sync = bench.sync(member, { [member.memberId]: partOf(0) });
  bench.pass(3 * SESSION_MS);
  bench.release();
  expect(answered(sync).assignment).toEqual(partOf(0));
  bench.pass(SESSION_MS - 1);
  expect(bench.heartbeat(member)).toBe("NONE");
});

test("after the silence of all the group is empty", () => {
  const bench = new ClassicBench();
  bench.stable({}, { groupInstanceId: "s" }, {});
  bench.pass(SESSION_MS);
  expect([bench.group.state, bench.values.at(-1)?.members]).toEqual(["Empty", []]);
  expect(bench.group.nextDeadlineMs).toBe(Infinity);
});

test("members leave one by one with an outcome each, and it is one rebalance", () => {
  const bench = new ClassicBench();
  const [a, b, s] = bench.stable({}, {}, { groupInstanceId: "s" });
  const pending = bench.join({ requireKnownMemberId: true }).answer?.memberId ?? "";
  const response = bench.leave(
    { memberId: b?.memberId ?? "" },
    { memberId: "stranger" },
    { groupInstanceId: "s" },
    { groupInstanceId: "nobody" },
    { memberId: a?.memberId ?? "", groupInstanceId: "s" },
    { memberId: pending },
    {},
  );
  expect(response.members.map(({ error }) => error)).toEqual([
    "NONE",
    "UNKNOWN_MEMBER_ID",
    "NONE",
    "UNKNOWN_MEMBER_ID",
    "UNKNOWN_MEMBER_ID",
    "NONE",
    "UNKNOWN_MEMBER_ID",
  ]);
  expect(response.members[2]).toMatchObject({ memberId: "", groupInstanceId: "s" });
  expect(s?.generationId).toBe(2);
  expect(answered(bench.join({ memberId: a?.memberId ?? "" }))).toMatchObject({ generationId: 3 });
});

test("a leave that names nobody of the group disturbs nobody", () => {
  const bench = new ClassicBench();
  const a = only(bench.stable({ groupInstanceId: "s" }));
  const response = bench.leave({ memberId: "stranger" }, { memberId: "stranger", groupInstanceId: "s" });
  expect(response.members.map(({ error }) => error)).toEqual(["UNKNOWN_MEMBER_ID", "FENCED_INSTANCE_ID"]);
  expect(bench.heartbeat(a, "s")).toBe("NONE");
});

test("what a member waits for when it is removed is answered", () => {
  const bench = new ClassicBench({ initialRebalanceDelayMs: 1_000 });
  const joins = [bench.join(), bench.join()];
  bench.pass(1_000);
  const [, b] = joins.map((join) => answered(join));
  if (b === undefined) throw new Error("nobody joined");
  const sync = bench.sync(b);
  bench.leave(b);
  expect(sync.answer?.error).toBe("UNKNOWN_MEMBER_ID");
});

test("only members of the current generation commit (H60)", () => {
  const bench = new ClassicBench();
  const a = only(bench.stable({}));
  expect(bench.commit(a)).toBe("NONE");
  expect(bench.commit({ ...a, generationId: a.generationId - 1 })).toBe("ILLEGAL_GENERATION");
  expect(bench.commit({ ...a, generationId: -1 })).toBe("ILLEGAL_GENERATION");
  expect(bench.commit({ ...a, memberId: "stranger" })).toBe("UNKNOWN_MEMBER_ID");
  expect(bench.commit(OUTSIDE)).toBe("UNKNOWN_MEMBER_ID");
});

test("members may still commit while the group meets, and not until they have the new plan", () => {
  const bench = new ClassicBench();
  const a = only(bench.stable({}));
  const b = bench.join();
  expect([bench.group.state, bench.commit(a)]).toEqual(["PreparingRebalance", "NONE"]);
  const again = answered(bench.join({ memberId: a.memberId }));
  expect(bench.commit(a)).toBe("ILLEGAL_GENERATION");
  expect([bench.commit(again), bench.commit(answered(b))]).toEqual([
    "REBALANCE_IN_PROGRESS",
    "REBALANCE_IN_PROGRESS",
  ]);
  bench.sync(again);
  expect(bench.commit(again)).toBe("NONE");
});

test("from outside one may commit for an empty group only", () => {
  const bench = new ClassicBench();
  expect(bench.commit(OUTSIDE)).toBe("NONE");
  bench.join({ requireKnownMemberId: true });
  expect(bench.commit(OUTSIDE)).toBe("NONE");
  bench.pass(SESSION_MS);
  const a = only(bench.stable({ groupInstanceId: "s" }));
  expect(bench.commit(OUTSIDE)).toBe("UNKNOWN_MEMBER_ID");
  bench.leave(a);
  expect(bench.commit(OUTSIDE)).toBe("NONE");
  expect(bench.commit(a)).toBe("UNKNOWN_MEMBER_ID");
});

test("a group is subscribed to the topics of its members, and to all that it cannot read", () => {
  const bench = new ClassicBench();
  expect(bench.group.isSubscribedTo("orders")).toBe(false);
  bench.stable({}, { protocols: [{ name: "range", metadata: subscriptionTo("bills", "refunds") }] });
  const topics = ["orders", "refunds", "other"];
  expect(topics.map((topic) => bench.group.isSubscribedTo(topic))).toEqual([true, true, false]);
  bench.join({ protocols: [{ name: "range", metadata: Buffer.from([0]) }] });
  expect(bench.group.isSubscribedTo("other")).toBe(true);
});

test("a group that is not one of consumers is subscribed to nothing", () => {
  const bench = new ClassicBench();
  bench.stable({ protocolType: "connect" });
  expect(bench.group.isSubscribedTo("orders")).toBe(false);
});

test("the description shows members with what they subscribe to, and with their partitions while they hold", () => {
  const bench = new ClassicBench();
  const a = only(bench.stable({ clientId: "app", clientHost: "/10.0.0.1", groupInstanceId: "s" }));
  const assignment = [{ topic: "orders", partitions: [0] }];
  expect(bench.group.describe()).toEqual({
    error: "NONE",
    errorMessage: "",
    groupId: GROUP,
    type: "classic",
    state: "Stable",
    protocolType: "consumer",
    protocol: "range",
    epoch: 1,
    members: [
      {
        memberId: a.memberId,
        groupInstanceId: "s",
        clientId: "app",
        clientHost: "/10.0.0.1",
        rackId: undefined,
        memberEpoch: -1,
        topics: ["orders"],
        topicRegex: undefined,
        assignment,
        target: assignment,
      },
    ],
  });
  bench.join();
  expect(bench.group.describe()).toMatchObject({
    state: "PreparingRebalance",
    members: [{ assignment: [] }, {}],
  });
});

test("bytes that are no subscription or assignment are described as nothing", () => {
  const bench = new ClassicBench();
  const a = answered(bench.join({ protocols: [{ name: "range", metadata: Buffer.from("?") }] }));
  bench.sync(a, { [a.memberId]: Buffer.from("?") });
  expect(bench.group.describe().members).toMatchObject([{ topics: [], assignment: [] }]);
});

test("after a failover members go on in their generation, with a full session each (H62)", () => {
  const bench = new ClassicBench();
  const [a, b] = bench.stable({}, {});
  if (a === undefined || b === undefined) throw new Error("nobody joined");
  bench.pass(SESSION_MS - 1);
  bench.failOver();
  bench.pass(SESSION_MS - 1);
  expect([bench.heartbeat(a), bench.commit(b)]).toEqual(["NONE", "NONE"]);
  expect(answered(bench.sync(b)).assignment).toEqual(partOf(1));
  bench.pass(SESSION_MS);
  expect(bench.group.state).toBe("Empty");
});

test("a failover in the middle of a rebalance goes back to the last generation that was complete", () => {
  const bench = new ClassicBench();
  const a = only(bench.stable({}));
  const b = bench.join({ requireKnownMemberId: true }).answer?.memberId ?? "";
  bench.join({ memberId: b });
  const moved = answered(bench.join({ memberId: a.memberId }));
  bench.failOver();
  expect(bench.heartbeat(moved)).toBe("ILLEGAL_GENERATION");
  expect(bench.heartbeat(a)).toBe("NONE");
  expect(bench.join({ memberId: b }).answer?.error).toBe("UNKNOWN_MEMBER_ID");
  expect(bench.group.describe().members).toHaveLength(1);
});

test("a group that became empty is empty after a failover, and goes on counting generations", () => {
  const bench = new ClassicBench();
  const a = only(bench.stable({}));
  bench.leave(a);
  bench.failOver();
  expect([bench.group.state, bench.group.nextDeadlineMs]).toEqual(["Empty", Infinity]);
  expect(answered(bench.join()).generationId).toBe(a.generationId + 2);
});

test("a group that is removed leaves a tombstone", () => {
  const records: unknown[] = [];
  const bench = new ClassicBench();
  bench.group.remove({ record: (record) => records.push(record), reply: () => undefined });
  expect(records).toEqual([{ type: "classicGroup", groupId: GROUP, value: null }]);
});
