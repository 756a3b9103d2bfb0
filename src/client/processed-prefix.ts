/** Something that is being worked on. Made by `ProcessedPrefix.begin`. */
export interface WorkSlot<Of> {
  readonly of: Of;
  /** The position when this and all before it is done. */
  readonly nextOffset: number;
  isDone: boolean;
}

/** What work that ends in any order comes to: the longest run from the start in which all is done. */
export class ProcessedPrefix<Of> {
  /** In the order of begin; those at the front are not done. */
  #slots: WorkSlot<Of>[] = [];
  #at = 0;

  /** Begun and not part of the run yet. */
  get pendingCount(): number {
    return this.#slots.length - this.#at;
  }

  begin(of: Of, nextOffset: number): WorkSlot<Of> {
    const slot = { of, nextOffset, isDone: false };
    this.#slots.push(slot);
    return slot;
  }

  /** Answers the slots by which this made the run longer, in order. */
  done(slot: WorkSlot<Of>): WorkSlot<Of>[] {
    slot.isDone = true;
    const from = this.#at;
    while (this.#slots[this.#at]?.isDone === true) this.#at++;
    const passed = this.#slots.slice(from, this.#at);
    // Cut off in large pieces: one by one would copy the rest each time.
    if (this.#at >= 256 && this.#at * 2 >= this.#slots.length) {
      this.#slots = this.#slots.slice(this.#at);
      this.#at = 0;
    }
    return passed;
  }
}
