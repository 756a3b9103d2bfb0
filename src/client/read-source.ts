import type { Clock, Timer } from "../platform/clock.ts";
import type { PartitionInfo } from "./metadata-cache.ts";

/** Who a consumer reads a partition from: its leader, or the nearest in-sync replica (KIP-392). */
export type ReadFrom = "leader" | "closest";

export interface ReadSourceOptions {
  readonly readFrom: ReadFrom;
  /** Where this client is; empty: not known. */
  readonly rack: string;
}

export interface ReadSourceDeps {
  readonly clock: Clock;
  /** Of a broker; undefined or empty: not known. */
  readonly rackOf: (nodeId: number) => string | undefined;
  /** Followers may be read again. */
  readonly onReturn: () => void;
}

/** So long a partition stays with its leader after a follower has failed, unless the metadata say that things changed. */
export const FOLLOWER_PAUSE_MS = 30_000;

/** Which broker one partition is read from. A follower that fails in any way has the leader asked instead for a while. */
export class ReadSource {
  readonly #options: ReadSourceOptions;
  readonly #deps: ReadSourceDeps;
  /** Set while followers are left alone: how the partition looked when one failed. */
  #failedIn: PartitionInfo | undefined;
  #timer: Timer | undefined;

  constructor(options: ReadSourceOptions, deps: ReadSourceDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** The choice may change although the leader stays. */
  get isClosest(): boolean {
    return this.#options.readFrom === "closest";
  }

  /** The broker to read from; -1 while nobody leads the partition. */
  choose(partition: PartitionInfo): number {
    if (!this.isClosest) return partition.leaderId;
    if (this.#failedIn !== undefined && !isSamePicture(this.#failedIn, partition)) this.close();
    return this.#failedIn === undefined ? this.#closest(partition) : partition.leaderId;
  }

  /** A follower failed, with the partition as it is known now. */
  avoidFollowers(partition: PartitionInfo): void {
    this.close();
    this.#failedIn = partition;
    this.#timer = this.#deps.clock.setTimer(FOLLOWER_PAUSE_MS, () => {
      this.close();
      this.#deps.onReturn();
    });
  }

  /** Forgets the failure; nothing runs any more. Idempotent. */
  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#failedIn = undefined;
  }

  /** The leader if it is near; it knows first what is committed. */
  #closest({ partition, leaderId, isr }: PartitionInfo): number {
    const { rack } = this.#options;
    const { rackOf } = this.#deps;
    if (leaderId < 0 || rack === "" || rackOf(leaderId) === rack) return leaderId;
    // In an order that all answers share, so that the choice stays, and by the number, so that several near ones share the load.
    const near = isr.filter((nodeId) => rackOf(nodeId) === rack).toSorted((a, b) => a - b);
    return near[partition % Math.max(near.length, 1)] ?? leaderId;
  }
}

function isSamePicture(a: PartitionInfo, b: PartitionInfo): boolean {
  const isSameIsr = a.isr.length === b.isr.length && a.isr.every((nodeId) => b.isr.includes(nodeId));
  return a.leaderId === b.leaderId && a.leaderEpoch === b.leaderEpoch && isSameIsr;
}
