import { assert } from "../base/assert.ts";
import { LograftError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { LeaderGaps } from "../log/gaps.ts";
import type { EpochEnd } from "../log/leader-epoch-cache.ts";
import type { AppendResult } from "../log/log-appender.ts";
import type { TopicId } from "../model/ids.ts";
import { offset } from "../model/offsets.ts";
import type { LeaderEpoch, Offset } from "../model/offsets.ts";
import type { FollowerReplica } from "../replication/replica.ts";
import type { ReplicaStore } from "./log-store.ts";

export interface FollowerRoleOptions {
  readonly topicId: TopicId;
  readonly topic: string;
  readonly partition: number;
  readonly leaderEpoch: LeaderEpoch;
  /** Known from before; a hint. */
  readonly highWatermark: Offset;
}

export interface FollowerRoleDeps {
  readonly log: ReplicaStore;
  readonly logger: Logger;
  /** The topic may be led by a replica that lacks committed records (`unclean.leader.election.enable`). */
  readonly mayLoseCommitted: () => boolean;
  /** `readableEnd` may have moved by what the leader said. Must only take note. */
  readonly onCommit: () => void;
}

/** A partition in the time that another broker leads it, in one leader epoch. */
export class FollowerRole implements FollowerReplica {
  readonly topicId: TopicId;
  readonly partition: number;
  readonly leaderEpoch: LeaderEpoch;
  readonly #name: string;
  readonly #log: ReplicaStore;
  readonly #logger: Logger;
  readonly #mayLoseCommitted: () => boolean;
  readonly #onCommit: () => void;
  #highWatermark: Offset;
  /** The high watermark by the leader of this very epoch; 0 before its first word. */
  #heardWatermark = 0;
  /** The log start is being moved there. */
  #startSought = 0;
  #cutting: Promise<void> | undefined;
  #isEnded = false;

  constructor(options: FollowerRoleOptions, deps: FollowerRoleDeps) {
    this.topicId = options.topicId;
    this.partition = options.partition;
    this.leaderEpoch = options.leaderEpoch;
    this.#name = `${options.topic}-${options.partition}`;
    this.#log = deps.log;
    this.#logger = deps.logger;
    this.#mayLoseCommitted = deps.mayLoseCommitted;
    this.#onCommit = deps.onCommit;
    this.#highWatermark = options.highWatermark;
  }

  /** What the leader said last, within the own log. */
  get highWatermark(): Offset {
    return offset(Math.min(this.#highWatermark, this.#log.logEndOffset));
  }

  /**
   * Where those who read from this follower stop (KIP-392): at what the leader of this epoch said, within the own log.
   * Before its first word nothing is readable: what was committed in an epoch before may have ended with an unclean election,
   * and the leader speaks only to those whose log has been cut to agree with its own.
   */
  get readableEnd(): Offset {
    const { logStartOffset, logEndOffset } = this.#log;
    return offset(Math.max(Math.min(this.#heardWatermark, logEndOffset), logStartOffset));
  }

  get logEndOffset(): Offset {
    return this.#log.logEndOffset;
  }

  get durableEndOffset(): Offset {
    return this.#log.durableEndOffset;
  }

  get lastEpoch(): LeaderEpoch {
    return this.#log.latestEpoch;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  endOffsetForEpoch(epoch: LeaderEpoch): EpochEnd {
    return this.#log.endOffsetForEpoch(epoch);
  }

  /**
   * A cut that is under way; never rejects. Until it has ended the log may still lose its end, also behind the end of this
   * role.
   */
  get cutting(): Promise<void> | undefined {
    return this.#cutting;
  }

  /** @throws LograftError LOG_DIVERGED: committed records would go, and the topic gives none away (H42). */
  truncateTo(end: Offset): Promise<void> {
    if (end < this.highWatermark && !this.#mayLoseCommitted()) {
      return Promise.reject(this.#committedCut(end));
    }
    return this.#cut(() => this.#log.truncateTo(end));
  }

  resetTo(start: Offset): Promise<void> {
    return this.#cut(() => this.#log.resetTo(start));
  }

  append(batches: Buffer, gaps: LeaderGaps | undefined): AppendResult {
    return this.#log.appendReplicated(batches, { leaderEpoch: this.leaderEpoch, gaps });
  }

  learn(highWatermark: Offset, logStartOffset: Offset): void {
    if (this.#isEnded) return;
    if (highWatermark > this.#highWatermark) this.#highWatermark = highWatermark;
    if (highWatermark > this.#heardWatermark) {
      this.#heardWatermark = highWatermark;
      this.#onCommit();
    }
    // Records that the leader has deleted; never past what this replica has.
    const start = Math.min(logStartOffset, this.#log.logEndOffset);
    if (start <= this.#log.logStartOffset || start <= this.#startSought) return;
    this.#startSought = start;
    this.#log.advanceLogStart(offset(start)).catch((error: unknown) => {
      // The log is offline then, and says so to whoever uses it.
      this.#logger.warn("the log start of a replica could not be moved", {
        partition: this.#name,
        err: error,
      });
    });
  }

  onDurable(listener: () => void): () => void {
    return this.#log.onAdvance(listener);
  }

  /** Another epoch has begun. */
  end(): void {
    this.#isEnded = true;
  }

  #cut(run: () => Promise<void>): Promise<void> {
    assert(!this.#isEnded, "a log is cut for a role that has ended", { partition: this.#name });
    const cut = run();
    const settled: Promise<void> = cut
      .catch(() => undefined)
      .then(() => {
        if (this.#cutting === settled) this.#cutting = undefined;
      });
    this.#cutting = settled;
    return cut;
  }

  #committedCut(end: Offset): LograftError {
    const { highWatermark, leaderEpoch } = this;
    return new LograftError(
      "LOG_DIVERGED",
      `the leader of ${this.#name} in epoch ${leaderEpoch} lacks the offsets from ${end} to ${highWatermark} (exclusive), ` +
        "which are committed; this replica keeps them and stops following. Should they be given up, set " +
        "unclean.leader.election.enable=true on the topic",
      { context: { partition: this.#name, offset: end, highWatermark, leaderEpoch } },
    );
  }
}
