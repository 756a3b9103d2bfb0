import type { CheckContext } from "./check-context.ts";
import { at } from "./key-history.ts";
import type { KeyLog } from "./key-log.ts";

/**
 * What a poll must not give: values of sends that certainly failed (aborted-read), and values that were sent after the
 * poll ended, or never (future-read). Each value is told once.
 */
export function checkReads({ history, findings }: CheckContext, { key }: KeyLog): void {
  const { operations, values } = history;
  const told = new Set<number>();
  for (let poll = 0; poll < key.pollOperation.length; poll++) {
    const operation = at(key.pollOperation, poll);
    if (!operations.isOk(operation)) continue;
    const completedAt = at(operations.completedAt, operation);
    const [from, to] = key.readsOf(poll);
    for (let read = from; read < to; read++) {
      const value = at(key.readValue, read);
      const writer = at(values.writer, value);
      const isFailed = writer >= 0 && operations.outcome(writer) === "fail";
      const isFuture = writer < 0 || completedAt < at(operations.invokedAt, writer);
      if ((!isFailed && !isFuture) || told.has(value)) continue;
      told.add(value);
      const where = (): string =>
        `${values.name(value)}, read at ${key.name}@${at(key.readOffset, read)} in ${operations.describe(operation)}`;
      if (isFailed) findings.add("aborted-read", () => `${where()}: its send failed`);
      if (isFuture) {
        findings.add(
          "future-read",
          () => `${where()}: ${writer < 0 ? "nobody sent it" : "sent only after that"}`,
        );
      }
    }
  }
}
