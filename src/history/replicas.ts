import type { CheckContext } from "./check-context.ts";
import { groupBy } from "./group-by.ts";

/** After quiescing, replicas hold the same bytes over the same range. Digests over other ranges say nothing of each other. */
export function checkReplicas({ history, findings }: CheckContext): void {
  for (const { name, replicas } of history.keys) {
    const byRange = groupBy(replicas, ({ start, end }) => `${start}-${end}`);
    for (const ofRange of byRange.values()) {
      const [first] = ofRange;
      const other = ofRange.find(({ digest }) => digest !== first?.digest);
      if (first === undefined || other === undefined) continue;
      findings.add(
        "replica-divergence",
        () =>
          `${name} [${first.start}, ${first.end}): node ${first.node} has ${first.digest}, ` +
          `node ${other.node} has ${other.digest}`,
      );
    }
  }
  for (const { what } of history.broken) findings.add("invariant-break", () => what);
}
