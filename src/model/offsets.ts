import { assert } from "../base/assert.ts";
import type { Brand } from "../base/brand.ts";

/** A position in a partition. Numbers, not bigint: 2^53 records are 285 years at a million a second (D11). */
export type Offset = Brand<number, "Offset">;
/** The count of leader elections of a partition; only grows. -1: unknown or none. */
export type LeaderEpoch = Brand<number, "LeaderEpoch">;
/** Milliseconds since 1970. -1: none. */
export type Timestamp = Brand<number, "Timestamp">;
/** -1: a producer without idempotence. */
export type ProducerId = Brand<number, "ProducerId">;
/** 16 bits, -1: none. */
export type ProducerEpoch = Brand<number, "ProducerEpoch">;

export const NO_OFFSET = -1 as Offset;
export const NO_TIMESTAMP = -1 as Timestamp;
export const NO_LEADER_EPOCH = -1 as LeaderEpoch;
export const NO_PRODUCER_ID = -1 as ProducerId;
export const NO_PRODUCER_EPOCH = -1 as ProducerEpoch;

/** Brands a checked number as an offset (>= 0, safe integer). For data from outside use a `ByteReader` or validate first. */
export function offset(value: number): Offset {
  assert(Number.isSafeInteger(value) && value >= 0, "not an offset", { value });
  return value as Offset;
}

export function timestamp(value: number): Timestamp {
  assert(Number.isSafeInteger(value), "not a timestamp", { value });
  return value as Timestamp;
}

export function leaderEpoch(value: number): LeaderEpoch {
  assert(Number.isInteger(value) && value >= -1 && value <= 0x7fffffff, "not a leader epoch", { value });
  return value as LeaderEpoch;
}

export function addOffset(base: Offset, count: number): Offset {
  return offset(base + count);
}

/** Records from `from` (inclusive) to `to` (exclusive); may be negative. */
export function offsetDelta(from: Offset, to: Offset): number {
  return to - from;
}

export function maxOffset(a: Offset, b: Offset): Offset {
  return a >= b ? a : b;
}

export function minOffset(a: Offset, b: Offset): Offset {
  return a <= b ? a : b;
}
