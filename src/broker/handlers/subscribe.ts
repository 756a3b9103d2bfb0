import { operationError } from "../../base/errors.ts";
import { failure, SUCCESS } from "../../controller/result.ts";
import type { ItemOutcome } from "../../controller/result.ts";
import { outcomeOfError, unknownPartition } from "../outcome.ts";
import type { PartitionTable } from "../partition-table.ts";
import { PlainRecordReader } from "../plain-record-reader.ts";
import type { SubscribedRecord } from "../plain-record-reader.ts";
import type { FetchedPartition } from "../fetched-partition.ts";
import type { FetchSession } from "../fetch-session.ts";
import type { FetchHandler } from "./fetch.ts";
import { EARLIEST_TIMESTAMP, LATEST_TIMESTAMP } from "./offsets.ts";
import type { OffsetsHandler } from "./offsets.ts";

/** Where a subscription begins, in each of its partitions. */
export type SubscribeFrom =
  | { readonly kind: "beginning" }
  | { readonly kind: "end" }
  | { readonly kind: "offset"; readonly offset: number }
  /** The first record that is not older; the end when none is. */
  | { readonly kind: "timestamp"; readonly timestampMs: number };

export interface SubscribeCall {
  readonly topic: string;
  /** Empty: all of the topic. */
  readonly partitions: readonly number[];
  readonly from: SubscribeFrom;
  /** End after so many; 0: never. */
  readonly maxRecords: number;
  /** End at the end that each partition had when the call came. */
  readonly stopAtEnd: boolean;
  /** Bytes of keys and values in one `send`, about; 0: 256 KiB. */
  readonly maxMessageBytes: number;
}

/** Where a subscription sends to. */
export interface SubscribeSink {
  /** The records' bytes are the broker's: encode or copy before returning. False: no more until `Subscription.drained`. */
  send(records: readonly SubscribedRecord[]): boolean;
  /** Called once, last: "NONE" when the subscription came to its end, else why it stopped. Not after `close`. */
  end(outcome: ItemOutcome): void;
}

export interface Subscription {
  drained(): void;
  /** Idempotent. */
  close(): void;
}

export interface SubscribeDeps {
  readonly table: PartitionTable;
  readonly fetch: FetchHandler;
  readonly offsets: OffsetsHandler;
}

const DEFAULT_MESSAGE_BYTES = 256 * 1024;
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

/** Pushes plain records, decoded from the batches of a fetch session, to one sink. */
export function openSubscription(
  call: SubscribeCall,
  sink: SubscribeSink,
  deps: SubscribeDeps,
): Subscription {
  const run = new SubscriptionRun(call, sink, deps);
  run.start().catch((error: unknown) => run.finish(outcomeOfError(error)));
  return run;
}

class SubscriptionRun implements Subscription {
  readonly #call: SubscribeCall;
  readonly #sink: SubscribeSink;
  readonly #deps: SubscribeDeps;
  readonly #messageBytes: number;
  /** Partitions that are not at their end yet, when the call stops at the end: where that is. */
  readonly #ends = new Map<number, number>();
  readonly #reader: PlainRecordReader;
  #session: FetchSession | undefined;
  #waiting: FetchedPartition[] = [];
  #left: number;
  #isBlocked = false;
  #isClosed = false;

  constructor(call: SubscribeCall, sink: SubscribeSink, deps: SubscribeDeps) {
    this.#call = call;
    this.#sink = sink;
    this.#deps = deps;
    const wanted = call.maxMessageBytes === 0 ? DEFAULT_MESSAGE_BYTES : call.maxMessageBytes;
    this.#messageBytes = Math.min(Math.max(wanted, 1), MAX_MESSAGE_BYTES);
    this.#left = call.maxRecords === 0 ? Number.POSITIVE_INFINITY : call.maxRecords;
    this.#reader = new PlainRecordReader(call.topic);
  }

  async start(): Promise<void> {
    const { topic, partitions, stopAtEnd } = this.#call;
    const count = this.#deps.table.topic(topic)?.image.partitions.length ?? 0;
    const numbers =
      partitions.length > 0 ? [...new Set(partitions)] : Array.from({ length: count }, (_, i) => i);
    if (count === 0) {
      this.finish(unknownPartition({ topic, partition: 0 }));
      return;
    }
    const ends = await this.#offsetsAt(numbers, LATEST_TIMESTAMP);
    const starts = await this.#startsOf(numbers, ends);
    if (this.#isClosed) return;
    const positions = numbers.flatMap((partition, index) => {
      const offset = starts[index] ?? 0;
      const end = ends[index] ?? 0;
      this.#reader.startAt(partition, offset);
      if (stopAtEnd && offset >= end) return [];
      if (stopAtEnd) this.#ends.set(partition, end);
      return [{ topic, partition, offset, leaderEpoch: -1, generation: 0 }];
    });
    if (positions.length === 0) {
      this.finish(SUCCESS);
      return;
    }
    this.#session = this.#deps.fetch.openSession(
      { maxMessageBytes: this.#messageBytes, minBytes: 0, maxWaitMs: 0, readCommitted: true },
      {
        send: (items) => this.#take(items),
        closed: (reason) => this.finish(outcomeOfError(reason)),
      },
    );
    this.#session.add(positions);
    this.#session.grant(this.#messageBytes);
  }

  drained(): void {
    this.#isBlocked = false;
    this.#pump();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#waiting = [];
    this.#session?.close();
  }

  finish(outcome: ItemOutcome): void {
    if (this.#isClosed) return;
    this.close();
    this.#sink.end(outcome);
  }

  /** Bounded by the credit, which grows again only by what the sink took. */
  #take(items: readonly FetchedPartition[]): boolean {
    this.#waiting.push(...items);
    this.#pump();
    return true;
  }

  #pump(): void {
    try {
      while (!this.#isBlocked && !this.#isClosed) {
        if (!this.#reader.hasMore && !this.#nextItem()) return;
        this.#sendSome();
      }
    } catch (error: unknown) {
      this.finish(outcomeOfError(error));
    }
  }

  /** False: nothing waits. */
  #nextItem(): boolean {
    const item = this.#waiting.shift();
    if (item === undefined) return false;
    if (item.error !== "NONE") this.finish(failure(item.error, item.errorMessage));
    else this.#reader.load(item.partition, item.records);
    return true;
  }

  #sendSome(): void {
    const { records, consumedBytes, partition, nextOffset } = this.#reader.read(
      this.#messageBytes,
      this.#left,
    );
    const end = this.#ends.get(partition);
    const within = end === undefined ? records : records.filter(({ offset }) => offset < end);
    this.#left -= within.length;
    if (within.length > 0 && !this.#sink.send(within)) this.#isBlocked = true;
    if (end !== undefined && nextOffset >= end) {
      this.#ends.delete(partition);
      this.#session?.remove([{ topic: this.#call.topic, partition }]);
    }
    const isAtEnd = this.#call.stopAtEnd && this.#ends.size === 0;
    if (this.#left <= 0 || isAtEnd) this.finish(SUCCESS);
    else this.#session?.grant(consumedBytes);
  }

  async #startsOf(numbers: readonly number[], ends: readonly number[]): Promise<readonly number[]> {
    const { from } = this.#call;
    switch (from.kind) {
      case "end":
        return ends;
      case "offset":
        return numbers.map(() => from.offset);
      case "beginning":
        return this.#offsetsAt(numbers, EARLIEST_TIMESTAMP);
      case "timestamp": {
        const found = await this.#offsetsAt(numbers, Math.max(from.timestampMs, 0));
        return found.map((offset, index) => (offset < 0 ? (ends[index] ?? 0) : offset));
      }
      default:
        throw operationError("INVALID_ARGUMENT", "a subscription starts at an offset, a time or an end");
    }
  }

  async #offsetsAt(numbers: readonly number[], timestampMs: number): Promise<readonly number[]> {
    const { topic } = this.#call;
    const located = await this.#deps.offsets.listOffsets(
      numbers.map((partition) => ({ topic, partition, timestampMs })),
    );
    const failed = located.find(({ error }) => error !== "NONE");
    if (failed !== undefined) this.finish(failed);
    return located.map(({ offset }) => offset);
  }
}
