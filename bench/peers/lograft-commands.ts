import { LograftClient } from "lograft/client";
import type { Admin, Consumer, Producer, ProducerOptions } from "lograft/client";
import { benchValues, openLoop } from "../../src/cli/bench-meter.ts";
import type { ClientResult } from "./client-driver.ts";
import { LatencyHistogram } from "./latency-histogram.ts";

/** The values of one command. */
export interface CommandValues {
  readonly text: (key: string) => string;
  /** 0 when it is not given. */
  readonly number: (key: string) => number;
}

/** Records between two looks at the clock: the clock must not be what is measured. */
const STRIDE = 256;
/** Where a record says when it was due: a float64 at its beginning. */
const DUE_BYTES = 8;
const AGAIN_MS = 50;
const STEADY_AFTER_MS = 3000;

/** The commands of client-driver.ts, by the SDK. */
export class LograftCommands {
  readonly #brokers: readonly string[];
  readonly #say: (event: string) => void;
  readonly #client: LograftClient;
  readonly #admin: Admin;
  #killedAt: number | undefined;

  constructor(brokers: readonly string[], say: (event: string) => void) {
    this.#brokers = brokers;
    this.#say = say;
    this.#client = this.#newClient();
    this.#admin = this.#client.admin();
  }

  /** The harness has killed a broker. */
  onKilled(): void {
    this.#killedAt = performance.now();
  }

  /** @throws what the SDK throws, and for an unknown command. */
  async run(name: string, values: CommandValues): Promise<ClientResult> {
    const commands: Readonly<Record<string, (values: CommandValues) => Promise<ClientResult>>> = {
      create: (given) => this.#create(given),
      delete: (given) => this.#delete(given),
      leaders: (given) => this.#leaders(given),
      produce: (given) => this.#produce(given),
      consume: (given) => this.#consume(given),
      tail: (given) => this.#tail(given),
      e2e: (given) => this.#endToEnd(given),
      steady: (given) => this.#steady(given),
      first: (given) => this.#first(given),
    };
    const command = commands[name];
    if (command === undefined) throw new Error(`there is no command "${name}"`);
    return command(values);
  }

  /** Waits for all nodes, makes the topic, waits until each partition has a leader. */
  async #create({ text, number }: CommandValues): Promise<ClientResult> {
    const topic = text("topic");
    const endAt = performance.now() + number("limit");
    await untilTrue(endAt, async () => {
      const { brokers } = await this.#admin.describeCluster();
      return brokers.length >= number("nodes");
    });
    const replicas = number("replicas");
    const configs = { "flush.policy": "os", "min.insync.replicas": replicas > 1 ? "2" : "1" };
    const spec = { name: topic, partitions: number("partitions"), replicationFactor: replicas, configs };
    const [outcome] = await this.#admin.createTopics([spec]);
    if (outcome?.error !== undefined) throw outcome.error;
    await untilTrue(endAt, async () => {
      const [found] = await this.#admin.describeTopics([topic]);
      return (
        found?.partitions.length === spec.partitions && found.partitions.every(({ leaderId }) => leaderId > 0)
      );
    });
    return {};
  }

  async #delete({ text }: CommandValues): Promise<ClientResult> {
    await this.#admin.deleteTopics([text("topic")]);
    return {};
  }

  async #leaders({ text }: CommandValues): Promise<ClientResult> {
    const [found] = await this.#admin.describeTopics([text("topic")]);
    const { controllerId } = await this.#admin.describeCluster();
    return { leaders: (found?.partitions ?? []).map(({ leaderId }) => leaderId), controller: controllerId };
  }

  /** Writes as fast as records are taken, for a time or a number of records, and waits for all acknowledgements. */
  async #produce(values: CommandValues): Promise<ClientResult> {
    const { text, number } = values;
    const [topic, recordBytes, count] = [text("topic"), number("bytes"), number("count")];
    const records = benchValues(recordBytes).map((value) => ({ value }));
    await using many = this.#producers(values);
    const { producers, signal } = many;
    const run = async (producer: Producer, maxRecords: number, forMs: number): Promise<number> => {
      const endAt = performance.now() + forMs;
      let sent = 0;
      while (sent < maxRecords && performance.now() < endAt) {
        signal.throwIfAborted();
        for (let i = 0; i < STRIDE && sent < maxRecords; i++) {
          const record = records[sent % records.length] ?? { value: null };
          while (!producer.enqueue(topic, record)) await producer.drained({ signal });
          sent++;
        }
        // The others of this process have their turn.
        if (producers.length > 1) await new Promise(setImmediate);
      }
      await producer.flush({ signal });
      return sent;
    };
    const runAll = async (maxRecords: number, forMs: number): Promise<number> => {
      const sent = await Promise.all(producers.map((producer) => run(producer, maxRecords, forMs)));
      return sent.reduce((sum, one) => sum + one, 0);
    };
    await touch(producers, topic, number("partitions"), recordBytes);
    const warm = await runAll(Number.POSITIVE_INFINITY, number("warmup"));
    const meter = startMeter();
    const sent = await runAll(
      count > 0 ? count : Number.POSITIVE_INFINITY,
      count > 0 ? Number.POSITIVE_INFINITY : number("duration"),
    );
    const bytes = sent * recordBytes;
    return { ...meter(), records: sent, bytes, allBytes: bytes + warm * recordBytes };
  }

  /** Reads `count` records from the beginning, again and again for a time, or once. */
  async #consume({ text, number }: CommandValues): Promise<ClientResult> {
    const [topic, count] = [text("topic"), number("count")];
    const pass = async (endAt: number): Promise<{ records: number; bytes: number }> => {
      await using consumer = this.#consumer(topic, number("partitions"), "beginning");
      let records = 0;
      let bytes = 0;
      for await (const batch of consumer.batches()) {
        for (const { value } of batch) {
          bytes += value?.byteLength ?? 0;
          records++;
        }
        if (records >= count || performance.now() >= endAt) break;
      }
      return { records, bytes };
    };
    const passes = async (forMs: number): Promise<{ records: number; bytes: number }> => {
      const endAt = forMs === 0 ? Number.POSITIVE_INFINITY : performance.now() + forMs;
      const total = { records: 0, bytes: 0 };
      do {
        const { records, bytes } = await pass(endAt);
        total.records += records;
        total.bytes += bytes;
      } while (forMs > 0 && performance.now() < endAt);
      return total;
    };
    const warm = number("warmup") > 0 ? await passes(number("warmup")) : { bytes: 0 };
    const meter = startMeter();
    const read = await passes(number("duration"));
    return { ...meter(), ...read, allBytes: read.bytes + warm.bytes };
  }

  /** Counts what comes after the end that the topic has now, for a time that begins a while after the first record. */
  async #tail({ text, number }: CommandValues): Promise<ClientResult> {
    await using consumer = this.#consumer(text("topic"), number("partitions"), "end");
    await consumer.ready();
    this.#say("ready");
    const stop = AbortSignal.timeout(number("limit"));
    let [startAt, endAt, records, bytes] = [Number.NaN, Number.NaN, 0, 0];
    let meter: (() => ClientResult) | undefined;
    for await (const batch of consumer.batches({ signal: stop })) {
      const now = performance.now();
      if (Number.isNaN(startAt)) {
        startAt = now + number("warmup");
        endAt = startAt + number("duration");
      }
      if (now < startAt) continue;
      meter ??= startMeter();
      for (const { value } of batch) {
        bytes += value?.byteLength ?? 0;
        records++;
      }
      if (now >= endAt) break;
    }
    return { ...meter?.(), records, bytes };
  }

  /** Writes at a rate and reads it back; latencies count from when a record was due. */
  async #endToEnd(values: CommandValues): Promise<ClientResult> {
    const { text, number } = values;
    const [topic, rate] = [text("topic"), number("rate")];
    const pool = benchValues(Math.max(DUE_BYTES, number("bytes")));
    const warm = Math.round((number("warmup") / 1000) * rate);
    const total = warm + Math.round((number("duration") / 1000) * rate);
    await using many = this.#producers(values);
    const { producers, signal } = many;
    await touch(producers, topic, number("partitions"), pool[0]?.byteLength ?? DUE_BYTES);
    await using consumer = this.#consumer(topic, number("partitions"), "end");
    await consumer.ready();
    const histogram = new LatencyHistogram();
    let measuredFrom = Number.POSITIVE_INFINITY;
    const reading = (async () => {
      let arrived = 0;
      for await (const batch of consumer.batches({ signal })) {
        const now = performance.now();
        for (const { value } of batch) {
          const dueAt = value?.readDoubleBE(0) ?? 0;
          if (dueAt >= measuredFrom) histogram.record((now - dueAt) * 1000);
          arrived++;
        }
        if (arrived >= total) return;
      }
    })();
    reading.catch(many.fail);
    const meter = startMeter();
    await openLoop({ rate, total, signal }, (index, dueAt) => {
      if (index === warm) measuredFrom = dueAt;
      const value = Buffer.from(pool[index % pool.length] ?? []);
      value.writeDoubleBE(dueAt, 0);
      producers[0]?.send(topic, { value }).catch(many.fail);
    });
    await reading;
    return { ...meter(), records: total - warm, latency: histogram.toCounts() };
  }

  /** Writes at a rate to one partition until acknowledgements have come for 3 s after a kill: the longest gap between two. */
  async #steady(values: CommandValues): Promise<ClientResult> {
    const { text, number } = values;
    const [topic, partition, rate] = [text("topic"), number("partition"), number("rate")];
    const value = benchValues(number("bytes"))[0] ?? null;
    await using many = this.#producers(values);
    const [producer] = many.producers;
    this.#killedAt = undefined;
    let [lastAt, gapMs, failed, steadyFrom] = [Number.NaN, 0, 0, Number.NaN];
    const enough = new AbortController();
    const pending = new Set<Promise<unknown>>();
    const onAcknowledged = (): void => {
      const now = performance.now();
      if (Number.isNaN(lastAt)) this.#say("ready");
      else gapMs = Math.max(gapMs, now - lastAt);
      lastAt = now;
      if (this.#killedAt === undefined || now < this.#killedAt + AGAIN_MS) return;
      if (Number.isNaN(steadyFrom)) steadyFrom = now;
      if (now >= steadyFrom + STEADY_AFTER_MS) enough.abort();
    };
    const total = Math.round((number("limit") / 1000) * rate);
    try {
      await openLoop({ rate, total, signal: AbortSignal.any([many.signal, enough.signal]) }, () => {
        const sending = producer?.send(topic, { value, partition }).then(onAcknowledged, () => {
          failed++;
        });
        if (sending === undefined) return;
        pending.add(sending);
        void sending.finally(() => pending.delete(sending));
      });
    } catch (error) {
      if (!enough.signal.aborted) throw error;
    }
    if (!enough.signal.aborted) throw new Error(`no acknowledgement for ${number("limit")} ms`);
    await Promise.all(pending);
    return { gapMs, failed };
  }

  /** Sends one record until one is acknowledged. */
  async #first({ text, number }: CommandValues): Promise<ClientResult> {
    const value = benchValues(number("bytes"))[0] ?? null;
    this.#say("ready");
    const endAt = performance.now() + number("limit");
    await using client = new LograftClient({
      brokers: this.#brokers,
      retry: { initialMs: AGAIN_MS, maxMs: AGAIN_MS },
    });
    await using producer = client.producer({ acks: "all", lingerMs: 0 });
    await untilTrue(endAt, async () => {
      await producer.send(text("topic"), { value });
      return true;
    });
    return {};
  }

  #newClient(): LograftClient {
    return new LograftClient({ brokers: this.#brokers });
  }

  /** Producers with connections of their own; the first failure of one ends the command. */
  #producers({ text, number }: CommandValues): ManyProducers {
    return new ManyProducers(Math.max(1, number("producers")), () => this.#newClient(), {
      acks: text("acks") === "all" ? "all" : 1,
      batchSize: number("batch"),
      // A batch is as large as the peers' are, and no larger.
      maxBatchSize: number("batch"),
      lingerMs: number("linger"),
      maxBufferBytes: Math.floor(number("buffer") / Math.max(1, number("producers"))),
    });
  }

  #consumer(topic: string, partitions: number, from: "beginning" | "end"): Consumer {
    return this.#client.consumer({
      assign: Array.from({ length: partitions }, (_, partition) => ({ topic, partition, from })),
    });
  }
}

class ManyProducers implements AsyncDisposable {
  readonly producers: readonly Producer[];
  readonly signal: AbortSignal;
  readonly fail: (error: unknown) => void;
  readonly #clients: readonly LograftClient[];

  constructor(count: number, newClient: () => LograftClient, options: ProducerOptions) {
    const stop = new AbortController();
    this.signal = stop.signal;
    this.fail = (error) => stop.abort(error);
    this.#clients = Array.from({ length: count }, newClient);
    this.producers = this.#clients.map((client) => client.producer({ ...options, onError: this.fail }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#clients.map((client) => client[Symbol.asyncDispose]()));
  }
}

/** Gives each partition its first record, from each producer in turn: making files is not what is measured. */
async function touch(
  producers: readonly Producer[],
  topic: string,
  partitions: number,
  recordBytes: number,
): Promise<void> {
  const value = benchValues(recordBytes)[0] ?? null;
  const count = Math.max(partitions, producers.length);
  const sends = Array.from({ length: count }, async (_, index) =>
    producers[index % producers.length]?.send(topic, { value, partition: index % partitions }),
  );
  await Promise.all(sends);
}

async function untilTrue(endAt: number, check: () => Promise<boolean>): Promise<void> {
  for (;;) {
    try {
      if (await check()) return;
    } catch (error) {
      if (performance.now() >= endAt) throw error;
    }
    if (performance.now() >= endAt) throw new Error("the cluster is not ready in time");
    await new Promise((resolve) => {
      setTimeout(resolve, AGAIN_MS);
    });
  }
}

/** Measures from now on. */
function startMeter(): () => { readonly seconds: number; readonly cpuSeconds: number } {
  const startedAt = performance.now();
  const cpu = process.cpuUsage();
  return () => {
    const used = process.cpuUsage(cpu);
    return {
      seconds: (performance.now() - startedAt) / 1000,
      cpuSeconds: (used.user + used.system) / 1e6,
    };
  };
}
