import { setTimeout as sleep } from "node:timers/promises";
import type { ClusterProcess } from "../../src/chaos/cluster-process.ts";
import type { Consumer, LograftClient, Producer } from "../../src/client/index.ts";

export interface RollingLoadOptions {
  readonly topic: string;
  readonly keys: number;
  readonly perSecond: number;
  readonly members: number;
}

/** What clients saw. */
export interface LoadReport {
  readonly acknowledged: number;
  readonly read: number;
  readonly repeated: number;
  /** What `send` rejected with, what a consumer told, and records of a key that came too early; nothing, if all is well. */
  readonly faults: readonly string[];
  readonly sendMs: readonly number[];
  /** The longest time of one key without an acknowledgement, and without a record read. */
  readonly longestSendGapMs: number;
  readonly longestReadGapMs: number;
}

/** One producer and the members of one group on a topic of which each key has numbered records. */
export class RollingLoad {
  readonly #options: RollingLoadOptions;
  readonly #clients: readonly LograftClient[];
  readonly #producer: Producer;
  readonly #consumers: readonly Consumer[];
  readonly #readings: Promise<void>[] = [];
  readonly #sends = new Set<Promise<void>>();
  readonly #faults: string[] = [];
  readonly #sendMs: number[] = [];
  readonly #sent: KeyTimes;
  readonly #read: KeyTimes;
  #producing: Promise<void> | undefined;
  #isOver = false;
  #repeated = 0;

  constructor(options: RollingLoadOptions, cluster: ClusterProcess) {
    this.#options = options;
    this.#sent = new KeyTimes(options.keys);
    this.#read = new KeyTimes(options.keys);
    this.#clients = Array.from({ length: options.members + 1 }, () => cluster.client());
    const [first, ...others] = this.#clients;
    if (first === undefined) throw new Error("there is no client");
    this.#producer = first.producer();
    const { topic } = options;
    this.#consumers = others.map((client) => client.consumer({ groupId: "rolling", topics: [topic] }));
  }

  start(): void {
    for (const consumer of this.#consumers) {
      consumer.on("error", ({ code, message }) => this.#faults.push(`consumer: ${code}: ${message}`));
      const reading = consumer.run({
        eachMessage: ({ key, value }) => this.#onRecord(Number(String(key)), Number(String(value))),
      });
      this.#readings.push(reading.catch((error: unknown) => void this.#faults.push(`run: ${String(error)}`)));
    }
    this.#producing = this.#produce();
  }

  /** Resolves when every key has been read to the number that it had when this was called. */
  async caughtUp(signal: AbortSignal): Promise<void> {
    const goals = [...this.#sent.last];
    while (goals.some((goal, key) => (this.#read.last[key] ?? -1) < goal))
      await sleep(20, undefined, { signal });
  }

  /** Ends the sends, waits until all is read, and ends the consumers. */
  async stop(signal: AbortSignal): Promise<LoadReport> {
    this.#isOver = true;
    await this.#producing;
    await Promise.all(this.#sends);
    this.#sent.end();
    await this.caughtUp(signal);
    this.#read.end();
    for (const consumer of this.#consumers) await consumer.close();
    await Promise.all(this.#readings);
    for (const client of this.#clients) await client.close();
    return {
      acknowledged: this.#sendMs.length,
      read: this.#read.count,
      repeated: this.#repeated,
      faults: this.#faults,
      sendMs: this.#sendMs,
      longestSendGapMs: this.#sent.longestGapMs,
      longestReadGapMs: this.#read.longestGapMs,
    };
  }

  async #produce(): Promise<void> {
    const { keys, perSecond } = this.#options;
    const startedAt = performance.now();
    for (let number = 0; !this.#isOver; number++) {
      const key = number % keys;
      const send = this.#send(key, Math.floor(number / keys)).finally(() => this.#sends.delete(send));
      this.#sends.add(send);
      const aheadMs = ((number + 1) * 1000) / perSecond - (performance.now() - startedAt);
      if (aheadMs > 0) await sleep(aheadMs);
    }
  }

  async #send(key: number, number: number): Promise<void> {
    const startedAt = performance.now();
    try {
      await this.#producer.send(this.#options.topic, { key: String(key), value: String(number) });
      this.#sendMs.push(performance.now() - startedAt);
      this.#sent.note(key, number);
    } catch (error: unknown) {
      this.#faults.push(`send of ${key}/${number}: ${String(error)}`);
    }
  }

  #onRecord(key: number, number: number): void {
    const last = this.#read.last[key] ?? -1;
    if (number <= last) this.#repeated++;
    else if (number > last + 1) this.#faults.push(`key ${key}: ${number} came behind ${last}`);
    this.#read.note(key, Math.max(number, last));
  }
}

/** By key: the highest number so far, and the longest time between two. */
class KeyTimes {
  readonly last: number[];
  longestGapMs = 0;
  count = 0;
  readonly #atMs: (number | undefined)[];

  constructor(keys: number) {
    this.last = Array.from({ length: keys }, () => -1);
    this.#atMs = this.last.map(() => undefined);
  }

  note(key: number, number: number): void {
    const nowMs = performance.now();
    this.#gap(key, nowMs);
    this.#atMs[key] = nowMs;
    this.last[key] = number;
    this.count++;
  }

  /** What did not come until now is a gap, too. */
  end(): void {
    const nowMs = performance.now();
    for (const key of this.last.keys()) this.#gap(key, nowMs);
  }

  #gap(key: number, nowMs: number): void {
    this.longestGapMs = Math.max(this.longestGapMs, nowMs - (this.#atMs[key] ?? nowMs));
  }
}
