import { describe, expect, test } from "vitest";
import { ConsumerBench, countOf, part } from "./consumer-bench.ts";

const ORDERS = { orders: { seed: 1, partitions: 4 } };

/** A member with all four partitions, and a second one that waits for two of them. */
function twoMembers(): { bench: ConsumerBench; first: number } {
  const bench = new ConsumerBench(ORDERS);
  const first = bench.join("a").memberEpoch;
  bench.beat("a", first, { topicPartitions: [part(1, 0, 1, 2, 3)] });
  bench.join("b");
  return { bench, first };
}

describe("joining", () => {
  test("the first member gets everything at once", () => {
    const bench = new ConsumerBench(ORDERS);
    const joined = bench.join("a");
    expect(joined).toMatchObject({ error: "NONE", memberId: "a", heartbeatIntervalMs: 5_000 });
    expect(joined.assignment).toEqual([part(1, 0, 1, 2, 3)]);
    expect(joined.memberEpoch).toBeGreaterThan(0);
    expect(bench.group.state).toBe("Stable");
  });

  test("a heartbeat that brings nothing new carries no assignment", () => {
    const bench = new ConsumerBench(ORDERS);
    const { memberEpoch } = bench.join("a");
    const records = bench.log.length;
    expect(bench.beat("a", memberEpoch)).toMatchObject({ error: "NONE", memberEpoch, assignment: undefined });
    expect(
      bench.beat("a", memberEpoch, { topicPartitions: [part(1, 3, 2, 1, 0)] }).assignment,
    ).toBeUndefined();
    expect(bench.log.length).toBe(records);
  });

  test("a member that says it owns less than it has is told again", () => {
    const bench = new ConsumerBench(ORDERS);
    const { memberEpoch } = bench.join("a");
    expect(bench.beat("a", memberEpoch, { topicPartitions: [] }).assignment).toEqual([part(1, 0, 1, 2, 3)]);
  });

  test("a join that is sent again is answered as before", () => {
    const bench = new ConsumerBench(ORDERS);
    const joined = bench.join("a");
    expect(bench.join("a")).toEqual(joined);
  });

  test("a group that is full takes no more members", () => {
    const bench = new ConsumerBench(ORDERS, { maxSize: 1 });
    bench.join("a");
    const refused = bench.join("b");
    expect(refused).toMatchObject({ error: "GROUP_MAX_SIZE_REACHED", memberEpoch: 0 });
    expect(refused.errorMessage).toContain("group.max.size");
    expect(bench.join("a").error).toBe("NONE");
  });

  test.each([
    ["no member id", "", 0, {}, "INVALID_REQUEST"],
    ["an epoch below -2", "a", -3, {}, "INVALID_REQUEST"],
    ["nothing subscribed", "a", 0, { subscribedTopicNames: [] }, "INVALID_REQUEST"],
    ["no rebalance timeout", "a", 0, { rebalanceTimeoutMs: undefined }, "INVALID_REQUEST"],
    ["a rebalance timeout of 0", "a", 0, { rebalanceTimeoutMs: 0 }, "INVALID_REQUEST"],
    ["partitions of a member that joins", "a", 0, { topicPartitions: [part(1, 0)] }, "INVALID_REQUEST"],
    ["an empty instance id", "a", 0, { instanceId: "" }, "INVALID_REQUEST"],
    ["a leave for a while without an instance id", "a", -2, {}, "INVALID_REQUEST"],
    ["too large a subscription", "a", 0, { subscribedTopicRegex: "x".repeat(70_000) }, "INVALID_REQUEST"],
    ["a topic name that cannot be", "a", 0, { subscribedTopicNames: ["a b"] }, "INVALID_TOPIC_EXCEPTION"],
    ["an unknown assignor", "a", 0, { serverAssignor: "best" }, "UNSUPPORTED_ASSIGNOR"],
    ["a pattern that is none", "a", 0, { subscribedTopicRegex: "(" }, "INVALID_REGULAR_EXPRESSION"],
    ["a heartbeat of nobody", "a", 3, {}, "UNKNOWN_MEMBER_ID"],
    ["a leave of nobody", "a", -1, {}, "UNKNOWN_MEMBER_ID"],
  ] as const)("%s is refused and changes nothing", (_, memberId, memberEpoch, fields, error) => {
    const bench = new ConsumerBench(ORDERS);
    const refused =
      memberEpoch === 0 ? bench.join(memberId, fields) : bench.beat(memberId, memberEpoch, fields);
    expect(refused.error).toBe(error);
    expect(refused.errorMessage).not.toBe("");
    expect(bench.log).toEqual([]);
    expect(bench.group.isEmpty).toBe(true);
  });
});

describe("reconciliation", () => {
  test("a partition moves only when the one who had it has given it up", () => {
    const { bench, first } = twoMembers();
    expect(bench.member("b").assignment).toEqual([]);
    expect(bench.group.state).toBe("Reconciling");

    const asked = bench.beat("a", first);
    expect(countOf(asked.assignment)).toBe(2);
    expect(asked.memberEpoch).toBeGreaterThan(first);
    const epochOfB = bench.member("b").memberEpoch;
    expect(bench.beat("b", epochOfB).assignment).toBeUndefined();

    // It says nothing of what it owns, or still owns it: nothing moves.
    bench.beat("a", asked.memberEpoch);
    bench.beat("a", asked.memberEpoch, { topicPartitions: [part(1, 0, 1, 2, 3)] });
    expect(bench.beat("b", epochOfB).assignment).toBeUndefined();

    const done = bench.beat("a", asked.memberEpoch, { topicPartitions: asked.assignment });
    expect(done.memberEpoch).toBe(bench.group.describe(bench.context).epoch);
    expect(done.assignment).toBeUndefined();
    expect(countOf(bench.beat("b", epochOfB).assignment)).toBe(2);
    expect(bench.group.state).toBe("Stable");
  });

  test("the epoch in which a member gives up lies below the one of the target", () => {
    const { bench, first } = twoMembers();
    const asked = bench.beat("a", first);
    expect(asked.memberEpoch).toBe(bench.group.describe(bench.context).epoch - 1);
    expect(bench.member("b").memberEpoch).toBe(bench.group.describe(bench.context).epoch);
  });

  test("a delayed duplicate from before a partition was given is no sign that it was given up (H60)", () => {
    const bench = new ConsumerBench({ orders: { seed: 1, partitions: 6 } });
    const first = bench.join("a").memberEpoch;
    const { memberEpoch } = bench.join("b");
    const asked = bench.beat("a", first);
    bench.beat("a", asked.memberEpoch, { topicPartitions: asked.assignment });
    const given = bench.beat("b", memberEpoch);
    expect(given.memberEpoch).toBe(memberEpoch);
    expect(countOf(given.assignment)).toBe(3);
    bench.join("c");
    expect(countOf(bench.beat("b", memberEpoch).assignment)).toBe(2);
    // Sent before the three were given, and in the epoch in which they were.
    expect(bench.beat("b", memberEpoch, { topicPartitions: [] }).error).toBe("NONE");
    expect(bench.member("b").assignment[0]?.partitions.length).toBe(3);
    expect(bench.member("c").assignment).toEqual([]);
  });

  test("members whose target stays are not told anything but the epoch", () => {
    const bench = new ConsumerBench({
      orders: { seed: 1, partitions: 4 },
      bills: { seed: 2, partitions: 4 },
    });
    const { memberEpoch } = bench.join("a", { subscribedTopicNames: ["orders"] });
    const hasNews = bench.watch("a", memberEpoch);
    bench.join("b", { subscribedTopicNames: ["bills"] });
    expect(hasNews()).toBe(false);
    expect(bench.group.state).toBe("Stable");
    expect(bench.beat("a", memberEpoch).assignment).toBeUndefined();
  });

  test("a member that leaves frees its partitions at once", () => {
    const { bench, first } = twoMembers();
    expect(bench.beat("a", -1)).toMatchObject({ error: "NONE", memberEpoch: -1 });
    expect(bench.beat("b", bench.member("b").memberEpoch).assignment).toEqual([part(1, 0, 1, 2, 3)]);
    expect(bench.beat("a", first).error).toBe("UNKNOWN_MEMBER_ID");
  });

  test("the last one out leaves an empty group, which can be removed", () => {
    const bench = new ConsumerBench(ORDERS);
    bench.join("a");
    expect(bench.group.emptySinceMs).toBeUndefined();
    bench.beat("a", -1);
    expect(bench.group.state).toBe("Empty");
    expect(bench.group.emptySinceMs).toBe(bench.context.wallMs);
    bench.act((_, effects) => {
      bench.group.remove(effects);
    });
    const last = new Map(bench.log.map((record) => [JSON.stringify({ ...record, value: 0 }), record.value]));
    expect([...last.values()].every((value) => value === null)).toBe(true);
  });

  test("targets are recorded only for those whose target changed", () => {
    const bench = new ConsumerBench({
      orders: { seed: 1, partitions: 4 },
      bills: { seed: 2, partitions: 4 },
    });
    bench.join("a", { subscribedTopicNames: ["orders"] });
    bench.join("b", { subscribedTopicNames: ["bills"] });
    const targets = bench.log.filter(({ type }) => type === "targetMember");
    expect(targets.map((record) => ("memberId" in record ? record.memberId : ""))).toEqual(["a", "b"]);
  });

  test("most wishes choose the assignor, and without wishes the first is taken", () => {
    const bench = new ConsumerBench(ORDERS);
    const protocol = (): string => bench.group.describe(bench.context).protocol;
    const { memberEpoch } = bench.join("a");
    expect(protocol()).toBe("uniform");
    bench.join("b", { serverAssignor: "range" });
    expect(protocol()).toBe("range");
    bench.beat("a", memberEpoch, { serverAssignor: "uniform" });
    expect(protocol()).toBe("uniform");
  });
});

describe("epochs", () => {
  test("an epoch that the member never had is fenced", () => {
    const bench = new ConsumerBench(ORDERS);
    const { memberEpoch } = bench.join("a");
    expect(bench.beat("a", memberEpoch + 1).error).toBe("FENCED_MEMBER_EPOCH");
    expect(bench.beat("a", memberEpoch - 1).error).toBe("FENCED_MEMBER_EPOCH");
    expect(bench.beat("a", memberEpoch).error).toBe("NONE");
  });

  test("the epoch before is taken from a member whose answer was lost, and tells it all again", () => {
    const { bench, first } = twoMembers();
    const asked = bench.beat("a", first);
    const again = bench.beat("a", first, { topicPartitions: [part(1, 0, 1, 2, 3)] });
    expect(again).toEqual(asked);
  });

  test("the epoch before is fenced without owned partitions, or with others than the member has", () => {
    const { bench, first } = twoMembers();
    bench.beat("a", first);
    expect(bench.beat("a", first).error).toBe("FENCED_MEMBER_EPOCH");
    expect(bench.beat("a", first, { topicPartitions: [part(1, 4)] }).error).toBe("FENCED_MEMBER_EPOCH");
  });

  test("a member that joins again while it is to give something up is asked in a new epoch", () => {
    const { bench, first } = twoMembers();
    const asked = bench.beat("a", first);
    const joined = bench.join("a");
    expect(joined.assignment).toEqual(asked.assignment);
    expect(joined.memberEpoch).toBeGreaterThan(asked.memberEpoch);
    // It owned nothing when it joined, so it has nothing to give up.
    expect(countOf(bench.beat("b", bench.member("b").memberEpoch).assignment)).toBe(0);
    bench.beat("a", joined.memberEpoch);
    expect(countOf(bench.beat("b", bench.member("b").memberEpoch).assignment)).toBe(2);
  });

  test("a delayed duplicate of a join does not keep what the member has given up", () => {
    const { bench, first } = twoMembers();
    const asked = bench.beat("a", first);
    bench.join("a");
    const kept = [part(1, 0, 1)];
    const again = bench.beat("a", asked.memberEpoch, { topicPartitions: kept });
    expect(again.memberEpoch).toBeGreaterThan(asked.memberEpoch);
    // It was told what it knows already, and has nothing to say about it.
    bench.beat("a", again.memberEpoch);
    expect(countOf(bench.beat("b", bench.member("b").memberEpoch).assignment)).toBe(2);
  });

  test("what a member says that it does not own when it is asked, it need not say again", () => {
    const { bench, first } = twoMembers();
    const asked = bench.beat("a", first, { topicPartitions: [] });
    bench.beat("a", asked.memberEpoch);
    expect(countOf(bench.beat("b", bench.member("b").memberEpoch).assignment)).toBe(2);
  });

  test("what a member gives up goes on at once, though it still has more to give up", () => {
    const { bench, first } = twoMembers();
    const asked = bench.beat("a", first);
    const isCalled = bench.watch("b", bench.member("b").memberEpoch);
    expect(isCalled()).toBe(false);
    const kept = (asked.assignment ?? []).flatMap(({ partitions }) => partitions);
    const [slow = -1, done = -1] = [0, 1, 2, 3].filter((partition) => !kept.includes(partition));
    const still = bench.beat("a", asked.memberEpoch, { topicPartitions: [part(1, ...kept, slow)] });
    expect(still.memberEpoch).toBe(asked.memberEpoch);
    expect(isCalled()).toBe(true);
    expect(bench.beat("b", bench.member("b").memberEpoch).assignment).toEqual([part(1, done)]);
    bench.beat("a", asked.memberEpoch, { topicPartitions: [part(1, ...kept)] });
    const whole = bench.beat("b", bench.member("b").memberEpoch).assignment;
    expect(whole).toEqual([part(1, ...[slow, done].sort((a, b) => a - b))]);
  });

  test("a member that joins again is asked for all that it is to give up, once in an epoch", () => {
    const { bench, first } = twoMembers();
    bench.beat("a", first);
    bench.join("c");
    bench.join("d");
    const again = bench.join("a");
    expect(countOf(again.assignment)).toBe(1);
    const done = bench.beat("a", again.memberEpoch, { topicPartitions: again.assignment ?? [] });
    expect(done.memberEpoch).toBeGreaterThan(again.memberEpoch);
  });

  test("a delayed duplicate of a join does not free what the member holds (H60)", () => {
    const { bench, first } = twoMembers();
    const asked = bench.beat("a", first);
    bench.join("a");
    expect(bench.beat("a", asked.memberEpoch).error).toBe("FENCED_MEMBER_EPOCH");
    expect(bench.member("b").assignment).toEqual([]);
    // The member itself, whose full heartbeat is taken, and which then says nothing of what it owns.
    const full = bench.beat("a", asked.memberEpoch, { topicPartitions: [part(1, 0, 1, 2, 3)] });
    expect(full.error).toBe("NONE");
    bench.beat("a", full.memberEpoch);
    expect(bench.beat("b", bench.member("b").memberEpoch).assignment).toBeUndefined();
  });
});

test("a new coordinator goes on where the old one was", () => {
  const { bench, first } = twoMembers();
  const asked = bench.beat("a", first);
  const before = bench.group.describe(bench.context);
  const records = bench.log.length;
  bench.failover();
  expect(bench.group.describe(bench.context)).toEqual(before);
  expect(bench.log.length).toBe(records);
  bench.beat("a", asked.memberEpoch, { topicPartitions: asked.assignment });
  expect(countOf(bench.beat("b", bench.member("b").memberEpoch).assignment)).toBe(2);
});
