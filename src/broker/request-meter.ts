import { Histogram } from "../base/histogram.ts";
import type { HistogramReading } from "../base/histogram.ts";

/** What a request waited for. */
export type RequestPhase = "local" | "replication" | "total";

/** Answers of one code. */
export interface RequestCount {
  readonly api: string;
  readonly code: string;
  readonly count: number;
}

/** How long a phase of one api took. */
export interface RequestDurations {
  readonly api: string;
  readonly phase: RequestPhase;
  readonly reading: HistogramReading;
}

interface ApiMeter {
  readonly counts: Map<string, number>;
  readonly durations: Map<RequestPhase, Histogram>;
}

/**
 * Counts answered requests and their time. Names of apis and codes come from closed lists (methods and error names), so
 * the number of series is bounded.
 */
export class RequestMeter {
  readonly #apis = new Map<string, ApiMeter>();

  /** An answer, by its error name or status. */
  count(api: string, code: string): void {
    const { counts } = this.#meterOf(api);
    counts.set(code, (counts.get(code) ?? 0) + 1);
  }

  observe(api: string, phase: RequestPhase, durationMs: number): void {
    const { durations } = this.#meterOf(api);
    let histogram = durations.get(phase);
    if (histogram === undefined) {
      histogram = new Histogram();
      durations.set(phase, histogram);
    }
    histogram.observeMs(durationMs);
  }

  *counts(): Iterable<RequestCount> {
    for (const [api, { counts }] of this.#apis) {
      for (const [code, count] of counts) yield { api, code, count };
    }
  }

  *durations(): Iterable<RequestDurations> {
    for (const [api, { durations }] of this.#apis) {
      for (const [phase, histogram] of durations) yield { api, phase, reading: histogram.read() };
    }
  }

  #meterOf(api: string): ApiMeter {
    let meter = this.#apis.get(api);
    if (meter === undefined) {
      meter = { counts: new Map(), durations: new Map() };
      this.#apis.set(api, meter);
    }
    return meter;
  }
}
