import type { HistogramReading } from "../base/histogram.ts";

/** How late the event loop was since the last reading, in seconds. */
export interface EventLoopLag {
  readonly mean: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** A process at one moment. Times in seconds, sizes in bytes. */
export interface ProcessReading {
  readonly nodeVersion: string;
  readonly cpuUserSeconds: number;
  readonly cpuSystemSeconds: number;
  /** Since 1970. */
  readonly startTimeSeconds: number;
  readonly residentBytes: number;
  readonly heapTotalBytes: number;
  readonly heapUsedBytes: number;
  readonly externalBytes: number;
  /** Undefined where the system does not tell. */
  readonly openFiles: number | undefined;
  readonly eventLoopLag: EventLoopLag;
  /** Pauses of the garbage collector in seconds, by kind. */
  readonly gcPauses: ReadonlyMap<string, HistogramReading>;
}

/** Tells how the process is that this code runs in. Watches the event loop and the garbage collector until it is closed. */
export interface ProcessStats {
  /** The time since the last reading is what the loop's lag is of. */
  read(): ProcessReading;
  /** Idempotent. */
  close(): void;
}
