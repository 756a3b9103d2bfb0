import type { Logger } from "../base/logger.ts";
import type { Offset } from "../model/offsets.ts";
import type { TopicPartition } from "../model/topic-partition.ts";
import type { Clock } from "../platform/clock.ts";
import type { Random } from "../platform/random.ts";
import { HASH_KEY_BYTES } from "./compact-key-hash.ts";
import type { CompactLimits } from "./compact-range.ts";
import type { CompactReport } from "./compactor.ts";
import type { LogConfig } from "./log-config.ts";
import type { PartitionLog } from "./partition-log.ts";

/** Where a pass finds the logs. */
export interface CompactionLogs {
  /** Partitions with a directory. */
  partitions(): readonly TopicPartition[];
  configOf(topicPartition: TopicPartition): LogConfig;
  /** The log, opened if need be; undefined to leave the partition alone. */
  find(topicPartition: TopicPartition): Promise<PartitionLog | undefined>;
  /** From the cleaner checkpoint; undefined when the log was never compacted. */
  firstDirtyOf(topicPartition: TopicPartition): Offset | undefined;
  /** Resolves when the checkpoint says, durably, that the log is clean below the offset. */
  noteClean(topicPartition: TopicPartition, firstDirtyOffset: Offset): Promise<void>;
  /** Undefined: nothing is known of it now, and nothing of the log is compacted. */
  highWatermarkOf(topicPartition: TopicPartition, log: PartitionLog): Offset | undefined;
}

/** How a pass works. */
export interface CompactionPassOptions {
  /** `log.cleaner.dedupe.buffer.size`; one log is compacted at a time. */
  readonly dedupeBytes: number;
  /** `log.cleaner.io.max.bytes.per.second`: of reads and writes together. Infinity: no limit. */
  readonly bytesPerSecond: number;
  /** Ends the pass at its next read. */
  readonly signal: AbortSignal;
}

/** Collaborators of a pass. */
export interface CompactionPassDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly logs: CompactionLogs;
}

/** What a pass has done. */
export interface CompactionPassReport {
  /** Logs that are clean now. */
  readonly compactedLogs: number;
  /** Logs that could not be compacted to the end. */
  readonly failedLogs: number;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

interface Candidate {
  readonly topicPartition: TopicPartition;
  readonly log: PartitionLog;
  readonly isOverdue: boolean;
  readonly dirtyRatio: number;
}

/** A shorter rest is put off until it is worth a timer. */
const MIN_REST_MS = 10;

/**
 * One pass of compaction over the logs of a data directory: those that are dirty enough or overdue, the overdue first,
 * then the dirtiest, one after the other at a limited rate, so that appends and reads are not crowded out.
 */
export class CompactionPass {
  readonly #options: CompactionPassOptions;
  readonly #deps: CompactionPassDeps;
  /** Monotonic time at which what was read and written so far has been paid for. */
  #paidAtMs = 0;

  constructor(options: CompactionPassOptions, deps: CompactionPassDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** A log that fails is left for the next pass. @throws the reason of the signal. */
  async run(): Promise<CompactionPassReport> {
    const candidates = await this.#findCandidates();
    candidates.sort((a, b) => Number(b.isOverdue) - Number(a.isOverdue) || b.dirtyRatio - a.dirtyRatio);
    const report = { compactedLogs: 0, failedLogs: 0, bytesBefore: 0, bytesAfter: 0 };
    for (const { topicPartition, log } of candidates) {
      const done = await this.#guard(topicPartition, () => this.#compact(topicPartition, log));
      if (done === "failed") report.failedLogs++;
      if (done === undefined || done === "failed") continue;
      report.bytesBefore += done.bytesBefore;
      report.bytesAfter += done.bytesAfter;
      if (done.outcome === "done") report.compactedLogs++;
      if (done.outcome === "damaged" || done.outcome === "full") report.failedLogs++;
    }
    return report;
  }

  async #findCandidates(): Promise<Candidate[]> {
    const { logs } = this.#deps;
    const candidates: Candidate[] = [];
    for (const topicPartition of logs.partitions()) {
      const { isCompacting, minCleanableDirtyRatio } = logs.configOf(topicPartition);
      if (!isCompacting) continue;
      await this.#guard(topicPartition, async () => {
        const log = await logs.find(topicPartition);
        const limits = log && this.#limitsOf(topicPartition, log);
        const range = limits && (await log.compactRange(limits));
        if (log === undefined || range === undefined) return;
        const { isOverdue, dirtyRatio } = range;
        if (isOverdue || dirtyRatio >= minCleanableDirtyRatio)
          candidates.push({ topicPartition, log, isOverdue, dirtyRatio });
      });
    }
    return candidates;
  }

  async #compact(topicPartition: TopicPartition, log: PartitionLog): Promise<CompactReport | undefined> {
    const { clock, logger, logs, random } = this.#deps;
    const { dedupeBytes, signal } = this.#options;
    const limits = this.#limitsOf(topicPartition, log);
    if (limits === undefined) return undefined;
    const startMs = clock.monotonicMs();
    const report = await log.compact(limits, {
      dedupeBytes,
      hashKey: random.bytes(HASH_KEY_BYTES),
      signal,
      pay: (sizeBytes, either) => this.#pay(sizeBytes, either),
    });
    if (report === undefined) return undefined;
    const { outcome, firstDirtyOffset } = report;
    if (outcome === "done") await logs.noteClean(topicPartition, firstDirtyOffset);
    const elapsedMs = Math.round(clock.monotonicMs() - startMs);
    if (outcome === "full") {
      logger.warn("a log has a batch with more keys than fit; raise log.cleaner.dedupe.buffer.size", {
        ...topicPartition,
        dedupeBytes,
      });
    } else {
      logger.info("a log was compacted", { ...topicPartition, ...report, elapsedMs });
    }
    return report;
  }

  #limitsOf(topicPartition: TopicPartition, log: PartitionLog): CompactLimits | undefined {
    const { clock, logs } = this.#deps;
    const endOffset = logs.highWatermarkOf(topicPartition, log);
    const firstDirtyOffset = logs.firstDirtyOf(topicPartition);
    return endOffset === undefined ? undefined : { endOffset, firstDirtyOffset, nowMs: clock.wallMs() };
  }

  async #guard<Result>(
    topicPartition: TopicPartition,
    work: () => Promise<Result>,
  ): Promise<Result | "failed"> {
    this.#options.signal.throwIfAborted();
    try {
      return await work();
    } catch (error: unknown) {
      this.#options.signal.throwIfAborted();
      this.#deps.logger.warn("a log could not be compacted and is tried again in the next pass", {
        ...topicPartition,
        err: error,
      });
      return "failed";
    }
  }

  /** Waits until what was read and written before is paid for, and puts this on the bill. */
  async #pay(sizeBytes: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    const restMs = this.#paidAtMs - clock.monotonicMs();
    if (restMs >= MIN_REST_MS) await clock.sleep(restMs, signal);
    const costMs = (sizeBytes * 1000) / this.#options.bytesPerSecond;
    this.#paidAtMs = Math.max(this.#paidAtMs, clock.monotonicMs()) + costMs;
  }
}
