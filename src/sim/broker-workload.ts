import { InvariantError } from "../base/assert.ts";
import { LograftError } from "../base/errors.ts";
import type { History } from "../history/history.ts";
import type { Random } from "../platform/random.ts";
import { SeededRandom } from "../platform/random.ts";
import type { ReplicationWatch } from "./invariants/replication.ts";
import type { MetadataCluster } from "./metadata-cluster.ts";
import { keyName, SimClient } from "./sim-client.ts";
import type { DataKey } from "./sim-client.ts";
import { SimConsumer } from "./sim-consumer.ts";
import { SimHistory } from "./sim-history.ts";
import { SimProducer } from "./sim-producer.ts";

export interface BrokerWorkloadOptions {
  readonly isIdempotent: boolean;
  readonly clientCount: number;
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
const CALL_TIMEOUT_MS = 3_000;
/** Polls of a final pass before it is given up. */
const MAX_FINAL_POLLS = 400;

/** Clients of the data: on each client machine a producer and a consumer, and at the end a reader of everything. */
export class BrokerWorkload {
  readonly keys: readonly DataKey[];
  readonly #options: BrokerWorkloadOptions;
  readonly #deps: BrokerWorkloadDeps;
  readonly #producers: SimProducer[] = [];
  readonly #consumers: SimConsumer[] = [];
  #processes = 0;
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
      const producing = this.#client(index);
      const producer = new SimProducer(
        {
          keys: this.keys,
          isIdempotent,
          maxInFlight: isIdempotent ? MAX_IN_FLIGHT : 1,
          giveUpMs: 1_000 + producing.client.random.fraction() ** 2 * 14_000,
          meanGapMs: 30 + producing.client.random.fraction() * 200,
        },
        {
          ...producing,
          onAcknowledged: ({ name }, endOffset) => this.#deps.watch?.acknowledged(name, endOffset),
          onBug: (error) => this.#bug(error),
        },
      );
      this.#producers.push(producer);
      this.#own(producer.run());
      const consumer = new SimConsumer({ keys: this.keys }, this.#client(index));
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
