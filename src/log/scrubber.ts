import type { BackgroundTasks } from "./background-tasks.ts";
import { ScrubPass } from "./scrub-pass.ts";
import type { ScrubPassDeps, ScrubReport } from "./scrub-pass.ts";

/** When and how fast logs are scrubbed. */
export interface ScrubberOptions {
  /** From the start of one pass to the start of the next; 0: never. */
  readonly intervalMs: number;
  /** See `ScrubPass`. */
  readonly bytesPerSecond: number;
}

/** Collaborators; `tasks` holds the timer and waits for the pass that runs when it is closed. */
export interface ScrubberDeps extends ScrubPassDeps {
  readonly tasks: BackgroundTasks;
}

/** The first pass begins this soon after the start: a broker that is restarted often must be scrubbed too. */
const MAX_FIRST_DELAY_MS = 600_000;

/**
 * Lets no record rot unread for longer than an interval (H53). One timer between two passes, none when it is off. A pass
 * that does not end within the interval is followed by the next at once.
 */
export class Scrubber {
  readonly #options: ScrubberOptions;
  readonly #deps: ScrubberDeps;
  readonly #abort = new AbortController();
  #running: Promise<ScrubReport> | undefined;

  constructor(options: ScrubberOptions, deps: ScrubberDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** Call once. */
  start(): void {
    const { intervalMs } = this.#options;
    if (intervalMs > 0) this.#schedule(Math.min(intervalMs, MAX_FIRST_DELAY_MS));
  }

  /** One pass, or what is left of the one that runs. @throws LograftError CLOSED after `stop`. */
  run(): Promise<ScrubReport> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** Ends the pass that runs at its next read; none is begun any more. `reason` is what it is rejected with. */
  stop(reason: Error): void {
    this.#abort.abort(reason);
  }

  async #run(): Promise<ScrubReport> {
    const { clock, logger } = this.#deps;
    const { signal } = this.#abort;
    const { bytesPerSecond } = this.#options;
    const startMs = clock.monotonicMs();
    const report = await new ScrubPass({ bytesPerSecond, signal }, this.#deps).run();
    const { segments, sizeBytes, damagedLogs, failedLogs } = report;
    const elapsedMs = Math.round(clock.monotonicMs() - startMs);
    logger.info("all segments were scrubbed", { segments, sizeBytes, damagedLogs, failedLogs, elapsedMs });
    return report;
  }

  #schedule(delayMs: number): void {
    const { clock, logger, tasks } = this.#deps;
    const { intervalMs } = this.#options;
    tasks.after(delayMs, "scrubbing", async () => {
      const startMs = clock.monotonicMs();
      try {
        await this.run();
      } catch (error: unknown) {
        if (!this.#abort.signal.aborted) throw error;
      } finally {
        const elapsedMs = Math.round(clock.monotonicMs() - startMs);
        if (elapsedMs > intervalMs) {
          logger.warn("a scrub took longer than log.scrub.interval.ms; raise log.scrub.bytes.per.second", {
            elapsedMs,
            intervalMs,
          });
        }
        this.#schedule(Math.max(0, intervalMs - elapsedMs));
      }
    });
  }
}
