import type { Logger } from "../base/logger.ts";
import type { MetadataImage } from "../metadata/image.ts";
import { ProtocolError } from "../model/error-code.ts";
import type { LeaderEpoch } from "../model/offsets.ts";
import type { Clock } from "../platform/clock.ts";
import type { CoordinatorSabotage } from "./coordinator-sabotage.ts";
import type { PartitionWriter } from "./partition-writer.ts";
import { ShardMachine } from "./shard-machine.ts";
import type { Decide } from "./shard-machine.ts";
import type { RecordCodec, Shard } from "./shard.ts";

export type { Decide } from "./shard-machine.ts";

/** Bounds of each partition of a coordinator. */
export interface CoordinatorRuntimeOptions {
  /** The topic of its log, for messages. */
  readonly topic: string;
  /** Batches that are appended ahead of the commit of the first. Default 64. */
  readonly maxInFlightBatches?: number;
  /** Bytes decided and not committed, from which on requests are refused with COORDINATOR_NOT_AVAILABLE. Default 16 MiB. */
  readonly maxPendingBytes?: number;
  /** Requests without an answer, parked ones included; further ones are refused likewise. Default 100,000. */
  readonly maxWaiting?: number;
  readonly sabotage?: CoordinatorSabotage | undefined;
}

export interface CoordinatorRuntimeDeps<Record, S extends Shard<Record>> {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly writer: PartitionWriter;
  readonly codec: RecordCodec<Record>;
  readonly newShard: () => S;
  readonly image: MetadataImage;
}

const DEFAULTS = { maxInFlightBatches: 64, maxPendingBytes: 16 * 1024 * 1024, maxWaiting: 100_000 };

/**
 * Runs the shards of a coordinator on the broker that leads their partitions: one serial machine for each partition, from
 * the load of its log to the end of the leadership. Knows nothing of what the shards decide.
 */
export class CoordinatorRuntime<Record, S extends Shard<Record>> {
  readonly #options: CoordinatorRuntimeOptions & typeof DEFAULTS;
  readonly #deps: CoordinatorRuntimeDeps<Record, S>;
  readonly #machines = new Map<number, ShardMachine<Record, S>>();
  /** By partition, the latest epoch that was heard of: what comes of an older one is stale. */
  readonly #epochs = new Map<number, LeaderEpoch>();
  readonly #ending = new Set<Promise<void>>();
  #isMetadataDue = false;
  #isClosed = false;

  constructor(options: CoordinatorRuntimeOptions, deps: CoordinatorRuntimeDeps<Record, S>) {
    this.#options = { ...DEFAULTS, ...options };
    this.#deps = deps;
  }

  /** The partitions that this broker coordinates, and whether each answers yet. Ascending. */
  get partitions(): readonly { readonly partition: number; readonly isActive: boolean }[] {
    return Array.from(this.#machines, ([partition, { isActive }]) => ({ partition, isActive })).sort(
      (a, b) => a.partition - b.partition,
    );
  }

  /** This broker leads the partition from this epoch on. Nothing happens when it is loaded already, or the news is old. */
  load(partition: number, leaderEpoch: LeaderEpoch): void {
    if (this.#isClosed || this.#isStale(partition, leaderEpoch)) return;
    if (this.#machines.get(partition)?.leaderEpoch === leaderEpoch) return;
    this.#end(partition);
    this.#epochs.set(partition, leaderEpoch);
    const machine = new ShardMachine({ ...this.#options, partition, leaderEpoch }, this.#deps);
    this.#machines.set(partition, machine);
  }

  /**
   * This broker does not lead the partition any more: everybody who waits is answered NOT_COORDINATOR, and the state is let
   * go. @param leaderEpoch in which another one leads it; undefined when the partition is gone.
   */
  unload(partition: number, leaderEpoch?: LeaderEpoch): void {
    if (leaderEpoch !== undefined) {
      if (this.#isStale(partition, leaderEpoch)) return;
      this.#epochs.set(partition, leaderEpoch);
    } else {
      this.#epochs.delete(partition);
    }
    this.#end(partition);
  }

  /**
   * Runs a decision on the shard; the promise is the answer, once all it relies on is committed.
   * @throws ProtocolError NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE (all retriable),
   * RECORD_LIST_TOO_LARGE for a record that fits no batch, UNKNOWN_SERVER_ERROR; the reason of `signal`.
   */
  run<Request, Response>(
    partition: number,
    request: Request,
    decide: Decide<Record, S, Request, Response>,
    signal?: AbortSignal,
  ): Promise<Response> {
    const machine = this.#machines.get(partition);
    if (machine !== undefined) return machine.run(request, decide, signal);
    const { topic } = this.#options;
    const text = `this broker does not coordinate ${topic}-${partition}; look the coordinator up and try again`;
    return Promise.reject(new ProtocolError("NOT_COORDINATOR", text, { context: { topic, partition } }));
  }

  /** Topics came, went or grew. The shards hear of it at the end of the turn, once for all changes of it. */
  metadataChanged(): void {
    if (this.#isMetadataDue) return;
    this.#isMetadataDue = true;
    this.#deps.clock.defer(() => {
      this.#isMetadataDue = false;
      for (const machine of this.#machines.values()) machine.metadataChanged();
    });
  }

  /** Unloads all; resolves when nothing runs any more. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const partition of this.#machines.keys()) this.#end(partition);
    await Promise.all(this.#ending);
  }

  #isStale(partition: number, leaderEpoch: LeaderEpoch): boolean {
    const known = this.#epochs.get(partition);
    return known !== undefined && leaderEpoch < known;
  }

  #end(partition: number): void {
    const machine = this.#machines.get(partition);
    if (machine === undefined) return;
    this.#machines.delete(partition);
    // A load in progress ends when it looks at its signal.
    const ending = machine.end().then(() => {
      this.#ending.delete(ending);
    });
    this.#ending.add(ending);
  }
}
