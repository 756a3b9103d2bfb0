import type { AnomalyKind } from "../../src/history/findings.ts";
import type { HistoryReport } from "../../src/history/checker.ts";
import { checkHistory } from "../../src/history/checker.ts";
import type {
  CompleteLine,
  HistoryLine,
  InvokeLine,
  MicroOperation,
  OperationName,
  Outcome,
  Profile,
  ReadRecord,
} from "../../src/history/history-line.ts";
import { History } from "../../src/history/history.ts";

/** Begin and end of an operation. */
type Span = readonly [from: number, to: number];

interface StepOptions {
  /** Default: after everything so far. */
  readonly at?: Span;
  readonly outcome?: Outcome | "open";
  readonly more?: Partial<CompleteLine>;
}

/** One attempt that was answered: what a send has in a story, unless it says otherwise. */
const ONCE = [[1, 0, 0, null]] as const;

/** A history told step by step: one operation after the other, each of 10 ns, unless a step says when. */
export class Story {
  readonly lines: HistoryLine[] = [];
  #now = 0;
  #next = 0;

  constructor(profile: Profile = "idempotent", more: { readonly inFlight?: number } = {}) {
    this.lines.push({ type: "run", run: "r", profile, minSends: 0, ...more });
  }

  /** Sends [value, offset] pairs to a key in one operation; an offset of -1 is not known. */
  send(
    p: number,
    key: string,
    records: readonly (readonly [value: string, offset: number])[],
    step: StepOptions = {},
  ): this {
    return this.step(
      p,
      "send",
      records.map(([value]) => ["send", key, value] as const),
      {
        ...step,
        more: {
          mops: records.map(([value, offset]) => ["send", key, offset, value] as const),
          attempts: ONCE,
          ...step.more,
        },
      },
    );
  }

  /** Gives [offset, value] pairs of one key. */
  poll(p: number, key: string, records: readonly ReadRecord[], step: StepOptions = {}): this {
    return this.step(p, "poll", [["poll"]], {
      ...step,
      more: { mops: [["poll", { [key]: records }]], ...step.more },
    });
  }

  ends(p: number, key: string, offset: number, step: StepOptions = {}): this {
    return this.step(p, "listOffsets", undefined, {
      ...step,
      more: { mops: [["end", key, offset]], ...step.more },
    });
  }

  /** A complete pass of the final phase over one key, by a process of its own. */
  pass(p: number, key: string, end: number, records: readonly ReadRecord[], start = 0): this {
    const since = this.#now + 1;
    if (records.length > 0) this.poll(p, key, records);
    return this.line({ type: "final", t: this.#now, p, k: key, start, end, since, reached: end });
  }

  /** Commits an offset of group "g"; the uid tells the commits apart. */
  commit(p: number, key: string, offset: number, uid: string, step: StepOptions = {}): this {
    return this.step(p, "commit", [["commit", "g", key, offset, uid]], step);
  }

  /** Asks for the offset of group "g"; -1 and "" stand for none. */
  committed(p: number, key: string, offset: number, uid: string, step: StepOptions = {}): this {
    const mops: readonly MicroOperation[] = [["committed", "g", key, offset, uid]];
    return this.step(p, "fetchOffset", undefined, { ...step, more: { mops, ...step.more } });
  }

  /** A member of group "g" is told that it has a key. */
  gains(p: number, key: string, gen: number): this {
    const t = (this.#now += 10);
    return this.line({ type: "member", t, p, group: "g", gen, gained: [key], revoked: [] });
  }

  /** A member of group "g" has processed [from, to]. */
  handles(p: number, key: string, gen: number, from: number, to: number): this {
    const t = (this.#now += 10);
    return this.line({ type: "handled", t, p, group: "g", gen, k: key, from, to });
  }

  /** Group "g" was given time to come to `end`. */
  groupEnd(key: string, end: number): this {
    const t = (this.#now += 10);
    return this.line({ type: "groupEnd", t, group: "g", k: key, end });
  }

  step(
    p: number,
    f: OperationName,
    mops: readonly MicroOperation[] | undefined,
    options: StepOptions = {},
  ): this {
    const i = this.#next++;
    const [from, to] = options.at ?? [this.#now + 10, this.#now + 20];
    this.#now = Math.max(this.#now, to);
    const invoke: InvokeLine = { type: "invoke", i, p, f, t: from, ...(mops === undefined ? {} : { mops }) };
    this.lines.push(invoke);
    const outcome = options.outcome ?? "ok";
    if (outcome !== "open") this.lines.push({ type: outcome, i, p, f, t: to, ...options.more });
    return this;
  }

  line(line: HistoryLine): this {
    this.lines.push(line);
    return this;
  }

  get report(): HistoryReport {
    const history = new History();
    for (const line of this.lines) history.add(line);
    return checkHistory(history);
  }

  /** What was found, by kind; "unseen" left out unless asked for, since most stories have no final phase. */
  anomalies(options: { readonly withUnseen?: boolean } = {}): Partial<Record<AnomalyKind, number>> {
    const rows = this.report.anomalies.filter(({ kind }) => options.withUnseen === true || kind !== "unseen");
    return Object.fromEntries(rows.map(({ kind, count }) => [kind, count]));
  }

  /** The kinds that count against the profile. */
  violations(): AnomalyKind[] {
    return this.report.anomalies
      .filter(({ kind, violations }) => kind !== "unseen" && violations > 0)
      .map(({ kind }) => kind);
  }
}
