import { offset } from "../model/offsets.ts";
import type { Offset } from "../model/offsets.ts";
import type { TopicPartitionKey } from "../model/topic-partition.ts";
import { CoalescedWrite } from "./coalesced-write.ts";
import { CLEANER_FILE, GAPS_FILE, LOG_START_FILE, RECOVERY_POINT_FILE } from "./data-directory.ts";
import type { DataDirectory } from "./data-directory.ts";

const ZERO = offset(0);

/**
 * Log starts, recovery points, the ends of what is compacted and those of where gaps may be, of all partitions of a data
 * directory, each in one file, as Kafka keeps the first three.
 */
export class Checkpoints {
  readonly #logStarts: Map<TopicPartitionKey, Offset>;
  readonly #recoveryPoints: Map<TopicPartitionKey, Offset>;
  readonly #cleanOffsets: Map<TopicPartitionKey, Offset>;
  readonly #gapBounds: Map<TopicPartitionKey, Offset>;
  readonly #logStartFile: CoalescedWrite;
  readonly #recoveryPointFile: CoalescedWrite;
  readonly #cleanerFile: CoalescedWrite;
  readonly #gapsFile: CoalescedWrite;

  /** Takes the maps as they were read. */
  constructor(
    content: {
      readonly logStarts: Map<TopicPartitionKey, Offset>;
      readonly recoveryPoints: Map<TopicPartitionKey, Offset>;
      readonly cleanOffsets: Map<TopicPartitionKey, Offset>;
      readonly gapBounds: Map<TopicPartitionKey, Offset>;
    },
    deps: { readonly directory: DataDirectory },
  ) {
    const { directory } = deps;
    this.#logStarts = content.logStarts;
    this.#recoveryPoints = content.recoveryPoints;
    this.#cleanOffsets = content.cleanOffsets;
    this.#gapBounds = content.gapBounds;
    this.#logStartFile = new CoalescedWrite(() => directory.saveCheckpoint(LOG_START_FILE, this.#logStarts));
    this.#recoveryPointFile = new CoalescedWrite(() =>
      directory.saveCheckpoint(RECOVERY_POINT_FILE, this.#recoveryPoints),
    );
    this.#cleanerFile = new CoalescedWrite(() => directory.saveCheckpoint(CLEANER_FILE, this.#cleanOffsets));
    this.#gapsFile = new CoalescedWrite(() => directory.saveCheckpoint(GAPS_FILE, this.#gapBounds));
  }

  logStartOf(key: TopicPartitionKey): Offset | undefined {
    return this.#logStarts.get(key);
  }

  recoveryPointOf(key: TopicPartitionKey): Offset {
    return this.#recoveryPoints.get(key) ?? ZERO;
  }

  /** Resolves when it is durable. */
  saveLogStart(key: TopicPartitionKey, logStartOffset: Offset): Promise<void> {
    this.#logStarts.set(key, logStartOffset);
    return this.#logStartFile.request();
  }

  /** Notes it for the next `saveRecoveryPoints`. Answers whether it is news. */
  setRecoveryPoint(key: TopicPartitionKey, endOffset: Offset): boolean {
    if (this.#recoveryPoints.get(key) === endOffset) return false;
    this.#recoveryPoints.set(key, endOffset);
    return true;
  }

  /** Resolves when no file claims more than this to be durable, or compacted: the log is about to end there. */
  async lowerEnd(key: TopicPartitionKey, endOffset: Offset): Promise<void> {
    const cleanOffset = this.#cleanOffsets.get(key) ?? endOffset;
    if (cleanOffset > endOffset) await this.saveCleanOffset(key, endOffset);
    if (this.recoveryPointOf(key) <= endOffset) return;
    this.#recoveryPoints.set(key, endOffset);
    await this.#recoveryPointFile.request();
  }

  saveRecoveryPoints(): Promise<void> {
    return this.#recoveryPointFile.request();
  }

  /** Up to where a log is compacted, exclusive. */
  cleanOffsetOf(key: TopicPartitionKey): Offset | undefined {
    return this.#cleanOffsets.get(key);
  }

  /**
   * Offsets below may be missing from the log. A log of which nothing is noted may lack what lies below its clean offset:
   * should the file be lost, what was compacted here is not taken for damaged.
   */
  gapsBelowOf(key: TopicPartitionKey): Offset {
    return this.#gapBounds.get(key) ?? this.#cleanOffsets.get(key) ?? ZERO;
  }

  /** Resolves when it is durable. */
  async saveGapsBelow(key: TopicPartitionKey, gapsBelow: Offset): Promise<void> {
    this.#gapBounds.set(key, gapsBelow);
    await this.#gapsFile.request();
  }

  /** Resolves when it is durable. */
  async saveCleanOffset(key: TopicPartitionKey, offset: Offset): Promise<void> {
    if (this.#cleanOffsets.get(key) === offset) return;
    this.#cleanOffsets.set(key, offset);
    await this.#cleanerFile.request();
  }

  /** The partition is gone; what was noted must not hold for a new one of its name. */
  async forget(key: TopicPartitionKey): Promise<void> {
    if (this.#logStarts.delete(key)) await this.#logStartFile.request();
    if (this.#recoveryPoints.delete(key)) await this.#recoveryPointFile.request();
    if (this.#cleanOffsets.delete(key)) await this.#cleanerFile.request();
    if (this.#gapBounds.delete(key)) await this.#gapsFile.request();
  }
}
