import type { KeyValueStore } from "../platform/key-value.ts";
import type { Platform } from "../platform/platform.ts";
import type { Random } from "../platform/random.ts";
import { SeededRandom } from "../platform/random.ts";
import { keepAll, randomCrash } from "./crash-policy.ts";
import type { CrashPolicy } from "./crash-policy.ts";
import type { Scheduler } from "./scheduler.ts";
import { SimClock } from "./sim-clock.ts";
import type { SimClockOptions } from "./sim-clock.ts";
import { SimDisk } from "./sim-disk.ts";
import type { SimDiskOptions } from "./sim-disk.ts";
import { randomBatchCrash, SimKeyValueStorage } from "./sim-key-value.ts";
import type { BatchCrashPolicy, SimKeyValueDeps } from "./sim-key-value.ts";
import { CrashPoint } from "./simulated-crash.ts";

/** A simulated machine. */
export interface SimPlatformOptions {
  /** Decides everything that is random on this machine. */
  readonly seed: number;
  readonly clock?: SimClockOptions;
  readonly disk?: Omit<SimDiskOptions, "failAfterOperations">;
  readonly keyValues?: {
    /** How long the next batch of any store takes; asked once for each. Default: no time. */
    readonly nextLatencyMs?: () => number;
    /** See `SimKeyValueDeps`. */
    readonly onDurable?: NonNullable<SimKeyValueDeps["onDurable"]>;
  };
  /** Mutating operations, on disk and stores together, after which the process is dead. Default: never. */
  readonly failAfterOperations?: number;
}

interface Parts {
  readonly clock: SimClock;
  readonly random: Random;
  readonly disk: SimDisk;
  readonly keyValues: SimKeyValueStorage;
  readonly crashPoint: CrashPoint;
}

/**
 * What one process on a simulated machine works with. When it crashes, its timers stop, its disk and stores throw
 * SimulatedCrash, and the answer is the platform of the next process on the same machine.
 */
export class SimPlatform implements Platform {
  readonly clock: SimClock;
  readonly random: Random;
  readonly disk: SimDisk;
  readonly keyValues: SimKeyValueStorage;
  readonly #crashPoint: CrashPoint;
  readonly #options: SimPlatformOptions;
  readonly #scheduler: Scheduler;

  private constructor(parts: Parts, options: SimPlatformOptions, scheduler: Scheduler) {
    this.clock = parts.clock;
    this.random = parts.random;
    this.disk = parts.disk;
    this.keyValues = parts.keyValues;
    this.#crashPoint = parts.crashPoint;
    this.#options = options;
    this.#scheduler = scheduler;
  }

  /** A new machine with an empty disk. */
  static create(options: SimPlatformOptions, deps: { readonly scheduler: Scheduler }): SimPlatform {
    const clock = new SimClock(options.clock ?? {}, deps);
    const random = new SeededRandom(options.seed);
    const crashPoint = new CrashPoint(options.failAfterOperations);
    const disk = new SimDisk(options.disk ?? {}, { clock, random, crashPoint });
    const keyValues = new SimKeyValueStorage(keyValueDeps(options, crashPoint, clock));
    return new SimPlatform({ clock, random, disk, keyValues, crashPoint }, options, deps.scheduler);
  }

  /** The process has crashed, by `crash`, `kill` or its own `failAfterOperations`. */
  get isCrashed(): boolean {
    return this.#crashPoint.isCrashed;
  }

  /** The process dies at the mutating operation after the next `operations` ones, wherever that is. */
  crashAfter(operations: number): void {
    this.#crashPoint.limitTo(operations);
  }

  /** Mutating operations done by this process, on disk and stores. */
  get mutationCount(): number {
    return this.#crashPoint.count;
  }

  openKeyValue(path: string): Promise<KeyValueStore> {
    return this.keyValues.open(path);
  }

  async hasKeyValue(path: string): Promise<boolean> {
    return this.keyValues.has(path);
  }

  moveKeyValue(from: string, to: string): Promise<void> {
    return this.keyValues.move(from, to);
  }

  /** Power cut: by default what was not synced is kept, lost or torn at random. */
  crash(
    policy: CrashPolicy = randomCrash(this.random),
    batchPolicy: BatchCrashPolicy = randomBatchCrash(this.random),
  ): SimPlatform {
    return this.#next(policy, batchPolicy);
  }

  /** The process is killed and the machine lives: all that was written is there. The next one may be mortal too. */
  kill(options: Pick<SimPlatformOptions, "failAfterOperations"> = {}): SimPlatform {
    return this.#next(keepAll, (_path, count) => count, options.failAfterOperations);
  }

  #next(policy: CrashPolicy, batchPolicy: BatchCrashPolicy, failAfterOperations?: number): SimPlatform {
    this.clock.stop();
    const { random } = this;
    const clock = new SimClock(
      { wallStartMs: this.clock.wallOffsetMs, rate: this.clock.rate },
      { scheduler: this.#scheduler },
    );
    const crashPoint = new CrashPoint(failAfterOperations);
    const disk = this.disk.crash(policy, { clock, random, crashPoint });
    const keyValues = this.keyValues.crash(batchPolicy, keyValueDeps(this.#options, crashPoint, clock));
    return new SimPlatform({ clock, random, disk, keyValues, crashPoint }, this.#options, this.#scheduler);
  }
}

function keyValueDeps(options: SimPlatformOptions, crashPoint: CrashPoint, clock: SimClock): SimKeyValueDeps {
  const { nextLatencyMs, onDurable } = options.keyValues ?? {};
  return {
    crashPoint,
    ...(nextLatencyMs === undefined ? {} : { latency: { clock, nextMs: nextLatencyMs } }),
    ...(onDurable === undefined ? {} : { onDurable }),
  };
}
