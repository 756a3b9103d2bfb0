/** The process died here. Not a `LograftError`: code that handles failed operations must not handle its own death. */
export class SimulatedCrash extends Error {
  constructor(message = "the simulated process has crashed") {
    super(message);
    this.name = "SimulatedCrash";
  }
}

/**
 * Counts the mutating operations of one process (its disk and its stores share one) and kills it at a chosen one. Run
 * once without a limit to learn the total, then once for each n in 0..total to crash at every point.
 */
export class CrashPoint {
  #limit: number;
  #count = 0;
  #isCrashed = false;

  /** The first `operations` mutating operations work; the next, and everything after it, throws SimulatedCrash. */
  constructor(operations = Number.POSITIVE_INFINITY) {
    this.#limit = operations;
  }

  /** Mutating operations done. */
  get count(): number {
    return this.#count;
  }

  get isCrashed(): boolean {
    return this.#isCrashed;
  }

  /** Before each operation that changes nothing. @throws SimulatedCrash */
  check(): void {
    if (this.#isCrashed) throw new SimulatedCrash();
  }

  /** Before each mutating operation. @throws SimulatedCrash */
  hit(): void {
    this.check();
    if (this.#count >= this.#limit) this.crash();
    this.check();
    this.#count += 1;
  }

  /** The process dies at the mutating operation after the next `operations` ones. */
  limitTo(operations: number): void {
    this.#limit = this.#count + operations;
  }

  /** The process dies now. */
  crash(): void {
    this.#isCrashed = true;
  }
}
