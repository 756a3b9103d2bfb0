import type { Broker } from "../broker/broker.ts";
import type { PeerEndpoint } from "../broker/peer-endpoint.ts";
import type { Scheduler } from "./scheduler.ts";
import type { NetworkHost } from "./sim-network.ts";
import type { SimPlatform } from "./sim-platform.ts";

/** One run of a program on a simulated machine, from its start to its death. */
export class SimProcess implements NetworkHost {
  readonly machine: number;
  readonly platform: SimPlatform;
  /** What others reach here; undefined until it listens. */
  peer: PeerEndpoint | undefined;
  /** What clients reach here, where a whole broker runs. */
  broker: Broker | undefined;
  readonly #scheduler: Scheduler;
  readonly #onStep: (process: SimProcess) => void;
  readonly #mourners = new Set<() => void>();
  #held: (() => void)[] | undefined;
  #isAlive = true;

  /** @param deps.onStep before each delivery: the process is about to do something. */
  constructor(
    options: { readonly machine: number },
    deps: {
      readonly platform: SimPlatform;
      readonly scheduler: Scheduler;
      readonly onStep: (process: SimProcess) => void;
    },
  ) {
    this.machine = options.machine;
    this.platform = deps.platform;
    this.#scheduler = deps.scheduler;
    this.#onStep = deps.onStep;
  }

  /** False also between a crash at a write and the moment at which the others can notice it. */
  get isAlive(): boolean {
    return this.#isAlive && !this.platform.isCrashed;
  }

  get isPaused(): boolean {
    return this.#held !== undefined;
  }

  deliver(callback: () => void): void {
    if (this.#held !== undefined) {
      this.#held.push(callback);
    } else if (this.isAlive) {
      this.#onStep(this);
      callback();
    }
  }

  onDeath(callback: () => void): () => void {
    this.#mourners.add(callback);
    return () => this.#mourners.delete(callback);
  }

  /** SIGSTOP: nothing of this process happens any more, though its machine takes what comes for it. */
  pause(): void {
    this.platform.clock.pause();
    this.#held ??= [];
  }

  /** SIGCONT: all timers that came due fire, then all that was received is delivered (H32). */
  resume(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    this.platform.clock.resume();
    for (const callback of held) this.#scheduler.schedule(0, () => this.deliver(callback));
  }

  /** The process is gone; its connections are reset by its machine. */
  die(): void {
    if (!this.#isAlive) return;
    this.#isAlive = false;
    this.#held = undefined;
    for (const callback of this.#mourners) callback();
    this.#mourners.clear();
  }
}
