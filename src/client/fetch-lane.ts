import { operationError, type LograftError } from "../base/errors.ts";
import { topicPartitionKey, type TopicPartitionKey } from "../model/topic-partition.ts";
import { decodeFetchStreamResponse, encodeFetchStreamRequest } from "../rpc/fetch-codec.ts";
import type { FetchPartitionData, FetchStreamResponse } from "../rpc/messages.ts";
import type { ByteStream } from "../rpc/stream/byte-stream.ts";
import type { ClientContext } from "./client-context.ts";
import type { ResolvedConsumerOptions } from "./consumer-types.ts";
import type { PartitionReader, ReaderLane } from "./partition-reader.ts";
import { errorOfClose } from "./produce-lane.ts";
import { FETCH_METHOD } from "../rpc/method-names.ts";

/** Who hears what a fetch stream brings. */
export interface FetchLaneListener {
  /** Of the reader's present generation. */
  onData(reader: PartitionReader, data: FetchPartitionData): void;
  /** The stream is gone; its readers are no longer in the lane. */
  onLost(lane: FetchLane, readers: readonly PartitionReader[], error: LograftError): void;
}

/**
 * The fetch stream from one broker. The broker may send as many bytes as were granted; bytes are granted again only when
 * the application takes what came. So what waits here is bounded, and a slow application slows its own streams alone.
 */
export class FetchLane implements ReaderLane {
  readonly address: string;
  readonly #options: ResolvedConsumerOptions;
  readonly #context: ClientContext;
  readonly #listener: FetchLaneListener;
  readonly #readers = new Map<TopicPartitionKey, PartitionReader>();
  readonly #adds = new Set<PartitionReader>();
  readonly #removes = new Map<TopicPartitionKey, PartitionReader>();
  #stream: ByteStream | undefined;
  #targetBytes: number;
  /** Granted and not received; below zero when the broker sent a batch larger than what was left. */
  #outstandingBytes = 0;
  /** Received and not taken. */
  #heldBytes = 0;
  #isFlushDue = false;
  #isClosed = false;

  constructor(
    options: {
      readonly address: string;
      readonly targetBytes: number;
      readonly consumer: ResolvedConsumerOptions;
    },
    deps: { readonly context: ClientContext; readonly listener: FetchLaneListener },
  ) {
    this.address = options.address;
    this.#targetBytes = options.targetBytes;
    this.#options = options.consumer;
    this.#context = deps.context;
    this.#listener = deps.listener;
  }

  get readerCount(): number {
    return this.#readers.size;
  }

  /** Bytes that the broker may still send, and that wait here. */
  get usedBytes(): number {
    return Math.max(0, this.#outstandingBytes) + this.#heldBytes;
  }

  /** The lane's part of the prefetch bound; a smaller part takes effect as the application takes records. */
  setTarget(targetBytes: number): void {
    this.#targetBytes = targetBytes;
    this.#flushSoonIfNeeded();
  }

  add(reader: PartitionReader): void {
    const key = topicPartitionKey(reader.topic, reader.partition);
    this.#readers.set(key, reader);
    this.#removes.delete(key);
    this.#adds.add(reader);
    reader.lane = this;
    this.#flushSoon();
  }

  remove(reader: PartitionReader, isKnownToBroker: boolean): void {
    const key = topicPartitionKey(reader.topic, reader.partition);
    if (!this.#readers.delete(key)) return;
    const wasSent = !this.#adds.delete(reader);
    if (isKnownToBroker && wasSent) this.#removes.set(key, reader);
    this.#heldBytes -= reader.heldBytes;
    reader.lane = undefined;
    this.#flushSoon();
  }

  release(sizeBytes: number): void {
    this.#heldBytes -= sizeBytes;
    this.#flushSoonIfNeeded();
  }

  close(): void {
    this.#isClosed = true;
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.cancel();
  }

  #grantable(): number {
    const grantable = this.#targetBytes - this.#outstandingBytes - this.#heldBytes;
    // In large steps, to send few messages; but never so late that the largest message does not fit any more.
    const isWorthIt =
      grantable * 4 >= this.#targetBytes || this.#outstandingBytes < this.#options.maxMessageBytes;
    return isWorthIt ? Math.max(0, grantable) : 0;
  }

  #flushSoonIfNeeded(): void {
    if (this.#stream !== undefined && this.#grantable() > 0) this.#flushSoon();
  }

  /** At the end of the turn: what many partitions and batches cause in one turn is one message. */
  #flushSoon(): void {
    if (this.#isFlushDue || this.#isClosed) return;
    this.#isFlushDue = true;
    this.#context.clock.defer(() => {
      this.#isFlushDue = false;
      if (!this.#isClosed) this.#flush();
    });
  }

  #flush(): void {
    const isFirst = this.#stream === undefined;
    if (isFirst && this.#adds.size === 0) return;
    const stream = this.#stream ?? this.#open();
    const creditBytes = this.#grantable();
    const add = [...this.#adds].map((reader) => ({
      topic: reader.topic,
      partition: reader.partition,
      offset: reader.position ?? 0,
      leaderEpoch:
        this.#context.metadata.topic(reader.topic)?.partitions[reader.partition]?.leaderEpoch ?? -1,
      generation: reader.generation,
    }));
    const remove = [...this.#removes.values()].map(({ topic, partition }) => ({ topic, partition }));
    if (add.length === 0 && remove.length === 0 && creditBytes === 0) return;
    this.#adds.clear();
    this.#removes.clear();
    this.#outstandingBytes += creditBytes;
    const { maxMessageBytes, minBytes, maxWaitMs, isReadCommitted: readCommitted, readFrom } = this.#options;
    // For all partitions of the stream: those whose leader the broker is are served by it as the leader all the same.
    const fromFollower = readFrom === "closest";
    const options = { maxMessageBytes, minBytes, maxWaitMs, readCommitted, fromFollower };
    // The answer of `send` is no concern here: these messages are small, and few by the rule above.
    stream.send(encodeFetchStreamRequest({ add, remove, creditBytes, ...(isFirst ? { options } : {}) }));
  }

  #open(): ByteStream {
    const stream = this.#context.transport.openStream(this.address, FETCH_METHOD);
    this.#stream = stream;
    this.#outstandingBytes = 0;
    this.#removes.clear();
    stream.onMessage((message) => {
      if (this.#stream === stream) this.#onMessage(message);
    });
    stream.onEnd(() => {
      if (this.#stream === stream) this.#cut("the broker ended the fetch stream");
    });
    stream.onClose((status) => {
      if (this.#stream === stream) this.#onLost(errorOfClose(status, this.address, stream));
    });
    return stream;
  }

  #onMessage(message: Buffer): void {
    let response: FetchStreamResponse;
    try {
      response = decodeFetchStreamResponse(message);
    } catch (error: unknown) {
      this.#cut(`a fetch answer cannot be read: ${String(error)}`);
      return;
    }
    for (const data of response.partitions) {
      this.#outstandingBytes -= data.records.length;
      const reader = this.#readers.get(topicPartitionKey(data.topic, data.partition));
      // What was asked for before a jump is dropped here, and its bytes are granted again.
      if (reader === undefined || reader.generation !== data.generation || this.#adds.has(reader)) continue;
      this.#heldBytes += data.records.length;
      this.#listener.onData(reader, data);
    }
    this.#flushSoonIfNeeded();
  }

  #cut(reason: string): void {
    const stream = this.#stream;
    this.#onLost(operationError("CONNECTION_FAILED", `${this.address}: ${reason}`, { retriable: true }));
    stream?.cancel();
  }

  #onLost(error: LograftError): void {
    this.#stream = undefined;
    this.#outstandingBytes = 0;
    const readers = [...this.#readers.values()];
    this.#readers.clear();
    this.#adds.clear();
    this.#removes.clear();
    for (const reader of readers) {
      this.#heldBytes -= reader.heldBytes;
      reader.lane = undefined;
    }
    if (!this.#isClosed) this.#listener.onLost(this, readers, error);
  }
}
