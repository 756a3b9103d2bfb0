import type { CheckContext } from "./check-context.ts";
import { groupBy } from "./group-by.ts";
import type { Gain, GroupHistory } from "./group-history.ts";
import type { HandledLine } from "./history-line.ts";
import { at } from "./key-history.ts";

/**
 * Who may act for a key of a group: one member at a time. Two members that got it, or processed the same record, in one
 * generation: double-assignment. An acknowledged commit that began after another member had the key in a newer
 * generation: stale-generation-commit. An acknowledged record that nobody processed although the group came to its
 * end: lost-processing.
 */
export function checkGroupMembers(context: CheckContext, group: GroupHistory): void {
  for (const [key, gains] of group.gains) {
    checkGains(context, group, key, gains);
    checkCommits(context, group, key, gains);
  }
  const handledOf = groupBy(group.handled, ({ k }) => k);
  for (const [key, handled] of handledOf) checkHandled(context, group, key, handled);
  for (const { k, end } of group.ends) checkProcessed(context, group, k, end, handledOf.get(k) ?? []);
}

function checkGains(
  { findings }: CheckContext,
  group: GroupHistory,
  key: string,
  gains: readonly Gain[],
): void {
  const ownerOf = new Map<number, number>();
  for (const { process, generation } of gains) {
    const owner = ownerOf.get(generation);
    if (owner === undefined) {
      ownerOf.set(generation, process);
    } else if (owner !== process) {
      findings.add(
        "double-assignment",
        () => `${group.name} generation ${generation}: ${key} was given to processes ${owner} and ${process}`,
      );
    }
  }
}

/**
 * Generations, not times, say who had the key last: a member that was cut off may hear late of what it had and lost.
 * What counts is that the newer owner had been told before the commit began.
 */
function checkCommits(
  { history, findings }: CheckContext,
  group: GroupHistory,
  key: string,
  gains: readonly Gain[],
): void {
  const { operations } = history;
  const byTime = gains.toSorted((a, b) => a.at - b.at);
  for (const { operation, process, uid } of group.commits.get(key) ?? []) {
    if (!operations.isOk(operation)) continue;
    const began = at(operations.invokedAt, operation);
    let own = -1;
    let newest: Gain | undefined;
    for (const gain of byTime) {
      if (gain.at >= began) break;
      if (gain.process === process) own = Math.max(own, gain.generation);
      else if (newest === undefined || gain.generation > newest.generation) newest = gain;
    }
    // Who never had it commits from outside: a reset by an operator.
    if (own < 0 || newest === undefined || newest.generation <= own) continue;
    const other = newest;
    findings.add(
      "stale-generation-commit",
      () =>
        `${operations.describe(operation)} committed ${uid} for ${group.name} ${key}, which process ${other.process} ` +
        `had since generation ${other.generation}`,
    );
  }
}

function checkHandled(
  { findings }: CheckContext,
  group: GroupHistory,
  key: string,
  handled: readonly HandledLine[],
): void {
  for (const [generation, ofGeneration] of groupBy(handled, ({ gen }) => gen)) {
    const sorted = ofGeneration.toSorted((a, b) => a.from - b.from);
    let furthest: HandledLine | undefined;
    for (const one of sorted) {
      const before = furthest;
      if (before !== undefined && one.from <= before.to && one.p !== before.p) {
        findings.add(
          "double-assignment",
          () =>
            `${group.name} generation ${generation}: ${key}@${one.from} was processed by ${before.p} and ${one.p}`,
        );
      }
      if (before === undefined || one.to > before.to) furthest = one;
    }
  }
}

function checkProcessed(
  { history, findings }: CheckContext,
  group: GroupHistory,
  name: string,
  end: number,
  handled: readonly HandledLine[],
): void {
  const { operations, values } = history;
  const sorted = handled.toSorted((a, b) => a.from - b.from);
  const acknowledged = history
    .key(name)
    .writes.map((value) => ({ value, offset: at(values.offset, value) }))
    .filter(({ value, offset }) => offset >= 0 && offset < end && operations.isOk(at(values.writer, value)))
    .toSorted((a, b) => a.offset - b.offset);
  let next = 0;
  let covered = -1;
  for (const { value, offset } of acknowledged) {
    for (; next < sorted.length && (sorted[next]?.from ?? Infinity) <= offset; next++) {
      covered = Math.max(covered, sorted[next]?.to ?? -1);
    }
    if (covered >= offset) continue;
    findings.add(
      "lost-processing",
      () =>
        `${values.name(value)} at ${name}@${offset} was acknowledged, and no member of ${group.name} processed it`,
    );
  }
}
