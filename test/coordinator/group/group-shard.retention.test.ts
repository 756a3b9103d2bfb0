import { describe, expect, test } from "vitest";
import type { GroupRecord } from "../../../src/coordinator/group/group-records.ts";
import { ShardBench, type BenchTopics } from "./shard-bench.ts";
import { enterClassic, enterConsumer, leave } from "./shard-requests.ts";

const ORDERS = { orders: { seed: 1, partitions: 4 } };
const BOTH = { ...ORDERS, bills: { seed: 2, partitions: 1 } };
const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const COMMIT = [{ topic: "orders", partition: 1, offset: 5 }];

function bench(
  options: ConstructorParameters<typeof ShardBench>[1] = {},
  topics: BenchTopics = BOTH,
): ShardBench {
  return new ShardBench(topics, { initialRebalanceDelayMs: 0, maxSessionTimeoutMs: 30 * DAY_MS, ...options });
}

/** The same log on another broker, some time later. */
function failover(from: ShardBench, topics: BenchTopics, laterMs = 0): ShardBench {
  const log = [...from.log];
  const to = new ShardBench(topics, {}, []);
  for (const record of log) to.shard.replay(record);
  to.wallMs = from.wallMs + laterMs;
  to.act((context, effects) => {
    to.shard.onLoaded(context, effects);
  });
  return to;
}

describe("expiry", () => {
  test("offsets of a group with members never expire (H63)", () => {
    const at = bench();
    const member = enterClassic(at, "g", { sessionTimeoutMs: 20 * DAY_MS });
    at.commit("g", COMMIT, { memberId: member.memberId, generationIdOrMemberEpoch: member.generationId });
    at.pass(15 * DAY_MS);
    expect(at.offsets("g")).toEqual({ "orders-1": 5 });
  });

  test("they do when the group has been empty for the retention time; then the group is forgotten", () => {
    const at = bench();
    const member = enterClassic(at, "g", { sessionTimeoutMs: 20 * DAY_MS });
    at.commit("g", COMMIT, { memberId: member.memberId, generationIdOrMemberEpoch: member.generationId });
    at.pass(10 * DAY_MS);
    leave(at, "g", member.memberId);
    at.pass(7 * DAY_MS - HOUR_MS);
    expect(at.offsets("g")).toEqual({ "orders-1": 5 });
    const records = at.pass(2 * HOUR_MS);
    expect(at.offsets("g")).toEqual({});
    expect(at.list()).toEqual([]);
    expect(records.map(({ type, value }) => [type, value])).toEqual([
      ["offset", null],
      ["classicGroup", null],
    ]);
    expect(failover(at, BOTH).list()).toEqual([]);
  });

  test("an offset that was committed into an empty group has the whole time before it", () => {
    const at = bench();
    const { memberId } = enterClassic(at, "g");
    leave(at, "g", memberId);
    at.commit("g", [{ topic: "orders", partition: 0 }]);
    at.pass(6 * DAY_MS);
    at.commit("g", COMMIT);
    at.pass(2 * DAY_MS);
    expect(at.offsets("g")).toEqual({ "orders-1": 5 });
    at.pass(5 * DAY_MS + HOUR_MS);
    expect(at.list()).toEqual([]);
  });

  test("of a group without members of its own each offset expires by its commit", () => {
    const at = bench();
    at.commit("g", COMMIT);
    at.pass(4 * DAY_MS);
    at.commit("g", [{ topic: "orders", partition: 2 }]);
    at.pass(4 * DAY_MS);
    expect(at.offsets("g")).toEqual({ "orders-2": 1 });
    at.commit("g", [{ topic: "orders", partition: 2, offset: 9 }]);
    at.pass(4 * DAY_MS);
    expect(at.offsets("g")).toEqual({ "orders-2": 9 });
    at.pass(4 * DAY_MS);
    expect(at.list()).toEqual([]);
  });

  test("a group that is empty and has no offsets is forgotten, of either protocol", () => {
    const at = bench();
    const { memberId } = enterClassic(at, "classic");
    leave(at, "classic", memberId);
    enterConsumer(at, "modern", "m");
    enterConsumer(at, "modern", "m", { memberEpoch: -1 });
    expect(at.list().map(({ state }) => state)).toEqual(["Empty", "Empty"]);
    at.pass(HOUR_MS);
    expect(at.list()).toEqual([]);
    expect(failover(at, BOTH).list()).toEqual([]);
    expect(at.shard.nextDeadlineMs).toBe(Infinity);
  });

  test("a new coordinator goes on where the old one was", () => {
    const at = bench();
    at.commit("g", COMMIT);
    at.pass(4 * DAY_MS);
    const next = failover(at, BOTH);
    next.pass(3 * DAY_MS - HOUR_MS);
    expect(next.offsets("g")).toEqual({ "orders-1": 5 });
    next.pass(2 * HOUR_MS);
    expect(next.offsets("g")).toEqual({});
  });

  test("no decision expires more than 1,000 records, however many are due, and none is left over", () => {
    const topics = { wide: { seed: 9, partitions: 2_500 } };
    const at = bench({}, topics);
    const all = Array.from({ length: 2_500 }, (_, partition) => ({ topic: "wide", partition }));
    at.commit("big", all);
    for (let i = 0; i < 50; i++) at.commit(`small${i}`, all.slice(0, 7));
    at.nowMs += 8 * DAY_MS;
    at.wallMs += 8 * DAY_MS;
    const slices: number[] = [];
    while (at.shard.nextDeadlineMs <= at.nowMs) slices.push(at.expire().length);
    expect(Math.max(...slices)).toBe(1_000);
    expect(slices.reduce((sum, count) => sum + count)).toBe(2_500 + 350);
    expect(at.list()).toEqual([]);
  });

  test("a walk over many groups that are all in use goes on in later turns", () => {
    const at = bench({ maxGroups: 30_000, offsetsRetentionMs: 1_000_000 });
    for (let i = 0; i < 25_000; i++) at.commit(`g${i}`, [{ topic: "orders" }]);
    at.nowMs = at.shard.nextDeadlineMs;
    let turns = 0;
    for (; at.shard.nextDeadlineMs <= at.nowMs; turns++) at.expire();
    expect(turns).toBe(3);
    expect(at.list().length).toBe(25_000);
  });
});

describe("deleted topics", () => {
  const commitBoth = (at: ShardBench, groupId: string): unknown =>
    at.commit(groupId, [...COMMIT, { topic: "bills" }]);
  const gone = (records: readonly GroupRecord[]): string[] =>
    records.flatMap((record) => (record.type === "offset" && record.value === null ? [record.topic] : []));

  test("take their offsets along, and groups that have no others", () => {
    const at = bench();
    commitBoth(at, "a");
    at.commit("b", [{ topic: "bills" }]);
    expect(gone(at.metadata(ORDERS))).toEqual(["bills", "bills"]);
    expect(at.offsets("a")).toEqual({ "orders-1": 5 });
    expect(at.list().map(({ groupId }) => groupId)).toEqual(["a"]);
    expect(at.metadata(ORDERS)).toEqual([]);
  });

  test("a new topic of the old name starts without offsets", () => {
    const at = bench();
    commitBoth(at, "a");
    at.metadata({ ...ORDERS, bills: { seed: 77, partitions: 1 } });
    expect(at.offsets("a")).toEqual({ "orders-1": 5 });
  });

  test("a commit for a new topic of an old name keeps its own offset, before anyone was told of the new one", () => {
    const at = bench({}, { wide: { seed: 9, partitions: 3 } });
    at.commit("g", [
      { topic: "wide", partition: 0 },
      { topic: "wide", partition: 1 },
    ]);
    at.commit("h", [{ topic: "wide", partition: 2 }]);
    at.image = new ShardBench({ wide: { seed: 10, partitions: 3 } }).image;
    at.commit("g", [{ topic: "wide", partition: 1, offset: 70 }]);
    expect(at.offsets("g")).toEqual({ "wide-1": 70 });
    expect(at.offsets("h")).toEqual({});
    at.metadata({ wide: { seed: 10, partitions: 3 } });
    at.pass(HOUR_MS);
    expect(at.offsets("g")).toEqual({ "wide-1": 70 });
    expect(failover(at, { wide: { seed: 10, partitions: 3 } }).offsets("g")).toEqual({ "wide-1": 70 });
  });

  test("of many groups go in slices, and nobody sees an offset that is yet to go", () => {
    const at = bench({ maxGroups: 5_000 });
    for (let i = 0; i < 2_500; i++) commitBoth(at, `g${i}`);
    expect(at.metadata(ORDERS).length).toBe(1_000);
    expect(at.shard.nextDeadlineMs).toBeLessThanOrEqual(at.nowMs);
    expect(at.offsets("g2499")).toEqual({ "orders-1": 5 });
    expect(at.expire().length).toBe(1_000);
    expect(at.expire().length).toBe(499);
    expect(at.shard.nextDeadlineMs).toBeGreaterThan(at.nowMs);
    for (const groupId of ["g0", "g1500", "g2499"]) expect(at.offsets(groupId)).toEqual({ "orders-1": 5 });
  });

  test("a coordinator whose metadata are behind loses no offset of a new topic", () => {
    const at = bench();
    commitBoth(at, "g");
    const behind = failover(at, ORDERS, 1_000);
    expect(behind.offsets("g")).toEqual({ "bills-0": 1, "orders-1": 5 });
    expect(behind.metadata(ORDERS)).toEqual([]);
    expect(behind.commit("g", [{ topic: "bills", offset: 3 }])).toEqual(["UNKNOWN_TOPIC_OR_PARTITION"]);
    behind.metadata(BOTH);
    behind.pass(HOUR_MS);
    expect(behind.offsets("g")).toEqual({ "bills-0": 1, "orders-1": 5 });
    expect(gone(behind.metadata(ORDERS))).toEqual(["bills"]);
  });

  test("a topic that was made again while there was no coordinator starts without offsets", () => {
    const at = bench();
    commitBoth(at, "g");
    const next = failover(at, { ...ORDERS, bills: { seed: 77, partitions: 1 } }, 1_000);
    expect(next.offsets("g")).toEqual({ "orders-1": 5 });
    next.commit("g", [{ topic: "bills", offset: 9 }]);
    expect(next.offsets("g")).toEqual({ "bills-0": 9, "orders-1": 5 });
  });

  test("a topic that was deleted while there was no coordinator is found out", () => {
    const at = bench();
    commitBoth(at, "g");
    expect(failover(at, ORDERS, 61_000).offsets("g")).toEqual({ "orders-1": 5 });
    const early = failover(at, ORDERS, 1_000);
    expect(early.offsets("g")).toEqual({ "bills-0": 1, "orders-1": 5 });
    early.pass(HOUR_MS);
    expect(early.offsets("g")).toEqual({ "orders-1": 5 });
  });
});
