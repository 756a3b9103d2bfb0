import type { CheckContext } from "./check-context.ts";
import { isCommitted } from "./check-context.ts";
import { at } from "./key-history.ts";
import type { KeyLog } from "./key-log.ts";

/**
 * The order of sends in the log. What one process sends to a key stands there in the order of its calls, within one
 * operation (int-nonmonotonic-send) and across them (nonmonotonic-send); a send that began after another was
 * acknowledged stands behind it, whoever sent them (realtime-inversion).
 */
export function checkSendOrder(context: CheckContext, log: KeyLog): void {
  checkSessionOrder(context, log);
  checkRealtimeOrder(context, log);
}

interface LastSend {
  readonly value: number;
  readonly offset: number;
}

function checkSessionOrder(context: CheckContext, log: KeyLog): void {
  const { history, findings } = context;
  const { operations, values } = history;
  const { key } = log;
  const isPipelined = (history.run?.inFlight ?? 1) > 1;
  const isRetried = (value: number): boolean => {
    const writer = at(values.writer, value);
    return operations.outcome(writer) === "info" || at(operations.attempts, writer) !== 1;
  };
  /** Process, and producer session where it is known -> its last send that is in the log. */
  const lastOf = new Map<string, LastSend>();
  for (const value of key.writes) {
    const offset = log.firstOffset(value);
    if (offset < 0 || !isCommitted(context, value)) continue;
    const writer = at(values.writer, value);
    const session = at(values.session, value);
    // A producer that lost its session goes on with another one; a send of unknown outcome may then come in late.
    if (session < 0 && !operations.isOk(writer)) continue;
    const name = `${at(operations.process, writer)}/${session}`;
    const last = lastOf.get(name);
    lastOf.set(name, { value, offset });
    if (last === undefined) continue;
    const isSame = at(values.writer, last.value) === writer;
    if (offset <= last.offset) {
      findings.add(
        isSame ? "int-nonmonotonic-send" : "nonmonotonic-send",
        () =>
          `${values.name(value)} at ${key.name}@${offset} was sent after ${values.name(last.value)}, which is at @${last.offset}`,
        isPipelined && (isRetried(value) || isRetried(last.value)),
      );
    } else if (isSame && log.rank(offset) > log.rank(last.offset) + 1) {
      findings.add(
        "int-send-skip",
        () =>
          `others stand between ${values.name(last.value)} and ${values.name(value)} at ${key.name}@${offset}`,
      );
    }
  }
}

/** By rising offset: a value that was acknowledged before some value below it was even sent is in the wrong place. */
function checkRealtimeOrder({ history, findings }: CheckContext, log: KeyLog): void {
  const { operations, values } = history;
  let latest = -1;
  let latestValue = -1;
  for (let rank = 0; rank < log.size; rank++) {
    const value = log.valueAt(rank);
    const writer = at(values.writer, value);
    // The acknowledgement speaks of one copy only; the others are found as duplicates.
    if (writer < 0 || !operations.isOk(writer) || at(values.offset, value) !== log.offsetAt(rank)) continue;
    if (at(operations.completedAt, writer) < latest) {
      const below = latestValue;
      findings.add(
        "realtime-inversion",
        () =>
          `${values.name(value)} at ${log.key.name}@${log.offsetAt(rank)} was acknowledged before ` +
          `${values.name(below)} at @${log.firstOffset(below)} was sent`,
      );
    }
    const invokedAt = at(operations.invokedAt, writer);
    if (invokedAt > latest) {
      latest = invokedAt;
      latestValue = value;
    }
  }
}
