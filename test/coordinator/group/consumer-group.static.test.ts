import { expect, test } from "vitest";
import { ConsumerBench, countOf, part } from "./consumer-bench.ts";

const ORDERS = { orders: { seed: 1, partitions: 4 } };
const STATIC = { instanceId: "one" };

/* Static members (KIP-345) of consumer groups. */

test("a static member that comes back under a new id has what it had, and no other notices", () => {
  const bench = new ConsumerBench(ORDERS);
  const { memberEpoch } = bench.join("a", STATIC);
  expect(bench.beat("a", -2, STATIC)).toMatchObject({ error: "NONE", memberEpoch: -2 });
  expect(bench.member("a").memberEpoch).toBe(-2);
  const { epoch } = bench.group.describe(bench.context);
  const back = bench.join("b", STATIC);
  expect(back).toMatchObject({ error: "NONE", memberEpoch, assignment: [part(1, 0, 1, 2, 3)] });
  expect(bench.group.describe(bench.context)).toMatchObject({ epoch, members: [{ memberId: "b" }] });
  expect(bench.beat("a", memberEpoch).error).toBe("UNKNOWN_MEMBER_ID");
  expect(bench.beat("a", memberEpoch, STATIC).error).toBe("FENCED_INSTANCE_ID");
});

test("a second member of an instance id is refused while the first one is there", () => {
  const bench = new ConsumerBench(ORDERS);
  const { memberEpoch } = bench.join("a", STATIC);
  const refused = bench.join("b", STATIC);
  expect(refused.error).toBe("UNRELEASED_INSTANCE_ID");
  expect(refused.errorMessage).toContain("wait for its session to end");
  expect(bench.beat("a", memberEpoch).error).toBe("NONE");
});

test("a static member that went for a while may come back under its own id", () => {
  const bench = new ConsumerBench(ORDERS);
  bench.join("a", STATIC);
  bench.beat("a", -2, STATIC);
  expect(bench.join("a", STATIC).assignment).toEqual([part(1, 0, 1, 2, 3)]);
});

test("what a member that is away is not to have any more, others get at once", () => {
  const bench = new ConsumerBench(ORDERS);
  bench.join("a", STATIC);
  bench.beat("a", -2, STATIC);
  expect(countOf(bench.join("b").assignment)).toBe(2);
  expect(countOf(bench.join("a", STATIC).assignment)).toBe(2);
  expect(bench.group.state).toBe("Stable");
});

test("a static member that goes while it is to give something up has given it up", () => {
  const bench = new ConsumerBench(ORDERS);
  const { memberEpoch } = bench.join("a", STATIC);
  const epochOfB = bench.join("b").memberEpoch;
  bench.beat("a", memberEpoch);
  bench.beat("a", -2, STATIC);
  expect(countOf(bench.beat("b", epochOfB).assignment)).toBe(2);
});

test("a member that is away too long is out", () => {
  const bench = new ConsumerBench(ORDERS);
  bench.join("a", STATIC);
  bench.beat("a", -2, STATIC);
  bench.pass(44_999);
  expect(bench.group.isEmpty).toBe(false);
  bench.pass(1);
  expect(bench.group.isEmpty).toBe(true);
});

test("a heartbeat of a member that said it goes is fenced", () => {
  const bench = new ConsumerBench(ORDERS);
  const { memberEpoch } = bench.join("a", STATIC);
  bench.beat("a", -2, STATIC);
  expect(bench.beat("a", memberEpoch, STATIC).error).toBe("FENCED_MEMBER_EPOCH");
});

test("a new coordinator keeps the place of a member that is away", () => {
  const bench = new ConsumerBench(ORDERS);
  bench.join("a", STATIC);
  bench.beat("a", -2, STATIC);
  bench.failover();
  expect(bench.join("b", STATIC).assignment).toEqual([part(1, 0, 1, 2, 3)]);
});

test("a successor with another subscription gets a target of its own", () => {
  const bench = new ConsumerBench({ ...ORDERS, bills: { seed: 2, partitions: 1 } });
  bench.join("a", { ...STATIC, subscribedTopicNames: ["orders"] });
  bench.beat("a", -2, STATIC);
  expect(bench.join("b", { ...STATIC, subscribedTopicNames: ["bills"] }).assignment).toEqual([part(2, 0)]);
});

test("a member keeps the instance id that it joined with", () => {
  const bench = new ConsumerBench(ORDERS);
  bench.join("a", STATIC);
  expect(bench.join("a", { instanceId: "two" }).error).toBe("INVALID_REQUEST");
  expect(bench.join("a").error).toBe("INVALID_REQUEST");
});

test("an operator removes a static member by its instance id, and nobody by a wrong pair", () => {
  const bench = new ConsumerBench(ORDERS);
  bench.join("a", STATIC);
  bench.join("b");
  const left = bench.leave(
    { memberId: "b", groupInstanceId: "one", reason: "" },
    { memberId: "c", reason: "" },
    { memberId: "", groupInstanceId: "one", reason: "" },
    { memberId: "", groupInstanceId: "two", reason: "" },
  );
  expect(left.members.map(({ error }) => error)).toEqual([
    "FENCED_INSTANCE_ID",
    "UNKNOWN_MEMBER_ID",
    "NONE",
    "UNKNOWN_MEMBER_ID",
  ]);
  expect(bench.group.describe(bench.context).members.map(({ memberId }) => memberId)).toEqual(["b"]);
  expect(bench.beat("b", bench.member("b").memberEpoch).assignment).toEqual([part(1, 0, 1, 2, 3)]);
});
