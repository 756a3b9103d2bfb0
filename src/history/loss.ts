import type { CheckContext } from "./check-context.ts";
import { isCommitted } from "./check-context.ts";
import type { FinalPass } from "./key-history.ts";
import { at } from "./key-history.ts";
import type { KeyLog } from "./key-log.ts";

/** A leader change later than this after the end of the lag limit is not what an acknowledged record died of. */
const OBSERVER_SLACK_MS = 1000;
const DEFAULT_LAG_LIMIT_MS = 10_000;
const NS_PER_MS = 1e6;

/**
 * What was promised and is not there: acknowledged values that complete final passes do not give, or that nobody read
 * although somebody read further (lost-write); values that somebody read and that are gone (vanished); values that
 * nobody has tried to read to the end (unseen).
 */
export function checkLoss(context: CheckContext, log: KeyLog): void {
  const { key } = log;
  const passes = key.completePasses;
  const lost = new Set<number>();
  const gone = new Set<number>();
  for (const pass of passes) new PassCheck(context, log, pass).run(lost, gone);
  checkPassedOver(context, log, lost);
  if (passes.length === 0) reportUnseen(context, log, lost);
}

/** One complete pass of the final phase against all that came before it. */
class PassCheck {
  readonly #context: CheckContext;
  readonly #log: KeyLog;
  readonly #pass: FinalPass;
  /** By rank: value + 1 that the pass found there; 0: nothing. */
  readonly #held: Int32Array;
  readonly #found = new Set<number>();

  constructor(context: CheckContext, log: KeyLog, pass: FinalPass) {
    this.#context = context;
    this.#log = log;
    this.#pass = pass;
    this.#held = new Int32Array(log.size);
    const { operations } = context.history;
    const { key } = log;
    for (let poll = 0; poll < key.pollOperation.length; poll++) {
      const operation = at(key.pollOperation, poll);
      if (at(operations.process, operation) !== pass.process || !operations.isOk(operation)) continue;
      const [from, to] = key.readsOf(poll);
      for (let read = from; read < to; read++) {
        const value = at(key.readValue, read);
        this.#found.add(value);
        this.#held[log.rank(at(key.readOffset, read))] = value + 1;
      }
    }
  }

  run(lost: Set<number>, gone: Set<number>): void {
    this.#checkAcknowledged(lost);
    this.#checkReads(gone);
  }

  #checkAcknowledged(lost: Set<number>): void {
    const { history } = this.#context;
    const { operations, values } = history;
    const { key } = this.#log;
    let highest = -1;
    for (const value of key.writes) {
      if (operations.isOk(at(values.writer, value))) highest = Math.max(highest, at(values.offset, value));
    }
    for (const value of key.writes) {
      const writer = at(values.writer, value);
      if (!operations.isOk(writer) || this.#found.has(value) || lost.has(value)) continue;
      const offset = at(values.offset, value);
      // Without its offset, a value has to be there once everything acknowledged is, if nothing was ever removed.
      const isJudged =
        offset < 0
          ? this.#pass.end > highest && this.#pass.start <= 0
          : this.#covers(offset, at(operations.completedAt, writer));
      if (isJudged) {
        lost.add(value);
        reportLost(this.#context, this.#log, value, `is not in the final pass up to ${this.#pass.end}`);
      }
    }
  }

  #checkReads(gone: Set<number>): void {
    const { history, findings } = this.#context;
    const { operations, values } = history;
    const { key } = this.#log;
    for (let poll = 0; poll < key.pollOperation.length; poll++) {
      const operation = at(key.pollOperation, poll);
      if (!operations.isOk(operation)) continue;
      const [from, to] = key.readsOf(poll);
      for (let read = from; read < to; read++) {
        const offset = at(key.readOffset, read);
        const value = at(key.readValue, read);
        const held = at(this.#held, this.#log.rank(offset)) - 1;
        if (held === value || gone.has(offset)) continue;
        if (!this.#covers(offset, at(operations.completedAt, operation))) continue;
        gone.add(offset);
        findings.add("vanished", () => {
          const now = held < 0 ? "nothing" : values.name(held);
          return `${values.name(value)} was read at ${key.name}@${offset}, where the final pass found ${now}`;
        });
      }
    }
  }

  /** True when the pass had to find what was known of this offset at this time: also past its end, if that came later. */
  #covers(offset: number, knownAt: number): boolean {
    return offset >= this.#pass.start && (offset < this.#pass.end || knownAt < this.#pass.since);
  }
}

/** Nobody read it, though somebody read a later one: B is the highest rank that was read. */
function checkPassedOver(context: CheckContext, log: KeyLog, lost: Set<number>): void {
  const { history, isRead } = context;
  const { values } = history;
  const { key } = log;
  const start = Math.max(0, ...key.passes.map((pass) => pass.start));
  let bound = -1;
  for (let rank = log.size - 1; rank >= 0 && bound < 0; rank--) {
    const value = log.valueAt(rank);
    if (isRead[value] === 1 && log.firstOffset(value) === log.offsetAt(rank)) bound = log.offsetAt(rank);
  }
  for (const value of key.writes) {
    if (isRead[value] === 1 || lost.has(value) || !isCommitted(context, value)) continue;
    const offset = at(values.offset, value);
    if (offset < start || offset > bound) continue;
    lost.add(value);
    reportLost(context, log, value, `was never read, though ${key.name}@${bound} was`);
  }
}

function reportUnseen(
  { history, findings, isRead }: CheckContext,
  { key }: KeyLog,
  lost: ReadonlySet<number>,
): void {
  const { operations, values } = history;
  for (const value of key.writes) {
    if (isRead[value] === 1 || lost.has(value) || !operations.isOk(at(values.writer, value))) continue;
    findings.add(
      "unseen",
      () =>
        `${values.name(value)}, acknowledged at ${key.name}@${at(values.offset, value)}: no final pass came to its end`,
    );
  }
}

function reportLost({ history, findings }: CheckContext, { key }: KeyLog, value: number, how: string): void {
  const { operations, values } = history;
  const acknowledgedAt = at(operations.completedAt, at(values.writer, value));
  const lagNs = (history.run?.lagLimitMs ?? DEFAULT_LAG_LIMIT_MS) * NS_PER_MS;
  // With acks=1 a record may die with its leader as long as the followers are not obliged to have it.
  const isNearChange = key.observed.some(
    ({ at: seenAt, leaderEpoch }, index) =>
      index > 0 &&
      leaderEpoch > (key.observed[index - 1]?.leaderEpoch ?? leaderEpoch) &&
      seenAt >= acknowledgedAt &&
      seenAt <= acknowledgedAt + lagNs + OBSERVER_SLACK_MS * NS_PER_MS,
  );
  const isExcused = key.observed.length === 0 || isNearChange;
  findings.add(
    "lost-write",
    () => `${values.name(value)}, acknowledged at ${key.name}@${at(values.offset, value)}, ${how}`,
    isExcused,
  );
}
