/** What stands in a `TurnQueue`: it knows so itself, which makes the question cheap. */
export interface Queueable {
  /** Owned by the queue. */
  isQueued: boolean;
}

/** How far the head may run ahead in the backing array before the dead part is cut off. */
const COMPACT_AFTER = 1024;

/** First in, first out, each item in it at most once: who comes back goes behind the others, so everybody gets a turn. */
export class TurnQueue<T extends Queueable> {
  #items: (T | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  /** The first, left where it is. */
  peek(): T | undefined {
    return this.#items[this.#head];
  }

  /** Behind the others, unless it stands there already. */
  push(item: T): void {
    if (item.isQueued) return;
    item.isQueued = true;
    this.#items.push(item);
  }

  /** Takes the first out. */
  shift(): T | undefined {
    const item = this.#items[this.#head];
    if (item === undefined) return undefined;
    item.isQueued = false;
    this.#items[this.#head] = undefined;
    this.#head += 1;
    if (this.#head === this.#items.length) {
      this.#items.length = 0;
      this.#head = 0;
    } else if (this.#head >= COMPACT_AFTER && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** Lets all go. */
  clear(): void {
    for (let i = this.#head; i < this.#items.length; i++) {
      const item = this.#items[i];
      if (item !== undefined) item.isQueued = false;
    }
    this.#items = [];
    this.#head = 0;
  }
}
