import { deadlineSignal } from "../base/abort.ts";
import type { Logger } from "../base/logger.ts";
import { clockSkewMs, MAX_CLOCK_SKEW_MS, shownSkew } from "../model/clock-skew.ts";
import type { NodeId } from "../model/ids.ts";
import type { Clock } from "../platform/clock.ts";
import type { QuorumRole } from "../quorum/quorum-types.ts";
import type { Hello } from "../quorum/raft-transport.ts";

/** A longer answer would say nothing of the clock. */
const ASK_TIMEOUT_MS = MAX_CLOCK_SKEW_MS / 2;

export interface ClockCheckDeps {
  readonly nodeId: NodeId;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Undefined: there are no others. */
  readonly ask: ((endpoint: string, signal: AbortSignal) => Promise<Hello>) | undefined;
}

/**
 * Holds the clock of this broker against the controller's, once for each controller, and says loudly when they are apart.
 * No broker is refused for its clock: no promise of the log hangs on it, but timestamps and retention do, and a cluster
 * whose brokers stop when a time server fails would lose more.
 */
export class ClockCheck {
  readonly #deps: ClockCheckDeps;
  readonly #closed = new AbortController();
  #checkedEpoch = -1;

  constructor(deps: ClockCheckDeps) {
    this.#deps = deps;
  }

  /** There may be another controller. */
  roleChanged({ leader, epoch }: QuorumRole): void {
    const { nodeId } = this.#deps;
    if (leader === undefined || leader.endpoint === "" || leader.nodeId === nodeId) return;
    if (epoch <= this.#checkedEpoch) return;
    this.#checkedEpoch = epoch;
    // It handles its failures itself.
    void this.#check(leader);
  }

  close(): void {
    this.#closed.abort();
  }

  /** Never rejects: what cannot be reached is told by others. */
  async #check({ nodeId, endpoint }: { readonly nodeId: NodeId; readonly endpoint: string }): Promise<void> {
    const { clock, logger, ask } = this.#deps;
    if (ask === undefined) return;
    using deadline = deadlineSignal(clock, ASK_TIMEOUT_MS, this.#closed.signal);
    const askedMs = clock.wallMs();
    try {
      const { wallClockMs: theirsMs } = await ask(endpoint, deadline.signal);
      if (theirsMs === undefined) return;
      const skewMs = -clockSkewMs({ askedMs, theirsMs, answeredMs: clock.wallMs() });
      if (Math.abs(skewMs) <= MAX_CLOCK_SKEW_MS) return;
      logger.warn(
        `the clock of this broker is ${shownSkew(skewMs)} that of broker ${nodeId}, the controller (bound: ` +
          `${MAX_CLOCK_SKEW_MS / 1000} s); timestamps of records and retention go by it: let NTP set the clocks, and ` +
          "see who is off with: lograft doctor",
        { skewMs: Math.round(skewMs), controllerId: nodeId },
      );
    } catch {
      // It could not be reached, which others tell, or this broker stops.
    }
  }
}
