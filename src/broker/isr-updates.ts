import type { Logger } from "../base/logger.ts";
import { isActive } from "../metadata/image.ts";
import type { NodeId } from "../model/ids.ts";
import type { Clock, Timer } from "../platform/clock.ts";
import type { IsrProposal } from "../replication/isr.ts";
import type { LeaderRole } from "./leader-role.ts";
import type { MetadataCalls } from "./metadata-calls.ts";

/** Who falls behind is found after the lag time and a part of it. */
const LOOKS_PER_LAG_TIME = 4;

export interface IsrUpdatesOptions {
  readonly nodeId: NodeId;
  /** See `replica.lag.time.max.ms`. */
  readonly lagTimeMs: number;
}

export interface IsrUpdatesDeps {
  readonly metadata: MetadataCalls;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Asked {
  readonly role: LeaderRole;
  readonly proposal: IsrProposal;
}

/** Partitions in one request to the controller. */
const MAX_AT_ONCE = 1000;
/** After a request that was not answered, or not taken as a whole. */
const RETRY_MS = 200;

/**
 * Asks the controller for changes of ISRs, those of one turn of the loop together. The answer changes nothing here: a
 * change holds when it comes with the committed metadata (H21).
 */
export class IsrUpdates {
  readonly #options: IsrUpdatesOptions;
  readonly #deps: IsrUpdatesDeps;
  /** Those with news. */
  readonly #noted = new Set<LeaderRole>();
  /** Those that may have a follower which falls behind. */
  readonly #led = new Set<LeaderRole>();
  /** Were refused just now: the metadata that would tell why is on its way. */
  readonly #resting = new Set<LeaderRole>();
  #isScheduled = false;
  #lagTimer: Timer | undefined;
  #isClosed = false;

  constructor(options: IsrUpdatesOptions, deps: IsrUpdatesDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** Something happened that may change this partition's ISR. */
  note(role: LeaderRole): void {
    this.#led.add(role);
    this.#armLagTimer();
    if (this.#resting.has(role)) return;
    this.#noted.add(role);
    this.#schedule();
  }

  /** Who may be in an ISR may be another now: a broker came back, or its disk has room again. */
  brokersChanged(): void {
    for (const role of this.#led) if (!this.#resting.has(role)) this.#noted.add(role);
    if (this.#noted.size > 0) this.#schedule();
  }

  /** Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#lagTimer?.cancel();
    this.#noted.clear();
    this.#led.clear();
    this.#resting.clear();
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isClosed) return;
    this.#isScheduled = true;
    this.#deps.clock.defer(() => {
      this.#isScheduled = false;
      this.#collect();
    });
  }

  /** Nobody tells when a follower falls behind, so it is looked for. One timer for all partitions. */
  #armLagTimer(): void {
    if (this.#lagTimer !== undefined || this.#isClosed) return;
    this.#lagTimer = this.#deps.clock.setTimer(this.#options.lagTimeMs / LOOKS_PER_LAG_TIME, () => {
      this.#lagTimer = undefined;
      for (const role of this.#led) {
        if (role.isEnded) this.#led.delete(role);
        else this.#noted.add(role);
      }
      if (this.#led.size === 0) return;
      this.#armLagTimer();
      this.#schedule();
    });
  }

  #collect(): void {
    if (this.#isClosed) return;
    const asked: Asked[] = [];
    for (const role of this.#noted) {
      if (asked.length === MAX_AT_ONCE) break;
      this.#noted.delete(role);
      const proposal = role.takeProposal(this.#isEligible);
      if (proposal !== undefined) asked.push({ role, proposal });
    }
    if (asked.length === 0) return;
    // Never rejects: a failure is told to each role.
    void this.#ask(asked);
    if (this.#noted.size > 0) this.#schedule();
  }

  async #ask(asked: readonly Asked[]): Promise<void> {
    const { metadata, logger } = this.#deps;
    const { nodeId } = this.#options;
    try {
      const { result } = await metadata.call({
        type: "alterPartitions",
        nodeId,
        brokerEpoch: metadata.image.broker(nodeId)?.brokerEpoch ?? 0,
        partitions: asked.map(({ role, proposal }) => ({
          topicId: role.topicId,
          partition: role.partition,
          leaderEpoch: proposal.leaderEpoch,
          partitionEpoch: proposal.partitionEpoch,
          isr: proposal.isr,
        })),
      });
      for (const [position, { role, proposal }] of asked.entries()) {
        const answer = result[position];
        if (answer?.error === "NONE") continue;
        logger.debug("a change of an ISR was not taken", {
          topicId: role.topicId,
          partition: role.partition,
          cause: answer?.errorMessage,
        });
        this.#rest(role);
        role.rejected(proposal);
      }
    } catch (error: unknown) {
      if (this.#isClosed) return;
      logger.warn("changes of ISRs could not be asked for", {
        partitions: asked.length,
        err: error,
      });
      this.#deps.clock.setTimer(RETRY_MS, () => {
        // Perhaps the controller has it, and perhaps it comes to it later.
        for (const { role, proposal } of asked) role.lost(proposal);
      });
    }
  }

  #rest(role: LeaderRole): void {
    this.#resting.add(role);
    this.#deps.clock.setTimer(RETRY_MS, () => {
      this.#resting.delete(role);
      if (!this.#isClosed && !role.isEnded) this.note(role);
    });
  }

  /** Only who takes part, under the very registration that followed, may come into an ISR (H22). */
  readonly #isEligible = (node: NodeId, brokerEpoch: number): boolean => {
    const broker = this.#deps.metadata.image.broker(node);
    return broker?.brokerEpoch === brokerEpoch && isActive(broker);
  };
}
