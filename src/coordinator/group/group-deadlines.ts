/** What has a place in a `GroupDeadlines`; the queue alone writes its two fields. */
export interface HasDeadline {
  /** What the queue holds, never later than the true deadline. Infinity outside of it. */
  queuedMs: number;
  /** Index in the heap; -1 outside of it. */
  place: number;
}

/** A fresh `HasDeadline`. */
export const UNQUEUED: Readonly<HasDeadline> = { queuedMs: Infinity, place: -1 };

/**
 * The earliest deadline of many groups. A deadline that moves later, as every heartbeat makes it, costs one comparison:
 * the item keeps its place and is looked at again when that comes up. One that moves earlier is sifted at once. Each item
 * is in here at most once, so the queue is never larger than the groups are many.
 */
export class GroupDeadlines<Item extends HasDeadline> {
  readonly #heap: Item[] = [];

  /** No item is due before this; Infinity when there are none. An item may turn out to be due later. */
  get earliestMs(): number {
    return this.#heap[0]?.queuedMs ?? Infinity;
  }

  get size(): number {
    return this.#heap.length;
  }

  /** The item's deadline is `deadlineMs` now. */
  note(item: Item, deadlineMs: number): void {
    if (deadlineMs >= item.queuedMs) return;
    item.queuedMs = deadlineMs;
    if (item.place < 0) {
      item.place = this.#heap.length;
      this.#heap.push(item);
    }
    this.#siftUp(item.place);
  }

  /** Takes the first item out if its place has come up at `nowMs`. It is put back with `note`. */
  takeDue(nowMs: number): Item | undefined {
    const first = this.#heap[0];
    if (first === undefined || first.queuedMs > nowMs) return undefined;
    this.remove(first);
    return first;
  }

  /** Takes an item out; nothing happens when it is not in. */
  remove(item: Item): void {
    const { place } = item;
    if (place < 0) return;
    item.place = -1;
    item.queuedMs = Infinity;
    const last = this.#heap.pop();
    if (last === undefined || last === item) return;
    this.#heap[place] = last;
    last.place = place;
    this.#siftUp(place);
    this.#siftDown(last.place);
  }

  #siftUp(start: number): void {
    let index = start;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#swapIfEarlier(index, parent)) return;
      index = parent;
    }
  }

  #siftDown(start: number): void {
    let index = start;
    for (;;) {
      const left = 2 * index + 1;
      const right = left + 1;
      const child = this.#at(right) < this.#at(left) ? right : left;
      if (!this.#swapIfEarlier(child, index)) return;
      index = child;
    }
  }

  #at(index: number): number {
    return this.#heap[index]?.queuedMs ?? Infinity;
  }

  #swapIfEarlier(child: number, parent: number): boolean {
    const a = this.#heap[child];
    const b = this.#heap[parent];
    if (a === undefined || b === undefined || a.queuedMs >= b.queuedMs) return false;
    this.#heap[parent] = a;
    a.place = parent;
    this.#heap[child] = b;
    b.place = child;
    return true;
  }
}
