import { LograftError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Clock, Timer } from "../platform/clock.ts";
import type { DecisionLog } from "./decision-log.ts";
import { decideRebalance } from "./elections.ts";
import type { PartitionRules } from "./partition-rules.ts";

export interface LeaderBalancerOptions {
  /** From one look to the next, in ms; 0: never. */
  readonly intervalMs: number;
  readonly rules: PartitionRules;
}

export interface LeaderBalancerDeps {
  readonly decisions: DecisionLog;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Leaders that move in one entry of the log. */
const MAX_ELECTIONS = 1000;
/** To the next entry when one was not enough. */
const NEXT_ENTRY_MS = 1000;

/** Gives leaderships back to their preferred replicas now and then, while the controller is active. */
export class LeaderBalancer {
  readonly #options: LeaderBalancerOptions;
  readonly #deps: LeaderBalancerDeps;
  #timer: Timer | undefined;

  constructor(options: LeaderBalancerOptions, deps: LeaderBalancerDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  start(): void {
    if (this.#options.intervalMs > 0) this.#arm(this.#options.intervalMs);
  }

  /** Idempotent. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(delayMs: number): void {
    this.#timer = this.#deps.clock.setTimer(delayMs, () => this.#balance());
  }

  #balance(): void {
    const { decisions, logger } = this.#deps;
    if (!decisions.isStarted) return;
    let hasMore = false;
    try {
      const { response } = decisions.decide((image) =>
        decideRebalance(image, { maxElections: MAX_ELECTIONS }, this.#options.rules),
      );
      if (response.elected > 0) logger.info("preferred leaders elected", { count: response.elected });
      hasMore = response.hasMore;
    } catch (error: unknown) {
      if (!(error instanceof LograftError)) throw error;
      logger.warn("preferred leaders could not be elected now", { err: error });
    }
    this.#arm(hasMore ? Math.min(NEXT_ENTRY_MS, this.#options.intervalMs) : this.#options.intervalMs);
  }
}
