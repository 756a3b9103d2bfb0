/**
 * Which polls of a process follow one another on a key: a seek, an assignment, a rebalance, a failed poll or the end of
 * the process begins a new streak, and between two streaks records may be left out or come again.
 */
export class Streaks {
  readonly #current = new Map<number, Map<number, number>>();
  readonly #subscribers = new Set<number>();
  readonly #isSubscribed: boolean[] = [];

  /** The streak that a poll of this process on this key belongs to now. */
  current(process: number, key: number): number {
    let streaks = this.#current.get(process);
    if (streaks === undefined) {
      streaks = new Map();
      this.#current.set(process, streaks);
    }
    const known = streaks.get(key);
    if (known !== undefined) return known;
    const streak = this.#isSubscribed.length;
    streaks.set(key, streak);
    this.#isSubscribed.push(this.#subscribers.has(process));
    return streak;
  }

  interrupt(process: number, key: number): void {
    this.#current.get(process)?.delete(key);
  }

  interruptAll(process: number): void {
    this.#current.delete(process);
  }

  /** From here on the keys of this process are given by a group. */
  subscribe(process: number): void {
    this.#subscribers.add(process);
    this.interruptAll(process);
  }

  isSubscribed(streak: number): boolean {
    return this.#isSubscribed[streak] === true;
  }
}
