import { afterEach, describe, expect, test } from "vitest";
import type { Broker } from "../../src/broker/broker.ts";
import type { PartitionLog } from "../../src/log/partition-log.ts";
import type { PartitionImage } from "../../src/metadata/image.ts";
import { BrokerProgram } from "../../src/sim/broker-program.ts";
import { MarkerCounts } from "../../src/sim/markers.ts";
import { MetadataCluster } from "../../src/sim/metadata-cluster.ts";
import type { SimMachine } from "../../src/sim/sim-machine.ts";
import { keyed, recordsOf } from "./compaction.ts";
import type { KeyedRecord } from "./compaction.ts";

const TOPIC = "table";
const KEY = { topic: TOPIC, partition: 0 };
const COMPACT = {
  "cleanup.policy": "compact",
  "segment.bytes": "2048",
  "min.cleanable.dirty.ratio": "0.01",
  "min.insync.replicas": "2",
};
/** Only when a test asks for it. */
const SELDOM = { "log.cleaner.backoff.ms": "7d", "log.cleaner.io.max.bytes.per.second": "-1" };
const LIMIT_MS = 120_000;

/** Three voters and an observer, and a compacted topic with a replica on each. */
class Bench {
  readonly cluster: MetadataCluster;

  constructor(config: Readonly<Record<string, string>>) {
    this.cluster = new MetadataCluster(
      {
        seed: 5,
        voterCount: 3,
        learnerCount: 1,
        shownEvents: 400,
        program: (place) => new BrokerProgram({ config }, place),
      },
      { markers: new MarkerCounts() },
    );
  }

  static async start(
    configs: Readonly<Record<string, string>> = COMPACT,
    config: Readonly<Record<string, string>> = SELDOM,
  ): Promise<Bench> {
    const bench = new Bench(config);
    bench.cluster.start();
    await bench.until(() => bench.cluster.machines.every(({ broker }) => broker?.state === "running"));
    const wish = {
      name: TOPIC,
      partitions: 1,
      replicationFactor: 4,
      configs: new Map(Object.entries(configs)),
    };
    const created = bench.broker(0).createTopics({ topics: [wish], validateOnly: false });
    expect(await bench.settle(created)).toMatchObject([{ error: "NONE" }]);
    await bench.untilWhole();
    return bench;
  }

  settle<T>(promise: Promise<T>): Promise<T> {
    return this.cluster.scheduler.settle(promise, LIMIT_MS);
  }

  until(condition: () => boolean): Promise<void> {
    return this.cluster.scheduler.runUntil(condition, LIMIT_MS);
  }

  broker(index: number): Broker {
    const { broker } = this.cluster.machine(index);
    if (broker === undefined) throw new Error(`broker ${index} does not run`);
    return broker;
  }

  log(index: number): PartitionLog {
    const log = this.broker(index).storage.get(KEY);
    if (log === undefined) throw new Error(`broker ${index} has not opened its log`);
    return log;
  }

  get image(): PartitionImage | undefined {
    const { image } = this.cluster.checker.model;
    return image.topic(TOPIC)?.partitions[0];
  }

  /** The machine of the leader. */
  get leader(): SimMachine {
    const leader = this.image?.leader ?? -1;
    if (leader < 0) throw new Error("nobody leads");
    return this.cluster.machine(leader - 1);
  }

  /** Machines of followers that run. */
  get followers(): readonly SimMachine[] {
    const { leader } = this;
    return this.cluster.machines.filter((machine) => machine !== leader && machine.broker !== undefined);
  }

  get ends(): readonly (number | undefined)[] {
    return this.cluster.machines.map(({ broker }) => broker?.storage.get(KEY)?.durableEndOffset);
  }

  /** Every replica is in sync, and ends where the others do. */
  async untilWhole(): Promise<void> {
    await this.until(() => {
      const { ends, image } = this;
      return image?.isr.length === 4 && image.leader > 0 && ends.every((end) => end === ends[0]);
    });
    // The last word on the high watermark has come, too.
    await this.cluster.scheduler.advance(1000);
  }

  async put(records: readonly KeyedRecord[]): Promise<void> {
    for (let attempt = 0; attempt < 200; attempt++) {
      const { broker } = this.cluster.machine((this.image?.leader ?? 1) - 1);
      if (broker?.state === "running") {
        const partitions = [{ ...KEY, leaderEpoch: -1, records: keyed(records) }];
        const [result] = await this.settle(broker.produce({ acks: -1, timeoutMs: 5000, partitions }));
        if (result?.error === "NONE") return;
      }
      await this.cluster.scheduler.advance(200);
    }
    throw new Error("nobody takes a record");
  }

  /** Each of five keys so often, one in each batch. */
  async rounds(from: number, to: number): Promise<void> {
    for (let round = from; round < to; round++) {
      for (let key = 0; key < 5; key++) await this.put([{ key: `k${key}`, value: `${round} `.repeat(20) }]);
    }
  }

  /** One pass on a broker; answers bytes saved. */
  async compact(machine: SimMachine): Promise<number> {
    const report = await this.settle(this.broker(machine.index).storage.compact());
    expect(report.failedLogs).toBe(0);
    return report.bytesBefore - report.bytesAfter;
  }

  /** Cuts a machine off; the result ends that. */
  isolate(index: number): () => void {
    const { machines, network } = this.cluster;
    const links = machines.flatMap((other) =>
      other.index === index ? [] : [[index, other.index] as const, [other.index, index] as const],
    );
    network.cut(links);
    return () => network.mend(links);
  }

  /** Resolves when the replicas are where they are to be. */
  async reassign(replicas: readonly number[]): Promise<void> {
    const wanted = { partitions: [{ ...KEY, replicas }], validateOnly: false };
    const { signal } = new AbortController();
    const call = this.broker(this.leader.index).cluster.reassignPartitions(wanted, signal);
    expect(await this.settle(call)).toMatchObject([{ error: "NONE" }]);
    await this.until(() => {
      const { addingReplicas = [], removingReplicas = [], isr = [] } = this.image ?? {};
      return addingReplicas.length + removingReplicas.length === 0 && isr.length === replicas.length;
    });
  }

  async setPolicy(policy: string): Promise<void> {
    const call = {
      name: TOPIC,
      set: new Map([["cleanup.policy", policy]]),
      unset: [],
      validateOnly: false,
    };
    const altered = this.broker(this.followers[0]?.index ?? 0).alterTopicConfigs(call);
    expect(await this.settle(altered)).toMatchObject({ error: "NONE" });
    await this.cluster.scheduler.advance(1000);
  }

  /** What a reader of the whole log of a replica makes of it: the last value of each key. */
  async table(index: number): Promise<ReadonlyMap<string, string | null>> {
    const records = await this.settle(recordsOf(this.log(index), 64 * 1024));
    return new Map(records.map(({ key, value }) => [key, value]));
  }

  /** All replicas tell the same, to the end, and none of them is damaged. */
  async expectSame(lastRound: number): Promise<void> {
    const expected = new Map(Array.from({ length: 5 }, (_, key) => [`k${key}`, `${lastRound} `.repeat(20)]));
    for (const { index } of this.cluster.machines) {
      const log = this.log(index);
      expect(log.damage, `broker ${index}`).toBeUndefined();
      expect(await this.table(index), `broker ${index}`).toEqual(expected);
      expect(log.logEndOffset, `broker ${index}`).toBe(this.log(0).logEndOffset);
      const scrubbed = await this.settle(this.broker(index).storage.scrub());
      expect(scrubbed.damagedLogs, `broker ${index}`).toBe(0);
    }
  }
}

let bench: Bench | undefined;

afterEach(() => {
  bench?.cluster.dispose();
  bench = undefined;
});

describe("a follower", () => {
  test.each(["kill", "powerCut"] as const)(
    "that was down (%s) while its leader compacted catches up over the gaps",
    async (how) => {
      bench = await Bench.start();
      await bench.rounds(0, 10);
      await bench.untilWhole();
      const victim = bench.followers[0]?.index ?? 0;
      bench.cluster.holdDown(victim);
      bench.cluster.crash(victim, how, 0);
      await bench.rounds(10, 40);
      expect(await bench.compact(bench.leader)).toBeGreaterThan(5000);
      bench.cluster.release(victim);
      await bench.untilWhole();
      await bench.expectSame(39);
      expect((await bench.settle(recordsOf(bench.log(victim)))).length).toBeLessThan(100);
    },
  );

  test("that compacts at another time than its leader goes on from where the leader is, and can take over", async () => {
    bench = await Bench.start();
    await bench.rounds(0, 20);
    await bench.untilWhole();
    const [first, second] = bench.followers;
    expect(first && (await bench.compact(first))).toBeGreaterThan(5000);
    await bench.rounds(20, 30);
    expect(await bench.compact(bench.leader)).toBeGreaterThan(5000);
    expect(second && (await bench.compact(second))).toBeGreaterThan(5000);
    const old = bench.leader.index;
    bench.cluster.holdDown(old);
    bench.cluster.crash(old, "powerCut", 0);
    await bench.until(() => bench?.image?.leader !== old + 1 && (bench?.image?.leader ?? -1) > 0);
    await bench.rounds(30, 40);
    bench.cluster.release(old);
    await bench.untilWhole();
    for (const machine of bench.cluster.machines) await bench.compact(machine);
    await bench.expectSame(39);
  });

  test("with records of its own that nobody confirmed is cut to its leader's log, gaps and all", async () => {
    bench = await Bench.start();
    await bench.rounds(0, 20);
    await bench.untilWhole();
    for (const machine of bench.cluster.machines) await bench.compact(machine);
    // Alone, it appends what the others never see.
    const old = bench.leader;
    const oldIndex = old.index;
    const mend = bench.isolate(oldIndex);
    const lost = bench.broker(oldIndex).produce({
      acks: 1,
      timeoutMs: 1000,
      partitions: [{ ...KEY, leaderEpoch: -1, records: keyed([{ key: "k0", value: "never".repeat(9) }]) }],
    });
    expect((await bench.settle(lost))[0]?.error).toBe("NONE");
    await bench.until(() => bench?.image?.leader !== oldIndex + 1 && (bench?.image?.leader ?? -1) > 0);
    await bench.rounds(20, 30);
    await bench.compact(bench.leader);
    mend();
    await bench.untilWhole();
    await bench.expectSame(29);
  });

  test("whose compacted log rots has it found, gets it from its leader again, and serves it", async () => {
    bench = await Bench.start();
    await bench.rounds(0, 20);
    await bench.untilWhole();
    for (const machine of bench.cluster.machines) await bench.compact(machine);
    await bench.rounds(20, 30);
    await bench.untilWhole();
    const victim = bench.followers[0];
    if (victim === undefined) throw new Error("nobody follows");
    const { disk } = victim.platform;
    const [path, bytes] = [...disk.snapshotFiles()].find(
      ([name, { length }]) => name.includes(`${TOPIC}-0/`) && name.endsWith(".log") && length > 0,
    ) ?? ["", Buffer.alloc(0)];
    disk.flipBit(path, (bytes.length - 3) * 8);
    const found = await bench.settle(bench.broker(victim.index).storage.scrub());
    expect(found.damagedLogs).toBe(1);
    await bench.untilWhole();
    await bench.expectSame(29);
    await bench.rounds(30, 40);
    await bench.untilWhole();
    await bench.compact(victim);
    await bench.expectSame(39);
  });

  test("that is new comes to the gaps of a log that is not compacted any more", async () => {
    bench = await Bench.start();
    await bench.rounds(0, 30);
    await bench.untilWhole();
    const fresh = bench.followers[0]?.index ?? 0;
    const nodeIds = bench.cluster.machines.map(({ nodeId }) => nodeId);
    for (const machine of bench.cluster.machines) await bench.compact(machine);
    await bench.setPolicy("delete");
    await bench.reassign(nodeIds.filter((nodeId) => nodeId !== fresh + 1));
    await bench.until(() => bench?.cluster.machine(fresh).broker?.storage.get(KEY) === undefined);
    await bench.reassign(nodeIds);
    await bench.untilWhole();
    await bench.expectSame(29);
    // Whatever it is told of the topic after a crash: the gaps are no damage.
    bench.cluster.crash(fresh, "powerCut", 500);
    await bench.untilWhole();
    await bench.expectSame(29);
  });

  test("of a topic that came to compaction later keeps its gaps through a crash", async () => {
    bench = await Bench.start({ ...COMPACT, "cleanup.policy": "delete" });
    await bench.rounds(0, 10);
    await bench.untilWhole();
    await bench.setPolicy("compact");
    const victim = bench.followers[0]?.index ?? 0;
    const mend = bench.isolate(victim);
    await bench.rounds(10, 40);
    await bench.compact(bench.leader);
    mend();
    await bench.untilWhole();
    bench.cluster.crash(victim, "powerCut", 500);
    await bench.untilWhole();
    const lines = bench.cluster.trace.lines(400);
    expect(lines.filter((line) => line.includes("recovery is done"))).toHaveLength(1);
    expect(lines.filter((line) => line.includes("is damaged"))).toEqual([]);
    await bench.expectSame(39);
  });
});
