import { describe, expect, test } from "vitest";
import { ConsumerBench, countOf, part } from "./consumer-bench.ts";

const ORDERS = { orders: { seed: 1, partitions: 4 } };

describe("sessions", () => {
  test("a member that is silent for the session timeout is out, and others get what it had", () => {
    const bench = new ConsumerBench(ORDERS);
    bench.join("a");
    bench.pass(30_000);
    const { memberEpoch } = bench.join("b");
    const hasNews = bench.watch("b", memberEpoch);
    bench.pass(14_999);
    expect(hasNews()).toBe(false);
    bench.pass(1);
    expect(hasNews()).toBe(true);
    expect(bench.beat("b", memberEpoch).assignment).toEqual([part(1, 0, 1, 2, 3)]);
  });

  test("each heartbeat gives a full session", () => {
    const bench = new ConsumerBench(ORDERS);
    const { memberEpoch } = bench.join("a");
    for (let turn = 0; turn < 5; turn++) {
      bench.pass(44_000);
      expect(bench.beat("a", memberEpoch).error).toBe("NONE");
    }
  });

  test("a refused heartbeat gives none", () => {
    const bench = new ConsumerBench(ORDERS);
    const { memberEpoch } = bench.join("a");
    bench.pass(44_000);
    bench.beat("a", memberEpoch + 5);
    bench.pass(1_000);
    expect(bench.group.isEmpty).toBe(true);
  });

  test("while the answer to a heartbeat waits for a commit the session stands still (H62)", () => {
    const bench = new ConsumerBench(ORDERS);
    const { memberEpoch } = bench.join("a");
    bench.join("dead");
    bench.pass(44_000);
    bench.hold();
    const held = bench.beat("a", memberEpoch);
    bench.pass(100_000);
    bench.release();
    expect(bench.group.describe(bench.context).members.map(({ memberId }) => memberId)).toEqual(["a"]);
    bench.pass(44_999);
    expect(bench.beat("a", held.memberEpoch).error).toBe("NONE");
    bench.pass(45_000);
    expect(bench.group.isEmpty).toBe(true);
  });

  test("who goes while the answer to its heartbeat waits is out a session after it", () => {
    const bench = new ConsumerBench(ORDERS);
    const { memberEpoch } = bench.join("a");
    bench.hold();
    bench.beat("a", memberEpoch);
    bench.beat("a", memberEpoch);
    bench.pass(10_000);
    bench.release();
    bench.pass(44_999);
    expect(bench.group.isEmpty).toBe(false);
    bench.pass(1);
    expect(bench.group.isEmpty).toBe(true);
  });

  test("the time to give up begins when the member is told (H62)", () => {
    const bench = new ConsumerBench(ORDERS);
    const { memberEpoch } = bench.join("a", { rebalanceTimeoutMs: 10_000 });
    bench.join("b");
    bench.hold();
    const asked = bench.beat("a", memberEpoch);
    bench.pass(30_000);
    bench.release();
    bench.pass(9_999);
    expect(bench.beat("a", asked.memberEpoch).error).toBe("NONE");
    bench.pass(1);
    expect(bench.beat("a", asked.memberEpoch).error).toBe("UNKNOWN_MEMBER_ID");
  });

  test("a new coordinator gives everybody a full session (H62)", () => {
    const bench = new ConsumerBench(ORDERS);
    const { memberEpoch } = bench.join("a");
    bench.pass(44_000);
    bench.failover();
    bench.pass(44_000);
    expect(bench.beat("a", memberEpoch).error).toBe("NONE");
  });

  test("who does not give up what it must within its rebalance timeout is out, alive or not", () => {
    const bench = new ConsumerBench(ORDERS);
    const { memberEpoch } = bench.join("a", { rebalanceTimeoutMs: 10_000 });
    const epochOfB = bench.join("b").memberEpoch;
    const asked = bench.beat("a", memberEpoch);
    bench.pass(9_999);
    expect(bench.beat("a", asked.memberEpoch).error).toBe("NONE");
    bench.pass(1);
    expect(bench.beat("a", asked.memberEpoch).error).toBe("UNKNOWN_MEMBER_ID");
    expect(countOf(bench.beat("b", epochOfB).assignment)).toBe(4);
  });

  test("after a change of coordinators the time to give up starts anew", () => {
    const bench = new ConsumerBench(ORDERS);
    const { memberEpoch } = bench.join("a", { rebalanceTimeoutMs: 10_000 });
    bench.join("b");
    const asked = bench.beat("a", memberEpoch);
    bench.pass(9_000);
    bench.failover();
    bench.pass(9_999);
    expect(bench.beat("a", asked.memberEpoch).error).toBe("NONE");
    bench.pass(1);
    expect(bench.beat("a", asked.memberEpoch).error).toBe("UNKNOWN_MEMBER_ID");
  });

  test("the time to give up ends with the giving up", () => {
    const bench = new ConsumerBench(ORDERS);
    const { memberEpoch } = bench.join("a", { rebalanceTimeoutMs: 10_000 });
    bench.join("b");
    const asked = bench.beat("a", memberEpoch);
    const done = bench.beat("a", asked.memberEpoch, { topicPartitions: asked.assignment });
    bench.pass(20_000);
    expect(bench.beat("a", done.memberEpoch).error).toBe("NONE");
  });
});

describe("lost connections", () => {
  test("a member that does not come back within the grace time is out", () => {
    const bench = new ConsumerBench(ORDERS);
    bench.join("a");
    bench.disconnect("a");
    bench.pass(499);
    expect(bench.group.isEmpty).toBe(false);
    bench.pass(1);
    expect(bench.group.isEmpty).toBe(true);
  });

  test("one that is heard again stays", () => {
    const bench = new ConsumerBench(ORDERS);
    const { memberEpoch } = bench.join("a");
    bench.disconnect("a");
    bench.pass(400);
    bench.beat("a", memberEpoch);
    bench.pass(40_000);
    expect(bench.group.isEmpty).toBe(false);
  });

  test("the late end of an old connection makes the new one ask for a heartbeat", () => {
    const bench = new ConsumerBench(ORDERS);
    const { memberEpoch } = bench.join("a");
    const isAsked = bench.watch("a", memberEpoch);
    bench.disconnect("a");
    expect(bench.group.nextDeadlineMs).toBe(bench.nowMs);
    bench.pass(0);
    expect(isAsked()).toBe(true);
    expect(bench.group.nextDeadlineMs).toBe(bench.nowMs + 500);
  });

  test("the grace time begins with the call for a heartbeat, however late that comes (H62)", () => {
    const bench = new ConsumerBench(ORDERS);
    const { memberEpoch } = bench.join("a");
    const isCalled = bench.watch("a", memberEpoch);
    bench.disconnect("a");
    // The coordinator stands still, or hears first what was sent to it meanwhile.
    bench.nowMs += 3_000;
    bench.hold();
    bench.pass(3_000);
    bench.release();
    expect(isCalled()).toBe(true);
    bench.pass(499);
    expect(bench.beat("a", memberEpoch).error).toBe("NONE");
  });

  test("a static member keeps its session, and who is no member is let be", () => {
    const bench = new ConsumerBench(ORDERS);
    bench.join("a", { instanceId: "one" });
    bench.disconnect("a");
    bench.disconnect("b");
    bench.pass(40_000);
    expect(bench.group.isEmpty).toBe(false);
  });
});

describe("watches", () => {
  test("one that must give something up is told at once", () => {
    const bench = new ConsumerBench(ORDERS);
    const { memberEpoch } = bench.join("a");
    const hasNews = bench.watch("a", memberEpoch);
    expect(hasNews()).toBe(false);
    bench.join("b");
    expect(hasNews()).toBe(true);
  });

  test("one that waits for partitions is told when they are free, and not before", () => {
    const bench = new ConsumerBench(ORDERS);
    const { memberEpoch } = bench.join("a");
    const hasNews = bench.watch("b", bench.join("b").memberEpoch);
    const asked = bench.beat("a", memberEpoch);
    expect(hasNews()).toBe(false);
    bench.beat("a", asked.memberEpoch, { topicPartitions: asked.assignment });
    expect(hasNews()).toBe(true);
  });

  test("a watch is answered when another takes its place", () => {
    const bench = new ConsumerBench(ORDERS);
    const { memberEpoch } = bench.join("a");
    const older = bench.watch("a", memberEpoch);
    const newer = bench.watch("a", memberEpoch);
    expect([older(), newer()]).toEqual([true, false]);
  });

  test("a watch of an epoch that the member has left, or of nobody, is answered at once", () => {
    const bench = new ConsumerBench(ORDERS);
    const { memberEpoch } = bench.join("a");
    expect(bench.watch("a", memberEpoch - 1)()).toBe(true);
    expect(bench.watch("b", memberEpoch)()).toBe(true);
  });

  test("who is put out is told", () => {
    const bench = new ConsumerBench(ORDERS);
    const hasNews = bench.watch("a", bench.join("a").memberEpoch);
    bench.leave({ memberId: "a", reason: "" });
    expect(hasNews()).toBe(true);
  });

  test("a member's own heartbeat is no news to it", () => {
    const bench = new ConsumerBench(ORDERS);
    const { memberEpoch } = bench.join("a");
    const hasNews = bench.watch("a", memberEpoch);
    bench.beat("a", memberEpoch, { rackId: "r" });
    expect(bench.member("a").memberEpoch).toBeGreaterThan(memberEpoch);
    expect(hasNews()).toBe(false);
  });
});
