import { lowerBound } from "../base/binary-search.ts";
import { groupBy } from "./group-by.ts";
import type { Fault, History } from "./history.ts";
import type { HandledLine } from "./history-line.ts";
import { at } from "./key-history.ts";

const NS_PER_MS = 1e6;

/** An acknowledged commit. */
interface CommitTimes {
  readonly invokedAt: number;
  readonly completedAt: number;
}

/** When the members of groups processed and committed what, by key. */
export class ConsumptionTimes {
  /** In the order of time. */
  readonly #handled = new Map<string, readonly HandledLine[]>();

  readonly #history: History;

  constructor(history: History) {
    this.#history = history;
    const all = [...history.groups.values()].flatMap(({ handled }) => handled);
    for (const [key, ofKey] of groupBy(all, ({ k }) => k)) {
      this.#handled.set(
        key,
        ofKey.toSorted((a, b) => a.t - b.t),
      );
    }
  }

  /**
   * One for each key whose member a fault hit: from its begin to the first progress by another member; and one for each
   * key of a group whose coordinator it hit: to the first acknowledged commit that began after it. A key on which there
   * was none any more counts up to the end of the history; one that was idle before, not at all.
   */
  takeoversMs(fault: Fault): number[] {
    const times: number[] = [];
    for (const key of fault.held) {
      const handled = this.#handled.get(key) ?? [];
      const first = after(handled, fault.startedAt);
      const former = handled[first - 1];
      if (former === undefined) continue;
      const next = handled.slice(first).find(({ p }) => p !== former.p) ?? this.#last;
      times.push(Math.max(0, (next?.t ?? fault.startedAt) - fault.startedAt) / NS_PER_MS);
    }
    for (const name of fault.groups) times.push(...this.#commitsAgainMs(name, fault));
    return times;
  }

  /** For a fault that hits members, one for each key of the others that made progress before it and after it. */
  undisturbedGapsMs(fault: Fault): number[] {
    if (fault.held.length === 0) return [];
    const held = new Set(fault.held);
    const gaps: number[] = [];
    for (const [key, handled] of this.#handled) {
      const first = after(handled, fault.startedAt);
      if (held.has(key) || first === 0 || first === handled.length) continue;
      let longest = 0;
      for (let index = first; index < handled.length; index++) {
        const [before, one] = [handled[index - 1], handled[index]];
        // What moved in the course of it was disturbed by right: to make room, or because there was more of it.
        if (before === undefined || one === undefined || before.p !== one.p) {
          longest = -1;
          break;
        }
        longest = Math.max(longest, one.t - before.t);
        if (one.t > fault.endedAt) break;
      }
      if (longest >= 0) gaps.push(longest / NS_PER_MS);
    }
    return gaps;
  }

  #commitsAgainMs(name: string, fault: Fault): number[] {
    const { operations, groups } = this.#history;
    const times: number[] = [];
    for (const ofKey of groups.get(name)?.commits.values() ?? []) {
      const commits = ofKey
        .filter(({ operation }) => operations.isOk(operation))
        .map(({ operation }): CommitTimes => ({
          invokedAt: at(operations.invokedAt, operation),
          completedAt: at(operations.completedAt, operation),
        }));
      if (!commits.some(({ completedAt }) => completedAt < fault.startedAt)) continue;
      const ends = commits.flatMap((one) => (one.invokedAt > fault.startedAt ? [one.completedAt] : []));
      const first = ends.reduce((earliest, end) => Math.min(earliest, end), Infinity);
      const end = first < Infinity ? first : (this.#last?.t ?? fault.startedAt);
      times.push(Math.max(0, end - fault.startedAt) / NS_PER_MS);
    }
    return times;
  }

  get #last(): HandledLine | undefined {
    let last: HandledLine | undefined;
    for (const handled of this.#handled.values()) {
      const one = handled.at(-1);
      if (one !== undefined && (last === undefined || one.t > last.t)) last = one;
    }
    return last;
  }
}

/** Index of the first one after a time. */
function after(handled: readonly HandledLine[], time: number): number {
  return lowerBound(handled.length, (index) => handled[index]?.t ?? Infinity, time + 1);
}
