import { BatchIterator } from "../model/batch-iterator.ts";
import { batchSizeOf, lastOffsetOf } from "../model/record-batch.ts";
import { DEFAULT_MAX_INFLATED_BYTES, RecordReader } from "../model/record-reader.ts";
import type { RecordHeader, RecordView } from "../model/record.ts";

/** A record for a plain reader. Its bytes share memory with the batch it came in. */
export interface SubscribedRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly timestampMs: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly RecordHeader[];
}

/** What one step read: records of one partition. */
export interface PlainRead {
  readonly partition: number;
  readonly records: readonly SubscribedRecord[];
  /** Bytes of whole batches that are done with. */
  readonly consumedBytes: number;
  /** Behind the last batch that is done with, or the last record read. */
  readonly nextOffset: number;
}

/** Takes fetched batches apart, a bounded number of bytes at a time. Control batches are passed over. */
export class PlainRecordReader {
  readonly #topic: string;
  /** Next offset of each partition: a fetched batch may begin before it. */
  readonly #positions = new Map<number, number>();
  #partition = 0;
  #chunks: readonly Buffer[] = [];
  #chunkIndex = 0;
  #batches: BatchIterator | undefined;
  #reader: RecordReader | undefined;
  #batchBytes = 0;
  #batchEnd = 0;

  constructor(topic: string) {
    this.#topic = topic;
  }

  /** Whether what was loaded has not been read to its end. */
  get hasMore(): boolean {
    return this.#chunkIndex < this.#chunks.length;
  }

  /** Records of the partition below `offset` are passed over. */
  startAt(partition: number, offset: number): void {
    this.#positions.set(partition, offset);
  }

  /** Takes the next batches; only when nothing is left of the ones before. */
  load(partition: number, chunks: readonly Buffer[]): void {
    this.#partition = partition;
    this.#chunks = chunks;
    this.#chunkIndex = 0;
    this.#batches = undefined;
    this.#reader = undefined;
  }

  /**
   * Reads on until about `maxBytes` or exactly `maxRecords` are there, or all is read. @throws ProtocolError
   * CORRUPT_MESSAGE, MESSAGE_TOO_LARGE for a batch that does not hold together or inflates past 64 MiB (H70).
   */
  read(maxBytes: number, maxRecords: number): PlainRead {
    const records: SubscribedRecord[] = [];
    let sizeBytes = 0;
    let consumedBytes = 0;
    let nextOffset = this.#positions.get(this.#partition) ?? 0;
    while (sizeBytes < maxBytes && records.length < maxRecords) {
      const reader = this.#reader ?? this.#openBatch();
      if (reader === undefined) break;
      const view = reader.next();
      if (view === undefined) {
        consumedBytes += this.#batchBytes;
        nextOffset = Math.max(nextOffset, this.#batchEnd);
        this.#reader = undefined;
      } else if (view.offset >= nextOffset && !reader.isControl) {
        records.push(this.#recordOf(view));
        sizeBytes += Math.max(view.keyLength, 0) + Math.max(view.valueLength, 0) + 16;
        nextOffset = view.offset + 1;
      }
    }
    this.#positions.set(this.#partition, nextOffset);
    return { partition: this.#partition, records, consumedBytes, nextOffset };
  }

  /** The next batch, whichever chunk it is in. */
  #openBatch(): RecordReader | undefined {
    for (;;) {
      const chunk = this.#chunks[this.#chunkIndex];
      if (chunk === undefined) {
        this.#chunks = [];
        this.#chunkIndex = 0;
        return undefined;
      }
      // The CRC was computed when the bytes entered; what lies on the disk is checked by whoever reads it there.
      this.#batches ??= new BatchIterator(chunk, { maxBatchBytes: chunk.length, verifyCrc: false });
      if (this.#batches.next()) {
        const { at } = this.#batches;
        this.#batchBytes = batchSizeOf(chunk, at);
        this.#batchEnd = lastOffsetOf(chunk, at) + 1;
        this.#reader = new RecordReader(chunk, at, { maxInflatedBytes: DEFAULT_MAX_INFLATED_BYTES });
        return this.#reader;
      }
      this.#batches = undefined;
      this.#chunkIndex += 1;
    }
  }

  #recordOf(view: RecordView): SubscribedRecord {
    const { offset, timestamp, key, value, headers } = view;
    return {
      topic: this.#topic,
      partition: this.#partition,
      offset,
      timestampMs: timestamp,
      key,
      value,
      headers,
    };
  }
}
