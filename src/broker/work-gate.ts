import { Deferred } from "../base/deferred.ts";
import { operationError } from "../base/errors.ts";
import type { Clock } from "../platform/clock.ts";

/** Lets calls in while the broker runs, and tells when the last of them has left. */
export class WorkGate {
  readonly #nodeId: number;
  #inside = 0;
  #isOpen: boolean;
  #isShut = false;
  #empty: Deferred<void> | undefined;

  /** @param options.isOpen false: calls are refused until `open`. */
  constructor(options: { readonly isOpen: boolean; readonly nodeId: number }) {
    this.#isOpen = options.isOpen;
    this.#nodeId = options.nodeId;
  }

  /** Calls inside. */
  get count(): number {
    return this.#inside;
  }

  get isShut(): boolean {
    return this.#isShut;
  }

  /** Runs the work inside the gate. @throws LograftError as `check`; what the work throws. */
  async run<T>(work: () => Promise<T> | T): Promise<T> {
    this.check();
    this.#inside++;
    try {
      return await work();
    } finally {
      this.#inside--;
      if (this.#inside === 0) this.#empty?.resolve();
    }
  }

  /** @throws LograftError CLOSED when the gate is shut, NO_QUORUM before it is open. */
  check(): void {
    if (this.#isShut)
      throw operationError("CLOSED", "the broker is stopping; ask another one", { retriable: true });
    if (this.#isOpen) return;
    throw operationError(
      "NO_QUORUM",
      `broker ${this.#nodeId} has not joined its cluster yet; try again, or see: lograft cluster quorum`,
      { retriable: true },
    );
  }

  /** Lets calls in. */
  open(): void {
    this.#isOpen = true;
  }

  /** Lets nothing in any more. */
  shut(): void {
    this.#isShut = true;
  }

  /** Resolves when nobody is inside, or after `limitMs`; answers whether it is empty. */
  async empty(clock: Clock, limitMs: number): Promise<boolean> {
    if (this.#inside === 0) return true;
    this.#empty ??= new Deferred();
    const expired = new Deferred<void>();
    const timer = clock.setTimer(limitMs, () => expired.resolve());
    await Promise.race([this.#empty.promise, expired.promise]);
    timer.cancel();
    return this.#inside === 0;
  }
}
