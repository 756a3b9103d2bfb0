import { abortable } from "../base/abort.ts";
import { Deferred } from "../base/deferred.ts";
import { operationError } from "../base/errors.ts";
import type { LograftClient, Producer, ProducerOptions } from "../client/index.ts";
import { benchValues, latencies, Meter, openLoop } from "./bench-meter.ts";
import type { BenchResult } from "./bench-meter.ts";

/** What every load that writes needs to know. */
export interface WriteLoad {
  readonly topic: string;
  readonly recordBytes: number;
  readonly durationMs: number;
  readonly warmupMs: number;
  readonly producer: ProducerOptions;
  readonly signal: AbortSignal;
}

/** Records between two looks at the clock: the clock must not be what is measured. */
const STRIDE = 256;
/** Where an e2e record says when it was due: a float64 at its beginning. */
const DUE_BYTES = 8;

/** Writes as fast as records are taken, and waits until all are acknowledged. @throws the first failure. */
export async function benchProduce(
  client: LograftClient,
  load: WriteLoad & { readonly maxRecords: number },
): Promise<BenchResult> {
  const stop = new AbortController();
  await using producer = failingFast(client, load, stop);
  const signal = AbortSignal.any([load.signal, stop.signal]);
  const values = benchValues(load.recordBytes);
  const records = values.map((value) => ({ value }));
  const run = async (maxRecords: number, forMs: number): Promise<number> => {
    const endAt = performance.now() + forMs;
    let sent = 0;
    while (sent < maxRecords && performance.now() < endAt) {
      signal.throwIfAborted();
      for (let i = 0; i < STRIDE && sent < maxRecords; i++) {
        const record = records[sent % records.length] ?? { value: null };
        while (!producer.enqueue(load.topic, record)) await producer.drained({ signal });
        sent++;
      }
    }
    await producer.flush({ signal });
    return sent;
  };
  await run(Number.POSITIVE_INFINITY, load.warmupMs);
  const meter = new Meter();
  const sent = await run(load.maxRecords, load.durationMs);
  return meter.result("produce", sent, sent * load.recordBytes);
}

/** Writes at a rate; the latency of each record counts from when it was due to its acknowledgement. */
export async function benchProduceLatency(
  client: LograftClient,
  load: WriteLoad & { readonly rate: number },
): Promise<BenchResult> {
  const stop = new AbortController();
  await using producer = failingFast(client, load, stop);
  const signal = AbortSignal.any([load.signal, stop.signal]);
  const { rate, topic } = load;
  const values = benchValues(load.recordBytes);
  const warmup = Math.round((load.warmupMs / 1000) * rate);
  const total = warmup + Math.max(1, Math.round((load.durationMs / 1000) * rate));
  const samples = new Float64Array(total);
  const allAcknowledged = new Deferred<void>();
  let acknowledged = 0;
  let meter = new Meter();
  await openLoop({ rate, total, signal }, (index, dueAt) => {
    if (index === warmup) meter = new Meter();
    producer.send(topic, { value: values[index % values.length] ?? null }).then(
      () => {
        samples[index] = performance.now() - dueAt;
        acknowledged++;
        if (acknowledged === total) allAcknowledged.resolve();
      },
      (error: unknown) => stop.abort(error),
    );
  });
  await abortable(allAcknowledged.promise, signal);
  const measured = total - warmup;
  return {
    ...meter.result("produce", measured, measured * load.recordBytes),
    latencyMs: latencies(samples.subarray(warmup)),
  };
}

/**
 * Writes at a rate and reads what was written, in one process with one clock; the latency of each record counts from
 * when it was due to when the application has it.
 */
export async function benchEndToEnd(
  client: LograftClient,
  load: WriteLoad & { readonly rate: number },
): Promise<BenchResult> {
  const stop = new AbortController();
  const signal = AbortSignal.any([load.signal, stop.signal]);
  const { rate, topic } = load;
  const warmup = Math.round((load.warmupMs / 1000) * rate);
  const total = warmup + Math.max(1, Math.round((load.durationMs / 1000) * rate));
  const samples = new Float64Array(total);
  const values = benchValues(Math.max(DUE_BYTES, load.recordBytes));
  const partitions = await partitionsOf(client, topic);
  // From the ends that the log has now: whoever else writes here would be measured too.
  const ends = await client.admin().listOffsets(partitions, "end");
  await using consumer = client.consumer({
    assign: ends.map(({ topic: name, partition, offset }) => ({ topic: name, partition, from: offset })),
    maxWaitMs: 500,
  });
  await consumer.ready();
  await using producer = failingFast(client, load, stop);
  let meter = new Meter();
  let arrived = 0;
  const reading = (async () => {
    for await (const batch of consumer.batches({ signal })) {
      const now = performance.now();
      for (const { value } of batch) {
        if (value === null || arrived >= total) continue;
        samples[arrived++] = now - value.readDoubleBE(0);
      }
      if (arrived >= total) return;
    }
  })();
  reading.catch((error: unknown) => stop.abort(error));
  await openLoop({ rate, total, signal }, (index, dueAt) => {
    if (index === warmup) meter = new Meter();
    const value = Buffer.from(values[index % values.length] ?? []);
    value.writeDoubleBE(dueAt, 0);
    producer.send(topic, { value }).catch((error: unknown) => stop.abort(error));
  });
  await producer.flush({ signal });
  await reading;
  const measured = total - warmup;
  return {
    ...meter.result("e2e", measured, measured * Math.max(DUE_BYTES, load.recordBytes)),
    // Records of several partitions overtake each other, so the warm-up is the first arrivals rather than the first sent.
    latencyMs: latencies(samples.subarray(warmup)),
  };
}

/** Reads from the beginning as fast as it comes, touching each value as an application would. */
export async function benchConsume(
  client: LograftClient,
  load: {
    readonly topic: string;
    readonly maxRecords: number;
    readonly durationMs: number;
    readonly signal: AbortSignal;
  },
): Promise<BenchResult> {
  const partitions = await partitionsOf(client, load.topic);
  const admin = client.admin();
  const [starts, ends] = await Promise.all([
    admin.listOffsets(partitions, "beginning"),
    admin.listOffsets(partitions, "end"),
  ]);
  const sum = (found: readonly { readonly offset: number }[]): number =>
    found.reduce((total, { offset }) => total + offset, 0);
  const wanted = Math.min(load.maxRecords, sum(ends) - sum(starts));
  if (wanted <= 0) {
    throw operationError(
      "INVALID_ARGUMENT",
      `${load.topic} holds no records; write some with: lograft bench produce ${load.topic}`,
    );
  }
  const deadline = AbortSignal.timeout(load.durationMs);
  await using consumer = client.consumer({
    assign: partitions.map((partition) => ({ ...partition, from: "beginning" as const })),
  });
  const meter = new Meter();
  let records = 0;
  let bytes = 0;
  try {
    for await (const batch of consumer.batches({ signal: AbortSignal.any([load.signal, deadline]) })) {
      for (const record of batch) {
        bytes += record.value?.byteLength ?? 0;
        records++;
      }
      if (records >= wanted) break;
    }
  } catch (error) {
    // Time is up: what was read until then counts.
    if (!deadline.aborted || load.signal.aborted || records === 0) throw error;
  }
  return meter.result("consume", records, bytes);
}

/** A producer whose first failure ends the run with that error, instead of measuring how fast it fails. */
function failingFast(client: LograftClient, load: WriteLoad, stop: AbortController): Producer {
  return client.producer({ ...load.producer, onError: (error) => stop.abort(error) });
}

async function partitionsOf(
  client: LograftClient,
  topic: string,
): Promise<readonly { readonly topic: string; readonly partition: number }[]> {
  const [described] = await client.admin().describeTopics([topic]);
  return (described?.partitions ?? []).map(({ partition }) => ({ topic, partition }));
}
