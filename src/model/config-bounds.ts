/*
 * What broker keys and topic keys have in common. Bounds are inclusive.
 */

/** 2^10 bytes. */
export const KIB = 1024;
/** 2^20 bytes. */
export const MIB = 1024 * KIB;
/** 2^30 bytes. */
export const GIB = 1024 * MIB;
/** A day, in ms. */
export const DAY_MS = 86_400_000;
/** 2^31 - 1. */
export const INT32_MAX = 0x7fff_ffff;
/** A thousand years: longer spans are typing errors, and sums with a timestamp stay exact. */
export const LONGEST_MS = 365_250 * DAY_MS;
/** The largest size that a number holds exactly. */
export const LARGEST_BYTES = Number.MAX_SAFE_INTEGER;
/** When a replica counts a batch as stored: after a group-committed sync, within an interval, or when the OS writes it. */
export const FLUSH_POLICIES = ["ack", "interval", "os"] as const;
/** Whose clock the timestamp of a record is from. */
export const TIMESTAMP_TYPES = ["CreateTime", "LogAppendTime"] as const;
/** Whether old records go by age and size, or by a newer record of their key, or by both. */
export const CLEANUP_POLICIES = ["delete", "compact", "compact,delete"] as const;
/** A segment file is indexed by 32-bit positions. */
export const SEGMENT_BYTES = { min: 14, max: INT32_MAX } as const;
/** Of a batch: its header at least. */
export const BATCH_BYTES = { min: 61, max: GIB } as const;
/** Bytes between two entries of an index. */
export const INDEX_SPACING = { min: 0, max: INT32_MAX } as const;
/** A time that may be none. */
export const SPAN = { min: 0, max: LONGEST_MS } as const;
/** A time. */
export const POSITIVE_SPAN = { min: 1, max: LONGEST_MS } as const;
/** A time, or -1. */
export const SPAN_OR_UNLIMITED = { min: 0, max: LONGEST_MS, unlimited: true } as const;
/** A size, or -1. */
export const BYTES_OR_UNLIMITED = { min: 0, max: LARGEST_BYTES, unlimited: true } as const;
