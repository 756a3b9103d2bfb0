import type { LograftError } from "../base/errors.ts";

/** What the end of a broker, or a leadership that moves, shows as for a moment; a rolling restart has them all. */
const PASSING: ReadonlySet<string> = new Set([
  "CLOSED",
  "CONNECTION_FAILED",
  "COORDINATOR_LOAD_IN_PROGRESS",
  "COORDINATOR_NOT_AVAILABLE",
  "FENCED_LEADER_EPOCH",
  "LEADER_NOT_AVAILABLE",
  "NOT_COORDINATOR",
  "NOT_LEADER_OR_FOLLOWER",
  "OFFSET_NOT_AVAILABLE",
  "REBALANCE_IN_PROGRESS",
  "REPLICA_NOT_AVAILABLE",
  "STALE_MEMBER_EPOCH",
  "UNKNOWN_LEADER_EPOCH",
]);
/** As long as a stall takes to be told. Brokers that restart in turn make one trouble of it, with all of their moves. */
const LASTING_MS = 30_000;
/** Without an error for so long, the next one begins another trouble. Longer than an attempt that nobody answers takes, pause included. */
const QUIET_MS = 10_000;

/** Tells errors that are over before anybody could do something about them from those that an application should hear of. */
export class PassingTrouble {
  #sinceMs = 0;
  #lastMs = Number.NEGATIVE_INFINITY;

  /** Whether the error, which is tried again, is worth telling at this moment. */
  isWorthTelling(error: LograftError, nowMs: number): boolean {
    if (!PASSING.has(error.code)) return true;
    if (nowMs - this.#lastMs > QUIET_MS) this.#sinceMs = nowMs;
    this.#lastMs = nowMs;
    return nowMs - this.#sinceMs >= LASTING_MS;
  }
}
