import { lastOffsetOf, maxTimestampOf } from "../model/record-batch.ts";
import { writeFully } from "../platform/disk.ts";
import type { DiskFile } from "../platform/disk.ts";
import { CLEANED_SUFFIX } from "./file-names.ts";
import type { LogCore } from "./log-core.ts";
import { Segment } from "./segment.ts";
import type { SegmentIndexes } from "./segment.ts";
import { emptyIndexes, INDEX_KINDS, saveIndexes } from "./segment-indexes.ts";
import type { AbortedTransaction } from "./transaction-index.ts";

const COPIED_KINDS = ["log", ...INDEX_KINDS] as const;

/**
 * The compacted copy of some neighbouring segments while it is written: files beside those of the segment that it is to
 * replace, `<base offset>.<kind>.cleaned`, which mean nothing to anyone and are removed when the log is next opened.
 */
export class CompactSegment {
  readonly #core: LogCore;
  readonly #segment: Segment;
  readonly #indexes: SegmentIndexes;
  readonly #file: DiskFile;
  readonly #indexIntervalBytes: number;
  #chunks: Buffer[] = [];
  #position = 0;

  private constructor(core: LogCore, segment: Segment, file: DiskFile) {
    const { config } = core;
    this.#core = core;
    this.#segment = segment;
    this.#file = file;
    this.#indexIntervalBytes = config.indexIntervalBytes;
    this.#indexes = emptyIndexes(segment, config);
    segment.setIndexes(this.#indexes);
  }

  /** Begins the copy of `first` and of what follows it. @throws LograftError DISK_WRITE_FAILED, DISK_FULL. */
  static async create(core: LogCore, first: Segment): Promise<CompactSegment> {
    const segment = new Segment(core.directory, first.baseOffset, first.createdMs);
    const file = await core.deps.disk.open(segment.logPath + CLEANED_SUFFIX, "create");
    // One that failed to be removed may be there.
    await file.truncate(0);
    return new CompactSegment(core, segment, file);
  }

  get sizeBytes(): number {
    return this.#segment.sizeBytes;
  }

  /** Adds a batch. The bytes are looked at until `flush` has resolved. */
  add(buffer: Buffer, at: number, sizeBytes: number): void {
    const batch = {
      lastOffset: lastOffsetOf(buffer, at),
      maxTimestamp: maxTimestampOf(buffer, at),
      sizeBytes,
    };
    this.#segment.onWritten(batch, this.#indexes, this.#indexIntervalBytes);
    this.#chunks.push(buffer.subarray(at, at + sizeBytes));
  }

  /** Keeps the entry of an abort marker that was added. */
  addAborted(transaction: AbortedTransaction): void {
    this.#segment.onAborted(transaction, this.#indexes);
  }

  /** Writes what was added. @throws LograftError DISK_WRITE_FAILED, DISK_FULL. */
  async flush(): Promise<void> {
    const chunks = this.#chunks;
    if (chunks.length === 0) return;
    this.#chunks = [];
    await writeFully(this.#file, chunks, this.#position);
    this.#position = this.#segment.sizeBytes;
  }

  /** Makes the copy of these and its indexes durable, under their names of now. */
  async finish(originals: readonly Segment[]): Promise<Segment> {
    await this.flush();
    await this.#core.deps.syncs.sync(this.#file);
    await this.#file.close();
    const segment = this.#segment;
    segment.finishIndexes();
    for (const original of originals) {
      segment.endOffset = original.endOffset;
      segment.createdMs = Math.max(segment.createdMs, original.createdMs);
    }
    await saveIndexes(this.#core.deps.disk, segment, this.#indexes, CLEANED_SUFFIX);
    segment.areIndexesDirty = false;
    return segment;
  }

  /** Removes the files. What cannot be removed now is when the log is next opened. */
  async discard(): Promise<void> {
    const { disk, logger } = this.#core.deps;
    const path = this.#segment.logPath;
    try {
      await this.#file.close();
      for (const kind of COPIED_KINDS) await disk.remove(this.#segment.pathOf(kind) + CLEANED_SUFFIX);
    } catch (error: unknown) {
      logger.warn("a compacted copy that is not used could not be removed", {
        path,
        err: error,
      });
    }
  }
}
