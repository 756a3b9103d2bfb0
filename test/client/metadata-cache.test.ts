import { expect, test } from "vitest";
import { silentLogger } from "../../src/base/logger.ts";
import { MetadataCache } from "../../src/client/metadata-cache.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimClock } from "../../src/sim/sim-clock.ts";
import { FakeCluster } from "./fake-cluster.ts";
import { failureOf } from "./harness.ts";

function setUp(brokers = 3, bootstrap: readonly string[] = ["b0:9092", "b1:9092"]) {
  const scheduler = new Scheduler();
  const clock = new SimClock({}, { scheduler });
  const cluster = new FakeCluster({ topics: { t: 2, u: 1 }, brokers }, { clock });
  const cache = new MetadataCache(
    { bootstrap, maxAgeMs: 10_000, requestTimeoutMs: 1000, retry: { initialMs: 100, maxMs: 1000 } },
    { clock, random: new SeededRandom(1), logger: silentLogger, transport: cluster },
  );
  const wait = (name: string, timeoutMs = 5000, signal?: AbortSignal) =>
    cache.waitForTopic(name, { timeoutMs, allowAutoCreate: false, signal });
  return { scheduler, cluster, cache, wait };
}

test("many who ask at once cause one request", async () => {
  const { scheduler, cluster, wait } = setUp();
  const topics = await scheduler.settle(Promise.all(Array.from({ length: 20 }, () => wait("t"))), 5000);
  expect(cluster.calls).toEqual(["Metadata"]);
  expect(topics[0]?.partitions.map(({ leaderId }) => leaderId)).toEqual([0, 1]);
});

test("any broker that answers will do, and the bootstrap list when no known one does", async () => {
  const { scheduler, cluster, cache, wait } = setUp();
  cluster.down.add(0);
  await scheduler.settle(wait("t"), 5000);
  expect(cache.addressOf(2)).toBe("b2:9092");
  expect(cache.candidates()).toHaveLength(3);
  cluster.down.add(1).delete(0);
  const refreshed = cache.refresh({ timeoutMs: 5000 });
  await scheduler.settle(refreshed, 5000);
  expect(cache.topic("t")).toBeDefined();
});

test("without an answer it asks again, with pauses, until the time is over", async () => {
  const { scheduler, cluster, wait } = setUp(1, ["b0:9092"]);
  cluster.down.add(0);
  const error = await scheduler.settle(failureOf(wait("t", 3000)), 10_000);
  expect(error).toMatchObject({ code: "TIMEOUT", retriable: true });
  expect(error.message).toContain("b0:9092 is down");
  expect(cluster.calls.length).toBeGreaterThan(3);
  expect(cluster.calls.length).toBeLessThan(15);
  expect(scheduler.nowMs).toBeCloseTo(3000, -2);
});

test("what is in use is refreshed by age, what is not is forgotten", async () => {
  const { scheduler, cluster, cache, wait } = setUp();
  await scheduler.settle(wait("t"), 5000);
  await scheduler.settle(wait("u"), 5000);
  const before = cluster.calls.length;
  for (let i = 0; i < 6; i++) {
    await scheduler.advance(10_000);
    cache.topic("t");
  }
  expect(cluster.calls.length - before).toBeGreaterThanOrEqual(5);
  expect(cache.topic("t")).toBeDefined();
  expect(cache.topic("u")).toBeUndefined();
});

test("news with an older leader epoch is ignored for that partition alone (KIP-320)", async () => {
  const { scheduler, cluster, cache, wait } = setUp();
  cluster.moveLeader("t", 0, 2);
  await scheduler.settle(wait("t"), 5000);
  cluster.staleLeaders.set("t-0", { leaderId: 0, leaderEpoch: 0 });
  cluster.moveLeader("t", 1, 2);
  await scheduler.settle(cache.refresh({ timeoutMs: 5000 }), 5000);
  expect(cache.topic("t")?.partitions.map(({ leaderId, leaderEpoch }) => [leaderId, leaderEpoch])).toEqual([
    [2, 1],
    [2, 1],
  ]);
});

test("a broker that is cut off and names the leaders of before is not asked twice in a row (H31)", async () => {
  const { scheduler, cluster, cache, wait } = setUp();
  await scheduler.settle(wait("t"), 5000);
  const asked: string[] = [];
  cluster.callError = (_method, address) => {
    asked.push(address);
    return undefined;
  };
  for (let n = 0; n < 12; n++) await scheduler.settle(cache.refresh({ timeoutMs: 5000 }), 5000);
  expect(asked).toHaveLength(12);
  for (const [index, address] of asked.entries())
    expect(address, `question ${index}`).not.toBe(asked[index + 1]);
});

test("errors that come in a row cause requests at a bounded rate", async () => {
  const { scheduler, cluster, cache, wait } = setUp();
  await scheduler.settle(wait("t"), 5000);
  const before = cluster.calls.length;
  for (let i = 0; i < 1000; i++) {
    cache.requestUpdate();
    await scheduler.advance(1);
  }
  expect(cluster.calls.length - before).toBeGreaterThan(4);
  expect(cluster.calls.length - before).toBeLessThan(15);
});

test("an abort ends a wait with its reason; close ends all waits and timers", async () => {
  const { scheduler, cluster, cache, wait } = setUp(1, ["b0:9092"]);
  cluster.down.add(0);
  const controller = new AbortController();
  const aborted = failureOf(wait("t", 60_000, controller.signal));
  const closed = failureOf(wait("t", 60_000));
  await scheduler.advance(500);
  controller.abort(new Error("no more"));
  expect((await aborted).message).toBe("no more");
  cache.close();
  expect(await closed).toMatchObject({ code: "CLOSED" });
  await scheduler.advance(10);
  expect(scheduler.pendingCount).toBe(0);
});
