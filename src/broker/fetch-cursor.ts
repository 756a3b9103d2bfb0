import type { Queueable } from "../base/turn-queue.ts";
import type { ReadResult } from "../log/log-reader.ts";
import type { Offset } from "../model/offsets.ts";
import type { Timer } from "../platform/clock.ts";
import type { PartitionStore } from "./log-store.ts";
import type { Partition } from "./partition.ts";

/** A partition of a fetch session, as the client names it. */
export interface FetchPosition {
  readonly topic: string;
  readonly partition: number;
  /** First offset wanted. */
  readonly offset: number;
  /** -1: not known. */
  readonly leaderEpoch: number;
  /** Given back in each answer, to tell those before a seek from those after it. */
  readonly generation: number;
}

/** Where one subscription of a session stands. A seek makes a new one, so a read of the old one knows that it is stale. */
export class FetchCursor implements Queueable {
  readonly topic: string;
  readonly partition: number;
  readonly generation: number;
  readonly leaderEpoch: number;
  /** Next offset to send. */
  offset: Offset;
  target: { readonly partition: Partition; readonly log: PartitionStore } | undefined;
  /** In the queue of those that may have something to send. */
  isQueued = false;
  /** A disk read is under way; it puts the cursor back into the queue. */
  isReading = false;
  /** What a disk read brought and the client has no credit for yet. */
  pending: ReadResult | undefined;
  /** The wait for enough bytes is over: send what is there. */
  isDue = false;
  isEnded = false;
  #timer: Timer | undefined;
  #stops: (() => void)[] = [];

  constructor(position: FetchPosition) {
    this.topic = position.topic;
    this.partition = position.partition;
    this.generation = position.generation;
    this.leaderEpoch = position.leaderEpoch;
    this.offset = position.offset as Offset;
  }

  /** Runs `stop` when the cursor ends. */
  onEnd(stop: () => void): void {
    this.#stops.push(stop);
  }

  get hasTimer(): boolean {
    return this.#timer !== undefined;
  }

  setTimer(timer: Timer): void {
    this.#timer = timer;
  }

  /** The wait for enough bytes starts anew with the next records. */
  restartWait(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.isDue = false;
  }

  /** Releases everything. Idempotent. */
  end(): void {
    if (this.isEnded) return;
    this.isEnded = true;
    this.restartWait();
    this.pending = undefined;
    for (const stop of this.#stops) stop();
    this.#stops = [];
  }
}
