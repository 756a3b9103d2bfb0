import { minOffset } from "../model/offsets.ts";
import type { Offset } from "../model/offsets.ts";
import type { TopicPartition } from "../model/topic-partition.ts";
import type { BackgroundTasks } from "./background-tasks.ts";
import { CompactSchedule } from "./compact-schedule.ts";
import type { CompactionPassReport } from "./compaction-pass.ts";
import type { LogConfig } from "./log-config.ts";
import type { LogManagerDeps, LogManagerSettings } from "./log-manager-options.ts";
import type { PartitionLog } from "./partition-log.ts";
import { RetentionPass } from "./retention-pass.ts";
import { Scrubber } from "./scrubber.ts";
import type { ScrubReport } from "./scrub-pass.ts";

/** The logs of a data directory, as their upkeep sees them. */
export interface UpkeepLogs {
  /** Partitions with a directory. */
  partitions(): readonly TopicPartition[];
  /** The log if it is open now. */
  get(topicPartition: TopicPartition): PartitionLog | undefined;
  /** Opens one that nobody asked for, if the metadata knows its topic and its settings call for it (H28). @throws LograftError */
  open(
    topicPartition: TopicPartition,
    isWanted: (config: LogConfig) => boolean,
  ): Promise<PartitionLog | undefined>;
  directoryOf(topicPartition: TopicPartition): string;
  configOf(topicPartition: TopicPartition): LogConfig;
  /** See `LogCore.gapsBelow`. */
  gapsBelowOf(topicPartition: TopicPartition): Offset;
  /** See `CompactionLogs`. */
  firstDirtyOf(topicPartition: TopicPartition): Offset | undefined;
  /** See `CompactionLogs`. */
  noteClean(topicPartition: TopicPartition, firstDirtyOffset: Offset): Promise<void>;
}

/** Collaborators; `tasks` holds the timers and waits for what runs when it is closed. */
export interface LogUpkeepDeps extends LogManagerDeps {
  readonly tasks: BackgroundTasks;
  readonly logs: UpkeepLogs;
}

/** What is done to all logs of a data directory in the background: retention, compaction, the scrub. */
export class LogUpkeep {
  readonly #options: LogManagerSettings;
  readonly #deps: LogUpkeepDeps;
  readonly #retention: RetentionPass;
  readonly #scrubber: Scrubber;
  readonly #compaction: CompactSchedule;
  #isStopped = false;

  constructor(options: LogManagerSettings, deps: LogUpkeepDeps) {
    this.#options = options;
    this.#deps = deps;
    const { logs, highWatermarkOf } = deps;
    const { maxClockJumpMs, retentionIntervalMs } = options;
    const settleMs = retentionIntervalMs * 2;
    this.#retention = new RetentionPass({ maxClockJumpMs, settleMs }, deps);
    this.#scrubber = new Scrubber(
      { intervalMs: options.scrubIntervalMs, bytesPerSecond: options.scrubBytesPerSecond },
      {
        ...deps,
        logs: {
          partitions: () => logs.partitions(),
          find: (topicPartition) => logs.get(topicPartition),
          directoryOf: (topicPartition) => logs.directoryOf(topicPartition),
          gapsBelowOf: (topicPartition) => logs.gapsBelowOf(topicPartition),
          open: (topicPartition) => logs.open(topicPartition, () => true),
        },
      },
    );
    this.#compaction = new CompactSchedule(
      {
        intervalMs: options.compactionIntervalMs,
        bytesPerSecond: options.compactionBytesPerSecond,
        dedupeBytes: options.compactionDedupeBytes,
        maxClockJumpMs,
        settleMs,
      },
      {
        ...deps,
        logs: {
          partitions: () => logs.partitions(),
          configOf: (topicPartition) => logs.configOf(topicPartition),
          find: (topicPartition) => this.#find(topicPartition, ({ isCompacting }) => isCompacting),
          firstDirtyOf: (topicPartition) => logs.firstDirtyOf(topicPartition),
          noteClean: (topicPartition, firstDirty) => logs.noteClean(topicPartition, firstDirty),
          highWatermarkOf: (topicPartition, { durableEndOffset }) => {
            if (highWatermarkOf === undefined) return durableEndOffset;
            const known = highWatermarkOf(topicPartition);
            return known === undefined ? undefined : minOffset(known, durableEndOffset);
          },
        },
      },
    );
  }

  /** Call once. */
  start(): void {
    this.#deps.tasks.every(this.#options.retentionIntervalMs, "retention", async () => {
      await this.runRetention();
    });
    this.#scrubber.start();
    this.#compaction.start();
  }

  /** See `LogManager.runRetention`. */
  runRetention(): Promise<number> {
    return this.#retention.run(this.#deps.logs.partitions(), {
      find: (topicPartition) => this.#find(topicPartition, ({ isDeleting }) => isDeleting),
    });
  }

  /** See `LogManager.scrub`. */
  scrub(): Promise<ScrubReport> {
    return this.#scrubber.run();
  }

  /** See `LogManager.compact`. */
  compact(): Promise<CompactionPassReport> {
    return this.#compaction.run();
  }

  /** Ends what runs; nothing is begun any more. `reason` is what it is rejected with. */
  stop(reason: Error): void {
    this.#isStopped = true;
    this.#scrubber.stop(reason);
    this.#compaction.stop(reason);
  }

  async #find(
    topicPartition: TopicPartition,
    isWanted: (config: LogConfig) => boolean,
  ): Promise<PartitionLog | undefined> {
    if (this.#isStopped) return undefined;
    const { logs } = this.#deps;
    return logs.get(topicPartition) ?? (await logs.open(topicPartition, isWanted));
  }
}
