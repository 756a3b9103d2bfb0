import { setTimeout as sleep } from "node:timers/promises";

/** What one run of a load measured. */
export interface BenchResult {
  readonly workload: "produce" | "consume" | "e2e";
  readonly records: number;
  /** Of values: keys, headers and the batches around them are not counted. */
  readonly bytes: number;
  readonly seconds: number;
  readonly recordsPerSecond: number;
  /** Millions of bytes a second. */
  readonly mbPerSecond: number;
  /** From when a record was due to its acknowledgement (produce --rate) or its arrival (e2e). */
  readonly latencyMs?: Latencies;
  /** Of this process, all threads. */
  readonly cpuSeconds: number;
  readonly rssBytes: number;
}

export interface Latencies {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** Measures from its construction on. */
export class Meter {
  readonly #startedAt = performance.now();
  readonly #cpu = process.cpuUsage();

  result(workload: BenchResult["workload"], records: number, bytes: number): BenchResult {
    const seconds = Math.max(0.000_001, (performance.now() - this.#startedAt) / 1000);
    const cpu = process.cpuUsage(this.#cpu);
    return {
      workload,
      records,
      bytes,
      seconds: Number(seconds.toFixed(3)),
      recordsPerSecond: Math.round(records / seconds),
      mbPerSecond: Number((bytes / seconds / 1e6).toFixed(2)),
      cpuSeconds: Number(((cpu.user + cpu.system) / 1e6).toFixed(3)),
      rssBytes: process.memoryUsage.rss(),
    };
  }
}

/** The percentiles of samples in ms, which are sorted in place: the smallest sample that so many are at or below. */
export function latencies(samples: Float64Array): Latencies {
  samples.sort();
  const at = (fraction: number): number => {
    const rank = Math.max(0, Math.ceil(samples.length * fraction) - 1);
    return Number((samples[rank] ?? 0).toFixed(3));
  };
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1) };
}

const POOL_BYTES = 4 << 20;
const FEWEST_VALUES = 16;
const MOST_VALUES = 65_536;

/**
 * Values for a run, used in turn: printable bytes that compress little, each another piece, so that neither a codec nor
 * a cache of one value makes the numbers look good. The same in every run.
 */
export function benchValues(size: number): readonly Uint8Array[] {
  const count = Math.min(MOST_VALUES, Math.max(FEWEST_VALUES, Math.floor(POOL_BYTES / Math.max(1, size))));
  const pool = new Uint8Array(count * size);
  let state = 0x2545f491;
  for (let i = 0; i < pool.length; i++) {
    // xorshift32: plain multiplication would repeat the low bits after a few steps.
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    pool[i] = 33 + ((state >>> 8) % 94);
  }
  return Array.from({ length: count }, (_, i) => pool.subarray(i * size, (i + 1) * size));
}

/**
 * Calls `send` for record after record at the time each is due, `rate` a second. A late loop sends what is overdue at
 * once, so a stall of the system shows in all that it delayed (no coordinated omission).
 */
export async function openLoop(
  options: { readonly rate: number; readonly total: number; readonly signal: AbortSignal },
  send: (index: number, dueAt: number) => void,
): Promise<void> {
  const { rate, total, signal } = options;
  const startedAt = performance.now();
  for (let index = 0; index < total;) {
    signal.throwIfAborted();
    const dueCount = Math.min(total, Math.floor(((performance.now() - startedAt) / 1000) * rate) + 1);
    for (; index < dueCount; index++) send(index, startedAt + (index / rate) * 1000);
    const idleMs = startedAt + (index / rate) * 1000 - performance.now();
    // A timer is late by up to a millisecond or two: it serves to sleep, not to hit the moment.
    if (idleMs > 3) await sleep(idleMs - 2);
    else await nap(idleMs);
  }
}

/** Longer than this no answer has to wait. */
const LONGEST_NAP_MS = 0.2;
const NEVER = new Int32Array(new SharedArrayBuffer(4));

/** Holds this thread for a moment, then lets it see to what has come: to spin would take a core from who is measured. */
async function nap(idleMs: number): Promise<void> {
  if (idleMs > 0) Atomics.wait(NEVER, 0, 0, Math.min(idleMs, LONGEST_NAP_MS));
  await new Promise(setImmediate);
}
