import { readdirSync } from "node:fs";
import { constants, monitorEventLoopDelay, performance, PerformanceObserver } from "node:perf_hooks";
import type { PerformanceEntry } from "node:perf_hooks";
import { Histogram } from "../../base/histogram.ts";
import type { EventLoopLag, ProcessReading, ProcessStats } from "../process-stats.ts";

/** How often the loop's delay is measured: seldom enough to cost an idle broker nothing. */
const RESOLUTION_MS = 20;
const GC_BOUNDS = [0.001, 0.01, 0.1, 1, 2, 5];
const GC_KINDS: ReadonlyMap<number, string> = new Map([
  [constants.NODE_PERFORMANCE_GC_MINOR, "minor"],
  [constants.NODE_PERFORMANCE_GC_MAJOR, "major"],
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL, "incremental"],
  [constants.NODE_PERFORMANCE_GC_WEAKCB, "weakcb"],
]);

/** This process. */
export class NodeProcessStats implements ProcessStats {
  readonly #loop = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  readonly #gcPauses = new Map<string, Histogram>();
  readonly #gc: PerformanceObserver;

  constructor() {
    this.#loop.enable();
    this.#gc = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) this.#noteGc(entry);
    });
    this.#gc.observe({ entryTypes: ["gc"] });
  }

  read(): ProcessReading {
    const { user, system } = process.cpuUsage();
    const { rss, heapTotal, heapUsed, external } = process.memoryUsage();
    const eventLoopLag = this.#readLoop();
    return {
      nodeVersion: process.version,
      cpuUserSeconds: user / 1e6,
      cpuSystemSeconds: system / 1e6,
      startTimeSeconds: performance.timeOrigin / 1000,
      residentBytes: rss,
      heapTotalBytes: heapTotal,
      heapUsedBytes: heapUsed,
      externalBytes: external,
      eventLoopLag,
      gcPauses: new Map(Array.from(this.#gcPauses, ([kind, pauses]) => [kind, pauses.read()])),
      openFiles: countOpenFiles(),
    };
  }

  close(): void {
    this.#loop.disable();
    this.#gc.disconnect();
  }

  #noteGc(entry: PerformanceEntry): void {
    const { duration: durationMs } = entry;
    const detail: unknown = "detail" in entry ? entry.detail : undefined;
    if (typeof detail !== "object" || detail === null || !("kind" in detail)) return;
    const kind = GC_KINDS.get(Number(detail.kind));
    if (kind === undefined) return;
    let pauses = this.#gcPauses.get(kind);
    if (pauses === undefined) {
      pauses = new Histogram(GC_BOUNDS);
      this.#gcPauses.set(kind, pauses);
    }
    pauses.observeMs(durationMs);
  }

  /** What is measured is the time between two looks; how late the second was is what is beyond the resolution. */
  #readLoop(): EventLoopLag {
    const loop = this.#loop;
    const lag = {
      mean: lateness(loop.mean),
      p50: lateness(loop.percentile(50)),
      p99: lateness(loop.percentile(99)),
      max: lateness(loop.max),
    };
    loop.reset();
    return lag;
  }
}

/** Nothing was measured yet: the mean is then not a number, and nothing was late. */
function lateness(nanoseconds: number): number {
  return Number.isFinite(nanoseconds) ? Math.max(0, nanoseconds / 1e9 - RESOLUTION_MS / 1000) : 0;
}

/**
 * The directory exists on Linux and lies in memory; the look at it opens a file of its own. Not by the threads of other
 * file work, all of which may hang with a disk that does.
 */
function countOpenFiles(): number | undefined {
  try {
    return readdirSync("/proc/self/fd").length - 1;
  } catch {
    // Another system: the metric is left out.
    return undefined;
  }
}
