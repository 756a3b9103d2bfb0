import { lowerBound } from "../base/binary-search.ts";
import type { History } from "./history.ts";
import type { KeyHistory } from "./key-history.ts";
import { at } from "./key-history.ts";

/** When sends to one key began and were acknowledged. */
export class SendTimes {
  /** Begins of acknowledged sends, rising, and the earliest acknowledgement of each or a later one. */
  readonly #begins: Float64Array;
  readonly #nextAck: Float64Array;
  /** Acknowledgements, rising. */
  readonly #acks: Float64Array;
  /** Begins of all sends, rising, and the latest end of each or an earlier one. */
  readonly #tries: Float64Array;
  readonly #triedUntil: Float64Array;

  constructor(history: History, key: KeyHistory) {
    const { operations, values } = history;
    const writers = [...new Set(key.writes.map((value) => at(values.writer, value)))].toSorted(
      (a, b) => at(operations.invokedAt, a) - at(operations.invokedAt, b),
    );
    const answered = writers.filter((operation) => operations.isOk(operation));
    this.#begins = Float64Array.from(answered, (operation) => at(operations.invokedAt, operation));
    this.#nextAck = Float64Array.from(answered, (operation) => at(operations.completedAt, operation));
    this.#acks = this.#nextAck.toSorted();
    for (let index = answered.length - 2; index >= 0; index--) {
      this.#nextAck[index] = Math.min(at(this.#nextAck, index), at(this.#nextAck, index + 1));
    }
    this.#tries = Float64Array.from(writers, (operation) => at(operations.invokedAt, operation));
    this.#triedUntil = Float64Array.from(writers, (operation) => at(operations.completedAt, operation));
    for (let index = 1; index < writers.length; index++) {
      this.#triedUntil[index] = Math.max(at(this.#triedUntil, index), at(this.#triedUntil, index - 1));
    }
  }

  /** The first acknowledgement of a send that began at this time or later; undefined: there is none. */
  firstAckOfSendAfter(time: number): number | undefined {
    return this.#nextAck[indexFrom(this.#begins, time)];
  }

  /** Longest time between acknowledgements in which somebody was trying, of those that touch a stretch of time; ns. */
  longestGap(begin = -Infinity, end = Infinity): number {
    let longest = 0;
    for (let index = Math.max(1, indexFrom(this.#acks, begin)); index < this.#acks.length; index++) {
      const from = at(this.#acks, index - 1);
      const to = at(this.#acks, index);
      if (from > end) break;
      if (to - from > longest) longest = Math.max(longest, to - this.#triedFrom(from, to));
    }
    return longest;
  }

  /** From when on somebody tried: at once when a send was open, else when the next one began. */
  #triedFrom(from: number, to: number): number {
    const next = indexFrom(this.#tries, from);
    if (next > 0 && at(this.#triedUntil, next - 1) > from) return from;
    return Math.min(to, this.#tries[next] ?? to);
  }
}

function indexFrom(times: Float64Array, time: number): number {
  return lowerBound(times.length, (index) => at(times, index), time);
}
