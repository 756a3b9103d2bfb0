import type { Backoff } from "../base/backoff.ts";
import type { LogFields } from "../base/logger.ts";
import type { Queueable } from "../base/turn-queue.ts";
import type { Offset } from "../model/offsets.ts";
import type { Timer } from "../platform/clock.ts";
import type { FollowerReplica } from "./replica.ts";

/**
 * Where a followed partition stands:
 * "settling": appends of before are being waited for, or the log is being cut;
 * "ready": its position may be told to the leader, as soon as there is a stream;
 * "asked": it was told, the leader has not answered yet;
 * "fetching": the leader agrees, batches come in;
 * "paused": something went wrong, a timer ends the pause;
 * "waiting": the leader knows of a newer epoch, this broker will hear of it;
 * "stopped": its log has failed, or its role has ended.
 */
export type FollowPhase = "settling" | "ready" | "asked" | "fetching" | "paused" | "waiting" | "stopped";

/** A change of what is in the log, before its position is told. */
export interface LogCut {
  readonly type: "truncate" | "reset";
  readonly offset: Offset;
}

/** One partition that a fetcher follows in one leader epoch. */
export class FollowedPartition implements Queueable {
  readonly key: string;
  readonly replica: FollowerReplica;
  phase: FollowPhase = "settling";
  /** Its name on the stream; 0: none. */
  id = 0;
  /** In the queue of those whose position is to be told. */
  isQueued = false;
  /** Stands in the list of those with something to report. */
  isNoted = false;
  /** What the leader was told last under this id. */
  reportedOffset = -1;
  /** As the leader said last; -1: it has not. */
  highWatermark = -1;
  logStartOffset = 0;
  /** The latest append or cut that was begun; never rejects. The one before has ended when it has. */
  work: Promise<void>;
  /** Between refusals by the leader. */
  backoff: Backoff | undefined;
  #timer: Timer | undefined;
  #stopWatching: (() => void) | undefined;
  #isForgotten = false;

  constructor(key: string, replica: FollowerReplica, before: Promise<void>) {
    this.key = key;
    this.replica = replica;
    this.work = before;
  }

  /** Nobody follows it any more here, in this epoch. To be asked again after each wait (H31). */
  get isGone(): boolean {
    return this.#isForgotten || this.replica.isEnded;
  }

  /** What every line about it in the log of this broker names. */
  get fields(): LogFields {
    const { topicId, partition, leaderEpoch, lastEpoch, logEndOffset } = this.replica;
    return { topicId, partition, offset: logEndOffset, leaderEpoch, lastEpoch };
  }

  watch(listener: () => void): void {
    this.#stopWatching = this.replica.onDurable(listener);
  }

  setTimer(timer: Timer | undefined): void {
    this.#timer?.cancel();
    this.#timer = timer;
  }

  /** Lets go of everything. Idempotent. */
  forget(): void {
    this.#isForgotten = true;
    this.setTimer(undefined);
    this.#stopWatching?.();
    this.#stopWatching = undefined;
  }
}
