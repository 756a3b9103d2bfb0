import { NO_TIMESTAMP } from "../model/offsets.ts";
import type { Offset, Timestamp } from "../model/offsets.ts";
import type { OffsetIndex } from "./offset-index.ts";
import type { TimeIndex, TimestampOffset } from "./time-index.ts";

/** Where a builder goes on in a segment whose indexes are there. */
export interface IndexBuilderState {
  /** Bytes of batches since the last index entry. A segment opened again may begin at 0, as Kafka does. */
  readonly bytesSinceEntry: number;
  /** Greatest timestamp of the segment, with the last offset of the first batch that has it. */
  readonly maxTimestamp: TimestampOffset;
}

/**
 * Decides which batches of a segment get index entries, by Kafka's rule, so that its files come out byte for byte: a
 * batch that follows more than `intervalBytes` of batches without an entry gets one, taken before its own size counts.
 * The offset index notes the batch's last offset and its position; the time index the greatest timestamp so far, the
 * batch's own included. A closed segment ends with its greatest timestamp. Append and rebuild are the same code.
 */
export class IndexBuilder {
  readonly #intervalBytes: number;
  readonly #offsetIndex: OffsetIndex;
  readonly #timeIndex: TimeIndex;
  #bytesSinceEntry: number;
  #maxTimestamp: Timestamp;
  #maxTimestampOffset: Offset;

  /** `intervalBytes`: the topic's index.interval.bytes. */
  constructor(
    intervalBytes: number,
    indexes: { readonly offsetIndex: OffsetIndex; readonly timeIndex: TimeIndex },
    state?: IndexBuilderState,
  ) {
    this.#intervalBytes = intervalBytes;
    this.#offsetIndex = indexes.offsetIndex;
    this.#timeIndex = indexes.timeIndex;
    this.#bytesSinceEntry = state?.bytesSinceEntry ?? 0;
    this.#maxTimestamp = state?.maxTimestamp.timestamp ?? NO_TIMESTAMP;
    this.#maxTimestampOffset = state?.maxTimestamp.offset ?? indexes.offsetIndex.baseOffset;
  }

  /** Greatest timestamp of the batches seen, -1 when there was none; retention by time goes by it. */
  get maxTimestamp(): TimestampOffset {
    return { timestamp: this.#maxTimestamp, offset: this.#maxTimestampOffset };
  }

  /** The next batch, in order. Full indexes take no more entries: reads then start further away, nothing else. */
  onBatch(lastOffset: Offset, maxTimestamp: Timestamp, position: number, sizeBytes: number): void {
    if (maxTimestamp > this.#maxTimestamp) {
      this.#maxTimestamp = maxTimestamp;
      this.#maxTimestampOffset = lastOffset;
    }
    if (this.#bytesSinceEntry > this.#intervalBytes && !this.#offsetIndex.isFull) {
      this.#offsetIndex.append(lastOffset, position);
      if (!this.#timeIndex.isFull) this.#timeIndex.maybeAppend(this.#maxTimestamp, this.#maxTimestampOffset);
      this.#bytesSinceEntry = 0;
    }
    this.#bytesSinceEntry += sizeBytes;
  }

  /** When the segment takes no more batches: its greatest timestamp becomes the last time entry, even past the bound. */
  finish(): void {
    this.#timeIndex.maybeAppend(this.#maxTimestamp, this.#maxTimestampOffset);
  }
}
