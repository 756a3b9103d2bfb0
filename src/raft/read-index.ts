import type { ReadState } from "./types.ts";

interface WaitingRead {
  readonly token: number;
  readonly index: number;
  readonly round: number;
}

/** Reads that may wait for a round at the same time; the driver lets many readers share one. */
const MAX_WAITING = 4096;

/**
 * Reads that wait until the leader knows that it still was one after they were asked (§6.4, H10). Each read belongs to
 * a heartbeat round that begins after it; the answers of a majority to that round, or a later one, let it go.
 */
export class ReadIndex {
  #round = 0;
  /** Rising by round. */
  #waiting: WaitingRead[] = [];

  /** Number of the last round that was begun. Heartbeats carry it. */
  get round(): number {
    return this.#round;
  }

  /** True when a read waits for a round that has not begun. */
  get isRoundDue(): boolean {
    return (this.#waiting.at(-1)?.round ?? 0) > this.#round;
  }

  beginRound(): void {
    this.#round++;
  }

  /** `index`: the commit index when the read was asked for. False when too many wait already. */
  add(token: number, index: number): boolean {
    if (this.#waiting.length >= MAX_WAITING) return false;
    this.#waiting.push({ token, index, round: this.#round + 1 });
    return true;
  }

  /** The reads that may be answered now that a majority has answered `round`. */
  confirm(round: number): ReadState[] {
    const later = this.#waiting.findIndex((read) => read.round > round);
    const count = later < 0 ? this.#waiting.length : later;
    return this.#waiting.splice(0, count).map(({ token, index }) => ({ token, index }));
  }

  /** Leadership is lost: whether these reads would have been fresh will never be known. */
  abandon(): ReadState[] {
    return this.#waiting.splice(0).map(({ token }) => ({ token, index: undefined }));
  }
}
