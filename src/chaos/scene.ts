import { setTimeout as sleep } from "node:timers/promises";
import type { Random } from "../platform/random.ts";
import type { ClusterProcess } from "./cluster-process.ts";
import type { DataVolumes } from "./data-volumes.ts";
import type { KeyTable } from "./keys.ts";
import type { MemberPool } from "./member-pool.ts";
import type { Observer } from "./observer.ts";
import type { RelayedClients } from "./relayed-clients.ts";

/** After a fault the cluster gets so long to be whole. */
const WHOLE_TIMEOUT_MS = 30_000;
const POLL_MS = 50;

export interface SceneOptions {
  readonly table: KeyTable;
  /** From a fault until the next, once the cluster is whole; a broker that is killed stays down about as long at most. */
  readonly quietMs: number;
  /** Ends every wait, which then rejects. */
  readonly signal: AbortSignal;
}

/** What is needed to do harm: the cluster, the news of it, chance, and time. */
export class Scene {
  readonly options: SceneOptions;
  readonly cluster: ClusterProcess;
  readonly observer: Observer;
  readonly clients: RelayedClients;
  readonly random: Random;
  /** Undefined: the data lie on a file system that is not ours to fill. */
  readonly volumes: DataVolumes | undefined;
  /** Undefined: a run without a consumer group. */
  readonly members: MemberPool | undefined;

  constructor(
    options: SceneOptions,
    deps: {
      readonly cluster: ClusterProcess;
      readonly observer: Observer;
      readonly clients: RelayedClients;
      readonly random: Random;
      readonly volumes: DataVolumes | undefined;
      readonly members: MemberPool | undefined;
    },
  ) {
    this.options = options;
    this.cluster = deps.cluster;
    this.observer = deps.observer;
    this.clients = deps.clients;
    this.random = deps.random;
    this.volumes = deps.volumes;
    this.members = deps.members;
  }

  async sleep(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.options.signal });
  }

  /** A whole number from `min` on, below `max`. */
  between(min: number, max: number): number {
    return min + this.random.below(Math.max(1, max - min));
  }

  /** Waits until the cluster is whole, up to a limit. Answers whether it is. */
  async isWholeInTime(): Promise<boolean> {
    return this.until(() => this.observer.isWhole, WHOLE_TIMEOUT_MS);
  }

  /** Asks again and again, up to a limit. Answers whether the answer was yes in time. */
  async until(isDone: () => boolean | Promise<boolean>, timeoutMs: number): Promise<boolean> {
    const deadline = performance.now() + timeoutMs;
    while (!(await isDone())) {
      if (performance.now() > deadline) return false;
      await this.sleep(POLL_MS);
    }
    return true;
  }

  /** The node that leads a key chosen by chance; any when no key has a leader. */
  leader(): number {
    const leaders = [...this.observer.states.values()]
      .map(({ leaderId }) => leaderId)
      .filter((id) => id >= 0);
    return this.any(leaders.length > 0 ? leaders : this.cluster.nodeIds);
  }

  /** One of several, by chance. */
  any<T>(choices: readonly T[]): T {
    const index = this.random.below(Math.max(1, choices.length));
    const [choice] = choices.slice(index);
    if (choice === undefined) throw new Error("there is nothing to choose from");
    return choice;
  }
}
