import type { AnomalyRow, HistoryReport } from "../history/checker.ts";
import { reportAsJson } from "../history/report-json.ts";
import type { Percentiles } from "../history/percentiles.ts";
import type { Gate } from "../history/vacuity.ts";
import type { FaultFigures } from "../history/availability.ts";
import type { CliEnvironment } from "./context.ts";
import { EXIT } from "./exit-codes.ts";
import type { Column, Output } from "./output.ts";
import { formatCount } from "./output.ts";

const ANOMALY_COLUMNS: readonly Column<AnomalyRow>[] = [
  { title: "ANOMALY", cell: ({ kind }) => kind },
  { title: "COUNT", cell: ({ count }) => formatCount(count), align: "right" },
  { title: "VIOLATIONS", cell: ({ violations }) => formatCount(violations), align: "right" },
  { title: "RULE", cell: ({ rule }) => rule },
];

const FAULT_COLUMNS: readonly Column<FaultFigures>[] = [
  { title: "FAULT", cell: ({ kind }) => kind },
  { title: "COUNT", cell: ({ count }) => count, align: "right" },
  { title: "EFFECTIVE", cell: ({ effective }) => effective, align: "right" },
  { title: "WINDOW p50/p99/max ms", cell: ({ windowMs }) => times(windowMs), align: "right" },
  { title: "GAP p50/p99/max ms", cell: ({ gapMs }) => times(gapMs), align: "right" },
  { title: "RECOVERY p50/p99/max ms", cell: ({ recoveryMs }) => times(recoveryMs), align: "right" },
];

/** For runs with a consumer group. */
const GROUP_COLUMNS: readonly Column<FaultFigures>[] = [
  { title: "FAULT", cell: ({ kind }) => kind },
  { title: "KEYS TAKEN OVER", cell: ({ takeoverMs }) => formatCount(takeoverMs.count), align: "right" },
  { title: "TAKEOVER p50/p99/max ms", cell: ({ takeoverMs }) => times(takeoverMs), align: "right" },
  {
    title: "GAP OF OTHERS p50/p99/max ms",
    cell: ({ undisturbedGapMs }) => times(undisturbedGapMs),
    align: "right",
  },
];

const GATE_COLUMNS: readonly Column<Gate>[] = [
  { title: "GATE", cell: ({ name }) => name },
  { title: "MET", cell: ({ isMet }) => (isMet ? "yes" : "NO") },
  { title: "FIGURES", cell: ({ detail }) => detail },
];

/** Prints what a history shows: anomalies with examples, faults with what they cost, the gates, and the verdict. */
export function printReport(output: Output, report: HistoryReport): void {
  if (output.format === "json") {
    output.json(reportAsJson(report));
    return;
  }
  const { availability, anomalies, gates, staleLagMs } = report;
  output.rows(ANOMALY_COLUMNS, anomalies, { empty: "no anomalies", toJson: (row) => row });
  for (const { kind, examples } of anomalies) {
    for (const example of examples) output.line(`  ${kind}: ${example}`);
  }
  if (availability.faults.length > 0) {
    output.line("");
    output.rows(FAULT_COLUMNS, availability.faults, { empty: "", toJson: (row) => row });
  }
  const ofGroups = availability.faults.filter(({ takeoverMs }) => takeoverMs.count > 0);
  if (ofGroups.length > 0) {
    output.line("");
    output.rows(GROUP_COLUMNS, ofGroups, { empty: "", toJson: (row) => row });
  }
  output.line("");
  output.rows(GATE_COLUMNS, gates, { empty: "", toJson: (row) => row });
  output.line("");
  output.line(
    `${formatCount(availability.acknowledged)} acknowledged, ${formatCount(availability.failed)} failed, ` +
      `${formatCount(availability.unknown)} unknown: ${(availability.successRate * 100).toFixed(2)} %; ` +
      `${formatCount(availability.abandoned)} given up by clients that were ended`,
  );
  output.line(
    `produce gap p50/p99/max ${times(availability.produceGapMs)} ms, longest on any key ` +
      `${Math.round(availability.longestGapMs)} ms; polls behind p99 ${Math.round(staleLagMs.p99)} ms, ` +
      `max ${Math.round(staleLagMs.max)} ms`,
  );
  output.line(`verdict: ${verdictText(report)}`);
}

/** A violation is a failed check; a void run has failed to show anything. */
export function exitByVerdict({ verdict }: HistoryReport, environment: CliEnvironment): void {
  if (verdict === "violation") environment.exit(EXIT.CHECK_FAILED);
  if (verdict === "void") environment.exit(EXIT.FAILED);
}

function verdictText({ verdict, profile, anomalies }: HistoryReport): string {
  switch (verdict) {
    case "ok":
      return `ok (${profile})`;
    case "void":
      return `void (${profile}): nothing is wrong, but the run shows too little; repeat it`;
    case "violation": {
      const count = anomalies.reduce((sum, { violations }) => sum + violations, 0);
      return `${formatCount(count)} VIOLATIONS (${profile})`;
    }
  }
}

function times({ count, p50, p99, max }: Percentiles): string {
  return count === 0 ? "-" : `${Math.round(p50)}/${Math.round(p99)}/${Math.round(max)}`;
}
