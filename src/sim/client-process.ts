import { SimClock } from "./sim-clock.ts";
import type { SimClockOptions } from "./sim-clock.ts";
import type { Scheduler } from "./scheduler.ts";
import type { NetworkHost } from "./sim-network.ts";

/** One run of an application on a machine of clients: it may stand still, and it may die. */
export class ClientProcess implements NetworkHost {
  readonly machine: number;
  readonly clock: SimClock;
  readonly #scheduler: Scheduler;
  readonly #mourners = new Set<() => void>();
  #held: (() => void)[] | undefined;
  #isAlive = true;

  constructor(
    options: { readonly machine: number; readonly clock?: SimClockOptions },
    deps: { readonly scheduler: Scheduler },
  ) {
    this.machine = options.machine;
    this.clock = new SimClock(options.clock ?? {}, deps);
    this.#scheduler = deps.scheduler;
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  get isPaused(): boolean {
    return this.#held !== undefined;
  }

  deliver(callback: () => void): void {
    if (this.#held !== undefined) this.#held.push(callback);
    else if (this.#isAlive) callback();
  }

  onDeath(callback: () => void): () => void {
    this.#mourners.add(callback);
    return () => this.#mourners.delete(callback);
  }

  /** SIGSTOP: nothing of it happens any more, though its machine takes what comes for it. */
  pause(): void {
    this.clock.pause();
    this.#held ??= [];
  }

  /** SIGCONT: timers that came due fire, then what was received is delivered (H32). */
  resume(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    this.clock.resume();
    for (const callback of held) this.#scheduler.schedule(0, () => this.deliver(callback));
  }

  /** Killed: no timer fires any more, and its machine resets its connections. Idempotent. */
  die(): void {
    if (!this.#isAlive) return;
    this.#isAlive = false;
    this.#held = undefined;
    this.clock.stop();
    for (const callback of this.#mourners) callback();
    this.#mourners.clear();
  }
}
