import { LograftError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Clock, Timer } from "../platform/clock.ts";
import { writeFully } from "../platform/disk.ts";
import type { Disk } from "../platform/disk.ts";

export interface FullDiskWatchDeps {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly logger: Logger;
  /** `isFull` has become another: the controller should hear of it at once. Must only take note. */
  readonly onChange: () => void;
}

/** How long no write may have found the disk full before room is looked for: a disk at its brim takes some and not others. */
const HOLD_MS = 2000;
/** The hold doubles, up to here, each time the disk fills again within `RELAPSE_MS` of having had room. */
const MAX_HOLD_MS = 16_000;
const RELAPSE_MS = 60_000;
/** Between two looks that find no room. */
const LOOK_MS = 1000;
/** Room enough: one gathered write of a log. */
const MIN_FREE_BYTES = 8 * 1024 * 1024;
/** Written to see whether the disk really takes it: a quota shows in no count of free bytes. */
const PROBE_BYTES = 64 * 1024;

/**
 * Whether this broker's data disk is full: from the first append that found it so until there is room again. Who leads
 * nothing any more is not appended to, so room is looked for here, once a second and not sooner than the hold. Every
 * change moves leaderships between brokers, so it must not come and go with each write. While the disk has room it costs
 * nothing.
 */
export class FullDiskWatch {
  readonly #directory: string;
  readonly #probePath: string;
  readonly #deps: FullDiskWatchDeps;
  #isFull = false;
  #firstFullMs = 0;
  #lastFullMs = 0;
  /** When there was room again, the last time. */
  #clearedMs = Number.NEGATIVE_INFINITY;
  #holdMs = HOLD_MS;
  #timer: Timer | undefined;
  #looking: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: { readonly directory: string }, deps: FullDiskWatchDeps) {
    this.#directory = options.directory;
    // By its name the next start removes what a kill leaves of it.
    this.#probePath = `${options.directory}/room.tmp`;
    this.#deps = deps;
  }

  get isFull(): boolean {
    return this.#isFull;
  }

  /** An append found the disk full. Only takes note. */
  noteFull(): void {
    if (this.#isClosed) return;
    const nowMs = this.#deps.clock.monotonicMs();
    this.#lastFullMs = nowMs;
    if (this.#isFull) return;
    const isRelapse = nowMs - this.#clearedMs < RELAPSE_MS;
    this.#holdMs = isRelapse ? Math.min(this.#holdMs * 2, MAX_HOLD_MS) : HOLD_MS;
    this.#isFull = true;
    this.#firstFullMs = nowMs;
    this.#deps.logger.warn(
      "the data disk is full: this broker steps aside, and other replicas lead what they can; free space there, it " +
        "takes part again by itself",
      { directory: this.#directory },
    );
    this.#arm(this.#holdMs);
    this.#deps.onChange();
  }

  /** Looks no more; waits for the look under way. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    await this.#looking;
  }

  #arm(delayMs: number): void {
    this.#timer = this.#deps.clock.setTimer(delayMs, () => {
      const leftMs = this.#lastFullMs + this.#holdMs - this.#deps.clock.monotonicMs();
      if (leftMs > 0) {
        this.#arm(leftMs);
        return;
      }
      this.#looking = this.#look()
        .catch(() => undefined) // A simulated process that died: nobody is left to be told.
        .finally(() => {
          this.#looking = undefined;
        });
    });
  }

  async #look(): Promise<void> {
    const lastFullMs = this.#lastFullMs;
    const hasRoom = await this.#hasRoom();
    if (this.#isClosed) return;
    if (!hasRoom || this.#lastFullMs !== lastFullMs) {
      this.#arm(LOOK_MS);
      return;
    }
    const { clock, logger, onChange } = this.#deps;
    this.#isFull = false;
    this.#clearedMs = clock.monotonicMs();
    logger.info("the data disk has room again: this broker takes part as before", {
      directory: this.#directory,
      fullForMs: Math.round(this.#clearedMs - this.#firstFullMs),
    });
    onChange();
  }

  /** A disk that fails this in another way has no room for anything either. */
  async #hasRoom(): Promise<boolean> {
    const { disk } = this.#deps;
    try {
      if ((await disk.freeBytes(this.#directory)) < MIN_FREE_BYTES) return false;
      const file = await disk.open(this.#probePath, "create");
      try {
        await writeFully(file, [new Uint8Array(PROBE_BYTES)], 0);
      } finally {
        await file.close();
        await disk.remove(this.#probePath);
      }
      return true;
    } catch (error: unknown) {
      if (!(error instanceof LograftError)) throw error;
      return false;
    }
  }
}
