import { LograftError } from "../base/errors.ts";
import type { Broker } from "../broker/broker.ts";
import type { Random } from "../platform/random.ts";
import { SeededRandom } from "../platform/random.ts";
import type { MetadataCluster } from "./metadata-cluster.ts";
import { shuffled } from "./partition-shapes.ts";
import { SimClient } from "./sim-client.ts";
import type { DataKey } from "./sim-client.ts";

export interface MoveWorkloadDeps {
  readonly cluster: MetadataCluster;
  readonly random: Random;
  /** Told of what fails without a fault to blame. */
  readonly onBug: (error: unknown) => void;
}

const CALL_TIMEOUT_MS = 3_000;
/** So long what is on its way may go on once all is healed; then it is taken back. */
const PATIENCE_MS = 15_000;

/**
 * An operator who moves partitions, takes brokers out of use and gives leaderships back while everything goes wrong;
 * and at the end puts all brokers to use again and sees to it that nothing stays half moved.
 */
export class MoveWorkload {
  readonly #keys: readonly DataKey[];
  readonly #deps: MoveWorkloadDeps;
  readonly #client: SimClient;
  #endedMs: number | undefined;

  constructor(
    options: { readonly keys: readonly DataKey[]; readonly machine: number },
    deps: MoveWorkloadDeps,
  ) {
    this.#keys = options.keys;
    this.#deps = deps;
    const { cluster, random } = deps;
    this.#client = new SimClient(
      { machine: options.machine, brokerCount: cluster.machines.length },
      { network: cluster.network, random: new SeededRandom(random.below(2 ** 32)) },
    );
  }

  /** Every broker is in use, and no partition is on its way. */
  get isSettled(): boolean {
    return this.#drained.length === 0 && !this.#hasMoves;
  }

  /** Moves things until `end`, then cleans up until there is nothing left of it. */
  begin(): void {
    this.#run().catch(this.#deps.onBug);
  }

  end(): void {
    this.#endedMs = this.#deps.cluster.scheduler.nowMs;
  }

  async #run(): Promise<void> {
    while (this.#endedMs === undefined) {
      await this.#client.pause(200, 2_000);
      if (this.#endedMs === undefined) await this.#move();
    }
    for (;;) {
      await this.#client.pause(300, 600);
      if (!this.isSettled) await this.#cleanUp(this.#endedMs);
    }
  }

  async #move(): Promise<void> {
    const dice = this.#deps.random.fraction();
    const { markers } = this.#deps.cluster;
    if (dice < 0.5) {
      const key = this.#keys[this.#deps.random.below(this.#keys.length)];
      if (key !== undefined) await this.#reassign(key);
      // Before it has come far.
      if (this.#deps.random.fraction() < 0.25) await this.#cancelAll();
    } else if (dice < 0.75) {
      const nodeId = 1 + this.#deps.random.below(this.#client.brokerCount);
      const isDrained = this.#drained.length === 0 || this.#deps.random.fraction() < 0.3;
      await this.#ask(async (broker, signal) => {
        await broker.cluster.drainBroker({ nodeId, isDrained }, signal);
        if (isDrained) markers.hit("brokerDrained");
      });
    } else if (dice < 0.9) {
      await this.#ask(async (broker, signal) => {
        await broker.cluster.electLeaders({}, signal);
      });
    } else {
      await this.#cancelAll();
    }
  }

  async #reassign({ topic, partition }: DataKey): Promise<void> {
    const { cluster, random } = this.#deps;
    const before = cluster.checker.model.image.topic(topic)?.partitions[partition]?.replicas;
    const replicas = shuffled(this.#client.brokerCount, random)
      .slice(0, 3)
      .map((index) => index + 1);
    await this.#ask(async (broker, signal) => {
      const wanted = { partitions: [{ topic, partition, replicas }], validateOnly: false };
      const [outcome] = await broker.cluster.reassignPartitions(wanted, signal);
      const isElsewhere = replicas.some((nodeId) => before?.some((other) => other === nodeId) === false);
      if (outcome?.error === "NONE" && isElsewhere) cluster.markers.hit("replicaMoved");
    });
  }

  async #cancelAll(): Promise<void> {
    await this.#ask(async (broker, signal) => {
      const outcomes = await broker.cluster.cancelReassignments({}, signal);
      const cancelled = outcomes.filter(({ error }) => error === "NONE").length;
      this.#deps.cluster.markers.hit("moveCancelled", cancelled);
    });
  }

  async #cleanUp(endedMs: number): Promise<void> {
    for (const nodeId of this.#drained) {
      await this.#ask(async (broker, signal) => {
        await broker.cluster.drainBroker({ nodeId, isDrained: false }, signal);
      });
    }
    const isOverdue = this.#deps.cluster.scheduler.nowMs - endedMs > PATIENCE_MS;
    if (isOverdue && this.#hasMoves) await this.#cancelAll();
  }

  /** Of some broker; what fails is asked again another time, or not. */
  async #ask(run: (broker: Broker, signal: AbortSignal) => Promise<void>): Promise<void> {
    const machine = this.#deps.random.below(this.#client.brokerCount);
    try {
      await this.#client.call(machine, run, CALL_TIMEOUT_MS);
    } catch (error: unknown) {
      if (!(error instanceof LograftError)) throw error;
    }
  }

  get #drained(): readonly number[] {
    const { image } = this.#deps.cluster.checker.model;
    return Array.from(image.brokers()).flatMap(({ nodeId, isDrained }) => (isDrained ? [nodeId] : []));
  }

  get #hasMoves(): boolean {
    const { image } = this.#deps.cluster.checker.model;
    return this.#keys.some(({ topic, partition }) => {
      const state = image.topic(topic)?.partitions[partition];
      return state !== undefined && state.addingReplicas.length + state.removingReplicas.length > 0;
    });
  }
}
