import { lowerBound } from "../base/binary-search.ts";
import type { CheckContext } from "./check-context.ts";
import { isCommitted } from "./check-context.ts";
import type { KeyHistory } from "./key-history.ts";
import { at } from "./key-history.ts";

/**
 * The log of a key as its clients saw it: which value stands at which offset, from committed sends with a known offset
 * and from all polls. Ranks count the offsets that hold a value; gaps between offsets (control batches) have no rank.
 *
 * Building it finds what contradicts itself: two values at one offset, one value at two, a value at a key that it was
 * not sent to, records with a damaged body.
 */
export class KeyLog {
  readonly key: KeyHistory;
  /** Of the key, in the history. */
  readonly id: number;
  readonly #context: CheckContext;
  readonly #holders = new Map<number, number>();
  readonly #firstOffsets = new Map<number, number>();
  /** What was reported already: offsets with two values, values at two offsets or at a foreign key. */
  readonly #conflicts = new Set<number>();
  readonly #doubles = new Set<number>();
  readonly #strays = new Set<number>();
  readonly #offsets: Float64Array;

  constructor(context: CheckContext, id: number) {
    const { history } = context;
    const { values } = history;
    this.#context = context;
    this.id = id;
    this.key = history.key(history.keyName(id));
    this.#reportDamage();
    const { readValue, readOffset, writes } = this.key;
    for (let read = 0; read < readValue.length; read++) {
      const value = at(readValue, read);
      if (at(values.key, value) !== id) this.#reportStray(at(readOffset, read), value);
      this.#put(at(readOffset, read), value);
    }
    for (const value of writes) {
      const offset = at(values.offset, value);
      if (offset >= 0 && isCommitted(context, value)) this.#put(offset, value);
    }
    this.#offsets = Float64Array.from(this.#holders.keys()).sort();
  }

  /** Offsets that hold a value. */
  get size(): number {
    return this.#offsets.length;
  }

  /** The offset of a rank, rising with it. */
  offsetAt(rank: number): number {
    return at(this.#offsets, rank);
  }

  /** The value of a rank; where there are two, the one that was met first. */
  valueAt(rank: number): number {
    return this.#holders.get(this.offsetAt(rank)) ?? -1;
  }

  /** The lowest offset of a value; -1: it is not in the log. */
  firstOffset(value: number): number {
    return this.#firstOffsets.get(value) ?? -1;
  }

  /** Index of an offset among those that hold a value; of one that holds none, that of the next one. */
  rank(offset: number): number {
    const offsets = this.#offsets;
    return lowerBound(offsets.length, (index) => at(offsets, index), offset);
  }

  #put(offset: number, value: number): void {
    const holder = this.#holders.get(offset);
    if (holder === undefined) this.#holders.set(offset, value);
    else if (holder !== value) this.#reportConflict(offset, holder, value);
    const first = this.#firstOffsets.get(value);
    if (first === undefined) this.#firstOffsets.set(value, offset);
    else if (first !== offset) {
      this.#firstOffsets.set(value, Math.min(first, offset));
      this.#reportDouble(value, first, offset);
    }
  }

  #reportConflict(offset: number, one: number, other: number): void {
    if (this.#conflicts.has(offset)) return;
    this.#conflicts.add(offset);
    const { history, findings } = this.#context;
    findings.add(
      "inconsistent-offsets",
      () => `${this.key.name}@${offset} holds ${history.values.name(one)} and ${history.values.name(other)}`,
    );
  }

  #reportDouble(value: number, one: number, other: number): void {
    if (this.#doubles.has(value)) return;
    this.#doubles.add(value);
    const { history, findings } = this.#context;
    const writer = at(history.values.writer, value);
    // Without a count of attempts nobody can say that there was only one.
    const isExcused =
      writer >= 0 &&
      (history.operations.outcome(writer) === "info" || at(history.operations.attempts, writer) !== 1);
    findings.add(
      "duplicate",
      () => `${history.values.name(value)} stands at ${this.key.name}@${one} and @${other}`,
      isExcused,
    );
  }

  #reportStray(offset: number, value: number): void {
    if (this.#strays.has(value)) return;
    this.#strays.add(value);
    const { history, findings } = this.#context;
    const home = history.keyName(at(history.values.key, value));
    findings.add(
      "misrouted-record",
      () => `${history.values.name(value)}, sent to ${home}, was read at ${this.key.name}@${offset}`,
    );
  }

  #reportDamage(): void {
    const { history, findings } = this.#context;
    for (const { offset, kind, text, operation } of this.key.damaged) {
      findings.add(
        kind === "corrupt" ? "corrupt-record" : "misrouted-record",
        () => `${this.key.name}@${offset}: ${text}, in ${history.operations.describe(operation)}`,
      );
    }
  }
}
