import { LograftError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Offset } from "../model/offsets.ts";
import { parseTopicPartitionKey, type TopicPartitionKey } from "../model/topic-partition.ts";
import type { Clock } from "../platform/clock.ts";
import type { Disk } from "../platform/disk.ts";
import type { LogConfig } from "./log-config.ts";
import type { LogSabotage } from "./log-sabotage.ts";
import { forEachOf } from "./parallel.ts";
import { recoverLog } from "./recovery.ts";
import type { ClosedLog } from "./shutdown-marker.ts";

/** A partition to recover. */
export interface PartitionToRecover {
  readonly key: TopicPartitionKey;
  readonly directory: string;
  readonly config: LogConfig;
  readonly logStartOffset: Offset;
  readonly recoveryPoint: Offset;
  readonly gapsBelow: Offset;
}

/** Partitions between two lines of progress. */
const PROGRESS_EVERY = 500;

/**
 * Recovers the partitions of a data directory after a crash, some at a time. Answers those that are as after a clean stop
 * now. A damaged or unreadable one is left out and has been reported: it must not keep the others from serving, and
 * opening it will say what is wrong again.
 */
export async function recoverPartitions(
  partitions: readonly PartitionToRecover[],
  options: {
    readonly concurrency: number;
    readonly producerExpirationMs: number;
    readonly sabotage?: LogSabotage | undefined;
  },
  deps: { readonly clock: Clock; readonly disk: Disk; readonly logger: Logger },
): Promise<Map<TopicPartitionKey, ClosedLog>> {
  const { clock, disk, logger } = deps;
  const { concurrency, ...settings } = options;
  const total = partitions.length;
  const startMs = clock.monotonicMs();
  logger.warn("the last process did not stop in order; partitions are recovered", { partitions: total });
  const recovered = new Map<TopicPartitionKey, ClosedLog>();
  let done = 0;
  let cutBytes = 0;
  await forEachOf(partitions, concurrency, async ({ key, ...input }) => {
    try {
      const found = await recoverLog(
        { ...input, ...settings, isClean: false },
        { disk, logger, wallMs: clock.wallMs(), monotonicMs: clock.monotonicMs() },
      );
      cutBytes += found.cutBytes;
      if (found.damage === undefined) {
        let sizeBytes = 0;
        for (const segment of found.segments) sizeBytes += segment.sizeBytes;
        recovered.set(key, {
          logStartOffset: found.logStartOffset,
          logEndOffset: found.logEndOffset,
          sizeBytes,
        });
      }
    } catch (error: unknown) {
      if (!(error instanceof LograftError)) throw error;
      logger.error("a partition could not be recovered", { ...parseTopicPartitionKey(key), err: error });
    }
    done++;
    if (done % PROGRESS_EVERY === 0) {
      logger.info("recovery goes on", { done, total, elapsedMs: Math.round(clock.monotonicMs() - startMs) });
    }
  });
  logger.info("recovery is done", {
    partitions: total,
    damaged: total - recovered.size,
    cutBytes,
    elapsedMs: Math.round(clock.monotonicMs() - startMs),
  });
  return recovered;
}
