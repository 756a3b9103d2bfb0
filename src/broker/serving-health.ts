import type { Clock } from "../platform/clock.ts";
import type { BrokerHealth } from "./broker-session.ts";

/** The counters of a sync queue that tell whether a disk still answers. */
export interface SyncCounters {
  readonly completed: number;
  readonly running: number;
}

/**
 * Whether this broker serves, and not only sends heartbeats (H29). Both ages are seen from heartbeat to heartbeat and
 * cost the data path nothing.
 */
export class ServingHealth implements BrokerHealth {
  readonly #clock: Clock;
  readonly #syncs: () => SyncCounters;
  #askedMs: number | undefined;
  #completed = -1;
  #stuckSinceMs = 0;

  constructor(deps: { readonly clock: Clock; readonly syncs: () => SyncCounters }) {
    this.#clock = deps.clock;
    this.#syncs = deps.syncs;
  }

  /** How long work that was put behind all that was ready has been waiting for its turn. */
  loopAgeMs(): number {
    const nowMs = this.#clock.monotonicMs();
    if (this.#askedMs !== undefined) return nowMs - this.#askedMs;
    this.#askedMs = nowMs;
    this.#clock.defer(() => {
      this.#askedMs = undefined;
    });
    return 0;
  }

  /** Since when syncs have been running and none has come back, at least. */
  diskAgeMs(): number {
    const nowMs = this.#clock.monotonicMs();
    const { completed, running } = this.#syncs();
    if (running === 0 || completed !== this.#completed) {
      this.#completed = completed;
      this.#stuckSinceMs = nowMs;
    }
    return nowMs - this.#stuckSinceMs;
  }
}
