import { describe, expect, test } from "vitest";
import type { ErrorName } from "../../src/model/error-code.ts";
import { baseSequenceOf, producerIdOf } from "../../src/model/record-batch.ts";
import type { ProduceRequest } from "../../src/rpc/messages.ts";
import type { FakeCluster, ProduceFate } from "./fake-cluster.ts";
import { failureOf, harness } from "./harness.ts";
import type { Harness } from "./harness.ts";

/** One batch each. */
const VALUES = Array.from({ length: 5 }, (_, n) => `${n}`.padEnd(150, "."));

/** A producer whose next five records are five batches that are in flight together, the first with sequence 1. */
async function fiveInFlight(options: { readonly brokers?: number } = {}): Promise<{
  readonly h: Harness;
  readonly cluster: FakeCluster;
  readonly send: (fate: (n: number, request: ProduceRequest) => ProduceFate) => Promise<unknown>[];
}> {
  const h = harness({ topics: { t: 1 }, latencyMs: 20, ...options });
  const { client, cluster, settle } = h;
  const producer = client.producer({ batchSize: 200, lingerMs: 0 });
  await settle(producer.send("t", { value: "warm" }));
  cluster.produced.length = 0;
  return {
    h,
    cluster,
    send: (fate) => {
      cluster.produceFate = (request) => fate(cluster.produced.length, request);
      return VALUES.map((value) => producer.send("t", { value }));
    },
  };
}

function sequencesOf({ produced }: FakeCluster): number[] {
  return produced.map(({ partitions }) => baseSequenceOf(partitions[0]!.records));
}

function producerIdsOf({ produced }: FakeCluster): Set<number> {
  return new Set(produced.map(({ partitions }) => producerIdOf(partitions[0]!.records)));
}

describe("batches that overtake the one before them (KIP-360)", () => {
  test.each<[string, ProduceFate]>([
    ["is sent to a leader that is none any more", { error: "NOT_LEADER_OR_FOLLOWER" }],
    ["finds too few replicas in sync", { error: "NOT_ENOUGH_REPLICAS" }],
    ["times out before it is stored", { error: "REQUEST_TIMED_OUT" }],
    ["is stored, and its answer says that it may not be", { error: "REQUEST_TIMED_OUT", appends: true }],
  ])("are all acknowledged, in order and once, when the first %s", async (_what, fate) => {
    const { h, cluster, send } = await fiveInFlight();
    const sends = send((n) => (n === 1 ? fate : "ok"));
    const acks = await h.settle(Promise.all(sends));
    expect(acks).toMatchObject([1, 2, 3, 4, 5].map((offset) => ({ offset })));
    expect(cluster.log("t", 0).values()).toEqual(["warm", ...VALUES]);
    // The five, then the first again alone or with the others behind it, in the same session.
    expect(sequencesOf(cluster).slice(0, 5)).toEqual([1, 2, 3, 4, 5]);
    expect(producerIdsOf(cluster).size).toBe(1);
  });

  test.each([1, 2, 3, 4, 5])(
    "are so too when number %i of five is the one that comes too late",
    async (late) => {
      const { h, cluster, send } = await fiveInFlight();
      const sends = send((n) => (n === late ? { error: "NOT_LEADER_OR_FOLLOWER" } : "ok"));
      await h.settle(Promise.all(sends));
      expect(cluster.log("t", 0).values()).toEqual(["warm", ...VALUES]);
      expect(producerIdsOf(cluster).size).toBe(1);
    },
  );

  test("are so when the leader moves between the first and the others, and the new one refuses those first", async () => {
    const { h, cluster, send } = await fiveInFlight({ brokers: 2 });
    let refused = 0;
    const sends = send((n) => {
      if (n === 1) cluster.moveLeader("t", 0, 1);
      // The leader that comes is not done with becoming one.
      return n === 6 && ++refused === 1 ? { error: "NOT_LEADER_OR_FOLLOWER" } : "ok";
    });
    const acks = await h.settle(Promise.all(sends));
    expect(acks.at(-1)).toMatchObject({ offset: 5, leaderEpoch: 1 });
    expect(refused).toBe(1);
    expect(cluster.log("t", 0).values()).toEqual(["warm", ...VALUES]);
    expect(producerIdsOf(cluster).size).toBe(1);
  });

  test("wait for the first as long as it is refused, and one goes ahead at a time until it is through", async () => {
    const { h, cluster, send } = await fiveInFlight();
    const sends = send((n) => (n === 1 || (n > 5 && n < 9) ? { error: "NOT_ENOUGH_REPLICAS" } : "ok"));
    await h.settle(Promise.all(sends));
    expect(sequencesOf(cluster).slice(5, 9)).toEqual([1, 1, 1, 1]);
    expect(cluster.log("t", 0).values()).toEqual(["warm", ...VALUES]);
  });
});

test("go to the leader that the refusals name without waiting for metadata, once all are answered (KIP-951)", async () => {
  const { h, cluster, send } = await fiveInFlight({ brokers: 2 });
  cluster.moveLeader("t", 0, 1);
  const startedMs = h.clock.monotonicMs();
  const sends = send(() => "ok");
  await h.settle(Promise.all(sends));
  // Seven ways of 20 ms: twice there and back, and the stream to the new leader. The least pause would be 80 ms more.
  expect(h.clock.monotonicMs() - startedMs).toBeLessThan(200);
  expect(cluster.log("t", 0).values()).toEqual(["warm", ...VALUES]);
});

describe("a sequence that is refused although nothing is before it", () => {
  const OUT_OF_ORDER: ErrorName = "OUT_OF_ORDER_SEQUENCE_NUMBER";

  test("gets another session, with everything behind it, when it is surely not written", async () => {
    const { h, cluster, send } = await fiveInFlight();
    const sends = send((n) => (n <= 5 ? { error: OUT_OF_ORDER } : "ok"));
    await h.settle(Promise.all(sends));
    expect(cluster.log("t", 0).values()).toEqual(["warm", ...VALUES]);
    expect(producerIdsOf(cluster).size).toBe(2);
    expect(sequencesOf(cluster)[5]).toBe(0);
  });

  test("fails with an unknown outcome when it may be written, and those behind it are written once", async () => {
    const { h, cluster, send } = await fiveInFlight();
    const [first, ...others] = send((n) => {
      if (n === 1) return { error: "NOT_LEADER_OR_FOLLOWER", appends: true };
      return n <= 6 ? { error: OUT_OF_ORDER } : "ok";
    });
    const failure = failureOf(first!);
    await h.settle(Promise.all(others));
    expect(await h.settle(failure)).toMatchObject({ code: OUT_OF_ORDER, outcome: "unknown" });
    expect(cluster.log("t", 0).values()).toEqual(["warm", ...VALUES]);
  });
});
