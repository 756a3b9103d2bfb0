import type { AnomalyKind } from "./findings.ts";
import type { CheckContext } from "./check-context.ts";
import { at } from "./key-history.ts";
import type { KeyLog } from "./key-log.ts";

/**
 * Each poll, and each streak of polls of one process, goes through the log without leaving out a record (poll-skip) and
 * without going back or standing still (nonmonotonic-poll). Offsets are compared, not values, so that a duplicate which
 * a profile allows does not look like a step back.
 */
export function checkPollOrder({ history, findings }: CheckContext, log: KeyLog): void {
  const { key } = log;
  const { operations, streaks } = history;
  /** Streak -> offset and rank of what it gave last. */
  const last = new Map<number, { offset: number; rank: number }>();
  for (let poll = 0; poll < key.pollOperation.length; poll++) {
    const operation = at(key.pollOperation, poll);
    const streak = at(key.pollStreak, poll);
    const [from, to] = key.readsOf(poll);
    const isOk = operations.isOk(operation);
    let previous = isOk ? last.get(streak) : undefined;
    for (let read = from; read < to; read++) {
      const offset = at(key.readOffset, read);
      const rank = log.rank(offset);
      if (previous !== undefined && rank !== previous.rank + 1) {
        const { offset: before } = previous;
        const isInside = read > from;
        const isSubscribed = streaks.isSubscribed(streak);
        findings.add(
          kindOf(rank > previous.rank, isInside, isSubscribed),
          () => `${key.name}@${offset} after @${before} in ${operations.describe(operation)}`,
        );
      }
      previous = { offset, rank };
    }
    if (isOk && previous !== undefined) last.set(streak, previous);
  }
}

function kindOf(isSkip: boolean, isInside: boolean, isSubscribed: boolean): AnomalyKind {
  if (isInside) return isSkip ? "int-poll-skip" : "int-nonmonotonic-poll";
  if (isSubscribed) return isSkip ? "poll-skip-subscribed" : "nonmonotonic-poll-subscribed";
  return isSkip ? "poll-skip" : "nonmonotonic-poll";
}
