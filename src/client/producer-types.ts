import type { LograftError } from "../base/errors.ts";
import { operationError } from "../base/errors.ts";
import { BATCH_HEADER_BYTES } from "../model/record-batch.ts";
import type { Codec } from "../model/compression.ts";
import { murmur2Partitioner, type Partitioner } from "./partitioner.ts";

/** A record to write. Text is written as UTF-8; a value of null is a tombstone. */
export interface ProducerRecord {
  readonly key?: string | Uint8Array | null;
  readonly value: string | Uint8Array | null;
  readonly headers?: readonly ProducerHeader[];
  /** Milliseconds since 1970. Default: now. */
  readonly timestamp?: number;
  /** Instead of the partitioner's choice. */
  readonly partition?: number;
}

/** Keys may repeat. */
export interface ProducerHeader {
  readonly key: string;
  readonly value: string | Uint8Array | null;
}

/** What was promised when a record was acknowledged. */
export interface RecordAck {
  readonly topic: string;
  readonly partition: number;
  /** -1 with acks=0, or when a retry was recognised whose first answer is lost for good. */
  readonly offset: number;
  readonly leaderEpoch: number;
  /** "none": nothing (acks=0). "written": in the files of `replicas` brokers. "synced": on their disks. */
  readonly durability: "none" | "written" | "synced";
  /** Brokers that hold the record with that durability. */
  readonly replicas: number;
  /** The time that the record carries: the producer's, or the broker's where the topic stamps records itself. */
  readonly timestamp: number;
}

export interface ProducerOptions {
  /** Who must have a record before it counts: all in-sync replicas (default), the leader, nobody. */
  readonly acks?: "all" | 1 | 0;
  /**
   * No duplicates and no reordering through retries, by sequence numbers. Default: true unless acks is 0, with which it
   * cannot be had.
   */
  readonly idempotent?: boolean;
  /** How long an unfilled batch waits for more. 0: to the end of this turn of the event loop. Default 5. */
  readonly lingerMs?: number;
  /**
   * Size before compression at which a batch is sent without waiting. Default 64 KiB where Kafka has 16 KiB: here the price
   * of a message on the wire is that of a turn of one event loop, and frames of 64 KiB carry several times the bytes of
   * frames of 16 KiB.
   */
  readonly batchSize?: number;
  /**
   * How far an uncompressed batch grows on while as many of its partition are on the way as may be. Default
   * `maxRequestBytes`; `batchSize` for batches that never grow.
   */
  readonly maxBatchSize?: number;
  /** Default "none". */
  readonly compression?: Codec;
  /** For gzip (1-9) and zstd (1-22). */
  readonly compressionLevel?: number;
  /** Default `murmur2()`. */
  readonly partitioner?: Partitioner;
  /** Bytes of records that may wait for their acknowledgement. Default 64 MiB. */
  readonly maxBufferBytes?: number;
  /** Largest request, and so the largest record. Default 1 MiB. */
  readonly maxRequestBytes?: number;
  /** Batches of one partition on the way at once, 1 to 5. Default 5; 1 without idempotence, so that a retry keeps the order. */
  readonly maxInFlight?: number;
  /** From the call of `send` to the verdict, all retries included. Default 120 s. */
  readonly deliveryTimeoutMs?: number;
  /** Bound of one attempt. Default: that of the client. */
  readonly requestTimeoutMs?: number;
  /** Let the broker create unknown topics, if it is configured to. Default true. */
  readonly allowAutoCreate?: boolean;
  /** Called for each batch whose enqueued records failed (a `DeliveryError` as a rule); `flush` throws the first too. */
  readonly onError?: (error: LograftError) => void;
}

/** The options with their defaults. */
export interface ResolvedProducerOptions {
  readonly acks: -1 | 0 | 1;
  readonly idempotent: boolean;
  readonly lingerMs: number;
  readonly batchSize: number;
  readonly maxBatchSize: number;
  readonly compression: Codec;
  readonly compressionLevel: number | undefined;
  readonly partitioner: Partitioner;
  readonly maxBufferBytes: number;
  readonly maxRequestBytes: number;
  readonly maxInFlight: number;
  readonly deliveryTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly allowAutoCreate: boolean;
  readonly onError: ((error: LograftError) => void) | undefined;
}

/** The broker remembers five batches of an idempotent producer; a retry of an older one could not be recognised (KIP-98). */
const MAX_IN_FLIGHT = 5;
const MIN_BATCH_BYTES = BATCH_HEADER_BYTES + 64;

/** @throws LograftError INVALID_ARGUMENT naming the option, its value and its bounds. */
export function resolveProducerOptions(
  options: ProducerOptions,
  requestTimeoutMs: number,
): ResolvedProducerOptions {
  const acks = options.acks === "all" || options.acks === undefined ? -1 : options.acks;
  const idempotent = options.idempotent ?? acks !== 0;
  if (idempotent && acks === 0) {
    throw operationError(
      "INVALID_ARGUMENT",
      "idempotent needs answers: use acks 1 or all, or idempotent: false",
    );
  }
  const maxRequestBytes = within("maxRequestBytes", options.maxRequestBytes ?? 1 << 20, 1024, 1 << 30);
  const batchSize = Math.min(
    within("batchSize", options.batchSize ?? 64 * 1024, MIN_BATCH_BYTES, 1 << 30),
    maxRequestBytes,
  );
  const maxBatchSize = within(
    "maxBatchSize",
    options.maxBatchSize ?? maxRequestBytes,
    MIN_BATCH_BYTES,
    1 << 30,
  );
  const resolved: ResolvedProducerOptions = {
    acks,
    idempotent,
    lingerMs: within("lingerMs", options.lingerMs ?? 5, 0, 3_600_000),
    batchSize,
    maxBatchSize: Math.max(batchSize, Math.min(maxBatchSize, maxRequestBytes)),
    compression: options.compression ?? "none",
    compressionLevel: options.compressionLevel,
    partitioner: options.partitioner ?? murmur2Partitioner,
    maxBufferBytes: within(
      "maxBufferBytes",
      options.maxBufferBytes ?? 64 << 20,
      1024,
      Number.MAX_SAFE_INTEGER,
    ),
    maxRequestBytes,
    maxInFlight: within(
      "maxInFlight",
      options.maxInFlight ?? (idempotent ? MAX_IN_FLIGHT : 1),
      1,
      MAX_IN_FLIGHT,
    ),
    deliveryTimeoutMs: within("deliveryTimeoutMs", options.deliveryTimeoutMs ?? 120_000, 1, 2 ** 31),
    requestTimeoutMs: within("requestTimeoutMs", options.requestTimeoutMs ?? requestTimeoutMs, 1, 2 ** 31),
    allowAutoCreate: options.allowAutoCreate ?? true,
    onError: options.onError,
  };
  return resolved;
}

/** @throws LograftError INVALID_ARGUMENT. Bounds are inclusive. */
export function within(name: string, value: number, min: number, max: number): number {
  if (Number.isFinite(value) && value >= min && value <= max) return value;
  throw operationError("INVALID_ARGUMENT", `${name} is ${value}; it must be between ${min} and ${max}`, {
    context: { name, value, min, max },
  });
}
