import { setTimeout as sleep } from "node:timers/promises";
import { parseInteger } from "./arguments.ts";

/** Holds back so that at most so many records a second are sent, measured from the start. */
export class Pace {
  readonly isLimited: boolean;
  readonly #perSecond: number;
  readonly #startedAt = performance.now();
  #count = 0;

  /** @param rate text of --rate; undefined: no limit. @throws LograftError INVALID_ARGUMENT. */
  constructor(rate: string | undefined) {
    this.isLimited = rate !== undefined;
    this.#perSecond = rate === undefined ? Number.POSITIVE_INFINITY : parseInteger(rate, "--rate", 1);
  }

  /** Resolves when the record after the ones counted so far is due. @throws the reason of `signal`. */
  async next(signal: AbortSignal): Promise<void> {
    if (!this.isLimited) return;
    this.#count++;
    const dueInMs = (this.#count / this.#perSecond) * 1000 - (performance.now() - this.#startedAt);
    // Below the grain of a timer it is cheaper to send in small bursts.
    if (dueInMs >= 1) await sleep(dueInMs, undefined, { signal });
  }
}
