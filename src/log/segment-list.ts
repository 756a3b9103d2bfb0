import { assert } from "../base/assert.ts";
import { floorIndex } from "../base/binary-search.ts";
import type { Offset } from "../model/offsets.ts";
import type { Segment } from "./segment.ts";

/** The segments of one log by base offset; the last is the active one. Empty while nothing was ever written. */
export class SegmentList {
  #segments: Segment[];

  constructor(segments: Segment[] = []) {
    this.#segments = segments;
  }

  get count(): number {
    return this.#segments.length;
  }

  get active(): Segment | undefined {
    return this.#segments.at(-1);
  }

  get first(): Segment | undefined {
    return this.#segments[0];
  }

  get sizeBytes(): number {
    let total = 0;
    for (const segment of this.#segments) total += segment.sizeBytes;
    return total;
  }

  /** Oldest first; valid until the next change. */
  all(): readonly Segment[] {
    return this.#segments;
  }

  /** The segment that holds `offset`, or in whose range it lies: the last one that begins at or below it. */
  covering(offset: Offset): Segment | undefined {
    return this.#segments[this.#indexOf(offset)];
  }

  /** The one behind `segment`. */
  after(segment: Segment): Segment | undefined {
    return this.#segments[this.#segments.indexOf(segment) + 1];
  }

  append(segment: Segment): void {
    const last = this.active;
    assert(last === undefined || segment.baseOffset > last.baseOffset, "segments do not grow", {
      baseOffset: segment.baseOffset,
      last: last?.baseOffset,
    });
    this.#segments.push(segment);
  }

  /** Puts `copy` in the place of `originals`, neighbours of which none is the active segment. */
  replace(originals: readonly Segment[], copy: Segment): void {
    const [first] = originals;
    const at = first === undefined ? -1 : this.#segments.indexOf(first);
    const isRun = originals.every((original, index) => this.#segments[at + index] === original);
    assert(
      at >= 0 && isRun && at + originals.length < this.#segments.length,
      "not a run of sealed segments",
      {
        at,
        count: originals.length,
      },
    );
    this.#take(at, originals.length);
    this.#segments.splice(at, 0, copy);
  }

  /** Takes the oldest `count` segments out; never the active one. */
  removeFirst(count: number): Segment[] {
    assert(count < this.#segments.length, "the active segment is not removed", { count });
    return this.#take(0, count);
  }

  /** Takes out every segment that begins behind `offset`, and answers them newest first. */
  removeBehind(offset: Offset): Segment[] {
    const keep = this.#indexOf(offset) + 1;
    return this.#take(keep, this.#segments.length - keep).reverse();
  }

  /** Takes out every segment behind this one, and answers them newest first. */
  removeAfter(segment: Segment): Segment[] {
    const keep = this.#segments.indexOf(segment) + 1;
    return this.#take(keep, this.#segments.length - keep).reverse();
  }

  removeAll(): Segment[] {
    return this.#take(0, this.#segments.length).reverse();
  }

  #take(from: number, count: number): Segment[] {
    const taken = this.#segments.splice(from, count);
    for (const segment of taken) segment.isRemoved = true;
    return taken;
  }

  #indexOf(offset: Offset): number {
    return floorIndex(this.#segments.length, (i) => this.#segments[i]?.baseOffset ?? 0, offset);
  }
}
