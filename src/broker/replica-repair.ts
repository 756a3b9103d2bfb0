import type { Logger } from "../base/logger.ts";
import type { NodeId } from "../model/ids.ts";
import type { Clock, Timer } from "../platform/clock.ts";
import type { MetadataCalls } from "./metadata-calls.ts";
import type { Partition } from "./partition.ts";

export interface ReplicaRepairOptions {
  readonly nodeId: NodeId;
}

export interface ReplicaRepairDeps {
  readonly metadata: MetadataCalls;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Its log is whole again, as far as it goes: it can follow its leader. */
  readonly onRepaired: (partition: Partition) => void;
}

/** Partitions in one request to the controller. */
const MAX_AT_ONCE = 1000;
/** Between two attempts for what nobody else could take over, or the controller did not answer to. */
const RETRY_MS = 1000;

/**
 * Brings replicas with damaged logs back (H42, H53): first the controller takes them out of everything that counts, then
 * the log is cut where the damage begins, and the leader sends what is missing. A partition that has its records nowhere
 * else stays as it is and is looked at again, for as long as this process lives.
 */
export class ReplicaRepair {
  readonly #options: ReplicaRepairOptions;
  readonly #deps: ReplicaRepairDeps;
  readonly #damaged = new Set<Partition>();
  #isRunning = false;
  #retry: Timer | undefined;
  #isClosed = false;

  constructor(options: ReplicaRepairOptions, deps: ReplicaRepairDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** The log of this partition is damaged. Only takes note. */
  note(partition: Partition): void {
    if (this.#isClosed || this.#damaged.has(partition)) return;
    this.#damaged.add(partition);
    this.#start();
  }

  /** Idempotent. A cut under way still ends. */
  close(): void {
    this.#isClosed = true;
    this.#retry?.cancel();
    this.#damaged.clear();
  }

  #start(): void {
    if (this.#isRunning || this.#isClosed || this.#retry !== undefined) return;
    this.#isRunning = true;
    // Damage that is found in one go is reported in one go.
    this.#deps.clock.defer(() => {
      // Never rejects: what fails is tried again.
      void this.#run();
    });
  }

  async #run(): Promise<void> {
    try {
      await this.#repairAll();
    } catch (error: unknown) {
      this.#deps.logger.warn("damaged replicas could not be reported to the controller", {
        partitions: this.#damaged.size,
        err: error,
      });
    }
    this.#isRunning = false;
    if (this.#damaged.size === 0 || this.#isClosed) return;
    this.#retry = this.#deps.clock.setTimer(RETRY_MS, () => {
      this.#retry = undefined;
      this.#start();
    });
  }

  async #repairAll(): Promise<void> {
    const { metadata, logger } = this.#deps;
    const { nodeId } = this.#options;
    for (const partition of this.#damaged) if (!isWaiting(partition)) this.#damaged.delete(partition);
    const asked = [...this.#damaged].slice(0, MAX_AT_ONCE);
    if (asked.length === 0) return;
    const { result } = await metadata.call({
      type: "reportDamage",
      nodeId,
      brokerEpoch: metadata.image.broker(nodeId)?.brokerEpoch ?? 0,
      partitions: asked.map(({ topicId, partition }) => ({ topicId, partition })),
    });
    for (const [position, partition] of asked.entries()) {
      const answer = result[position];
      if (answer?.error === "NONE") await this.#repair(partition);
      else
        logger.warn("a damaged replica cannot be repaired yet", {
          ...named(partition),
          cause: answer?.errorMessage,
        });
      if (this.#isClosed) return;
    }
  }

  async #repair(partition: Partition): Promise<void> {
    const { logger, onRepaired } = this.#deps;
    try {
      // Asked in the turn of the cut: the metadata may have gone on, and an unclean election may have come to this one.
      if (!partition.isSpare) return;
      await partition.cutDamage();
      this.#damaged.delete(partition);
      if (!this.#isClosed) onRepaired(partition);
    } catch (error: unknown) {
      // Its log is offline then, and its disk is not to be trusted.
      this.#damaged.delete(partition);
      logger.error("a damaged replica could not be cut", { ...named(partition), err: error });
    }
  }
}

/** Somebody else may have what this one has lost. */
function isWaiting(partition: Partition): boolean {
  return partition.isDamaged && partition.isReplicated && !partition.isRemoved;
}

function named({ topic, partition }: Partition): { readonly topic: string; readonly partition: number } {
  return { topic, partition };
}
