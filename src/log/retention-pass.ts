import type { TopicPartition } from "../model/topic-partition.ts";
import type { LogManagerDeps } from "./log-manager-options.ts";
import type { PartitionLog } from "./partition-log.ts";
import { ClockGuard } from "./retention.ts";

/** Where a pass finds the logs. */
export interface RetentionLogs {
  /** The log to look at, opened if need be; undefined to leave the partition alone. */
  find(topicPartition: TopicPartition): Promise<PartitionLog | undefined>;
}

/** Retention over all logs of a broker, one after the other: it is never urgent and must not crowd out appends. */
export class RetentionPass {
  readonly #deps: Pick<LogManagerDeps, "clock" | "logger" | "highWatermarkOf">;
  readonly #guard: ClockGuard;

  constructor(
    options: { readonly maxClockJumpMs: number; readonly settleMs: number },
    deps: Pick<LogManagerDeps, "clock" | "logger" | "highWatermarkOf">,
  ) {
    this.#deps = deps;
    this.#guard = new ClockGuard({ maxJumpMs: options.maxClockJumpMs, settleMs: options.settleMs });
    // The first check is the reference for the first pass.
    this.#guard.check(deps.clock.wallMs(), deps.clock.monotonicMs());
  }

  /** Answers the segments removed. A log that fails is left for the next pass. */
  async run(partitions: readonly TopicPartition[], logs: RetentionLogs): Promise<number> {
    const { clock, logger, highWatermarkOf } = this.#deps;
    const nowMs = clock.wallMs();
    const { isTrusted, jumpMs } = this.#guard.check(nowMs, clock.monotonicMs());
    if (!isTrusted) logger.warn("the wall clock jumped; nothing is deleted by age for now", { jumpMs });
    let removed = 0;
    for (const topicPartition of partitions) {
      try {
        const log = await logs.find(topicPartition);
        if (log?.state !== "open") continue;
        log.expireProducers();
        const endOffset = highWatermarkOf?.(topicPartition);
        const limits = { isClockTrusted: isTrusted, ...(endOffset === undefined ? {} : { endOffset }) };
        removed += await log.applyRetention(nowMs, limits);
      } catch (error: unknown) {
        logger.warn("retention of a partition failed and is tried again later", {
          ...topicPartition,
          err: error,
        });
      }
    }
    return removed;
  }
}
