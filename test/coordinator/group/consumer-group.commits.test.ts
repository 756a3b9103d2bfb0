import { expect, test } from "vitest";
import type { OffsetCommitRequest } from "../../../src/coordinator/group/group-api.ts";
import { ConsumerBench } from "./consumer-bench.ts";

const ORDERS = { orders: { seed: 1, partitions: 2 } };

function commitOf(memberId: string, epoch: number, requireOwned = true): OffsetCommitRequest {
  return { groupId: "g", memberId, generationIdOrMemberEpoch: epoch, requireOwned, partitions: [] };
}

test("commits are taken with the member's epoch alone (H60)", () => {
  const bench = new ConsumerBench(ORDERS);
  const { memberEpoch } = bench.join("a");
  const errorOf = (memberId: string, epoch: number): string | undefined =>
    bench.group.checkCommit(commitOf(memberId, epoch))?.error;
  expect(errorOf("a", memberEpoch)).toBeUndefined();
  expect(errorOf("a", memberEpoch - 1)).toBe("STALE_MEMBER_EPOCH");
  expect(errorOf("a", memberEpoch + 1)).toBe("FENCED_MEMBER_EPOCH");
  expect(errorOf("b", memberEpoch)).toBe("UNKNOWN_MEMBER_ID");
});

test("from outside only a group without members takes commits", () => {
  const bench = new ConsumerBench(ORDERS);
  expect(bench.group.checkCommit(commitOf("", -1))).toBeUndefined();
  bench.join("a");
  expect(bench.group.checkCommit(commitOf("", -1))?.error).toBe("UNKNOWN_MEMBER_ID");
});

test("a partition that is the member's can be committed, also while it is to be given up", () => {
  const bench = new ConsumerBench(ORDERS);
  const { memberEpoch } = bench.join("a");
  bench.join("b");
  const asked = bench.beat("a", memberEpoch);
  const owned = (memberId: string, partition: number, topic = "orders"): string | undefined =>
    bench.group.checkOwned(commitOf(memberId, 0), { topic, partition }, bench.context)?.errorMessage;
  expect([owned("a", 0), owned("a", 1)]).toEqual([undefined, undefined]);
  expect(owned("b", 0)).toContain('orders-0 belongs to member "a"');
  bench.beat("a", asked.memberEpoch, { topicPartitions: asked.assignment });
  const given = [0, 1].find((partition) => owned("a", partition) !== undefined);
  expect(owned("a", given ?? -1)).toContain("belongs to nobody");
  expect(owned("a", 0, "bills")).toContain("bills-0 belongs to nobody");
  bench.beat("b", bench.member("b").memberEpoch);
  expect(owned("b", given ?? -1)).toBeUndefined();
});

test("ownership is not asked of those who do not want it, nor of commits from outside", () => {
  const bench = new ConsumerBench(ORDERS);
  const check = (request: OffsetCommitRequest): unknown =>
    bench.group.checkOwned(request, { topic: "orders", partition: 0 }, bench.context);
  expect(check(commitOf("a", 1, false))).toBeUndefined();
  expect(check(commitOf("", -1))).toBeUndefined();
  expect(check(commitOf("a", 1))).toMatchObject({ error: "INVALID_REQUEST" });
});

test("fetches that name a member are checked as its commits are", () => {
  const bench = new ConsumerBench(ORDERS);
  const { memberEpoch } = bench.join("a");
  expect(bench.group.checkFetch("", -1)).toBeUndefined();
  expect(bench.group.checkFetch("a", memberEpoch)).toBeUndefined();
  expect(bench.group.checkFetch("a", memberEpoch - 1)?.error).toBe("STALE_MEMBER_EPOCH");
  expect(bench.group.checkFetch("b", memberEpoch)?.error).toBe("UNKNOWN_MEMBER_ID");
});
