/** What a client prints of its latencies: the lowest value of each bucket in microseconds and how many fell into it. */
export interface HistogramCounts {
  readonly buckets: readonly (readonly [lowestUs: number, count: number])[];
  readonly maxUs: number;
}

/** Values below are exact; above, a bucket is at most 1/128 of its values wide. The clients in Go and Java count alike. */
const EXACT_BELOW = 256;
const STEPS = 128;
const STEP_BITS = 7;

/** Latencies in whole microseconds, as counts in buckets whose width grows with their values (as HDR histograms do). */
export class LatencyHistogram {
  readonly #counts = new Map<number, number>();
  #total = 0;
  #maxUs = 0;

  record(microseconds: number): void {
    const value = Math.max(0, Math.round(microseconds));
    const index = bucketOf(value);
    this.#counts.set(index, (this.#counts.get(index) ?? 0) + 1);
    this.#total++;
    this.#maxUs = Math.max(this.#maxUs, value);
  }

  /** Adds what another histogram counted. */
  add(counts: HistogramCounts): void {
    for (const [lowestUs, count] of counts.buckets) {
      const index = bucketOf(lowestUs);
      this.#counts.set(index, (this.#counts.get(index) ?? 0) + count);
      this.#total += count;
    }
    this.#maxUs = Math.max(this.#maxUs, counts.maxUs);
  }

  get total(): number {
    return this.#total;
  }

  /** The value in ms that this fraction of all is at or below: the highest of its bucket; NaN of nothing. */
  quantileMs(fraction: number): number {
    const rank = Math.max(1, Math.ceil(this.#total * fraction));
    let seen = 0;
    for (const [index, count] of this.#sorted()) {
      seen += count;
      if (seen >= rank) return Math.min(highestOf(index), this.#maxUs) / 1000;
    }
    return Number.NaN;
  }

  toCounts(): HistogramCounts {
    const buckets = this.#sorted().map(([index, count]) => [lowestOf(index), count] as const);
    return { buckets, maxUs: this.#maxUs };
  }

  #sorted(): (readonly [index: number, count: number])[] {
    return [...this.#counts].toSorted(([a], [b]) => a - b);
  }
}

function bucketOf(value: number): number {
  if (value < EXACT_BELOW) return value;
  const shift = Math.floor(Math.log2(value)) - STEP_BITS;
  return shift * STEPS + Math.floor(value / 2 ** shift);
}

function lowestOf(index: number): number {
  if (index < EXACT_BELOW) return index;
  const shift = Math.floor(index / STEPS) - 1;
  return (index - shift * STEPS) * 2 ** shift;
}

function highestOf(index: number): number {
  return lowestOf(index + 1) - 1;
}
