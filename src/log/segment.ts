import { addOffset, NO_TIMESTAMP } from "../model/offsets.ts";
import type { Offset, Timestamp } from "../model/offsets.ts";
import { segmentFileName } from "./file-names.ts";
import type { SegmentFileKind } from "./file-names.ts";
import type { LogConfig } from "./log-config.ts";
import { IndexBuilder } from "./index-policy.ts";
import type { OffsetIndex } from "./offset-index.ts";
import type { SegmentDamage } from "./segment-damage.ts";
import type { AbortedTransaction, TransactionIndex } from "./transaction-index.ts";
import type { TimeIndex, TimestampOffset } from "./time-index.ts";

/** The indexes of one segment, in memory. */
export interface SegmentIndexes {
  readonly offsetIndex: OffsetIndex;
  readonly timeIndex: TimeIndex;
  readonly transactionIndex: TransactionIndex;
}

/** What a segment has to know of a batch that was written to it. */
export interface WrittenBatch {
  readonly lastOffset: Offset;
  readonly maxTimestamp: Timestamp;
  readonly sizeBytes: number;
}

/**
 * One file of batches and what is known of it. The last segment of a log is the active one, which alone is written; all
 * before it are sealed: their bytes are durable and never change. Data only; the log and its helpers do the I/O.
 */
export class Segment {
  readonly directory: string;
  readonly baseOffset: Offset;
  /** Bytes of whole batches; what the file holds behind them is a write in progress or a failed one. */
  sizeBytes = 0;
  /** Exclusive. */
  endOffset: Offset;
  /** Wall time at which it was made or opened; its age when its batches carry no time. */
  createdMs: number;
  /** Greatest timestamp of the first batch: rolling by time counts from it. */
  firstTimestamp: Timestamp = NO_TIMESTAMP;
  /** Greatest timestamp with its offset; undefined while only the time index on disk knows it. */
  maxTimestamp: TimestampOffset | undefined;
  /** Undefined when not in memory. */
  indexes: SegmentIndexes | undefined;
  /** There is more in `indexes` than in their files. */
  areIndexesDirty = false;
  /** There are index files for it on the disk. */
  hasIndexFiles = false;
  /** Where its bytes are known to be damaged; nothing from there on is served. */
  damage: SegmentDamage | undefined;
  /** No longer part of the log: a read that is under way throws its result away (H50). */
  isRemoved = false;
  #builder: IndexBuilder | undefined;

  constructor(directory: string, baseOffset: Offset, createdMs: number) {
    this.directory = directory;
    this.baseOffset = baseOffset;
    this.endOffset = baseOffset;
    this.createdMs = createdMs;
  }

  get isEmpty(): boolean {
    return this.sizeBytes === 0;
  }

  get logPath(): string {
    return this.pathOf("log");
  }

  pathOf(kind: SegmentFileKind): string {
    return `${this.directory}/${segmentFileName(this.baseOffset, kind)}`;
  }

  /** Its indexes need no files yet, should it be the active one. Those that exist are kept up to date. */
  mayStayUnsaved(config: LogConfig): boolean {
    return (
      this.sizeBytes <= config.unsavedSegmentBytes &&
      !this.hasIndexFiles &&
      (this.indexes === undefined || this.indexes.transactionIndex.entryCount === 0)
    );
  }

  /** Counts a batch that is in the file now. `indexes` must be in memory. */
  onWritten(batch: WrittenBatch, indexes: SegmentIndexes, indexIntervalBytes: number): void {
    this.#builder ??= new IndexBuilder(indexIntervalBytes, indexes, {
      bytesSinceEntry: this.sizeBytes - indexes.offsetIndex.lastPosition,
      maxTimestamp: this.maxTimestamp ?? indexes.timeIndex.lastEntry,
    });
    if (this.isEmpty) this.firstTimestamp = batch.maxTimestamp;
    this.#builder.onBatch(batch.lastOffset, batch.maxTimestamp, this.sizeBytes, batch.sizeBytes);
    this.maxTimestamp = this.#builder.maxTimestamp;
    this.areIndexesDirty = true;
    this.sizeBytes += batch.sizeBytes;
    this.endOffset = addOffset(batch.lastOffset, 1);
  }

  /** Notes a transaction whose abort marker is in this segment. */
  onAborted(transaction: AbortedTransaction, indexes: SegmentIndexes): void {
    indexes.transactionIndex.append(transaction);
    this.areIndexesDirty = true;
  }

  /**
   * The segment takes no more batches: its greatest timestamp becomes the last entry of its time index, also when it was
   * opened after its last batch. Retention and lookups go by that entry once the segment is not in memory.
   */
  finishIndexes(): void {
    const { timestamp, offset } = this.maxTimestamp ?? { timestamp: NO_TIMESTAMP, offset: this.baseOffset };
    this.indexes?.timeIndex.maybeAppend(timestamp, offset);
    this.#builder = undefined;
  }

  /** The indexes change under it (loaded, rebuilt, cut): the next batch starts a new builder over them. */
  setIndexes(indexes: SegmentIndexes | undefined): void {
    this.indexes = indexes;
    this.#builder = undefined;
  }

  /** The age of its first record by the given wall time, or since the segment was made when records carry no time. */
  ageMs(nowMs: number): number {
    return nowMs - (this.firstTimestamp >= 0 ? this.firstTimestamp : this.createdMs);
  }
}
