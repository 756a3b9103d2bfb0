import type { CheckContext } from "./check-context.ts";
import { at } from "./key-history.ts";
import type { KeyLog } from "./key-log.ts";

const NS_PER_MS = 1e6;
/** When readers have to have caught up after the last fault, and how far behind they may be from then on. */
const SETTLE_NS = 30_000 * NS_PER_MS;
const LIMIT_MS = 1000;

/**
 * How old the news was that each poll gave: from the moment when a later record had been acknowledged to the begin of
 * the poll; ms, 0 for a poll that was up to date. Passes of the final phase begin at the start and do not count. During
 * faults it is only measured; 30 s after the end of the last one it must be under a second.
 */
export function staleLags({ history, findings }: CheckContext, log: KeyLog): number[] {
  const { operations, values } = history;
  const { key } = log;
  // By rank: when the first acknowledgement of this offset or one above it came.
  const knownAt = new Float64Array(log.size + 1).fill(Infinity);
  for (let rank = log.size - 1; rank >= 0; rank--) {
    const writer = at(values.writer, log.valueAt(rank));
    const acknowledgedAt =
      writer >= 0 && operations.isOk(writer) ? at(operations.completedAt, writer) : Infinity;
    knownAt[rank] = Math.min(at(knownAt, rank + 1), acknowledgedAt);
  }
  const healedAt = Math.max(-Infinity, ...[...history.faults.values()].map((fault) => fault.endedAt));
  const isFinal = new Set(key.passes.map((pass) => pass.process));
  const lags: number[] = [];
  for (let poll = 0; poll < key.pollOperation.length; poll++) {
    const operation = at(key.pollOperation, poll);
    if (!operations.isOk(operation) || isFinal.has(at(operations.process, operation))) continue;
    const [, to] = key.readsOf(poll);
    const rank = log.rank(at(key.readOffset, to - 1));
    const invokedAt = at(operations.invokedAt, operation);
    const lagMs = Math.max(0, (invokedAt - at(knownAt, rank + 1)) / NS_PER_MS);
    lags.push(lagMs);
    if (lagMs > LIMIT_MS && invokedAt > healedAt + SETTLE_NS) {
      findings.add(
        "stale-lag",
        () =>
          `${operations.describe(operation)} on ${key.name} was ${Math.round(lagMs)} ms behind, long after the last fault`,
      );
    }
  }
  return lags;
}
