import { InvariantError } from "../base/assert.ts";
import { LograftError } from "../base/errors.ts";
import { LograftClient } from "../client/index.ts";
import type { History } from "../history/history.ts";
import type { Random } from "../platform/random.ts";
import { SeededRandom } from "../platform/random.ts";
import type { ReplicationWatch } from "./invariants/replication.ts";
import type { MetadataCluster } from "./metadata-cluster.ts";
import { SdkConsumer } from "./sdk-consumer.ts";
import { SdkProducer } from "./sdk-producer.ts";
import { clientHost, keyName, SimClient } from "./sim-client.ts";
import type { DataKey } from "./sim-client.ts";
import { SimConsumer } from "./sim-consumer.ts";
import { SimHistory } from "./sim-history.ts";
import { endpointOf } from "./sim-network.ts";
import { SimProducer } from "./sim-producer.ts";
import { SimTransport } from "./sim-transport.ts";

export interface BrokerWorkloadOptions {
  readonly isIdempotent: boolean;
  readonly clientCount: number;
  /** Default true: each client also reads, by itself. */
  readonly hasConsumers?: boolean;
  /** Partitions of each topic; the topics are as many as the entries. */
  readonly partitions: readonly number[];
}

export interface BrokerWorkloadDeps {
  readonly cluster: MetadataCluster;
  /** None: nobody looks into the brokers. */
  readonly watch: ReplicationWatch | undefined;
  readonly history: History;
  readonly random: Random;
}

const REPLICATION_FACTOR = 3;
const MAX_IN_FLIGHT = 5;
/** Of the clients, those that are applications with the SDK; the others send and ask in ways that it never would. */
const SDK_SHARE = 0.5;
const CALL_TIMEOUT_MS = 3_000;
/** Polls of a final pass before it is given up. */
const MAX_FINAL_POLLS = 400;

/** Clients of the data: on each client machine a producer and a consumer, and at the end a reader of everything. */
export class BrokerWorkload {
  readonly keys: readonly DataKey[];
  readonly #options: BrokerWorkloadOptions;
  readonly #deps: BrokerWorkloadDeps;
  readonly #producers: (SimProducer | SdkProducer)[] = [];
  readonly #consumers: (SimConsumer | SdkConsumer)[] = [];
  #processes = 0;
  #reader: SimConsumer | undefined;
  #isOver = false;

  constructor(options: BrokerWorkloadOptions, deps: BrokerWorkloadDeps) {
    this.#options = options;
    this.#deps = deps;
    this.keys = options.partitions.flatMap((count, topic) =>
      Array.from({ length: count }, (_, partition) => {
        const name = `data${topic}`;
        return { name: keyName(name, partition), topic: name, partition };
      }),
    );
  }

  /** Batches that no client has an answer to. */
  get pendingCount(): number {
    return this.#producers.reduce((sum, producer) => sum + producer.pendingCount, 0);
  }

  /** Makes the topics, then sends and reads until `end`. */
  begin(): void {
    const { isIdempotent, clientCount } = this.#options;
    this.#own(this.#createTopics());
    for (let index = 0; index < clientCount; index++) {
      const isSdk = this.#deps.random.fraction() < SDK_SHARE;
      const producer = isSdk ? this.#sdkProducer(index, isIdempotent) : this.#producer(index, isIdempotent);
      this.#producers.push(producer);
      this.#own(producer.run());
      if (this.#options.hasConsumers === false) continue;
      const consumer = isSdk
        ? this.#sdkConsumer(index)
        : new SimConsumer({ keys: this.keys }, this.#client(index));
      this.#consumers.push(consumer);
      this.#own(consumer.run());
    }
  }

  /** Nothing new is sent; what is on its way goes on. */
  end(): void {
    this.#isOver = true;
    for (const producer of this.#producers) producer.end();
    for (const consumer of this.#consumers) consumer.end();
  }

  /** Where a partition ends (exclusive), as its leader says; undefined when nobody does. */
  endOf(key: DataKey): Promise<number | undefined> {
    this.#reader ??= new SimConsumer({ keys: this.keys }, this.#client(0));
    return this.#reader.endOf(key);
  }

  /** A new consumer reads every partition from its beginning to the end that its leader says. */
  async finalPass(): Promise<void> {
    const reading = this.#client(0);
    const { client, history } = reading;
    const consumer = new SimConsumer({ keys: this.keys }, reading);
    for (const key of this.keys) {
      const since = client.nowNs();
      let end: number | undefined;
      for (let tries = 0; end === undefined && tries < MAX_FINAL_POLLS; tries++) {
        end = await consumer.endOf(key);
      }
      if (end === undefined) continue;
      for (let polls = 0; consumer.positionOf(key) < end && polls < MAX_FINAL_POLLS; polls++) {
        await consumer.poll(key, 100);
      }
      const reached = consumer.positionOf(key);
      const t = client.nowNs();
      history.line({ type: "final", t, p: history.process, k: key.name, start: 0, end, since, reached });
    }
  }

  #producer(index: number, isIdempotent: boolean): SimProducer {
    const producing = this.#client(index);
    return new SimProducer(
      {
        keys: this.keys,
        isIdempotent,
        maxInFlight: isIdempotent ? MAX_IN_FLIGHT : 1,
        giveUpMs: 1_000 + producing.client.random.fraction() ** 2 * 14_000,
        meanGapMs: 30 + producing.client.random.fraction() * 200,
      },
      {
        ...producing,
        onAcknowledged: this.#onAcknowledged,
        onBug: (error) => this.#bug(error),
      },
    );
  }

  #sdkProducer(index: number, isIdempotent: boolean): SdkProducer {
    const { client: identity, history, markers } = this.#client(index);
    const { clock, random } = identity;
    return new SdkProducer(
      {
        keys: this.keys,
        isIdempotent,
        meanGapMs: 30 + random.fraction() * 200,
        deliveryTimeoutMs: 2_000 + random.fraction() ** 2 * 14_000,
      },
      {
        client: this.#sdkClient(index, identity),
        clock,
        nowNs: () => identity.nowNs(),
        random,
        history,
        markers,
        onAcknowledged: this.#onAcknowledged,
        onBug: (error) => this.#bug(error),
      },
    );
  }

  #sdkConsumer(index: number): SdkConsumer {
    const { client: identity, history } = this.#client(index);
    const client = this.#sdkClient(index, identity);
    const nowNs = (): number => identity.nowNs();
    return new SdkConsumer({ keys: this.keys }, { client, clock: identity.clock, nowNs, history });
  }

  #sdkClient(index: number, { clock, random }: SimClient): LograftClient {
    const { network, machines } = this.#deps.cluster;
    const brokerCount = machines.length;
    const from = clientHost(brokerCount + index);
    return new LograftClient({
      brokers: machines.map(({ index: machine }) => endpointOf(machine)),
      requestTimeoutMs: 2_500,
      clock,
      random,
      transport: new SimTransport({ network, clock, from }),
    });
  }

  readonly #onAcknowledged = ({ name }: DataKey, endOffset: number): void =>
    this.#deps.watch?.acknowledged(name, endOffset);

  #client(index: number): {
    readonly client: SimClient;
    readonly history: SimHistory;
    readonly markers: MetadataCluster["markers"];
  } {
    const { cluster, random, history } = this.#deps;
    const brokerCount = cluster.machines.length;
    const client = new SimClient(
      { machine: brokerCount + index, brokerCount },
      { network: cluster.network, random: new SeededRandom(random.below(2 ** 32)) },
    );
    const nowNs = (): number => client.nowNs();
    return {
      client,
      history: new SimHistory({ process: ++this.#processes }, { history, nowNs }),
      markers: cluster.markers,
    };
  }

  async #createTopics(): Promise<void> {
    const { client } = this.#client(0);
    const topics = this.#options.partitions.map((partitions, topic) => ({
      name: `data${topic}`,
      partitions,
      replicationFactor: REPLICATION_FACTOR,
      configs: new Map<string, string>(),
    }));
    const missing = new Set(topics.map(({ name }) => name));
    while (missing.size > 0 && !this.#isOver) {
      await client.pause(100, 300);
      try {
        const wanted = topics.filter(({ name }) => missing.has(name));
        const results = await client.call(
          client.random.below(client.brokerCount),
          (broker) => broker.createTopics({ topics: wanted, validateOnly: false }),
          CALL_TIMEOUT_MS,
        );
        for (const { name, error } of results) {
          if (error === "NONE" || error === "TOPIC_ALREADY_EXISTS") missing.delete(name);
        }
      } catch (error: unknown) {
        if (!(error instanceof LograftError)) throw error;
      }
    }
  }

  /** Whoever fails without a fault to blame has found a bug. */
  #own(work: Promise<void>): void {
    work.catch((error: unknown) => this.#bug(error));
  }

  #bug(error: unknown): void {
    this.#deps.cluster.fail(error instanceof Error ? error : new InvariantError(String(error)));
  }
}
