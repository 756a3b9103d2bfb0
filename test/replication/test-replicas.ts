import type { LogFields, Logger } from "../../src/base/logger.ts";
import type { LeaderGaps } from "../../src/log/gaps.ts";
import type { EpochEnd } from "../../src/log/leader-epoch-cache.ts";
import type { AppendResult } from "../../src/log/log-appender.ts";
import type { ReadResult } from "../../src/log/log-reader.ts";
import type { PartitionLog } from "../../src/log/partition-log.ts";
import type { TopicId } from "../../src/model/ids.ts";
import type { LeaderEpoch, Offset } from "../../src/model/offsets.ts";
import { compareHistories } from "../../src/replication/divergence.ts";
import type {
  FollowAnswer,
  FollowerIdentity,
  FollowerPosition,
  FollowerReplica,
  LeaderReplica,
} from "../../src/replication/replica.ts";
import { TOPIC_ID } from "../log/engine.ts";

/** Lines of a test's log. */
export class Lines implements Logger {
  readonly lines: { readonly level: string; readonly message: string; readonly fields: LogFields }[] = [];
  debug = (): void => undefined;
  info = (message: string, fields: LogFields = {}): void => this.#add("info", message, fields);
  warn = (message: string, fields: LogFields = {}): void => this.#add("warn", message, fields);
  error = (message: string, fields: LogFields = {}): void => this.#add("error", message, fields);
  child = (): Logger => this;

  ofLevel(level: string): string[] {
    return this.lines.filter((line) => line.level === level).map((line) => line.message);
  }

  #add(level: string, message: string, fields: LogFields): void {
    this.lines.push({ level, message, fields });
  }
}

/** The leader of one epoch over a real log. Every node of the cluster counts for its high watermark. */
export class TestLeader implements LeaderReplica {
  readonly topicId: TopicId = TOPIC_ID;
  readonly partition: number;
  readonly leaderEpoch: LeaderEpoch;
  readonly log: PartitionLog;
  readonly detached: FollowerIdentity[] = [];
  readonly ends = new Map<number, number>();
  highWatermark = 0 as Offset;
  isEnded = false;
  /** What the reads of a follower may be replaced with. */
  onRead: ((from: Offset, maxBytes: number) => ReadResult | Promise<ReadResult>) | undefined;
  readCount = 0;
  readonly #others: number;
  readonly #listeners = new Set<() => void>();

  constructor(partition: number, epoch: number, log: PartitionLog, others: number) {
    this.partition = partition;
    this.leaderEpoch = epoch as LeaderEpoch;
    this.log = log;
    this.#others = others;
    log.onAdvance(() => this.#advance());
  }

  get logStartOffset(): Offset {
    return this.log.logStartOffset;
  }

  get logEndOffset(): Offset {
    return this.log.logEndOffset;
  }

  get gapsBelow(): Offset {
    return this.log.gapsBelow;
  }

  get watcherCount(): number {
    return this.#listeners.size;
  }

  follow(follower: FollowerIdentity, at: FollowerPosition): FollowAnswer {
    const { leaderEpoch } = this;
    if (this.isEnded || at.leaderEpoch !== leaderEpoch) {
      const error = at.leaderEpoch > leaderEpoch ? "UNKNOWN_LEADER_EPOCH" : "FENCED_LEADER_EPOCH";
      return { type: "refused", error, message: "another epoch", leaderEpoch };
    }
    const answer = compareHistories(at, this.log);
    if (answer.type === "ok") this.ends.set(follower.nodeId, 0);
    return answer;
  }

  progress(follower: FollowerIdentity, endOffset: Offset): void {
    this.ends.set(follower.nodeId, endOffset);
    this.#advance();
  }

  detach(follower: FollowerIdentity): void {
    this.detached.push(follower);
  }

  read(from: Offset, maxBytes: number): ReadResult | Promise<ReadResult> {
    this.readCount += 1;
    return this.onRead?.(from, maxBytes) ?? this.log.read(from, maxBytes);
  }

  paceFor(): undefined {
    return undefined;
  }

  watch(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  end(): void {
    this.isEnded = true;
    this.#notify();
  }

  #advance(): void {
    const ends = [...this.ends.values(), this.log.durableEndOffset];
    if (this.ends.size === this.#others) {
      this.highWatermark = Math.max(this.highWatermark, Math.min(...ends)) as Offset;
    }
    this.#notify();
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** A follower in one epoch over a real log. */
export class TestFollower implements FollowerReplica {
  readonly topicId: TopicId = TOPIC_ID;
  readonly partition: number;
  readonly leaderEpoch: LeaderEpoch;
  readonly log: PartitionLog;
  highWatermark = 0;
  isEnded = false;
  readonly cuts: number[] = [];
  readonly resets: number[] = [];
  /** Epochs in which it was asked to append. */
  appends = 0;
  largestAppend = 0;

  constructor(partition: number, epoch: number, log: PartitionLog) {
    this.partition = partition;
    this.leaderEpoch = epoch as LeaderEpoch;
    this.log = log;
  }

  get logEndOffset(): Offset {
    return this.log.logEndOffset;
  }

  get durableEndOffset(): Offset {
    return this.log.durableEndOffset;
  }

  get lastEpoch(): LeaderEpoch {
    return this.log.latestEpoch;
  }

  endOffsetForEpoch(epoch: LeaderEpoch): EpochEnd {
    return this.log.endOffsetForEpoch(epoch);
  }

  truncateTo(offset: Offset): Promise<void> {
    if (this.isEnded) throw new Error("a cut in an epoch that has ended");
    if (offset < this.logEndOffset) this.cuts.push(offset);
    return this.log.truncateTo(offset);
  }

  resetTo(offset: Offset): Promise<void> {
    if (this.isEnded) throw new Error("a reset in an epoch that has ended");
    this.resets.push(offset);
    return this.log.resetTo(offset);
  }

  append(batches: Buffer, gaps: LeaderGaps | undefined): AppendResult {
    if (this.isEnded) throw new Error("an append in an epoch that has ended");
    this.appends += 1;
    this.largestAppend = Math.max(this.largestAppend, batches.length);
    return this.log.appendReplicated(batches, { leaderEpoch: this.leaderEpoch, gaps });
  }

  learn(highWatermark: Offset): void {
    this.highWatermark = Math.max(this.highWatermark, Math.min(highWatermark, this.logEndOffset));
  }

  onDurable(listener: () => void): () => void {
    return this.log.onAdvance(listener);
  }
}
