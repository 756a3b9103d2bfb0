import type { LograftError } from "../base/errors.ts";
import { operationError } from "../base/errors.ts";
import { DEFAULT_MAX_INFLATED_BYTES } from "../model/record-reader.ts";
import type { ConsumedBatch, ConsumedRecord } from "./consumed-batch.ts";
import { within } from "./producer-types.ts";
import type { ReadFrom } from "./read-source.ts";

/** A partition of a topic. */
export interface TopicPartitionRef {
  readonly topic: string;
  readonly partition: number;
}

/** A moment, such as a `Date`. */
export interface PointInTime {
  /** Milliseconds since 1970. */
  getTime(): number;
}

/** Where to read from: the first or the next record, an offset, or the first record not older than a time. */
export type StartPosition =
  | "beginning"
  | "end"
  | number
  | PointInTime
  | { readonly offset: number }
  | { readonly timestamp: number };

/** What to read; without a partition, all of the topic. */
export interface AssignmentSpec {
  readonly topic: string;
  readonly partition?: number;
  /** Default "beginning". */
  readonly from?: StartPosition;
}

export interface ConsumerOptions {
  /** Partitions and topics to read, with their own start positions. */
  readonly assign?: readonly AssignmentSpec[];
  /** Topics to read whole, from `from` on. */
  readonly topics?: readonly string[];
  /** Start of `topics`. Default "beginning". */
  readonly from?: StartPosition;
  /** Bytes of records that may be here, or on the way, and not yet taken by the application. Default 32 MiB. */
  readonly maxPrefetchBytes?: number;
  /** Largest message of the fetch stream. Default 1 MiB. */
  readonly maxMessageBytes?: number;
  /** Let the broker wait for so many bytes of a partition, but at most `maxWaitMs`. Default 0: at once. */
  readonly minBytes?: number;
  /** Default 500. */
  readonly maxWaitMs?: number;
  /**
   * "leader" (default), or "closest": from an in-sync replica in the client's `rack`, the leader first if it is there, and
   * from the leader where there is none (KIP-392). A follower knows of new records a moment later than the leader. When one
   * fails, its partitions are read from their leaders for 30 s, or until the metadata show a change; only a leader's word
   * resets a position.
   */
  readonly readFrom?: ReadFrom;
  /** Default "read_uncommitted". */
  readonly isolation?: "read_committed" | "read_uncommitted";
  /**
   * When a position is outside the partition, because retention passed it or the log was cut: go on at its first record
   * ("earliest", default) or its end ("latest"), both reported as an `error` event, or stop ("none").
   */
  readonly autoOffsetReset?: "earliest" | "latest" | "none";
  /** Compute the checksum of each batch. Default true. */
  readonly checkCrcs?: boolean;
  /** Bytes that one compressed batch may inflate to. Default 64 MiB. */
  readonly maxInflatedBytes?: number;
  /** Silence of a partition that has records to give, after which `stalled` is emitted. Default 30 s. */
  readonly stalledAfterMs?: number;
}

/** The options with their defaults. */
export interface ResolvedConsumerOptions {
  readonly assign: readonly AssignmentSpec[];
  readonly maxPrefetchBytes: number;
  readonly maxMessageBytes: number;
  readonly minBytes: number;
  readonly maxWaitMs: number;
  readonly readFrom: ReadFrom;
  readonly isReadCommitted: boolean;
  readonly autoOffsetReset: "earliest" | "latest" | "none";
  readonly checkCrcs: boolean;
  readonly maxInflatedBytes: number;
  readonly stalledAfterMs: number;
}

/** What a consumer tells besides records. */
export interface ConsumerEvents {
  /** Something failed and is tried again, or a position was reset. Errors that end the reading are thrown instead. */
  readonly error: LograftError;
  /** These partitions have given nothing for `stalledAfterMs` although there is something, or no broker leads them. */
  readonly stalled: { readonly partitions: readonly TopicPartitionRef[] };
}

/** Handed to the handlers of `run`. */
export interface HandlerContext {
  /** Aborted when `run` ends: on its own signal, on close, or because another handler failed. */
  readonly signal: AbortSignal;
}

/** One of the two handlers; each partition has one call at a time, in order. */
export type RunOptions = {
  /** Partitions handled at the same time. Default 1. */
  readonly concurrency?: number;
  readonly signal?: AbortSignal;
} & (
  | {
      readonly eachBatch: (batch: ConsumedBatch, context: HandlerContext) => Promise<void> | void;
      readonly eachMessage?: never;
    }
  | {
      readonly eachMessage: (record: ConsumedRecord, context: HandlerContext) => Promise<void> | void;
      readonly eachBatch?: never;
    }
);

/** `rack`: the client's, empty: not known. @throws LograftError INVALID_ARGUMENT. */
export function resolveConsumerOptions(options: ConsumerOptions, rack: string): ResolvedConsumerOptions {
  const from = options.from ?? "beginning";
  const assign = [...(options.assign ?? []), ...(options.topics ?? []).map((topic) => ({ topic, from }))];
  if (assign.length === 0) {
    throw operationError("INVALID_ARGUMENT", "a consumer reads something: give assign or topics");
  }
  const readFrom = options.readFrom ?? "leader";
  if (readFrom === "closest" && rack === "") {
    throw operationError(
      "INVALID_ARGUMENT",
      'readFrom is "closest", but the client does not know where it is: give the client its rack',
    );
  }
  const maxMessageBytes = within("maxMessageBytes", options.maxMessageBytes ?? 1 << 20, 64 * 1024, 16 << 20);
  return {
    assign,
    maxMessageBytes,
    maxPrefetchBytes: within(
      "maxPrefetchBytes",
      options.maxPrefetchBytes ?? 32 << 20,
      maxMessageBytes,
      Number.MAX_SAFE_INTEGER,
    ),
    minBytes: within("minBytes", options.minBytes ?? 0, 0, 2 ** 31),
    maxWaitMs: within("maxWaitMs", options.maxWaitMs ?? 500, 0, 2 ** 31),
    readFrom,
    isReadCommitted: options.isolation === "read_committed",
    autoOffsetReset: options.autoOffsetReset ?? "earliest",
    checkCrcs: options.checkCrcs ?? true,
    maxInflatedBytes: options.maxInflatedBytes ?? DEFAULT_MAX_INFLATED_BYTES,
    stalledAfterMs: within("stalledAfterMs", options.stalledAfterMs ?? 30_000, 1, 2 ** 31),
  };
}
