import type { CheckContext } from "./check-context.ts";
import { groupBy } from "./group-by.ts";
import { at } from "./key-history.ts";
import type { MetadataOperation } from "./metadata-operation.ts";
import { findRegressions } from "./realtime-sweep.ts";

type TimedMetadata = MetadataOperation & {
  readonly invokedAt: number;
  readonly completedAt: number;
  readonly number: number;
};

/**
 * Changes of metadata take effect in the order in which they were made, and whoever looks afterwards sees them: Raft
 * indexes rise along real time, and a name is found as the last change that ended before the look left it, unless
 * another change was under way.
 */
export function checkMetadata(context: CheckContext): void {
  const { history, findings } = context;
  const { operations } = history;
  const timed = history.metadata.map((one) => ({
    ...one,
    number: one.index,
    invokedAt: at(operations.invokedAt, one.operation),
    completedAt: at(operations.completedAt, one.operation),
  }));
  const indexed = timed.filter((one) => one.outcome === "ok" && one.index >= 0);
  const writes = indexed.filter((one) => one.isWrite);
  const report = (what: string, later: TimedMetadata, earlier: TimedMetadata): void =>
    findings.add(
      "metadata-inversion",
      () =>
        `${operations.describe(later.operation)} (${later.name}) ${what} ${later.index}, after ` +
        `${operations.describe(earlier.operation)} (${earlier.name}) at ${earlier.index} had been acknowledged`,
    );
  // Names changed by one request share its index; they are one write.
  const distinct = [...new Map(writes.map((one) => [one.operation, one])).values()];
  for (const { earlier, later } of findRegressions(distinct, { isStrict: true })) {
    report("took effect at index", later, earlier);
  }
  for (const { earlier, later } of findRegressions(indexed, { isStrict: false })) {
    if (!later.isWrite && earlier.isWrite) report("read the state at index", later, earlier);
  }
  for (const [name, ofName] of groupBy(timed, (one) => one.name)) checkName(context, name, ofName);
}

function checkName(
  { history, findings }: CheckContext,
  name: string,
  ofName: readonly TimedMetadata[],
): void {
  const { operations } = history;
  const changes = ofName
    .filter((one) => one.isWrite && one.outcome !== "fail")
    .toSorted((a, b) => a.invokedAt - b.invokedAt);
  for (const look of ofName) {
    if (look.isWrite || look.outcome !== "ok") continue;
    let last: TimedMetadata | undefined;
    for (const change of changes) {
      if (change.outcome === "ok" && change.completedAt < look.invokedAt) last = change;
    }
    if (last === undefined || last.exists === look.exists) continue;
    const settled = last;
    const isExplained = changes.some(
      (change) =>
        change.exists === look.exists &&
        change.invokedAt < look.completedAt &&
        (change.outcome === "info" || change.completedAt >= settled.invokedAt),
    );
    if (isExplained) continue;
    findings.add(
      "metadata-inversion",
      () =>
        `${name} was ${look.exists ? "there" : "not there"} in ${operations.describe(look.operation)}, ` +
        `though ${operations.describe(settled.operation)} had been acknowledged`,
    );
  }
}
