import type { SnapshotDescription } from "./types.ts";

/** A snapshot on its way from the leader to one follower: one chunk at a time, the next when that one is on its disk. */
export class SnapshotTransfer {
  readonly snapshot: SnapshotDescription;
  #position = 0;
  #sentTick: number;
  #answeredTick: number;

  constructor(snapshot: SnapshotDescription, now: number) {
    this.snapshot = snapshot;
    this.#sentTick = now;
    this.#answeredTick = now;
  }

  /** Where the next chunk begins. */
  get position(): number {
    return this.#position;
  }

  /** The chunk at `position` goes out. */
  sent(now: number): void {
    this.#sentTick = now;
  }

  /**
   * The follower has `receivedBytes` of snapshot `index`. "next": a chunk is wanted; "done": it has all;
   * "ignored": the answer is old, or belongs to another snapshot.
   */
  answered(index: number, receivedBytes: number, now: number): "next" | "done" | "ignored" {
    if (index !== this.snapshot.index || receivedBytes > this.snapshot.sizeBytes) return "ignored";
    this.#answeredTick = now;
    if (receivedBytes === this.snapshot.sizeBytes) return "done";
    // The same position again is the echo of a chunk that was sent twice; what is under way answers it.
    if (receivedBytes === this.#position) return "ignored";
    this.#position = receivedBytes;
    return "next";
  }

  /** No answer to the last chunk for `ticks`. */
  isLate(now: number, ticks: number): boolean {
    return now - this.#sentTick >= ticks;
  }

  /** No answer at all for `ticks`, whatever was sent again: perhaps this snapshot cannot be read any more. */
  isStalled(now: number, ticks: number): boolean {
    return now - this.#answeredTick >= ticks;
  }
}
