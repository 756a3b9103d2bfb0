import { expect, test } from "vitest";
import { answered, ClassicBench, partOf, REBALANCE_MS, SESSION_MS } from "./classic-bench.ts";
import { subscriptionTo } from "./shard-requests.ts";

const protocol = (name: string, ...topics: string[]) => ({
  name,
  metadata: subscriptionTo(...(topics.length === 0 ? ["orders"] : topics)),
});

test("a session timeout outside of the bounds is refused", () => {
  const bench = new ClassicBench();
  for (const sessionTimeoutMs of [5_999, 1_800_001]) {
    expect(bench.join({ sessionTimeoutMs }).answer?.error).toBe("INVALID_SESSION_TIMEOUT");
  }
  expect(answered(bench.join({ sessionTimeoutMs: 6_000 })).generationId).toBe(1);
});

test("a member that says more than is kept for one is refused, and so is the group as a whole (H62)", () => {
  const bench = new ClassicBench({ maxMemberBytes: 1_000 });
  const big = { name: "range", metadata: Buffer.alloc(900) };
  const huge = { name: "range", metadata: Buffer.alloc(1_000) };
  expect(bench.join({ protocols: [huge] }).answer?.error).toBe("INVALID_REQUEST");
  expect(bench.join({ protocols: [big, big] }).answer?.error).toBe("INVALID_REQUEST");
  const answers = Array.from({ length: 80 }, () => bench.join({ protocols: [big] }).answer?.error);
  expect(answers.filter((error) => error === "GROUP_MAX_SIZE_REACHED").length).toBeGreaterThan(10);
  expect(answers.slice(0, 60)).not.toContain("GROUP_MAX_SIZE_REACHED");
});

test("a dynamic member is given an id first and becomes a member when it comes with it (KIP-394)", () => {
  const bench = new ClassicBench();
  const first = bench.join({ requireKnownMemberId: true, clientId: "app" });
  expect(first.answer).toMatchObject({ error: "MEMBER_ID_REQUIRED", memberId: "app-id-0", generationId: -1 });
  expect([bench.group.state, bench.group.isEmpty, bench.group.emptySinceMs]).toEqual([
    "Empty",
    false,
    undefined,
  ]);
  const second = answered(bench.join({ requireKnownMemberId: true, memberId: "app-id-0" }));
  expect(second).toMatchObject({ memberId: "app-id-0", generationId: 1, leader: "app-id-0" });
});

test("an id that is not used within the session timeout is forgotten", () => {
  const bench = new ClassicBench();
  const memberId = bench.join({ requireKnownMemberId: true }).answer?.memberId ?? "";
  bench.pass(SESSION_MS - 1);
  expect(bench.group.isEmpty).toBe(false);
  bench.pass(1);
  expect([bench.group.isEmpty, bench.group.emptySinceMs, bench.group.nextDeadlineMs]).toEqual([
    true,
    0,
    Infinity,
  ]);
  expect(bench.join({ memberId }).answer?.error).toBe("UNKNOWN_MEMBER_ID");
});

test("a rebalance waits for an id that was given out, until it is forgotten", () => {
  const bench = new ClassicBench();
  const [a] = bench.stable({});
  bench.join({ requireKnownMemberId: true });
  const again = bench.join({ memberId: a?.memberId ?? "" });
  expect([bench.group.state, again.answer]).toEqual(["PreparingRebalance", undefined]);
  bench.pass(SESSION_MS);
  expect(answered(again).generationId).toBe(2);
});

test("ids that are given out are bounded: the oldest makes room (H62)", () => {
  const bench = new ClassicBench({ maxSize: 2 });
  const ids = Array.from(
    { length: 1_001 },
    () => bench.join({ requireKnownMemberId: true }).answer?.memberId,
  );
  expect(bench.join({ memberId: ids[0] ?? "" }).answer?.error).toBe("UNKNOWN_MEMBER_ID");
  expect(bench.join({ memberId: ids[1] ?? "" }).answer).toBeUndefined();
  expect(bench.group.state).toBe("PreparingRebalance");
});

test("an unknown member id is refused, and nothing comes of it", () => {
  const bench = new ClassicBench();
  expect(bench.join({ memberId: "stranger" }).answer).toMatchObject({
    error: "UNKNOWN_MEMBER_ID",
    memberId: "stranger",
  });
  expect([bench.group.isEmpty, bench.values]).toEqual([true, []]);
});

test("a group takes no more than its maximum of members, and those who are in it may come again", () => {
  const bench = new ClassicBench({ maxSize: 2 });
  const [a, b] = bench.stable({}, {});
  for (const requireKnownMemberId of [true, false]) {
    expect(bench.join({ requireKnownMemberId }).answer).toMatchObject({
      error: "GROUP_MAX_SIZE_REACHED",
      memberId: "",
    });
  }
  expect(bench.group.state).toBe("Stable");
  const first = bench.join({ memberId: a?.memberId ?? "" });
  expect(bench.join({}).answer?.error).toBe("GROUP_MAX_SIZE_REACHED");
  bench.join({ memberId: b?.memberId ?? "" });
  expect(answered(first).members).toHaveLength(2);
});

test("an id that was given out before the group was full is refused and no longer waited for", () => {
  const bench = new ClassicBench({ maxSize: 1 });
  const [x, y] = [bench.join({ requireKnownMemberId: true }), bench.join({ requireKnownMemberId: true })];
  const first = bench.join({ memberId: x.answer?.memberId ?? "" });
  expect(first.answer).toBeUndefined();
  expect(bench.join({ memberId: y.answer?.memberId ?? "" }).answer?.error).toBe("GROUP_MAX_SIZE_REACHED");
  expect(answered(first).generationId).toBe(1);
});

test("a group that is too large for a new maximum meets when it is loaded, and who comes late is out", () => {
  const bench = new ClassicBench();
  const [a, b, c] = bench.stable({}, {}, {});
  bench.failOver({ maxSize: 2 });
  expect(bench.group.state).toBe("PreparingRebalance");
  const joins = [a, b, c].map((member) => bench.join({ memberId: member?.memberId ?? "" }));
  expect(joins.map(({ answer }) => answer?.error)).toEqual(["NONE", "NONE", "GROUP_MAX_SIZE_REACHED"]);
  expect(bench.group.describe().members).toHaveLength(2);
});

test("the protocol is the one that most members like best of those that all have", () => {
  const bench = new ClassicBench({ initialRebalanceDelayMs: 3_000 });
  const joins = [
    ["sticky", "range", "roundrobin"],
    ["range", "roundrobin"],
    ["roundrobin", "range"],
    ["roundrobin", "range", "sticky"],
  ].map((names) => bench.join({ protocols: names.map((name) => protocol(name)) }));
  bench.pass(3_000);
  // Two votes each; the first member prefers range.
  expect(joins.map((join) => answered(join).protocolName)).toEqual(["range", "range", "range", "range"]);
  bench.join({ protocols: [protocol("roundrobin"), protocol("range")] });
  const again = joins.map(({ answer }, at) =>
    bench.join({
      memberId: answer?.memberId ?? "",
      protocols:
        at === 0 ? [protocol("range"), protocol("roundrobin")] : [protocol("roundrobin"), protocol("range")],
    }),
  );
  expect(again.map((join) => answered(join).protocolName)[0]).toBe("roundrobin");
});

test("the leader gets what each member said for the chosen protocol, the others get nothing", () => {
  const bench = new ClassicBench({ initialRebalanceDelayMs: 3_000 });
  const a = bench.join({ protocols: [protocol("range", "orders"), protocol("sticky", "a")] });
  const b = bench.join({ groupInstanceId: "i", protocols: [protocol("range", "bills")] });
  bench.pass(3_000);
  expect(answered(b).members).toEqual([]);
  expect(answered(a).members).toEqual([
    { memberId: a.answer?.memberId, groupInstanceId: undefined, metadata: subscriptionTo("orders") },
    { memberId: b.answer?.memberId, groupInstanceId: "i", metadata: subscriptionTo("bills") },
  ]);
});

test("a member without a common protocol, or of another type, is refused and no other notices", () => {
  const bench = new ClassicBench();
  const [a] = bench.stable({ protocols: [protocol("range"), protocol("sticky")] });
  const bad = [
    { protocols: [protocol("roundrobin")] },
    { protocolType: "connect" },
    { protocols: [] },
    { protocolType: "" },
  ];
  for (const fields of bad) expect(bench.join(fields).answer?.error).toBe("INCONSISTENT_GROUP_PROTOCOL");
  expect(a === undefined ? "" : bench.heartbeat(a)).toBe("NONE");
});

test("an empty group needs a protocol, and may be of another type than before", () => {
  const bench = new ClassicBench();
  for (const fields of [{ protocolType: "" }, { protocols: [] }]) {
    expect(bench.join(fields).answer?.error).toBe("INCONSISTENT_GROUP_PROTOCOL");
  }
  const [a] = bench.stable({});
  bench.leave(a ?? {});
  expect(answered(bench.join({ protocolType: "connect" })).protocolType).toBe("connect");
});

test("the only member may change its protocols altogether", () => {
  const bench = new ClassicBench();
  const [a] = bench.stable({});
  const again = bench.join({ memberId: a?.memberId ?? "", protocols: [protocol("sticky")] });
  expect(answered(again)).toMatchObject({ protocolName: "sticky", generationId: 2 });
});

test("a follower of a stable group that comes again unchanged is given the current generation", () => {
  const bench = new ClassicBench();
  const [, b] = bench.stable({}, {});
  const again = answered(bench.join({ memberId: b?.memberId ?? "" }));
  expect(again).toMatchObject({ generationId: b?.generationId, memberId: b?.memberId, members: [] });
  expect(bench.group.state).toBe("Stable");
});

test("a follower that comes with another subscription, or the leader unchanged, begins a rebalance", () => {
  for (const [at, protocols] of [
    [1, [protocol("range", "bills")]],
    [0, [protocol("range")]],
  ] as const) {
    const bench = new ClassicBench();
    const members = bench.stable({}, {});
    const again = bench.join({ memberId: members[at]?.memberId ?? "", protocols });
    expect([again.answer, bench.group.state]).toEqual([undefined, "PreparingRebalance"]);
  }
});

test("while the plan is made, a join that is repeated unchanged is answered again, the leader's with all members", () => {
  const bench = new ClassicBench({ initialRebalanceDelayMs: 1_000 });
  const [a, b] = [bench.join(), bench.join()];
  bench.pass(1_000);
  for (const join of [a, b]) {
    const before = answered(join);
    expect(bench.join({ memberId: before.memberId }).answer).toEqual(before);
  }
  bench.join({ memberId: b.answer?.memberId ?? "", protocols: [protocol("range", "bills")] });
  expect(bench.group.state).toBe("PreparingRebalance");
});

test("the older of two joins of one member is answered, the newer one joins", () => {
  const bench = new ClassicBench();
  const [a, b] = bench.stable({}, {});
  const memberId = a?.memberId ?? "";
  const older = bench.join({ memberId });
  const newer = bench.join({ memberId });
  expect([older.answer?.error, newer.answer]).toEqual(["REBALANCE_IN_PROGRESS", undefined]);
  bench.join({ memberId: b?.memberId ?? "" });
  expect(answered(newer).generationId).toBe((a?.generationId ?? 0) + 1);
});

test("a first join is kept waiting for five minutes at most", () => {
  const bench = new ClassicBench();
  const [a] = bench.stable({ rebalanceTimeoutMs: 1_000_000, sessionTimeoutMs: 1_000_000 });
  const first = bench.join();
  bench.pass(299_999);
  expect(first.answer).toBeUndefined();
  bench.pass(1);
  expect(first.answer).toMatchObject({ error: "UNKNOWN_MEMBER_ID", memberId: "" });
  expect(answered(bench.join({ memberId: a?.memberId ?? "" })).members).toHaveLength(1);
});

test("without a rebalance timeout that of the session is taken", () => {
  const bench = new ClassicBench();
  const [a] = bench.stable({ rebalanceTimeoutMs: -1 });
  const second = bench.join({ rebalanceTimeoutMs: -1 });
  bench.pass(SESSION_MS / 2);
  if (a !== undefined) bench.heartbeat(a);
  bench.pass(SESSION_MS / 2);
  expect(answered(second).leader).toBe(second.answer?.memberId);
  expect(REBALANCE_MS).toBeGreaterThan(SESSION_MS);
});

test("what a member said is kept apart from the bytes of its request", () => {
  const bench = new ClassicBench();
  const metadata = subscriptionTo("orders");
  const a = answered(bench.join({ protocols: [{ name: "range", metadata }] }));
  metadata.fill(0);
  bench.sync(a, { [a.memberId]: partOf(0) });
  expect(bench.values[0]?.members[0]?.subscription).toEqual(subscriptionTo("orders"));
});
