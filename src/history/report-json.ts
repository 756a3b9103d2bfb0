import type { HistoryReport } from "./checker.ts";
import type { Percentiles } from "./percentiles.ts";

/** A report as plain data for `--json`: what was found, what was done to the cluster, and what the clients felt of it. */
export function reportAsJson(report: HistoryReport): Readonly<Record<string, unknown>> {
  const { availability } = report;
  return {
    verdict: report.verdict,
    profile: report.profile,
    acknowledged: availability.acknowledged,
    anomalies: Object.fromEntries(report.anomalies.map(({ kind, count }) => [kind, count])),
    violations: report.anomalies.reduce((sum, { violations }) => sum + violations, 0),
    examples: Object.fromEntries(report.anomalies.map(({ kind, examples }) => [kind, examples])),
    faults: Object.fromEntries(availability.faults.map(({ kind, count }) => [kind, count])),
    produceGapMs: rounded(availability.produceGapMs),
    longestGapMs: tenths(availability.longestGapMs),
    successRate: availability.successRate,
    abandoned: availability.abandoned,
    staleLagMs: rounded(report.staleLagMs),
    perFault: availability.faults.map((figures) => ({
      kind: figures.kind,
      count: figures.count,
      effective: figures.effective,
      windowMs: rounded(figures.windowMs),
      gapMs: rounded(figures.gapMs),
      recoveryMs: rounded(figures.recoveryMs),
      takeoverMs: rounded(figures.takeoverMs),
      undisturbedGapMs: rounded(figures.undisturbedGapMs),
    })),
    gates: report.gates,
    operations: report.operations,
    keys: report.keys,
  };
}

function rounded({ p50, p99, max }: Percentiles): { p50: number; p99: number; max: number } {
  return { p50: tenths(p50), p99: tenths(p99), max: tenths(max) };
}

function tenths(value: number): number {
  return Math.round(value * 10) / 10;
}
