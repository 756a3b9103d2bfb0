import { deadlineSignal } from "../base/abort.ts";
import { LograftError } from "../base/errors.ts";
import type { Broker } from "../broker/broker.ts";
import type { Random } from "../platform/random.ts";
import { connectionError } from "./sim-connection.ts";
import { SimClock } from "./sim-clock.ts";
import { endpointOf } from "./sim-network.ts";
import type { NetworkHost, SimNetwork } from "./sim-network.ts";
import type { SimProcess } from "./sim-process.ts";
import { request } from "./sim-request.ts";

/** A partition as the checked workload names it. */
export interface DataKey {
  readonly name: string;
  readonly topic: string;
  readonly partition: number;
}

/** Who leads a partition, as a client was told. */
export interface KnownLeader {
  readonly machine: number;
  readonly leaderEpoch: number;
}

export interface SimClientOptions {
  /** Of the network, behind those of the brokers: a client has no faults of its own. */
  readonly machine: number;
  readonly brokerCount: number;
}

export interface SimClientDeps {
  readonly network: SimNetwork<SimProcess>;
  readonly random: Random;
}

/** How long a question about metadata waits, ms. */
const METADATA_TIMEOUT_MS = 1_000;

/** The connections of one client, and what it knows of who leads what. Calls end by themselves, one way or another. */
export class SimClient {
  readonly clock: SimClock;
  readonly random: Random;
  readonly #options: SimClientOptions;
  readonly #network: SimNetwork<SimProcess>;
  readonly #host: NetworkHost;
  readonly #leaders = new Map<string, KnownLeader>();

  constructor(options: SimClientOptions, deps: SimClientDeps) {
    this.#options = options;
    this.#network = deps.network;
    this.random = deps.random;
    this.clock = new SimClock({}, deps.network);
    this.#host = clientHost(options.machine);
  }

  get brokerCount(): number {
    return this.#options.brokerCount;
  }

  /** Nanoseconds of virtual time, the same for all clients. */
  nowNs(): number {
    return Math.round(this.#network.scheduler.nowMs * 1e6);
  }

  leaderOf({ name }: DataKey): KnownLeader | undefined {
    return this.#leaders.get(name);
  }

  /** One call at one broker. @throws LograftError CONNECTION_FAILED, TIMEOUT, and what the broker throws. */
  async call<T>(
    machine: number,
    run: (broker: Broker, signal: AbortSignal) => Promise<T>,
    timeoutMs: number,
  ): Promise<T> {
    using deadline = deadlineSignal(this.clock, timeoutMs);
    const endpoint = endpointOf(machine);
    const serve = async ({ broker }: SimProcess, gone: AbortSignal): Promise<T> => {
      if (broker === undefined) throw connectionError(endpoint, "refused");
      return run(broker, gone);
    };
    return await request(this.#network, this.#host, endpoint, serve, deadline.signal);
  }

  /** Asks some broker who leads the partitions of this topic. What nobody answers stays as it was. */
  async refresh(topic: string): Promise<void> {
    const machine = this.random.below(this.#options.brokerCount);
    try {
      const call = { topics: [topic], allTopics: false, allowAutoCreate: false };
      const found = await this.call(machine, (broker) => broker.metadata(call), METADATA_TIMEOUT_MS);
      for (const { partition, leaderId, leaderEpoch } of found.topics[0]?.partitions ?? []) {
        const name = keyName(topic, partition);
        // A broker that is behind must not take a client back.
        if (leaderEpoch < (this.#leaders.get(name)?.leaderEpoch ?? 0)) continue;
        if (leaderId < 1) this.#leaders.delete(name);
        else this.#leaders.set(name, { machine: leaderId - 1, leaderEpoch });
      }
    } catch (error: unknown) {
      if (!(error instanceof LograftError)) throw error;
      this.#forget(topic, machine);
    }
  }

  pause(minMs: number, maxMs: number): Promise<void> {
    return this.clock.sleep(minMs + this.random.fraction() * (maxMs - minMs));
  }

  #forget(topic: string, machine: number): void {
    for (const [name, leader] of this.#leaders) {
      if (name.startsWith(`${topic}-`) && leader.machine === machine) this.#leaders.delete(name);
    }
  }
}

/** A process on a machine of clients, which never stands still and never dies. */
export function clientHost(machine: number): NetworkHost {
  return {
    machine,
    isAlive: true,
    deliver: (callback) => callback(),
    onDeath: () => () => undefined,
  };
}

/** Name of a partition in histories and reports. */
export function keyName(topic: string, partition: number): string {
  return `${topic}-${partition}`;
}
