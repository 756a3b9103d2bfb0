/**
 * Deadlines by name, of the monotonic clock. Moving one back (a heartbeat) costs no search for the earliest: `nextMs` is a
 * lower bound, which `takeDue` makes exact when it has come. So one idle look for each session is the price of any number
 * of heartbeats.
 */
export class ClassicDeadlines {
  readonly #atMs = new Map<string, number>();
  #nextMs = Infinity;

  get size(): number {
    return this.#atMs.size;
  }

  /** Nothing is due before; Infinity for never. */
  get nextMs(): number {
    return this.#nextMs;
  }

  has(name: string): boolean {
    return this.#atMs.has(name);
  }

  /** The one that was set first, of those that are left. */
  get oldest(): string | undefined {
    return this.#atMs.keys().next().value;
  }

  /** Infinity: kept, and never due. */
  set(name: string, atMs: number): void {
    this.#atMs.set(name, atMs);
    this.#nextMs = Math.min(this.#nextMs, atMs);
  }

  delete(name: string): boolean {
    const isKnown = this.#atMs.delete(name);
    if (this.#atMs.size === 0) this.#nextMs = Infinity;
    return isKnown;
  }

  /** Removes what is due at `nowMs` (inclusive) and returns the names, in the order in which they were set first. */
  takeDue(nowMs: number): string[] {
    if (nowMs < this.#nextMs) return [];
    const due: string[] = [];
    this.#nextMs = Infinity;
    for (const [name, atMs] of this.#atMs) {
      if (atMs <= nowMs) due.push(name);
      else this.#nextMs = Math.min(this.#nextMs, atMs);
    }
    for (const name of due) this.#atMs.delete(name);
    return due;
  }
}
