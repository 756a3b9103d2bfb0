import type { Offset, Timestamp } from "../model/offsets.ts";

/** What the decision needs of one sealed segment. */
export interface SegmentAge {
  /** Exclusive. */
  readonly endOffset: Offset;
  readonly sizeBytes: number;
  /** Greatest timestamp of its records; -1: they have none. */
  readonly maxTimestamp: Timestamp;
  /** Wall time at which it was made or first seen. */
  readonly createdMs: number;
}

/** Limits of a topic, and what may be deleted at all. */
export interface RetentionRules {
  readonly logStartOffset: Offset;
  /** Nothing at or behind it goes: the high watermark (H50). */
  readonly endOffset: Offset;
  readonly nowMs: number;
  /** Infinity: no limit, also while the clock is in doubt. */
  readonly retentionMs: number;
  readonly retentionBytes: number;
  /** Of the whole log, the active segment included. */
  readonly sizeBytes: number;
}

/**
 * How many of the oldest segments go (Kafka's three rules): below the log start; too old, by their greatest timestamp,
 * so that one late record keeps its neighbours; or the log stays at least `retentionBytes` without them. Stops at the
 * first one that stays. `sealed`: oldest first, without the active segment, which never goes.
 */
export function countExpired(sealed: readonly SegmentAge[], rules: RetentionRules): number {
  let count = 0;
  let rest = rules.sizeBytes;
  for (const segment of sealed) {
    if (segment.endOffset > rules.endOffset) break;
    const bornMs = segment.maxTimestamp >= 0 ? segment.maxTimestamp : segment.createdMs;
    const isExpired =
      segment.endOffset <= rules.logStartOffset ||
      rules.nowMs - bornMs > rules.retentionMs ||
      rest - segment.sizeBytes >= rules.retentionBytes;
    if (!isExpired) break;
    count++;
    rest -= segment.sizeBytes;
  }
  return count;
}

/**
 * Compares the wall clock with the monotonic one: a clock that was set forward would make everything old at once (H51).
 * After a jump nothing is deleted by age until `settleMs` of steady time have passed, so that a corrected mistake costs
 * no data.
 */
export class ClockGuard {
  readonly #maxJumpMs: number;
  readonly #settleMs: number;
  #skewMs: number | undefined;
  #jumpedMs = Number.NEGATIVE_INFINITY;

  constructor(options: { readonly maxJumpMs: number; readonly settleMs: number }) {
    this.#maxJumpMs = options.maxJumpMs;
    this.#settleMs = options.settleMs;
  }

  /** Call at each pass. Whether age may be decided now, and how far the clock jumped since the last call. */
  check(wallMs: number, monotonicMs: number): { readonly isTrusted: boolean; readonly jumpMs: number } {
    const skewMs = wallMs - monotonicMs;
    const jumpMs = this.#skewMs === undefined ? 0 : skewMs - this.#skewMs;
    this.#skewMs = skewMs;
    if (Math.abs(jumpMs) > this.#maxJumpMs) this.#jumpedMs = monotonicMs;
    return { isTrusted: monotonicMs - this.#jumpedMs >= this.#settleMs, jumpMs };
  }
}
