import { setTimeout as pause } from "node:timers/promises";
import { expect } from "vitest";
import { LograftClient, type RecordAck } from "../../src/client/index.ts";
import type { BrokerProcess } from "../../src/chaos/broker-process.ts";

const PARTITIONS = 2;
const RECORDS_A_ROUND = 20;
/** Between two rounds, so that a neighbour leaves the processor to what is tested. */
const ROUND_PAUSE_MS = 10;

/** What a neighbour went through; good when `faults` is empty. */
export interface NeighbourReport {
  readonly acknowledged: number;
  readonly faults: readonly string[];
}

/**
 * A well-behaved producer and consumer that run beside an abuse, on a topic of their own: whatever others do, every
 * record that was acknowledged to them must be there, once, at its offset.
 */
export class Neighbour implements AsyncDisposable {
  readonly #broker: BrokerProcess;
  readonly #pid: number;
  readonly #topic: string;
  readonly #client: LograftClient;
  readonly #stopping = new AbortController();
  readonly #acks = new Map<string, RecordAck>();
  readonly #found = new Map<string, string>();
  readonly #faults: string[] = [];
  readonly #wakers = new Set<() => void>();
  #producing: Promise<void> = Promise.resolve();
  #consuming: Promise<void> = Promise.resolve();

  private constructor(broker: BrokerProcess, topic: string) {
    this.#broker = broker;
    this.#pid = broker.pid;
    this.#topic = topic;
    this.#client = new LograftClient({ brokers: [broker.address], clientId: "neighbour" });
  }

  static async start(broker: BrokerProcess, topic = "neighbour"): Promise<Neighbour> {
    const neighbour = new Neighbour(broker, topic);
    await neighbour.#client.admin().createTopics([{ name: topic, partitions: PARTITIONS }]);
    neighbour.#producing = neighbour.#produce();
    neighbour.#consuming = neighbour.#consume();
    await neighbour.progress();
    return neighbour;
  }

  /** Resolves when records that were sent after this call have made the whole way. */
  async progress(): Promise<void> {
    const target = this.#acks.size + RECORDS_A_ROUND;
    await this.#until(() => this.#acks.size >= target && this.#isAllFound());
  }

  /**
   * Stops, reads to the end, and holds both against each other, and the broker against what it was at the start.
   * @param successor the broker's next process, where the test itself ended the first.
   */
  async finish(successor?: BrokerProcess): Promise<NeighbourReport> {
    const broker = successor ?? this.#broker;
    this.#stopping.abort();
    await this.#producing;
    await this.#until(() => this.#isAllFound());
    await this.#client.close();
    await this.#consuming;
    if (!broker.isRunning) this.#faults.push("the broker ended");
    if (successor === undefined && broker.pid !== this.#pid)
      this.#faults.push("the broker is another process");
    for (const line of broker.log.split("\n")) {
      if (/\bbug\b|unhandled|invariant|InvariantError/i.test(line))
        this.#faults.push(`the log says: ${line}`);
    }
    return { acknowledged: this.#acks.size, faults: this.#faults };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#client.close();
  }

  #isAllFound(): boolean {
    return this.#acks.size === this.#found.size || this.#faults.length > 0;
  }

  async #until(isDone: () => boolean): Promise<void> {
    const signal = AbortSignal.timeout(20_000);
    const wake = new AbortController();
    signal.addEventListener("abort", () => wake.abort(), { once: true });
    while (!isDone()) {
      if (signal.aborted) {
        this.#faults.push(
          `${this.#found.size} of ${this.#acks.size} acknowledged records were found in time`,
        );
        return;
      }
      await new Promise<void>((resolve) => {
        this.#wakers.add(resolve);
        wake.signal.addEventListener("abort", () => resolve(), { once: true });
      });
    }
  }

  #wake(): void {
    for (const wake of this.#wakers) wake();
    this.#wakers.clear();
  }

  async #produce(): Promise<void> {
    await using producer = this.#client.producer({ acks: "all" });
    for (let round = 0; !this.#stopping.signal.aborted; round++) {
      const sends = Array.from({ length: RECORDS_A_ROUND }, async (_, index) => {
        const value = `${round}:${index}`;
        try {
          const ack = await producer.send(this.#topic, { key: `key-${index}`, value });
          this.#acks.set(value, ack);
        } catch (error) {
          this.#faults.push(`${value} was not acknowledged: ${String(error)}`);
        }
        this.#wake();
      });
      await Promise.all(sends);
      await pause(ROUND_PAUSE_MS);
    }
  }

  async #consume(): Promise<void> {
    await using consumer = this.#client.consumer({ topics: [this.#topic] });
    try {
      for await (const record of consumer.messages()) {
        const value = record.value?.toString() ?? "null";
        const place = `${record.partition}/${record.offset}`;
        const before = this.#found.get(value);
        if (before !== undefined) this.#faults.push(`${value} is at ${before} and at ${place}`);
        this.#found.set(value, place);
        this.#wake();
      }
    } catch (error) {
      if (!this.#stopping.signal.aborted) this.#faults.push(`the consumer failed: ${String(error)}`);
      this.#wake();
    }
    for (const [value, ack] of this.#acks) {
      const place = this.#found.get(value);
      const promised = `${ack.partition}/${ack.offset}`;
      if (place !== promised)
        this.#faults.push(`${value} was acknowledged at ${promised} and is at ${place}`);
    }
  }
}

/** The last test of a file: the neighbour saw nothing of it all. */
export async function expectUnharmed(neighbour: Neighbour): Promise<void> {
  await neighbour.progress();
  const { acknowledged, faults } = await neighbour.finish();
  expect(faults).toEqual([]);
  expect(acknowledged).toBeGreaterThan(0);
}
