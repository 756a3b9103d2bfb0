import { assert } from "../base/assert.ts";
import type { Random } from "../platform/random.ts";
import type { Scheduler } from "./scheduler.ts";

/** A process on the network. It is one run of a program: the next run on the same machine is another host. */
export interface NetworkHost {
  /** Number of the machine, from 0; cuts are between machines. */
  readonly machine: number;
  /** False from the moment the process died; nothing reaches it and nothing leaves it any more. */
  readonly isAlive: boolean;
  /** Runs the callback in this process: now or, while the process stands still, when it goes on. */
  deliver(callback: () => void): void;
  /** Calls back once when the process dies, unless the answered function is called before. */
  onDeath(callback: () => void): () => void;
}

const PORT = ":9093";

/** Where the process of a machine listens. */
export function endpointOf(machine: number): string {
  return `machine${machine}${PORT}`;
}

/** The machine behind an endpoint; undefined when it is none of this network. */
export function machineOf(endpoint: string): number | undefined {
  const machine = Number(/^machine(\d+):/.exec(endpoint)?.[1]);
  return Number.isInteger(machine) ? machine : undefined;
}

/** How the links behave; every number applies to each message on each link. */
export interface LinkQuality {
  /** Chance that a datagram is lost, and that a frame of a connection has to be sent again. */
  readonly dropRate: number;
  /** Chance that a datagram comes twice. */
  readonly duplicateRate: number;
  readonly baseMs: number;
  /** Added: uniform in [0, jitterMs). More than the gap between two datagrams puts them in another order. */
  readonly jitterMs: number;
  /** Chance that a message takes up to `spikeMs` longer. */
  readonly spikeRate: number;
  readonly spikeMs: number;
}

/** A local network on a good day. */
export const GOOD_LINKS: LinkQuality = {
  dropRate: 0,
  duplicateRate: 0,
  baseMs: 1,
  jitterMs: 2,
  spikeRate: 0,
  spikeMs: 0,
};

/** What the network did, for markers and for reports. */
export interface NetworkCounts {
  sent: number;
  delivered: number;
  dropped: number;
  duplicated: number;
  /** Datagrams that overtook an earlier one of their link. */
  reordered: number;
}

/**
 * The network between simulated machines: datagrams that may be lost, doubled, late and out of order, cuts of single
 * directions, and who listens where. Connections (`SimConnection`) are built on the same links.
 */
export class SimNetwork<Host extends NetworkHost> {
  readonly counts: NetworkCounts = { sent: 0, delivered: 0, dropped: 0, duplicated: 0, reordered: 0 };
  readonly #machineCount: number;
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #listeners = new Map<string, Host>();
  /** By link (from * count + to): how many cuts lie over it. */
  readonly #cuts: Uint8Array;
  readonly #lastArrivalMs: Float64Array;
  readonly #extraMs: Float64Array;
  #quality: LinkQuality = GOOD_LINKS;

  constructor(
    options: { readonly machineCount: number },
    deps: { readonly scheduler: Scheduler; readonly random: Random },
  ) {
    this.#machineCount = options.machineCount;
    this.#scheduler = deps.scheduler;
    this.#random = deps.random;
    this.#cuts = new Uint8Array(options.machineCount ** 2);
    this.#lastArrivalMs = new Float64Array(options.machineCount ** 2);
    this.#extraMs = new Float64Array(options.machineCount ** 2);
  }

  get scheduler(): Scheduler {
    return this.#scheduler;
  }

  /** From now on this process answers at the endpoint. */
  listen(endpoint: string, host: Host): void {
    this.#listeners.set(endpoint, host);
  }

  /** Nobody answers there any more: who tries is refused. */
  close(endpoint: string, host: Host): void {
    if (this.#listeners.get(endpoint) === host) this.#listeners.delete(endpoint);
  }

  /** The living process behind an endpoint. */
  hostAt(endpoint: string): Host | undefined {
    const host = this.#listeners.get(endpoint);
    return host?.isAlive === true ? host : undefined;
  }

  setQuality(quality: LinkQuality): void {
    this.#quality = quality;
  }

  /** One direction of one link takes this much longer; 0 ends it. */
  slowLink(from: number, to: number, extraMs: number): void {
    this.#extraMs[this.#link(from, to)] = extraMs;
  }

  /** Cuts these directions; what is under way is lost too. A direction that is cut twice has to be mended twice. */
  cut(links: readonly (readonly [from: number, to: number])[]): void {
    for (const [from, to] of links) this.#addCut(from, to, 1);
  }

  mend(links: readonly (readonly [from: number, to: number])[]): void {
    for (const [from, to] of links) this.#addCut(from, to, -1);
  }

  isCut(from: number, to: number): boolean {
    return (this.#cuts[this.#link(from, to)] ?? 0) > 0;
  }

  /** Sends one datagram: `receive` runs in the process that listens at the endpoint when it arrives, 0, 1 or 2 times. */
  datagram(from: NetworkHost, endpoint: string, receive: (host: Host) => void): void {
    if (!from.isAlive) return;
    this.counts.sent += 1;
    const { dropRate, duplicateRate } = this.#quality;
    if (this.#random.fraction() < dropRate) {
      this.counts.dropped += 1;
      return;
    }
    this.#dispatch(from.machine, endpoint, receive);
    if (this.#random.fraction() < duplicateRate) {
      this.counts.duplicated += 1;
      this.#dispatch(from.machine, endpoint, receive);
    }
  }

  /** How long the next message from one machine to another takes. */
  delayMs(from: number, to: number): number {
    const { baseMs, jitterMs, spikeRate, spikeMs } = this.#quality;
    const delay = baseMs + this.#random.fraction() * jitterMs + (this.#extraMs[this.#link(from, to)] ?? 0);
    return this.#random.fraction() < spikeRate ? delay + this.#random.fraction() * spikeMs : delay;
  }

  /** Whether a frame of a connection is lost and must be sent again. */
  isFrameLost(from: number, to: number): boolean {
    return this.isCut(from, to) || this.#random.fraction() < this.#quality.dropRate;
  }

  #dispatch(from: number, endpoint: string, receive: (host: Host) => void): void {
    const target = this.#listeners.get(endpoint);
    if (target === undefined || this.isCut(from, target.machine)) {
      this.counts.dropped += 1;
      return;
    }
    const link = this.#link(from, target.machine);
    const delay = this.delayMs(from, target.machine);
    const arrivalMs = this.#scheduler.nowMs + delay;
    if (arrivalMs < (this.#lastArrivalMs[link] ?? 0)) this.counts.reordered += 1;
    else this.#lastArrivalMs[link] = arrivalMs;
    this.#scheduler.schedule(delay, () => {
      const host = this.hostAt(endpoint);
      if (host === undefined || this.isCut(from, host.machine)) {
        this.counts.dropped += 1;
        return;
      }
      host.deliver(() => {
        this.counts.delivered += 1;
        receive(host);
      });
    });
  }

  #addCut(from: number, to: number, count: 1 | -1): void {
    const link = this.#link(from, to);
    const cuts = (this.#cuts[link] ?? 0) + count;
    assert(cuts >= 0, "a link is mended that was not cut", { from, to });
    this.#cuts[link] = cuts;
  }

  #link(from: number, to: number): number {
    assert(from < this.#machineCount && to < this.#machineCount, "no such machine", { from, to });
    return from * this.#machineCount + to;
  }
}
