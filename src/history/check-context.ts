import { Findings } from "./findings.ts";
import type { History } from "./history.ts";
import { at } from "./key-history.ts";

/** What all checks of one history share. */
export interface CheckContext {
  readonly history: History;
  readonly findings: Findings;
  /** 1 for each value that an answered poll gave from the key it was sent to. */
  readonly isRead: Uint8Array;
}

export function checkContext(history: History, options: { readonly maxExamples: number }): CheckContext {
  const { values, operations } = history;
  const isRead = new Uint8Array(values.count);
  for (const [id, key] of history.keys.entries()) {
    for (let poll = 0; poll < key.pollOperation.length; poll++) {
      if (!operations.isOk(at(key.pollOperation, poll))) continue;
      const [from, to] = key.readsOf(poll);
      for (let read = from; read < to; read++) {
        const value = at(key.readValue, read);
        if (at(values.key, value) === id) isRead[value] = 1;
      }
    }
  }
  return { history, findings: new Findings(options), isRead };
}

/** True when the send of a value counts as done: acknowledged, or of unknown outcome and seen by a reader. */
export function isCommitted({ history, isRead }: CheckContext, value: number): boolean {
  const outcome = history.operations.outcome(at(history.values.writer, value));
  return outcome === "ok" || (outcome === "info" && isRead[value] === 1);
}
