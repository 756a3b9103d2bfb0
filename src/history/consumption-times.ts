import { lowerBound } from "../base/binary-search.ts";
import { groupBy } from "./group-by.ts";
import type { Fault, History } from "./history.ts";
import type { HandledLine } from "./history-line.ts";

const NS_PER_MS = 1e6;

/** When the members of groups processed what, by key. */
export class ConsumptionTimes {
  /** In the order of time. */
  readonly #handled = new Map<string, readonly HandledLine[]>();

  constructor(history: History) {
    const all = [...history.groups.values()].flatMap(({ handled }) => handled);
    for (const [key, ofKey] of groupBy(all, ({ k }) => k)) {
      this.#handled.set(
        key,
        ofKey.toSorted((a, b) => a.t - b.t),
      );
    }
  }

  /**
   * One for each key whose member a fault hit: from its begin to the first progress by another member. A key on which
   * there was none any more counts up to the end of the history; one that was idle before, not at all.
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
      for (let at = first; at < handled.length; at++) {
        const [before, one] = [handled[at - 1], handled[at]];
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
