import { assertNever } from "../base/assert.ts";
import { Backoff } from "../base/backoff.ts";
import { copyBytes } from "../base/bytes.ts";
import { errorMessage, LograftError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { TurnQueue } from "../base/turn-queue.ts";
import { ProtocolError } from "../model/error-code.ts";
import type { Offset } from "../model/offsets.ts";
import type { PeerAddress } from "../model/peer-address.ts";
import type { Clock } from "../platform/clock.ts";
import type { Random } from "../platform/random.ts";
import { truncationPoint } from "./divergence.ts";
import { FollowedPartition } from "./followed-partition.ts";
import type { LogCut } from "./followed-partition.ts";
import type { LeaderEndpoint } from "./leader-endpoint.ts";
import { LEADER_BACKOFF, LeaderStream } from "./leader-stream.ts";
import { decodeLeaderFrame } from "./replica-frames.ts";
import type {
  DivergingPart,
  FollowerPart,
  FollowItem,
  LeaderMarks,
  LeaderPart,
  ProgressItem,
  RecordsPart,
  RefusedPart,
  ResetPart,
} from "./replica-frames.ts";
import type { FollowerIdentity, FollowerReplica } from "./replica.ts";

export interface FetcherOptions {
  /** Batch bytes that a leader may have sent and that are not durable here yet. Default 8 MiB. */
  readonly windowBytes?: number;
}

export interface FetcherDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly endpoint: LeaderEndpoint;
  /** This broker's present registration; undefined: none yet, streams wait for it. */
  readonly identity: () => FollowerIdentity | undefined;
}

const DEFAULT_WINDOW_BYTES = 8 * 1024 * 1024;
/** After bad bytes or a failing disk. */
const FAULT_PAUSE_MS = 1000;
/** Positions told in one frame. */
const MAX_FOLLOW_ITEMS = 1000;
/** Where a stream's ids are used up, with room for one more frame. */
const MAX_ID = 0xffff_ffff - MAX_FOLLOW_ITEMS;

/**
 * The follower's side of one replica stream: everything that this broker follows of one leader (D6). It opens the stream
 * when there is something to follow, names each partition's position once, cuts its log until the leader agrees (H34,
 * H38), appends what comes, and reports what is durable. Reports and credit of one turn of the loop share a frame.
 */
export class Fetcher {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #logger: Logger;
  readonly #stream: LeaderStream;
  readonly #partitions = new Map<string, FollowedPartition>();
  readonly #byId = new Map<number, FollowedPartition>();
  readonly #ready = new TurnQueue<FollowedPartition>();
  #noted: FollowedPartition[] = [];
  #unfollowed: number[] = [];
  #nextId = 1;
  #isScheduled = false;
  #isClosed = false;

  constructor(leader: PeerAddress, options: FetcherOptions, deps: FetcherDeps) {
    this.#clock = deps.clock;
    this.#random = deps.random;
    this.#logger = deps.logger;
    const { windowBytes = DEFAULT_WINDOW_BYTES } = options;
    this.#stream = new LeaderStream(
      leader,
      { windowBytes },
      {
        ...deps,
        onFrame: (frame) => this.#onFrame(frame),
        onWritable: () => this.#schedule(),
        onLost: () => this.#onLost(),
      },
    );
  }

  get partitionCount(): number {
    return this.#partitions.size;
  }

  /** Follows `replica` from its present position once `before` (which never rejects) has ended. */
  add(key: string, replica: FollowerReplica, before: Promise<void>): void {
    const partition = new FollowedPartition(key, replica, before);
    this.#partitions.set(key, partition);
    partition.watch(() => this.#note(partition));
    this.#settle(partition);
  }

  /** Answers what is still under way in its log; it never rejects. */
  remove(key: string): Promise<void> {
    const partition = this.#partitions.get(key);
    if (partition === undefined) return Promise.resolve();
    this.#partitions.delete(key);
    this.#unfollow(partition);
    partition.forget();
    return partition.work;
  }

  /** The leader is to be reached there from now on. */
  setLeader(leader: PeerAddress): void {
    const { endpoint, directoryId } = this.#stream.leader;
    if (endpoint !== leader.endpoint || directoryId !== leader.directoryId) this.#stream.reopen(leader);
  }

  /** Begins a new stream at once: this broker's registration is another now. */
  reopen(): void {
    this.#stream.reopen();
  }

  /** Follows nothing any more. Idempotent. */
  close(): void {
    this.#isClosed = true;
    for (const partition of this.#partitions.values()) partition.forget();
    this.#partitions.clear();
    this.#stream.close();
    this.#ready.clear();
    this.#noted = [];
  }

  /** Everything that the stream knew is followed anew on the next one. */
  #onLost(): void {
    this.#byId.clear();
    this.#unfollowed = [];
    this.#nextId = 1;
    for (const partition of this.#partitions.values()) {
      partition.id = 0;
      const { phase } = partition;
      if (phase === "asked" || phase === "fetching" || phase === "waiting") this.#settle(partition);
    }
  }

  #onFrame(frame: Buffer): void {
    try {
      for (const part of decodeLeaderFrame(frame)) this.#take(part, frame.length);
    } catch (error: unknown) {
      if (!(error instanceof LograftError && error.code === "CORRUPT_MESSAGE")) throw error;
      this.#stream.fail(error);
    }
  }

  #take(part: LeaderPart, frameBytes: number): void {
    if (part.type === "watermarks") {
      for (const item of part.items) {
        const partition = this.#byId.get(item.id);
        if (partition === undefined || !this.#isCurrent(partition)) continue;
        this.#agreed(partition);
        this.#learn(partition, item);
      }
      return;
    }
    // What comes under an id that was given up is late: it belongs to a position of before (H35).
    const partition = this.#byId.get(part.id);
    if (partition === undefined || !this.#isCurrent(partition)) {
      if (part.type === "records") this.#stream.drop(part.batches.length);
      return;
    }
    switch (part.type) {
      case "records":
        this.#append(partition, part, frameBytes);
        return;
      case "diverging":
        this.#onDiverging(partition, part);
        return;
      case "reset":
        this.#onReset(partition, part);
        return;
      case "refused":
        this.#onRefused(partition, part);
        return;
      default:
        assertNever(part);
    }
  }

  /** False, with the partition given up, when its role has ended. */
  #isCurrent(partition: FollowedPartition): boolean {
    if (!partition.isGone) return true;
    this.#stop(partition);
    return false;
  }

  #agreed(partition: FollowedPartition): void {
    if (partition.phase !== "asked") return;
    partition.phase = "fetching";
    partition.reportedOffset = -1;
    partition.backoff?.reset();
    this.#note(partition);
  }

  #learn(partition: FollowedPartition, marks: LeaderMarks): void {
    partition.highWatermark = marks.highWatermark;
    partition.logStartOffset = marks.logStartOffset;
    partition.replica.learn(marks.highWatermark, marks.logStartOffset);
  }

  #append(partition: FollowedPartition, part: RecordsPart, frameBytes: number): void {
    const { replica } = partition;
    if (part.leaderEpoch !== replica.leaderEpoch) {
      throw new ProtocolError(
        "CORRUPT_MESSAGE",
        `records of ${partition.key} came in leader epoch ${part.leaderEpoch}, asked for in ${replica.leaderEpoch}`,
      );
    }
    this.#agreed(partition);
    const sizeBytes = part.batches.length;
    // The log keeps what it is given: a small piece must not hold the memory of the whole frame.
    const batches = sizeBytes * 2 >= frameBytes ? part.batches : copyBytes(part.batches);
    const result = replica.append(batches, part.gaps);
    if (!result.ok) {
      this.#stream.drop(sizeBytes);
      this.#fault(partition, "batches of a leader cannot be appended", result.error, result.message);
      return;
    }
    this.#stream.hold(sizeBytes);
    const release = (): void => this.#stream.release(sizeBytes);
    partition.work = result.done.then(release, (error: unknown) => {
      release();
      if (partition.phase !== "fetching" || !this.#isCurrent(partition)) return;
      this.#fault(partition, "batches of a leader were not kept", "KAFKA_STORAGE_ERROR", errorMessage(error));
    });
    this.#learn(partition, part);
  }

  #onDiverging(partition: FollowedPartition, part: DivergingPart): void {
    const { replica, phase } = partition;
    if (phase !== "asked") {
      throw new ProtocolError(
        "CORRUPT_MESSAGE",
        `${partition.key} diverges after its position was agreed to`,
      );
    }
    this.#giveUpId(partition);
    const offset = truncationPoint(part, replica);
    if (offset >= replica.logEndOffset) {
      const message = `the leader ends epoch ${part.epoch} at ${part.endOffset}, which leaves nothing to cut behind ${offset}`;
      this.#fault(partition, "a replica does not agree with its leader", "LOG_DIVERGED", message);
      return;
    }
    this.#logger.info("a replica is cut where its leader's log goes another way", {
      ...partition.fields,
      to: offset,
      leaderEndsEpoch: part.epoch,
    });
    this.#settle(partition, { type: "truncate", offset });
  }

  #onReset(partition: FollowedPartition, part: ResetPart): void {
    const { logStartOffset } = part;
    this.#giveUpId(partition);
    const { replica } = partition;
    // Never on the leader's word alone: what this replica has may be all that is left of it.
    if (logStartOffset < replica.logEndOffset) {
      const message = `the leader begins at ${logStartOffset}, this replica has offsets up to ${replica.logEndOffset} (exclusive)`;
      this.#fault(partition, "a replica is not reset", "OFFSET_OUT_OF_RANGE", message);
      return;
    }
    this.#logger.warn("a replica begins anew: its leader has deleted what comes next", {
      ...partition.fields,
      to: logStartOffset,
    });
    this.#settle(partition, { type: "reset", offset: logStartOffset });
  }

  #onRefused(partition: FollowedPartition, part: RefusedPart): void {
    this.#giveUpId(partition);
    if (part.leaderEpoch > partition.replica.leaderEpoch) {
      // Another leader or epoch: the metadata brings it, with a new replica to follow.
      partition.phase = "waiting";
      return;
    }
    if (part.error === "CORRUPT_MESSAGE" || part.error === "KAFKA_STORAGE_ERROR") {
      this.#fault(partition, "a leader cannot read what it is to send", part.error, part.message);
      return;
    }
    this.#logger.debug("a leader does not serve a partition yet", {
      ...partition.fields,
      error: part.error,
      cause: part.message,
    });
    partition.backoff ??= new Backoff(LEADER_BACKOFF, { random: this.#random });
    this.#pause(partition, partition.backoff.nextMs());
  }

  /** What is wrong with one partition stops that one, for a while; the others of the stream go on. */
  #fault(partition: FollowedPartition, message: string, error: string, cause: string): void {
    const leader = this.#stream.leader.nodeId;
    this.#logger.error(message, { ...partition.fields, leader, error, cause, retryMs: FAULT_PAUSE_MS });
    this.#pause(partition, FAULT_PAUSE_MS);
  }

  #pause(partition: FollowedPartition, delayMs: number): void {
    this.#unfollow(partition);
    partition.phase = "paused";
    partition.setTimer(
      this.#clock.setTimer(delayMs, () => {
        partition.setTimer(undefined);
        this.#settle(partition);
      }),
    );
  }

  /**
   * Waits for what is under way in the log, cuts it if it is to be cut, and then lets the position be told. Only when
   * nothing is queued behind it, a log's end is where the next batch must begin.
   */
  #settle(partition: FollowedPartition, cut?: LogCut): void {
    partition.phase = "settling";
    partition.work = this.#settled(partition, partition.work, cut);
  }

  /** Never rejects. */
  async #settled(
    partition: FollowedPartition,
    before: Promise<void>,
    cut: LogCut | undefined,
  ): Promise<void> {
    const { replica } = partition;
    try {
      await before;
      if (!this.#isCurrent(partition)) return;
      if (cut !== undefined) {
        await (cut.type === "truncate" ? replica.truncateTo(cut.offset) : replica.resetTo(cut.offset));
        if (!this.#isCurrent(partition)) return;
      }
      // What this broker queued as a leader and has not written has no other replica seen: it goes. Else nothing is cut.
      await replica.truncateTo(replica.logEndOffset);
    } catch (error: unknown) {
      if (!this.#isCurrent(partition)) return;
      this.#logger.error("a replica has stopped: its log has failed", {
        ...partition.fields,
        err: error,
      });
      this.#stop(partition);
      return;
    }
    if (!this.#isCurrent(partition)) return;
    partition.phase = "ready";
    this.#ready.push(partition);
    this.#schedule();
  }

  #stop(partition: FollowedPartition): void {
    this.#unfollow(partition);
    partition.phase = "stopped";
    partition.forget();
  }

  /** The leader is told that this id is not wanted any more. */
  #unfollow(partition: FollowedPartition): void {
    const { id } = partition;
    this.#giveUpId(partition);
    if (id === 0) return;
    this.#unfollowed.push(id);
    this.#schedule();
  }

  #giveUpId(partition: FollowedPartition): void {
    if (partition.id === 0) return;
    this.#byId.delete(partition.id);
    partition.id = 0;
  }

  /** Inside the log's own steps: only takes note. */
  #note(partition: FollowedPartition): void {
    if (partition.isNoted || partition.phase !== "fetching") return;
    partition.isNoted = true;
    this.#noted.push(partition);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isClosed || this.#stream.isBlocked) return;
    this.#isScheduled = true;
    this.#clock.defer(() => this.#flush());
  }

  #flush(): void {
    this.#isScheduled = false;
    if (this.#isClosed || this.#stream.isBlocked) return;
    if (!this.#stream.isOpen) {
      if (this.#ready.length > 0) this.#stream.open();
      return;
    }
    if (this.#nextId > MAX_ID) {
      this.#stream.reopen();
      return;
    }
    const parts: FollowerPart[] = [];
    const items = this.#takeProgress();
    if (items.length > 0) parts.push({ type: "progress", items });
    if (this.#unfollowed.length > 0) parts.push({ type: "unfollow", ids: this.#unfollowed });
    this.#unfollowed = [];
    const positions = this.#takePositions();
    if (positions.length > 0) parts.push({ type: "follow", items: positions });
    const bytes = this.#stream.takeCredit();
    if (bytes > 0) parts.push({ type: "credit", bytes });
    if (parts.length > 0) this.#stream.send(parts);
    if (this.#ready.length > 0) this.#schedule();
  }

  #takeProgress(): ProgressItem[] {
    const items: ProgressItem[] = [];
    const noted = this.#noted;
    this.#noted = [];
    for (const partition of noted) {
      partition.isNoted = false;
      if (partition.phase !== "fetching" || !this.#isCurrent(partition)) continue;
      const { id, replica, highWatermark, logStartOffset } = partition;
      const endOffset = replica.durableEndOffset;
      // The leader's marks may have been ahead of this log when they came.
      if (highWatermark >= 0) replica.learn(highWatermark as Offset, logStartOffset as Offset);
      if (endOffset <= partition.reportedOffset) continue;
      partition.reportedOffset = endOffset;
      items.push({ id, endOffset });
    }
    return items;
  }

  #takePositions(): FollowItem[] {
    const items: FollowItem[] = [];
    while (items.length < MAX_FOLLOW_ITEMS) {
      const partition = this.#ready.shift();
      if (partition === undefined) break;
      if (partition.phase !== "ready" || !this.#isCurrent(partition)) continue;
      const { topicId, partition: number, leaderEpoch, logEndOffset, lastEpoch } = partition.replica;
      partition.id = this.#nextId++;
      partition.phase = "asked";
      partition.highWatermark = -1;
      this.#byId.set(partition.id, partition);
      items.push({ id: partition.id, topicId, partition: number, leaderEpoch, logEndOffset, lastEpoch });
    }
    return items;
  }
}
