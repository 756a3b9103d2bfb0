import type { Queueable } from "../base/turn-queue.ts";
import type { ReadResult } from "../log/log-reader.ts";
import type { Offset } from "../model/offsets.ts";
import type { FollowItem, RecordsToSend } from "./replica-frames.ts";
import type { LeaderReplica } from "./replica.ts";

/** One partition of a replica stream at its leader, from the follower's question to the end of its id. */
export class SentPartition implements Queueable {
  readonly item: FollowItem;
  /** Undefined while it is looked for. */
  replica: LeaderReplica | undefined;
  /** The next offset to send. */
  nextOffset: Offset;
  /** In one of the queues of those with batches to send. */
  isQueued = false;
  /** Its last batches were not in memory, so the next ones may not be either. */
  isCold = false;
  /** A disk read is under way. */
  isReading = false;
  /** What a disk read brought, until it can be sent. */
  landed: ReadResult | undefined;
  /** Has to wait for its pace. */
  isParked = false;
  /** Stands in the list of those whose leader has news. */
  isNoted = false;
  /** Stands in the list of those whose marks are to be told. */
  isMarked = false;
  sentHighWatermark = -1;
  sentLogStart = -1;
  isEnded = false;
  #stopWatching: (() => void) | undefined;

  constructor(item: FollowItem) {
    this.item = item;
    this.nextOffset = item.logEndOffset;
  }

  get id(): number {
    return this.item.id;
  }

  /** What the follower was told last is not so any more. */
  hasNewMarks(replica: LeaderReplica): boolean {
    return replica.highWatermark !== this.sentHighWatermark || replica.logStartOffset !== this.sentLogStart;
  }

  /** The part that sends what was read from `nextOffset` on, and goes on behind it. */
  take(replica: LeaderReplica, { chunks, nextOffset }: Extract<ReadResult, { ok: true }>): RecordsToSend {
    const { leaderEpoch, highWatermark, logStartOffset, gapsBelow: below } = replica;
    const from = this.nextOffset;
    this.nextOffset = nextOffset;
    this.sentHighWatermark = highWatermark;
    this.sentLogStart = logStartOffset;
    const gaps = from < below ? { from, below } : undefined;
    return { type: "records", id: this.id, leaderEpoch, highWatermark, logStartOffset, gaps, chunks };
  }

  attach(replica: LeaderReplica, onNews: () => void): void {
    this.replica = replica;
    this.#stopWatching = replica.watch(onNews);
  }

  /** Lets go of everything; true when the leader knows this follower through it. */
  end(): boolean {
    if (this.isEnded) return false;
    this.isEnded = true;
    this.landed = undefined;
    const wasAttached = this.#stopWatching !== undefined;
    this.#stopWatching?.();
    this.#stopWatching = undefined;
    return wasAttached;
  }
}
