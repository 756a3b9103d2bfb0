import type { Offset } from "../model/offsets.ts";

interface Wait {
  readonly endOffset: Offset;
  readonly callback: (isCommitted: boolean) => void;
}

/**
 * Those who wait until the high watermark of one partition passes an offset. Appends come in the order of their offsets,
 * so the list is sorted by itself, but for answers to duplicates, which are put where they belong.
 */
export class ReplicationWaits {
  #waits: Wait[] = [];
  #head = 0;

  get size(): number {
    return this.#waits.length - this.#head;
  }

  add(endOffset: Offset, callback: (isCommitted: boolean) => void): void {
    let at = this.#waits.length;
    while (at > this.#head && (this.#waits[at - 1]?.endOffset ?? 0) > endOffset) at--;
    this.#waits.splice(at, 0, { endOffset, callback });
  }

  /** Calls back those whose offset is passed, in the order of the offsets. */
  release(highWatermark: Offset): void {
    for (;;) {
      const wait = this.#waits[this.#head];
      if (wait === undefined || wait.endOffset > highWatermark) break;
      this.#head++;
      wait.callback(true);
    }
    this.#compact();
  }

  /** It will not come to that here. */
  rejectAll(): void {
    const rejected = this.#waits.slice(this.#head);
    this.#waits = [];
    this.#head = 0;
    for (const { callback } of rejected) callback(false);
  }

  /** Cuts the dead part off when it is the larger one, so that a release costs what it releases. */
  #compact(): void {
    if (this.#head * 2 <= this.#waits.length) return;
    this.#waits = this.#waits.slice(this.#head);
    this.#head = 0;
  }
}
