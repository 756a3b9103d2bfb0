import { expect, test } from "vitest";
import type { Broker } from "../../src/broker/broker.ts";
import type { PartitionImage } from "../../src/metadata/image.ts";
import { BrokerProgram } from "../../src/sim/broker-program.ts";
import { MarkerCounts } from "../../src/sim/markers.ts";
import { MetadataCluster } from "../../src/sim/metadata-cluster.ts";
import { batchOf } from "./fake-logs.ts";

const BROKERS = [0, 1, 2];
/** An append that fails, a heartbeat, and a commit of the quorum. */
const MOVE_MS = 500;
/** Heartbeats so seldom that the news cannot have waited for the next one. */
const SELDOM = { "broker.session.timeout.ms": "9000", "broker.heartbeat.interval.ms": "2500" };

/** Three brokers, and a topic with a replica on each. */
class Bench {
  readonly cluster = new MetadataCluster(
    {
      seed: 7,
      voterCount: 3,
      learnerCount: 0,
      shownEvents: 0,
      program: (place) => new BrokerProgram({ config: SELDOM }, place),
    },
    { markers: new MarkerCounts() },
  );

  static async start(): Promise<Bench> {
    const bench = new Bench();
    const { cluster } = bench;
    cluster.start();
    const isUp = (): boolean => cluster.machines.every(({ broker }) => broker?.state === "running");
    await cluster.scheduler.runUntil(isUp, 60_000);
    const wish = { name: "t", partitions: 3, replicationFactor: 3, configs: new Map<string, string>() };
    const created = bench.broker(0).createTopics({ topics: [wish], validateOnly: false });
    expect(await cluster.scheduler.settle(created, 60_000)).toMatchObject([{ error: "NONE" }]);
    await cluster.scheduler.runUntil(() => bench.isWhole(), 60_000);
    return bench;
  }

  broker(index: number): Broker {
    const { broker } = this.cluster.machine(index);
    if (broker === undefined) throw new Error(`broker ${index} does not run`);
    return broker;
  }

  /** As broker `index` sees them. */
  partitions(index = 0): readonly PartitionImage[] {
    return this.broker(index).image.topic("t")?.partitions ?? [];
  }

  isWhole(): boolean {
    return BROKERS.every((index) => {
      const partitions = this.partitions(index);
      return partitions.length === 3 && partitions.every(({ isr }) => isr.length === 3);
    });
  }

  /** The partition that broker `index` leads. */
  ledBy(index: number): number {
    const partition = this.partitions().findIndex(({ leader }) => leader === index + 1);
    if (partition < 0) throw new Error(`broker ${index} leads nothing`);
    return partition;
  }

  /** To whoever leads the partition; answers the error of the one attempt. */
  async produce(partition: number): Promise<string> {
    const leader = (this.partitions()[partition]?.leader ?? 0) - 1;
    const partitions = [{ topic: "t", partition, leaderEpoch: -1, records: batchOf("value") }];
    const produced = this.broker(leader).produce({ acks: -1, timeoutMs: 5000, partitions });
    const [result] = await this.cluster.scheduler.settle(produced, 60_000);
    return result?.error ?? "none";
  }
}

test.each(["leader", "follower"] as const)(
  "a broker whose disk is full as a %s steps aside within a moment, and is back soon after it has room",
  async (role) => {
    const bench = await Bench.start();
    const { cluster } = bench;
    const { scheduler } = cluster;
    // The quorum of the one that is not the controller has nothing to do with it.
    const victim = BROKERS.find((index) => index !== cluster.leader()?.index) ?? 0;
    const other = BROKERS.find((index) => index !== victim) ?? 0;
    const partition = bench.ledBy(role === "leader" ? victim : other);
    const fault = cluster.machine(victim).platform.disk.faults.arm({ kind: "full", afterBytes: 0 });
    const startedMs = scheduler.nowMs;
    const outcome = await bench.produce(partition);
    // Its followers do not make a producer wait for the end of their lag time.
    expect(outcome).toBe(role === "leader" ? "KAFKA_STORAGE_ERROR" : "NONE");
    const isAside = ({ leader, isr }: PartitionImage): boolean => leader !== victim + 1 && isr.length === 2;
    await scheduler.runUntil(() => BROKERS.every((index) => bench.partitions(index).every(isAside)), MOVE_MS);
    expect(scheduler.nowMs - startedMs).toBeLessThan(MOVE_MS);
    expect(await bench.produce(partition)).toBe("NONE");

    // It stays aside, also when nothing is appended to it any more.
    await scheduler.advance(20_000);
    expect(bench.partitions(other).every(({ isr }) => !isr.some((node) => node === victim + 1))).toBe(true);
    expect(fault.hits).toBeGreaterThan(5);
    fault.disarm();
    await scheduler.runUntil(() => bench.isWhole(), 5000);
    expect(await bench.produce(partition)).toBe("NONE");
    cluster.dispose();
  },
  20_000,
);

test("when all disks are full every partition keeps a leader, and records are taken again when there is room", async () => {
  const bench = await Bench.start();
  const { cluster } = bench;
  const { scheduler } = cluster;
  const faults = cluster.machines.map(({ platform }) =>
    platform.disk.faults.arm({ kind: "full", afterBytes: 0 }),
  );
  for (let round = 0; round < 3; round++) {
    for (const partition of [0, 1, 2]) expect(await bench.produce(partition)).not.toBe("NONE");
    await scheduler.advance(1500);
    expect(bench.partitions().every(({ leader }) => leader > 0)).toBe(true);
  }
  // The last one has nobody to step aside for.
  const aside = Array.from(bench.broker(0).image.brokers()).filter(({ isShuttingDown }) => isShuttingDown);
  expect(aside).toHaveLength(2);
  for (const fault of faults) fault.disarm();
  await scheduler.runUntil(() => bench.isWhole(), 20_000);
  for (const partition of [0, 1, 2]) expect(await bench.produce(partition)).toBe("NONE");
  cluster.dispose();
}, 20_000);
