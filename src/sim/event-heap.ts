/** Something that happens at a moment of virtual time. */
export interface SimEvent {
  readonly dueMs: number;
  /** Order of scheduling; decides between events of one moment. */
  readonly sequence: number;
  readonly callback: () => void;
  isCancelled: boolean;
}

/** A binary heap of events by (due time, sequence). Cancelled events stay until they surface or `compact` drops them. */
export class EventHeap {
  #events: SimEvent[] = [];

  /** Events inside, the cancelled ones included. */
  get size(): number {
    return this.#events.length;
  }

  push(event: SimEvent): void {
    this.#events.push(event);
    this.#siftUp(this.#events.length - 1);
  }

  peek(): SimEvent | undefined {
    return this.#events[0];
  }

  pop(): SimEvent | undefined {
    const first = this.#events[0];
    const last = this.#events.pop();
    if (first === undefined || last === undefined || first === last) return first;
    this.#events[0] = last;
    this.#siftDown(0);
    return first;
  }

  /** Drops the cancelled events. */
  compact(): void {
    this.#events = this.#events.filter((event) => !event.isCancelled);
    for (let i = (this.#events.length >> 1) - 1; i >= 0; i--) this.#siftDown(i);
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
      const child = isEarlier(this.#events[left + 1], this.#events[left]) ? left + 1 : left;
      if (!this.#swapIfEarlier(child, index)) return;
      index = child;
    }
  }

  #swapIfEarlier(child: number, parent: number): boolean {
    const a = this.#events[child];
    const b = this.#events[parent];
    if (a === undefined || b === undefined || !isEarlier(a, b)) return false;
    this.#events[child] = b;
    this.#events[parent] = a;
    return true;
  }
}

function isEarlier(a: SimEvent | undefined, b: SimEvent | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  return a.dueMs === b.dueMs ? a.sequence < b.sequence : a.dueMs < b.dueMs;
}
