import { checkHistory } from "../history/checker.ts";
import type { History } from "../history/history.ts";
import { InvariantViolation } from "./invariants/violation.ts";

/** @throws InvariantViolation named after the first anomaly that counts against the profile. */
export function judge(history: History): void {
  const report = checkHistory(history);
  const [first] = report.anomalies.filter(({ violations }) => violations > 0);
  if (first === undefined) return;
  throw new InvariantViolation(first.kind, "the history of the clients shows", {
    profile: report.profile,
    anomalies: report.anomalies.map(({ kind, violations, examples }) => ({ kind, violations, examples })),
  });
}
