import { expect } from "vitest";
import type { Broker } from "../../../src/broker/broker.ts";
import { BrokerProgram } from "../../../src/sim/broker-program.ts";
import { MarkerCounts } from "../../../src/sim/markers.ts";
import { MetadataCluster } from "../../../src/sim/metadata-cluster.ts";
import { samplesOf } from "./samples.ts";

const SIGNAL = new AbortController().signal;

/** Samples of one broker, by name and labels. */
export type Samples = ReadonlyMap<string, number>;

/** A simulated cluster of three, whose metrics are read. */
export class ThreeBrokers implements Disposable {
  readonly cluster = new MetadataCluster(
    {
      seed: 5,
      voterCount: 3,
      learnerCount: 0,
      shownEvents: 0,
      program: (place) => new BrokerProgram({ config: { "offsets.topic.num.partitions": "6" } }, place),
    },
    { markers: new MarkerCounts() },
  );

  static async start(): Promise<ThreeBrokers> {
    const three = new ThreeBrokers();
    three.cluster.start();
    await three.until(() => three.running().length === 3);
    return three;
  }

  running(): readonly Broker[] {
    return this.cluster.machines.flatMap(({ broker }) => (broker?.state === "running" ? [broker] : []));
  }

  /** The broker that leads, or answers for, something: the first for which `isIt` holds. */
  find(isIt: (broker: Broker) => boolean): Broker {
    const found = this.running().find(isIt);
    if (found === undefined) throw new Error("no broker is the one");
    return found;
  }

  until(isReached: () => boolean): Promise<void> {
    return this.cluster.scheduler.runUntil(isReached, 120_000);
  }

  settle<T>(promise: Promise<T>): Promise<T> {
    return this.cluster.scheduler.settle(promise, 60_000);
  }

  async create(name: string, partitions: number, replicationFactor: number): Promise<void> {
    const topic = { name, partitions, replicationFactor, configs: new Map<string, string>() };
    const created = this.find(() => true).createTopics({ topics: [topic], validateOnly: false });
    const [result] = await this.settle(created);
    expect(result?.error).toBe("NONE");
    await this.until(() => this.running().every(({ image }) => image.topic(name) !== undefined));
  }

  /** One for each running broker. */
  metrics(): Promise<readonly Samples[]> {
    return this.#read(({ metrics }) => metrics.collect(SIGNAL));
  }

  /** One for each running broker. */
  kafkaMetrics(): Promise<readonly Samples[]> {
    return this.#read(({ metrics }) => metrics.collectKafka(SIGNAL));
  }

  [Symbol.dispose](): void {
    this.cluster.dispose();
  }

  #read(collect: (broker: Broker) => Promise<{ toString(): string }>): Promise<readonly Samples[]> {
    const reading = this.running().map(async (broker) => samplesOf((await collect(broker)).toString()));
    return this.settle(Promise.all(reading));
  }
}

/** Over all brokers. */
export function sumOf(brokers: readonly Samples[], name: string): number {
  return brokers.reduce((sum, samples) => sum + (samples.get(name) ?? 0), 0);
}
