import type { BackgroundTasks } from "./background-tasks.ts";
import { CompactionPass } from "./compaction-pass.ts";
import type { CompactionPassDeps, CompactionPassReport } from "./compaction-pass.ts";
import { ClockGuard } from "./retention.ts";

/** When and how fast logs are compacted. */
export interface CompactScheduleOptions {
  /** `log.cleaner.backoff.ms`: from the end of one pass to the start of the next. */
  readonly intervalMs: number;
  /** See `CompactionPass`. */
  readonly dedupeBytes: number;
  /** See `CompactionPass`. */
  readonly bytesPerSecond: number;
  readonly maxClockJumpMs: number;
  /** How long the wall clock must have been steady after a jump. */
  readonly settleMs: number;
}

/** Collaborators; `tasks` holds the timer and waits for the pass that runs when it is closed. */
export interface CompactScheduleDeps extends CompactionPassDeps {
  readonly tasks: BackgroundTasks;
}

const NOTHING: CompactionPassReport = { compactedLogs: 0, failedLogs: 0, bytesBefore: 0, bytesAfter: 0 };

/**
 * Compacts again and again. While the wall clock is in doubt nothing is: one that was set forward would take tombstones
 * before their readers have seen them (H51).
 */
export class CompactSchedule {
  readonly #options: CompactScheduleOptions;
  readonly #deps: CompactScheduleDeps;
  readonly #guard: ClockGuard;
  readonly #abort = new AbortController();
  #running: Promise<CompactionPassReport> | undefined;

  constructor(options: CompactScheduleOptions, deps: CompactScheduleDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#guard = new ClockGuard({ maxJumpMs: options.maxClockJumpMs, settleMs: options.settleMs });
    // The first check is the reference for the first pass.
    this.#guard.check(deps.clock.wallMs(), deps.clock.monotonicMs());
  }

  /** Call once. */
  start(): void {
    this.#deps.tasks.every(this.#options.intervalMs, "compaction", async () => {
      if (this.#abort.signal.aborted) return;
      try {
        await this.run();
      } catch (error: unknown) {
        if (!this.#abort.signal.aborted) throw error;
      }
    });
  }

  /** One pass, or what is left of the one that runs. @throws LograftError CLOSED after `stop`. */
  run(): Promise<CompactionPassReport> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** Ends the pass that runs at its next read; none is begun any more. `reason` is what it is rejected with. */
  stop(reason: Error): void {
    this.#abort.abort(reason);
  }

  async #run(): Promise<CompactionPassReport> {
    const { clock, logger } = this.#deps;
    const { dedupeBytes, bytesPerSecond } = this.#options;
    const { signal } = this.#abort;
    const { isTrusted, jumpMs } = this.#guard.check(clock.wallMs(), clock.monotonicMs());
    if (!isTrusted) {
      logger.warn("the wall clock jumped; nothing is compacted for now", { jumpMs });
      return NOTHING;
    }
    return new CompactionPass({ dedupeBytes, bytesPerSecond, signal }, this.#deps).run();
  }
}
