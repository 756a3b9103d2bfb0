import { NO_BROKER_EPOCH } from "../model/ids.ts";
import { maxOffset, minOffset, NO_OFFSET } from "../model/offsets.ts";
import type { Offset } from "../model/offsets.ts";

/**
 * What a leader knows of one follower within its leader epoch; what the follower did in earlier epochs or before it
 * registered anew counts for nothing (H36, H39). Times are monotonic ms.
 */
export class FollowerProgress {
  #brokerEpoch = NO_BROKER_EPOCH;
  #endOffset = NO_OFFSET;
  #caughtUpMs: number;
  #reportedMs = Number.NEGATIVE_INFINITY;
  /** The leader's end when the follower last reported. */
  #leaderEndThen = NO_OFFSET;

  /** @param caughtUpMs when it was last up to date with the leader; -Infinity: never, as far as is known. */
  constructor(caughtUpMs: number) {
    this.#caughtUpMs = caughtUpMs;
  }

  /** Of the registration that follows; `NO_BROKER_EPOCH` until one does. */
  get brokerEpoch(): number {
    return this.#brokerEpoch;
  }

  /** End of what it reported as stored; `NO_OFFSET` until it did. */
  get endOffset(): Offset {
    return this.#endOffset;
  }

  /** It says where its log ends and reads on from there; how much of that is stored it reports apart. */
  follow(brokerEpoch: number, logEndOffset: Offset, leaderEndOffset: Offset, nowMs: number): void {
    if (brokerEpoch < this.#brokerEpoch) return;
    // It had everything to this moment, if it did: what it may lack from here on begins now.
    if (this.#endOffset >= leaderEndOffset) this.#noteCaughtUp(nowMs);
    // Of the same registration only what lies beyond the end it names now is gone.
    this.#endOffset =
      brokerEpoch === this.#brokerEpoch ? minOffset(this.#endOffset, logEndOffset) : NO_OFFSET;
    this.#brokerEpoch = brokerEpoch;
    this.#reportedMs = nowMs;
    this.#leaderEndThen = leaderEndOffset;
  }

  /** It stored records up to there. A report that comes late, by an older stream, takes nothing back. */
  report(brokerEpoch: number, endOffset: Offset, leaderEndOffset: Offset, nowMs: number): void {
    if (brokerEpoch !== this.#brokerEpoch) return;
    this.#endOffset = maxOffset(this.#endOffset, endOffset);
    // Under constant load a follower never is where the leader is, but soon where the leader was (KIP-16).
    if (this.#endOffset >= leaderEndOffset) this.#noteCaughtUp(nowMs);
    else if (this.#endOffset >= this.#leaderEndThen) this.#noteCaughtUp(this.#reportedMs);
    this.#reportedMs = nowMs;
    this.#leaderEndThen = leaderEndOffset;
  }

  /** The leader's log grows: whoever had all of it up to now is behind from now on, not since it last reported. */
  leaderGrows(leaderEndBefore: Offset, nowMs: number): void {
    if (this.#endOffset >= leaderEndBefore) this.#noteCaughtUp(nowMs);
  }

  /** True while it has all that the leader has, or had at some moment within the lag time. */
  isCaughtUp(leaderEndOffset: Offset, nowMs: number, lagTimeMaxMs: number): boolean {
    return this.#endOffset >= leaderEndOffset || nowMs - this.#caughtUpMs <= lagTimeMaxMs;
  }

  #noteCaughtUp(atMs: number): void {
    this.#caughtUpMs = Math.max(this.#caughtUpMs, atMs);
  }
}
