import { expect, test } from "vitest";
import type { Broker } from "../../src/broker/broker.ts";
import { groupPartition, OFFSETS_TOPIC } from "../../src/broker/offsets-topic.ts";
import { BrokerProgram } from "../../src/sim/broker-program.ts";
import { MarkerCounts } from "../../src/sim/markers.ts";
import { MetadataCluster } from "../../src/sim/metadata-cluster.ts";

const PARTITIONS = 6;
const GROUPS = Array.from({ length: 12 }, (_, index) => `group-${index}`);

/** Three brokers that share the groups of `GROUPS`. */
class Bench {
  readonly cluster = new MetadataCluster(
    {
      seed: 11,
      voterCount: 3,
      learnerCount: 0,
      shownEvents: 0,
      program: (place) =>
        new BrokerProgram({ config: { "offsets.topic.num.partitions": String(PARTITIONS) } }, place),
    },
    { markers: new MarkerCounts() },
  );

  static async start(): Promise<Bench> {
    const bench = new Bench();
    const { scheduler, machines } = bench.cluster;
    bench.cluster.start();
    await scheduler.runUntil(() => machines.every(({ broker }) => broker?.state === "running"), 60_000);
    const found = await bench.settle(bench.running()[0]?.groups.findCoordinator(GROUPS));
    expect(found?.every(({ error }) => error === "NONE")).toBe(true);
    return bench;
  }

  settle<T>(promise: Promise<T> | undefined): Promise<T | undefined> {
    return this.cluster.scheduler.settle(promise ?? Promise.resolve(undefined), 60_000);
  }

  running(): readonly Broker[] {
    return this.cluster.machines.flatMap(({ broker }) => (broker?.state === "running" ? [broker] : []));
  }

  /** Asks one broker after the other, again and again, until one answers for the group. */
  async ask<T extends { readonly error: string } | undefined>(
    call: (broker: Broker) => Promise<T>,
  ): Promise<T> {
    for (let attempt = 0; attempt < 100; attempt++) {
      for (const broker of this.running()) {
        const answer = await this.settle(call(broker));
        if (answer?.error === "NONE") return answer;
      }
      await this.cluster.scheduler.advance(100);
    }
    throw new Error("nobody coordinates the group");
  }

  async commit(groupId: string, offset: number): Promise<void> {
    const partitions = [{ topic: "t", partition: 0, offset, leaderEpoch: -1, metadata: "" }];
    const request = { groupId, memberId: "", generationIdOrMemberEpoch: -1, requireOwned: true, partitions };
    await this.ask(async ({ groups }) => (await groups.commitOffsets(request)).partitions[0]);
  }

  async committed(groupId: string): Promise<number | undefined> {
    const partitions = [{ topic: "t", partition: 0 }];
    const request = { groupId, partitions, requireStable: true };
    return (await this.ask(({ groups }) => groups.fetchOffsets(request))).partitions[0]?.offset;
  }
}

test("who could not reach the coordinator is told of the next one as soon as there is one", async () => {
  const bench = await Bench.start();
  const { cluster } = bench;
  const { scheduler } = cluster;
  const [groupId = ""] = GROUPS;
  const [before] = (await bench.settle(bench.running()[0]?.groups.findCoordinator([groupId]))) ?? [];
  const old = before?.nodeId ?? 0;
  // It is there: the answer waits for a moment only.
  const askedMs = scheduler.nowMs;
  const asked = bench.running().find(({ nodeId }) => nodeId !== old);
  expect(await bench.settle(asked?.groups.findCoordinator([groupId], { unreachable: old }))).toMatchObject([
    { nodeId: old },
  ]);
  expect(scheduler.nowMs - askedMs).toBeGreaterThan(400);
  const others = cluster.machines.filter(({ nodeId }) => nodeId !== old);
  cluster.crash(old - 1, "kill", 60_000);
  for (const { broker } of others) {
    const [next] =
      (await bench.settle(broker?.groups.findCoordinator([groupId], { unreachable: old }))) ?? [];
    const leader =
      broker?.image.topic(OFFSETS_TOPIC)?.partitions[groupPartition(groupId, PARTITIONS)]?.leader;
    expect(next).toMatchObject({ error: "NONE", nodeId: leader });
    expect(next?.nodeId).not.toBe(old);
  }
  cluster.dispose();
});

test("offsets outlive their coordinator, one after the other, and only one broker answers for a group", async () => {
  const bench = await Bench.start();
  const { cluster } = bench;
  const topic = { name: "t", partitions: 1, replicationFactor: 1, configs: new Map<string, string>() };
  await bench.settle(bench.running()[0]?.createTopics({ topics: [topic], validateOnly: false }));
  const offsets = bench.running()[0]?.image.topic(OFFSETS_TOPIC);
  expect(offsets?.partitions.map(({ replicas }) => replicas.length)).toEqual(Array(PARTITIONS).fill(3));
  for (const [index, groupId] of GROUPS.entries()) await bench.commit(groupId, index + 1);
  for (let round = 0; round < 3; round++) {
    cluster.crash(round, "kill", 5000);
    await cluster.scheduler.advance(1000);
    for (const [index, groupId] of GROUPS.entries()) {
      expect(await bench.committed(groupId), groupId).toBe(index + 1 + 100 * round);
      await bench.commit(groupId, index + 1 + 100 * (round + 1));
    }
    const isWhole = (): boolean =>
      bench.running().length === 3 &&
      bench
        .running()
        .every(({ image }) => image.topic(OFFSETS_TOPIC)?.partitions.every(({ isr }) => isr.length === 3));
    await cluster.scheduler.runUntil(isWhole, 120_000);
  }
  for (const groupId of GROUPS) {
    const partitions = [{ topic: "t", partition: 0 }];
    const answers = bench.running().map(async ({ groups, nodeId }) => {
      const { error } = await groups.fetchOffsets({ groupId, partitions, requireStable: true });
      return error === "NONE" ? [nodeId] : [];
    });
    const who = (await bench.settle(Promise.all(answers)))?.flat() ?? [];
    const leader = bench.running()[0]?.image.topic(OFFSETS_TOPIC)?.partitions[
      groupPartition(groupId, PARTITIONS)
    ]?.leader;
    expect(who).toEqual([leader]);
  }
  cluster.dispose();
});
