/** What a history can be found guilty of, in the order of the printed table. */
export const ANOMALIES = [
  "corrupt-record",
  "misrouted-record",
  "inconsistent-offsets",
  "duplicate",
  "lost-write",
  "vanished",
  "unseen",
  "aborted-read",
  "future-read",
  "int-poll-skip",
  "int-nonmonotonic-poll",
  "poll-skip",
  "nonmonotonic-poll",
  "poll-skip-subscribed",
  "nonmonotonic-poll-subscribed",
  "int-nonmonotonic-send",
  "nonmonotonic-send",
  "int-send-skip",
  "session-gap",
  "realtime-inversion",
  "end-offset-regression",
  "epoch-regression",
  "lost-commit",
  "phantom-commit",
  "commit-regress",
  "zero-offset",
  "stale-generation-commit",
  "double-assignment",
  "lost-processing",
  "stale-lag",
  "metadata-inversion",
  "replica-divergence",
  "invariant-break",
] as const;

export type AnomalyKind = (typeof ANOMALIES)[number];

/** Occurrences of one anomaly. */
export interface AnomalyCount {
  total: number;
  /** Those among them that the weaker profiles allow: a retry or an unknown outcome explains them. */
  excused: number;
  /** The first ones, in words. */
  readonly examples: string[];
}

/** Collects what the checks find. Texts are made for the first ones only, so a broken run costs no more than a sound one. */
export class Findings {
  readonly counts = new Map<AnomalyKind, AnomalyCount>();
  readonly #maxExamples: number;

  constructor(options: { readonly maxExamples: number }) {
    this.#maxExamples = options.maxExamples;
  }

  add(kind: AnomalyKind, describe: () => string, isExcused = false): void {
    let count = this.counts.get(kind);
    if (count === undefined) {
      count = { total: 0, excused: 0, examples: [] };
      this.counts.set(kind, count);
    }
    count.total++;
    if (isExcused) count.excused++;
    if (count.examples.length < this.#maxExamples) count.examples.push(describe());
  }
}
