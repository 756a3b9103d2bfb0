import type { Backoff } from "../base/backoff.ts";
import { ProtocolError } from "../model/error-code.ts";
import {
  checkBatchHeader,
  isControlBatch,
  lastOffsetOf,
  recordCountOf,
  verifyBatchCrc,
} from "../model/record-batch.ts";
import type { Timer } from "../platform/clock.ts";
import type { FetchPartitionData } from "../rpc/messages.ts";
import { ConsumedBatch } from "./consumed-batch.ts";
import type { ResolvedConsumerOptions, StartPosition } from "./consumer-types.ts";
import type { ReadSource } from "./read-source.ts";

/** What carries partitions from a broker. */
export interface ReaderLane {
  readonly address: string;
  readonly readerCount: number;
  /** Reads the partition from its position on; again: after a jump. */
  add(reader: PartitionReader): void;
  /** Stops reading the partition. `isKnownToBroker`: false when the broker ended it by an error. */
  remove(reader: PartitionReader, isKnownToBroker: boolean): void;
  /** Bytes of the held records were taken or dropped. */
  release(sizeBytes: number): void;
  /** Ends the stream. Idempotent. */
  close(): void;
}

/** Records as they came, and how far they were taken. */
interface Chunk {
  readonly buffer: Buffer;
  readonly highWatermark: number;
  at: number;
}

/**
 * One assigned partition: where the application stands, and what was fetched beyond that. Every jump (seek, pause, error)
 * starts a new generation and drops what was fetched; answers to an older generation are recognised by their number.
 */
export class PartitionReader {
  readonly topic: string;
  readonly partition: number;
  readonly backoff: Backoff;
  readonly source: ReadSource;
  readonly #options: ResolvedConsumerOptions;
  /** Where to begin, as long as it is not an offset. */
  start: StartPosition | undefined;
  /** Offset of the next record to give; undefined until `start` was looked up. */
  position: number | undefined;
  /** Of the topic that the position belongs to; undefined until a leader was found. */
  topicId: string | undefined;
  generation = 0;
  /** Counts changes of the position that are not reading. */
  moves = 0;
  isPaused = false;
  /** The stream that carries the partition now. */
  lane: ReaderLane | undefined;
  /** The stream comes from a follower: what it says of the partition is not the last word. */
  isFromFollower = false;
  /** Set while it waits to be tried again. */
  retryTimer: Timer | undefined;
  /** Its position is being asked for. */
  isLookingUp = false;
  /** Readable end, -1 until known. */
  highWatermark = -1;
  logStartOffset = -1;
  /** Damaged batches in a row at this position. */
  corruptCount = 0;
  lastNewsMs: number;
  isStalled = false;
  /** Of a group's member: handed to the batches. */
  committer: ((nextOffset: number, leaderEpoch: number) => Promise<void>) | undefined;
  #chunks: Chunk[] = [];
  #heldBytes = 0;

  constructor(
    options: {
      readonly topic: string;
      readonly partition: number;
      /** Undefined: not known yet, `moveTo` will say. */
      readonly start: StartPosition | undefined;
      readonly nowMs: number;
      readonly consumer: ResolvedConsumerOptions;
    },
    deps: { readonly backoff: Backoff; readonly source: ReadSource },
  ) {
    this.topic = options.topic;
    this.partition = options.partition;
    this.lastNewsMs = options.nowMs;
    this.#options = options.consumer;
    this.backoff = deps.backoff;
    this.source = deps.source;
    if (options.start !== undefined) this.moveTo(options.start);
  }

  /** Bytes fetched and not taken. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  get hasData(): boolean {
    return this.#chunks.length > 0;
  }

  /** Records between the position and the readable end; undefined while one of them is unknown. */
  get lag(): number | undefined {
    if (this.position === undefined || this.highWatermark < 0) return undefined;
    return Math.max(0, this.highWatermark - this.position);
  }

  /** Another position; what was fetched is dropped. */
  moveTo(start: StartPosition): void {
    const offset =
      typeof start === "number"
        ? start
        : typeof start === "object" && "offset" in start
          ? start.offset
          : undefined;
    this.position = offset;
    this.start = offset === undefined ? start : undefined;
    this.corruptCount = 0;
    this.moves++;
    this.drop();
  }

  /** Forgets what was fetched and recognises what is still under way. */
  drop(): void {
    this.generation = (this.generation + 1) >>> 0;
    this.#chunks = [];
    const held = this.#heldBytes;
    this.#heldBytes = 0;
    this.lane?.release(held);
  }

  /** Takes what the stream brought for this generation. */
  push(data: FetchPartitionData, nowMs: number): void {
    this.highWatermark = data.highWatermark;
    this.logStartOffset = data.logStartOffset;
    this.lastNewsMs = nowMs;
    this.isStalled = false;
    if (data.records.length === 0) return;
    this.#chunks.push({ buffer: data.records, highWatermark: data.highWatermark, at: 0 });
    this.#heldBytes += data.records.length;
  }

  /**
   * The next batch that has something for the application, or undefined. Moves the position behind it and gives its bytes
   * back to the stream's credit. @throws ProtocolError for a damaged batch; the position stays in front of it.
   */
  next(): ConsumedBatch | undefined {
    for (let chunk = this.#chunks[0]; chunk !== undefined; chunk = this.#chunks[0]) {
      const { buffer, at } = chunk;
      const position = this.position ?? 0;
      const sizeBytes = this.#check(buffer, at, position);
      chunk.at += sizeBytes;
      if (chunk.at >= buffer.length) this.#chunks.shift();
      this.#heldBytes -= sizeBytes;
      this.lane?.release(sizeBytes);
      const endOffset = lastOffsetOf(buffer, at) + 1;
      // The first batch may begin before the offset asked for, and lie wholly before it after a compaction.
      if (endOffset <= position) continue;
      this.position = endOffset;
      this.corruptCount = 0;
      if (isControlBatch(buffer, at) || recordCountOf(buffer, at) === 0) continue;
      return new ConsumedBatch({
        topic: this.topic,
        partition: this.partition,
        highWatermark: chunk.highWatermark,
        buffer,
        at,
        sizeBytes,
        firstOffset: position,
        maxInflatedBytes: this.#options.maxInflatedBytes,
        committer: this.committer,
      });
    }
    return undefined;
  }

  #check(buffer: Buffer, at: number, position: number): number {
    const context = { topic: this.topic, partition: this.partition, position };
    const check = checkBatchHeader(buffer, at, buffer.length - at, buffer.length);
    if (!check.ok) {
      const message = `${this.topic}-${this.partition}: the batch for offset ${position} is damaged: ${check.reason}`;
      throw new ProtocolError("CORRUPT_MESSAGE", message, { context });
    }
    if (this.#options.checkCrcs && !verifyBatchCrc(buffer, at)) {
      const message = `${this.topic}-${this.partition}: the batch for offset ${position} has a wrong checksum`;
      throw new ProtocolError("CORRUPT_MESSAGE", message, { context });
    }
    return check.size;
  }
}
