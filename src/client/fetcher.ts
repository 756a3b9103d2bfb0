import { Backoff } from "../base/backoff.ts";
import { errorMessage, type LograftError, operationError } from "../base/errors.ts";
import { errorNameOf, isRetriable, ProtocolError, refreshesMetadata } from "../model/error-code.ts";
import type { FetchPartitionData } from "../rpc/messages.ts";
import type { ClientContext } from "./client-context.ts";
import type { ResolvedConsumerOptions, StartPosition } from "./consumer-types.ts";
import { isLograftError } from "./errors.ts";
import { FetchLane, type FetchLaneListener } from "./fetch-lane.ts";
import type { PartitionInfo } from "./metadata-cache.ts";
import { listOffsetsAt, lookupTimestamp } from "./offset-lookup.ts";
import { PartitionReader } from "./partition-reader.ts";
import { ReadSource } from "./read-source.ts";

/** What the consumer hears. */
export interface FetcherListener {
  /** The reader has something to give. */
  onReady(reader: PartitionReader): void;
  /** Failed and tried again. */
  onRetriedError(error: LograftError): void;
  /** The reading cannot go on. */
  onFatal(error: LograftError): void;
  /** A position that was a time or an end is an offset now. */
  onPositioned(reader: PartitionReader): void;
}

/** Damage that stays after so many fetches is on the broker's disk, not on the wire. */
const MAX_CORRUPT_READS = 5;

/**
 * Keeps each assigned partition flowing: finds its position, joins the stream of its leader, and comes back by itself
 * after every error that may pass. A lost connection or a moved leader never shows to the application but as a pause.
 */
export class Fetcher implements FetchLaneListener {
  readonly #options: ResolvedConsumerOptions;
  readonly #context: ClientContext;
  readonly #listener: FetcherListener;
  readonly #readers = new Set<PartitionReader>();
  readonly #lanes = new Map<string, FetchLane>();
  /** Without a known leader. */
  readonly #unrouted = new Set<PartitionReader>();
  /** To be looked up at the end of this turn, by the address of the leader. */
  readonly #lookups = new Map<string, PartitionReader[]>();
  readonly #closing = new AbortController();

  constructor(
    options: ResolvedConsumerOptions,
    deps: { readonly context: ClientContext; readonly listener: FetcherListener },
  ) {
    this.#options = options;
    this.#context = deps.context;
    this.#listener = deps.listener;
  }

  /** Bytes granted to brokers or waiting here. */
  get prefetchBytes(): number {
    let total = 0;
    for (const lane of this.#lanes.values()) total += lane.usedBytes;
    return total;
  }

  /** A new reader, which starts to fetch: as soon as `seek` has said where, when `start` is undefined. */
  add(topic: string, partition: number, start: StartPosition | undefined): PartitionReader {
    const { clock, metadata, rack, retry } = this.#context;
    const { readFrom } = this.#options;
    const source = new ReadSource(
      { readFrom, rack },
      { clock, rackOf: (nodeId) => metadata.rackOf(nodeId), onReturn: () => this.#reroute(reader) },
    );
    const reader: PartitionReader = new PartitionReader(
      { topic, partition, start, nowMs: clock.monotonicMs(), consumer: this.#options },
      { backoff: new Backoff(retry, this.#context), source },
    );
    this.#readers.add(reader);
    this.#settle(reader);
    return reader;
  }

  /** Forgets the reader. Idempotent. */
  remove(reader: PartitionReader): void {
    if (!this.#readers.delete(reader)) return;
    this.#detach(reader, true);
    this.#unrouted.delete(reader);
    reader.retryTimer?.cancel();
    reader.source.close();
  }

  /** Reads on from another position. */
  seek(reader: PartitionReader, start: StartPosition): void {
    if (typeof start !== "number" && !(typeof start === "object" && "offset" in start))
      lookupTimestamp(start);
    const { lane } = reader;
    reader.moveTo(start);
    if (lane !== undefined && reader.position !== undefined) lane.add(reader);
    else this.#detach(reader, true);
    this.#settle(reader);
  }

  /** What was fetched is dropped, so that a paused partition keeps nothing of the common credit. */
  pause(reader: PartitionReader): void {
    reader.isPaused = true;
    this.#detach(reader, true);
  }

  resume(reader: PartitionReader): void {
    reader.isPaused = false;
    this.#settle(reader);
  }

  /** The batch at the reader's position is damaged: fetch it again, a bounded number of times. */
  onCorrupt(reader: PartitionReader, error: LograftError): void {
    if (reader.isFromFollower) this.#avoidFollowers(reader);
    else reader.corruptCount++;
    this.#detach(reader, true);
    if (reader.corruptCount >= MAX_CORRUPT_READS) {
      this.#listener.onFatal(error);
      return;
    }
    this.#retryLater(reader, error);
  }

  /** Leaders may have moved. */
  onMetadata(): void {
    const waiting = [...this.#unrouted];
    this.#unrouted.clear();
    for (const reader of waiting) this.#settle(reader);
    // The way to the leader is corrected by its refusal; that another replica is closer now nobody else tells.
    for (const reader of this.#readers) if (reader.source.isClosest) this.#reroute(reader);
  }

  close(): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(operationError("CLOSED", "the consumer is closed"));
    for (const reader of this.#readers) {
      reader.retryTimer?.cancel();
      reader.source.close();
    }
    for (const lane of this.#lanes.values()) lane.close();
    this.#lanes.clear();
  }

  onData(reader: PartitionReader, data: FetchPartitionData): void {
    if (data.errorCode !== 0) {
      this.#onPartitionError(reader, data);
      return;
    }
    reader.backoff.reset();
    reader.push(data, this.#context.clock.monotonicMs());
    if (reader.hasData) this.#listener.onReady(reader);
  }

  onLost(lane: FetchLane, readers: readonly PartitionReader[], error: LograftError): void {
    if (this.#lanes.get(lane.address) === lane) this.#lanes.delete(lane.address);
    lane.close();
    this.#shareCredit();
    for (const reader of readers) {
      reader.drop();
      if (reader.isFromFollower) this.#avoidFollowers(reader);
    }
    if (!error.retriable && readers.some(({ isFromFollower }) => !isFromFollower)) {
      this.#listener.onFatal(error);
      return;
    }
    this.#context.metadata.requestUpdate();
    this.#listener.onRetriedError(error);
    for (const reader of readers) this.#retryLater(reader, undefined);
  }

  /** Brings the reader one step further on its way: leader, position, stream. */
  #settle(reader: PartitionReader): void {
    const isBusy = reader.lane !== undefined || reader.isLookingUp || reader.retryTimer !== undefined;
    const isUnplaced = reader.position === undefined && reader.start === undefined;
    if (isBusy || isUnplaced || reader.isPaused || !this.#isServed(reader)) return;
    const { metadata } = this.#context;
    const topic = metadata.topic(reader.topic);
    if (topic !== undefined && !this.#isSameTopic(reader, topic.topicId)) return;
    const info = topic?.partitions[reader.partition];
    const address = info === undefined || info.leaderId < 0 ? undefined : metadata.addressOf(info.leaderId);
    if (info === undefined || address === undefined) {
      this.#unrouted.add(reader);
      metadata.requestUpdate();
      return;
    }
    this.#unrouted.delete(reader);
    // Positions are asked of the leader, whoever is read from: it knows first where the partition ends.
    if (reader.position === undefined) {
      this.#lookUp(reader, address);
      return;
    }
    const source = metadata.addressOf(reader.source.choose(info)) ?? address;
    reader.isFromFollower = source !== address;
    this.#laneTo(source).add(reader);
  }

  /** Moves the reader to the broker that it would be read from if it began now. */
  #reroute(reader: PartitionReader): void {
    const { lane } = reader;
    const info = this.#infoOf(reader);
    if (lane === undefined || info === undefined || !this.#isServed(reader)) return;
    const address = this.#context.metadata.addressOf(reader.source.choose(info));
    if (address === undefined || address === lane.address) return;
    this.#detach(reader, true);
    this.#settle(reader);
  }

  #isServed(reader: PartitionReader): boolean {
    return this.#readers.has(reader) && !this.#closing.signal.aborted;
  }

  #infoOf({ topic, partition }: PartitionReader): PartitionInfo | undefined {
    return this.#context.metadata.topic(topic)?.partitions[partition];
  }

  #avoidFollowers(reader: PartitionReader): void {
    const info = this.#infoOf(reader);
    if (info !== undefined) reader.source.avoidFollowers(info);
  }

  /** A topic that was deleted and made again has the name and none of the offsets (H24). */
  #isSameTopic(reader: PartitionReader, topicId: string): boolean {
    const before = reader.topicId;
    reader.topicId = topicId;
    if (before === undefined || before === topicId || reader.position === undefined) return true;
    const { topic, partition, position } = reader;
    this.#listener.onFatal(
      new ProtocolError(
        "INCONSISTENT_TOPIC_ID",
        `topic ${topic} was deleted and made again (id ${before}, now ${topicId}): offset ${position} of partition ` +
          `${partition} means another record now; start a new consumer from the beginning or the end`,
        { context: { topic, partition, position, before, topicId }, retriable: false },
      ),
    );
    return false;
  }

  #detach(reader: PartitionReader, isKnownToBroker: boolean): void {
    const { lane } = reader;
    lane?.remove(reader, isKnownToBroker);
    reader.drop();
    if (lane !== undefined && lane.readerCount === 0) {
      // An idle stream would hold its share of the credit.
      lane.close();
      this.#lanes.delete(lane.address);
      this.#shareCredit();
    }
  }

  #retryLater(reader: PartitionReader, error: LograftError | undefined): void {
    if (!this.#isServed(reader)) return;
    if (error !== undefined) this.#listener.onRetriedError(error);
    if (reader.retryTimer !== undefined) return;
    reader.retryTimer = this.#context.clock.setTimer(reader.backoff.nextMs(), () => {
      reader.retryTimer = undefined;
      this.#settle(reader);
    });
  }

  #laneTo(address: string): FetchLane {
    const known = this.#lanes.get(address);
    if (known !== undefined) return known;
    const lane = new FetchLane(
      { address, targetBytes: this.#share(this.#lanes.size + 1), consumer: this.#options },
      { context: this.#context, listener: this },
    );
    this.#lanes.set(address, lane);
    this.#shareCredit();
    return lane;
  }

  /** Streams share the bound evenly, but each can hold one message. */
  #share(laneCount: number): number {
    const { maxPrefetchBytes, maxMessageBytes } = this.#options;
    return Math.max(maxMessageBytes, Math.floor(maxPrefetchBytes / Math.max(1, laneCount)));
  }

  #shareCredit(): void {
    for (const lane of this.#lanes.values()) lane.setTarget(this.#share(this.#lanes.size));
  }

  #onPartitionError(reader: PartitionReader, data: FetchPartitionData): void {
    const name = errorNameOf(data.errorCode);
    const { topic, partition, position } = reader;
    const text = data.errorMessage === "" ? name : data.errorMessage;
    const context = {
      topic,
      partition,
      position,
      logStartOffset: data.logStartOffset,
      highWatermark: data.highWatermark,
    };
    const error = new ProtocolError(name, `${topic}-${partition} at offset ${position ?? -1}: ${text}`, {
      context,
    });
    this.#detach(reader, false);
    if (reader.isFromFollower) {
      // Whatever it is, the leader knows better; above all whether an offset exists (KIP-392).
      this.#avoidFollowers(reader);
      if (refreshesMetadata(name)) this.#context.metadata.requestUpdate();
      this.#listener.onRetriedError(error);
      this.#settle(reader);
    } else if (name === "OFFSET_OUT_OF_RANGE") {
      this.#onOutOfRange(reader, error);
    } else if (name === "CORRUPT_MESSAGE" && ++reader.corruptCount >= MAX_CORRUPT_READS) {
      // As for a batch found damaged here: another broker may come to lead, but not for ever.
      this.#listener.onFatal(error);
    } else if (name === "UNKNOWN_TOPIC_OR_PARTITION") {
      // It may be gone, or another of its name may be there by now: only fresh metadata tell.
      this.#listener.onRetriedError(error);
      this.#unrouted.add(reader);
      this.#context.metadata.requestUpdate();
    } else if (isRetriable(name)) {
      if (refreshesMetadata(name)) this.#context.metadata.requestUpdate();
      this.#retryLater(reader, error);
    } else {
      this.#listener.onFatal(error);
    }
  }

  #onOutOfRange(reader: PartitionReader, error: ProtocolError): void {
    if (this.#options.autoOffsetReset === "none") {
      this.#listener.onFatal(error);
      return;
    }
    reader.moveTo(this.#options.autoOffsetReset === "earliest" ? "beginning" : "end");
    this.#retryLater(reader, error);
  }

  #lookUp(reader: PartitionReader, address: string): void {
    reader.isLookingUp = true;
    const queued = this.#lookups.get(address);
    if (queued !== undefined) {
      queued.push(reader);
      return;
    }
    this.#lookups.set(address, [reader]);
    this.#context.clock.defer(() => {
      const readers = this.#lookups.get(address) ?? [];
      this.#lookups.delete(address);
      void this.#ask(address, readers); // Never rejects: failures are retried or reported.
    });
  }

  async #ask(address: string, readers: readonly PartitionReader[]): Promise<void> {
    const asked = readers.map((reader) => ({
      reader,
      generation: reader.generation,
      topic: reader.topic,
      partition: reader.partition,
      timestampMs: reader.start === undefined ? -1 : lookupTimestamp(reader.start),
    }));
    let failure: LograftError | undefined;
    try {
      const options = { timeoutMs: this.#context.requestTimeoutMs, signal: this.#closing.signal };
      const wanted = asked.map(({ topic, partition, timestampMs }) => ({ topic, partition, timestampMs }));
      const found = await listOffsetsAt(this.#context, address, wanted, options);
      for (const [index, { reader, generation, timestampMs }] of asked.entries()) {
        reader.isLookingUp = false;
        this.#onFound(reader, generation, timestampMs, found[index]);
      }
    } catch (error: unknown) {
      failure = isLograftError(error)
        ? error
        : operationError("CONNECTION_FAILED", errorMessage(error), { cause: error, retriable: true });
    }
    if (failure === undefined || this.#closing.signal.aborted) return;
    if (failure.retriable) this.#context.metadata.requestUpdate();
    for (const { reader } of asked) {
      reader.isLookingUp = false;
      this.#onLookupError(reader, failure);
    }
  }

  #onFound(
    reader: PartitionReader,
    generation: number,
    timestampMs: number,
    found: { readonly offset: number } | ProtocolError | undefined,
  ): void {
    // A seek came in between: what was found is the answer to another question.
    if (reader.generation !== generation || reader.position !== undefined || found === undefined) {
      this.#settle(reader);
    } else if (found instanceof ProtocolError) {
      if (refreshesMetadata(found.code)) this.#context.metadata.requestUpdate();
      this.#onLookupError(reader, found);
    } else if (found.offset < 0 && timestampMs >= 0) {
      // No record is that young: what comes from now on is.
      reader.moveTo("end");
      this.#settle(reader);
    } else {
      reader.backoff.reset();
      reader.moveTo(Math.max(0, found.offset));
      this.#listener.onPositioned(reader);
      this.#settle(reader);
    }
  }

  #onLookupError(reader: PartitionReader, error: LograftError): void {
    if (error.retriable) this.#retryLater(reader, error);
    else if (this.#isServed(reader)) this.#listener.onFatal(error);
  }
}
