import type { NetworkHost } from "../../src/sim/sim-network.ts";

/** A process that only exists. */
export class TestHost implements NetworkHost {
  readonly machine: number;
  isAlive = true;
  readonly #mourners = new Set<() => void>();
  #held: (() => void)[] | undefined;

  constructor(machine: number) {
    this.machine = machine;
  }

  deliver(callback: () => void): void {
    if (this.#held === undefined) callback();
    else this.#held.push(callback);
  }

  onDeath(callback: () => void): () => void {
    this.#mourners.add(callback);
    return () => this.#mourners.delete(callback);
  }

  pause(): void {
    this.#held = [];
  }

  resume(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const callback of held) callback();
  }

  die(): void {
    this.isAlive = false;
    for (const callback of this.#mourners) callback();
  }
}
