import type { Clock, Timer } from "../platform/clock.ts";
import type { RateLimit } from "./rate-limit.ts";
import type { SendQueue } from "./send-queue.ts";
import type { SentPartition } from "./sent-partition.ts";

/** Longer than this nobody waits without another look, however low the rate is. */
const MAX_WAIT_MS = 1000;

/**
 * Partitions of one stream that have something to send and may not yet, because their pace says so. They stand in no
 * queue and hold no credit, so the others go on as if these were idle. One timer for all, none while nobody waits.
 */
export class PacedPartitions {
  readonly #clock: Clock;
  readonly #queue: SendQueue;
  readonly #onDue: () => void;
  #waiting: SentPartition[] = [];
  #timer: Timer | undefined;
  #dueMs = Number.POSITIVE_INFINITY;

  /** @param deps.onDue some stand in the queue again, in the order in which they came here. */
  constructor(deps: { readonly clock: Clock; readonly queue: SendQueue; readonly onDue: () => void }) {
    this.#clock = deps.clock;
    this.#queue = deps.queue;
    this.#onDue = deps.onDue;
  }

  /** Bytes that may be read for it now. 0: it waits here, and comes back into the queue when it may try again. */
  roomFor(sent: SentPartition, pace: RateLimit | undefined): number {
    if (pace === undefined) return Number.POSITIVE_INFINITY;
    const nowMs = this.#clock.monotonicMs();
    const waitMs = pace.waitMs(nowMs);
    if (waitMs === 0) return pace.availableBytes(nowMs);
    if (!sent.isParked) {
      sent.isParked = true;
      this.#waiting.push(sent);
    }
    this.#wakeIn(Math.min(waitMs, MAX_WAIT_MS), nowMs);
    return 0;
  }

  /** Lets all go; nobody is called back. */
  clear(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#dueMs = Number.POSITIVE_INFINITY;
    for (const sent of this.#waiting) sent.isParked = false;
    this.#waiting = [];
  }

  #wakeIn(waitMs: number, nowMs: number): void {
    if (nowMs + waitMs >= this.#dueMs) return;
    this.#dueMs = nowMs + waitMs;
    this.#timer?.cancel();
    this.#timer = this.#clock.setTimer(waitMs, () => this.#release());
  }

  #release(): void {
    const due = this.#waiting;
    this.clear();
    for (const sent of due) if (!sent.isEnded) this.#queue.push(sent);
    this.#onDue();
  }
}
