import { silentLogger } from "../../src/base/logger.ts";
import { Broker } from "../../src/broker/broker.ts";
import type { BrokerOptions, ClientAddress } from "../../src/broker/broker.ts";
import type { ProduceResult } from "../../src/broker/handlers/produce.ts";
import { parseBrokerConfig } from "../../src/model/configs.ts";
import type { ParsedBrokerConfig } from "../../src/model/configs.ts";
import { dropAll } from "../../src/sim/crash-policy.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimPlatform } from "../../src/sim/sim-platform.ts";
import { batchOf } from "./fake-logs.ts";

export function parsedConfig(entries: Readonly<Record<string, string>> = {}): ParsedBrokerConfig {
  const parsed = parseBrokerConfig({ "log.dirs": "data", ...entries });
  if (!parsed.ok) throw new Error(parsed.errors.map(({ message }) => message).join("; "));
  return parsed;
}

export interface SimBrokerOptions extends Partial<Omit<BrokerOptions, "config">> {
  readonly config?: Readonly<Record<string, string>>;
  readonly advertised?: ClientAddress;
  readonly failAfterOperations?: number;
}

/** A whole broker on a simulated machine, whose process can stop, die and start again. */
export class SimBroker {
  readonly scheduler = new Scheduler();
  readonly #options: SimBrokerOptions;
  platform: SimPlatform;
  #broker: Broker | undefined;

  constructor(options: SimBrokerOptions = {}) {
    this.#options = options;
    const { failAfterOperations } = options;
    this.platform = SimPlatform.create(
      { seed: 1, ...(failAfterOperations === undefined ? {} : { failAfterOperations }) },
      { scheduler: this.scheduler },
    );
  }

  get broker(): Broker {
    if (this.#broker === undefined) throw new Error("the broker is not started");
    return this.#broker;
  }

  async start(): Promise<Broker> {
    const options = {
      advertised: { host: "127.0.0.1", port: 9092 },
      ...this.#options,
      config: parsedConfig(this.#options.config),
    };
    this.#broker = await this.run(Broker.start(options, { platform: this.platform, logger: silentLogger }));
    return this.#broker;
  }

  /** Lets virtual time pass until the promise settles. */
  run<T>(promise: Promise<T>): Promise<T> {
    return this.scheduler.settle(promise, 600_000);
  }

  async stop(): Promise<void> {
    await this.run(this.broker.close());
    this.#broker = undefined;
  }

  /** The process dies; the operating system keeps what was written. */
  kill(): void {
    this.platform = this.platform.kill();
    this.#broker = undefined;
  }

  /** Power cut: what was not synced is gone. */
  cutPower(): void {
    this.platform = this.platform.crash(dropAll, () => 0);
    this.#broker = undefined;
  }

  async create(name: string, partitions = 1, configs: Readonly<Record<string, string>> = {}): Promise<void> {
    const wish = { name, partitions, replicationFactor: 1, configs: new Map(Object.entries(configs)) };
    const [result] = await this.run(this.broker.createTopics({ topics: [wish], validateOnly: false }));
    if (result?.error !== "NONE") throw new Error(result?.errorMessage);
  }

  async produce(topic: string, values: readonly string[], partition = 0): Promise<ProduceResult> {
    const partitions = [{ topic, partition, leaderEpoch: -1, records: batchOf(...values) }];
    const [result] = await this.run(this.broker.produce({ acks: -1, timeoutMs: 5000, partitions }));
    if (result === undefined) throw new Error("no result");
    return result;
  }

  async end(topic: string, partition = 0): Promise<number> {
    const [result] = await this.run(this.broker.listOffsets([{ topic, partition, timestampMs: -1 }]));
    if (result?.error !== "NONE") throw new Error(result?.errorMessage);
    return result.offset;
  }
}
