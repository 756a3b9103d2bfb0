import { RecordReader } from "../model/record-reader.ts";
import type { RecordHeader, RecordView } from "../model/record.ts";
import {
  baseOffsetOf,
  isControlBatch,
  lastOffsetOf,
  leaderEpochOf,
  maxTimestampOf,
  recordCountOf,
} from "../model/record-batch.ts";

/** A record with where it came from. Key and value are views of the batch they came in: copy what is kept for long. */
export interface ConsumedRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly RecordHeader[];
  /**
   * For members of a group: commits that everything of the partition up to this record, and it, is processed. Resolves
   * when the coordinator has it. @throws as `Consumer.commitOffsets`.
   */
  readonly commit?: (() => Promise<void>) | undefined;
}

/** A record of a batch, decoded when its parts are asked for. */
export class RecordOfBatch implements ConsumedRecord {
  readonly #batch: ConsumedBatch;
  readonly #view: RecordView;

  constructor(batch: ConsumedBatch, view: RecordView) {
    this.#batch = batch;
    this.#view = view;
  }

  get topic(): string {
    return this.#batch.topic;
  }

  get partition(): number {
    return this.#batch.partition;
  }

  get offset(): number {
    return this.#view.offset;
  }

  get timestamp(): number {
    return this.#view.timestamp;
  }

  get key(): Buffer | null {
    return this.#view.key;
  }

  get value(): Buffer | null {
    return this.#view.value;
  }

  get headers(): readonly RecordHeader[] {
    return this.#view.headers;
  }

  get commit(): (() => Promise<void>) | undefined {
    const commit = this.#batch.committer;
    return commit === undefined ? undefined : () => commit(this.offset + 1);
  }
}

/** Where a batch lies in what was fetched. */
export interface ConsumedBatchSource {
  readonly topic: string;
  readonly partition: number;
  readonly highWatermark: number;
  readonly buffer: Buffer;
  readonly at: number;
  readonly sizeBytes: number;
  /** Records below it were not asked for. */
  readonly firstOffset: number;
  readonly maxInflatedBytes: number;
  /** Of a group's member: commits that all below `nextOffset` is processed. */
  readonly committer?: ((nextOffset: number, leaderEpoch: number) => Promise<void>) | undefined;
}

/** One batch as it was stored. Iterate it for its records; each iteration decodes afresh and may throw CORRUPT_MESSAGE. */
export class ConsumedBatch implements Iterable<ConsumedRecord> {
  readonly topic: string;
  readonly partition: number;
  /** Records below it could be read when the batch was fetched (exclusive). */
  readonly highWatermark: number;
  /** Bytes as stored, header included. */
  readonly sizeBytes: number;
  readonly #source: ConsumedBatchSource;

  constructor(source: ConsumedBatchSource) {
    this.topic = source.topic;
    this.partition = source.partition;
    this.highWatermark = source.highWatermark;
    this.sizeBytes = source.sizeBytes;
    this.#source = source;
  }

  /** Of the first record stored; smaller than what the iteration begins with when reading began within the batch. */
  get baseOffset(): number {
    return baseOffsetOf(this.#source.buffer, this.#source.at);
  }

  /** First offset that the iteration may give. */
  get firstOffset(): number {
    return Math.max(this.#source.firstOffset, this.baseOffset);
  }

  /** Of the last record (inclusive). */
  get lastOffset(): number {
    return lastOffsetOf(this.#source.buffer, this.#source.at);
  }

  /** Epoch of the leader that appended the batch. */
  get leaderEpoch(): number {
    return leaderEpochOf(this.#source.buffer, this.#source.at);
  }

  /** The latest time that a record carries; milliseconds since 1970. */
  get maxTimestamp(): number {
    return maxTimestampOf(this.#source.buffer, this.#source.at);
  }

  /** Records stored in the batch. The iteration gives fewer when reading began within it. */
  get recordCount(): number {
    return recordCountOf(this.#source.buffer, this.#source.at);
  }

  /** Markers of transactions; never given to an application. */
  get isControl(): boolean {
    return isControlBatch(this.#source.buffer, this.#source.at);
  }

  /** Commits that all below `nextOffset` is processed; undefined without a group. Internal. */
  get committer(): ((nextOffset: number) => Promise<void>) | undefined {
    const { committer } = this.#source;
    return committer === undefined ? undefined : (nextOffset) => committer(nextOffset, this.leaderEpoch);
  }

  /** For members of a group: commits that the batch is processed. @throws as `Consumer.commitOffsets`. */
  get commit(): (() => Promise<void>) | undefined {
    const { committer } = this;
    return committer === undefined ? undefined : () => committer(this.lastOffset + 1);
  }

  /** @throws ProtocolError CORRUPT_MESSAGE, MESSAGE_TOO_LARGE (inflates past the bound). */
  *[Symbol.iterator](): Generator<ConsumedRecord, void> {
    const reader = this.reader();
    const { firstOffset } = this.#source;
    for (let view = reader.next(); view !== undefined; view = reader.next()) {
      if (view.offset >= firstOffset) yield new RecordOfBatch(this, view);
    }
  }

  /** All records, decoded now. */
  records(): ConsumedRecord[] {
    return [...this];
  }

  /** The plain reader below the iteration, for those who count nanoseconds. It also gives what was not asked for. */
  reader(): RecordReader {
    const { buffer, at, maxInflatedBytes } = this.#source;
    return new RecordReader(buffer, at, { maxInflatedBytes });
  }
}
