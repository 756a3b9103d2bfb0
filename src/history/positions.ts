import type { CheckContext } from "./check-context.ts";
import type { FinalPass } from "./key-history.ts";
import { groupBy } from "./group-by.ts";
import { at } from "./key-history.ts";
import type { KeyLog } from "./key-log.ts";
import { findRegressions } from "./realtime-sweep.ts";

/**
 * Numbers of a key that may not go back: the end that leaders tell (KIP-207), leader epochs in the answers of one node,
 * leader epochs of batches along the log, and the sequences of a producer session, which leave no gap.
 */
export function checkPositions(context: CheckContext, log: KeyLog): void {
  checkEnds(context, log);
  checkAnsweredEpochs(context, log);
  const [pass] = log.key.completePasses;
  if (pass === undefined) return;
  checkBatchEpochs(context, log, pass);
  checkSequences(context, log, pass);
}

function checkEnds({ history, findings }: CheckContext, { key }: KeyLog): void {
  const { operations } = history;
  for (const isCommitted of [false, true]) {
    const told = key.ends
      .filter((end) => end.isCommitted === isCommitted)
      .map(({ operation, offset }) => ({
        operation,
        number: offset,
        invokedAt: at(operations.invokedAt, operation),
        completedAt: at(operations.completedAt, operation),
      }));
    for (const { earlier, later } of findRegressions(told, { isStrict: false })) {
      findings.add(
        "end-offset-regression",
        () =>
          `${key.name} ended at ${later.number} in ${operations.describe(later.operation)}, ` +
          `and at ${earlier.number} before that`,
      );
    }
  }
}

function checkAnsweredEpochs({ history, findings }: CheckContext, { key }: KeyLog): void {
  const { operations } = history;
  for (const [node, answers] of groupBy(key.answers, (answer) => answer.node)) {
    const told = answers.map(({ operation, leaderEpoch }) => ({
      operation,
      number: leaderEpoch,
      invokedAt: at(operations.invokedAt, operation),
      completedAt: at(operations.completedAt, operation),
    }));
    for (const { earlier, later } of findRegressions(told, { isStrict: false })) {
      findings.add(
        "epoch-regression",
        () =>
          `node ${node} answered for ${key.name} in epoch ${later.number} (${operations.describe(later.operation)}) ` +
          `after epoch ${earlier.number}`,
      );
    }
  }
}

/** Reads of one pass in the order they were given. */
function* readsOfPass({ history }: CheckContext, { key }: KeyLog, pass: FinalPass): Generator<number, void> {
  const { operations } = history;
  for (let poll = 0; poll < key.pollOperation.length; poll++) {
    const operation = at(key.pollOperation, poll);
    if (at(operations.process, operation) !== pass.process || !operations.isOk(operation)) continue;
    const [from, to] = key.readsOf(poll);
    for (let read = from; read < to; read++) yield read;
  }
}

function checkBatchEpochs(context: CheckContext, log: KeyLog, pass: FinalPass): void {
  const { key } = log;
  let before = -1;
  for (const read of readsOfPass(context, log, pass)) {
    const epoch = at(key.readEpoch, read);
    const highest = before;
    if (epoch >= 0 && epoch < highest) {
      context.findings.add(
        "epoch-regression",
        () => `${key.name}@${at(key.readOffset, read)} is of epoch ${epoch}, a record below it of ${highest}`,
      );
    }
    before = Math.max(before, epoch);
  }
}

interface Sequenced {
  readonly value: number;
  readonly session: number;
  readonly sequence: number;
}

/** What the log holds of a session: a hole in its sequences is a record that was lost between two that were kept. */
function checkSequences(context: CheckContext, log: KeyLog, pass: FinalPass): void {
  const { history, findings } = context;
  const { values } = history;
  const { key } = log;
  const seen: Sequenced[] = [];
  for (const read of readsOfPass(context, log, pass)) {
    const value = at(key.readValue, read);
    const session = at(values.session, value);
    if (session >= 0) seen.push({ value, session, sequence: at(values.sequence, value) });
  }
  seen.sort((a, b) => a.session - b.session || a.sequence - b.sequence);
  for (const [index, one] of seen.entries()) {
    const previous = seen[index - 1];
    const isFirst = previous?.session !== one.session;
    // Where the beginning of the log is gone, so are the first sequences.
    if (isFirst && pass.start > 0) continue;
    const expected = isFirst ? 0 : previous.sequence + 1;
    if (one.sequence <= expected) continue;
    const missing = one.sequence - expected;
    if (countRefused(context, log, one, expected) >= missing) continue;
    findings.add(
      "session-gap",
      () =>
        `${key.name}: session ${values.sessionName(one.session)} has sequence ${one.sequence} ` +
        `(${values.name(one.value)}) and lacks ${missing} from ${expected} on`,
    );
  }
}

/** Sends of the session from this sequence on that had certainly failed before `one` was sent. */
function countRefused({ history }: CheckContext, { key }: KeyLog, one: Sequenced, from: number): number {
  const { operations, values } = history;
  const sentAt = at(operations.invokedAt, at(values.writer, one.value));
  let count = 0;
  for (const value of key.writes) {
    if (at(values.session, value) !== one.session) continue;
    const sequence = at(values.sequence, value);
    if (sequence < from || sequence >= one.sequence) continue;
    const writer = at(values.writer, value);
    if (operations.outcome(writer) === "fail" && at(operations.completedAt, writer) < sentAt) count++;
  }
  return count;
}
