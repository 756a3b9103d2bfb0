import { silentLogger } from "../../src/base/logger.ts";
import type { ReadResult } from "../../src/log/log-reader.ts";
import { nodeId } from "../../src/model/ids.ts";
import type { TopicId } from "../../src/model/ids.ts";
import type { LeaderEpoch, Offset } from "../../src/model/offsets.ts";
import { decodeLeaderFrame, encodeFollowerFrame } from "../../src/replication/replica-frames.ts";
import type { FollowerPart, LeaderPart } from "../../src/replication/replica-frames.ts";
import type { RateLimit } from "../../src/replication/rate-limit.ts";
import { ReplicaSender } from "../../src/replication/replica-sender.ts";
import type { ReplicaSenderOptions } from "../../src/replication/replica-sender.ts";
import type {
  FollowAnswer,
  FollowerIdentity,
  LeaderReplica,
  LeaderReplicas,
  ReplicaRefusal,
} from "../../src/replication/replica.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimClock } from "../../src/sim/sim-clock.ts";
import { TOPIC_ID } from "../log/engine.ts";

/** A log whose every offset is one batch of `batchBytes`. */
export class FakeReplica implements LeaderReplica {
  readonly topicId = TOPIC_ID;
  readonly partition: number;
  leaderEpoch = 3 as LeaderEpoch;
  highWatermark = 0 as Offset;
  logStartOffset = 0 as Offset;
  logEndOffset = 0 as Offset;
  gapsBelow = 0 as Offset;
  isEnded = false;
  batchBytes = 1000;
  pace: RateLimit | undefined;
  readCount = 0;
  answer: FollowAnswer = { type: "ok" };
  /** Reads wait for the disk until `land`. */
  isCold = false;
  failure: Extract<ReadResult, { ok: false }> | undefined;
  readonly reported: number[] = [];
  readonly followers: FollowerIdentity[] = [];
  readonly listeners = new Set<() => void>();
  #landings: (() => void)[] = [];

  constructor(partition: number) {
    this.partition = partition;
  }

  follow(follower: FollowerIdentity): FollowAnswer {
    if (this.answer.type === "ok") this.followers.push(follower);
    return this.answer;
  }

  progress(_follower: FollowerIdentity, endOffset: Offset): void {
    this.reported.push(endOffset);
  }

  detach(follower: FollowerIdentity): void {
    this.followers.splice(
      this.followers.findIndex((other) => other.nodeId === follower.nodeId),
      1,
    );
  }

  read(from: Offset, maxBytes: number): ReadResult | Promise<ReadResult> {
    this.readCount += 1;
    const result = this.failure ?? this.#take(from, maxBytes);
    if (!this.isCold) return result;
    return new Promise((resolve) => this.#landings.push(() => resolve(result)));
  }

  get landingCount(): number {
    return this.#landings.length;
  }

  land(): void {
    for (const landing of this.#landings.splice(0)) landing();
  }

  paceFor(): RateLimit | undefined {
    return this.pace;
  }

  watch(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  grow(count: number): void {
    this.logEndOffset = (this.logEndOffset + count) as Offset;
    this.notify();
  }

  notify(): void {
    for (const listener of this.listeners) listener();
  }

  #take(from: Offset, maxBytes: number): ReadResult {
    const count = Math.min(Math.max(Math.floor(maxBytes / this.batchBytes), 1), this.logEndOffset - from);
    const chunks = Array.from({ length: count }, () => Buffer.alloc(this.batchBytes, this.partition));
    const nextOffset = (from + count) as Offset;
    return { ok: true, chunks, sizeBytes: count * this.batchBytes, firstOffset: from, nextOffset };
  }
}

/** One stream of one follower, seen from its wire. */
export class Stream implements LeaderReplicas {
  readonly scheduler = new Scheduler({ maxEventsPerRun: 100_000 });
  readonly clock = new SimClock({}, { scheduler: this.scheduler });
  readonly replicas: FakeReplica[];
  readonly frames: LeaderPart[][] = [];
  readonly frameBytes: number[] = [];
  readonly sender: ReplicaSender;
  closedWith: Error | undefined;
  isClosed = false;
  /** Frames after which the sink is full. */
  room = Number.POSITIVE_INFINITY;
  findsPending = 0;
  mostFinds = 0;
  refusal: ReplicaRefusal | undefined;

  constructor(replicas = 1, options: ReplicaSenderOptions = {}) {
    this.replicas = Array.from({ length: replicas }, (_, partition) => new FakeReplica(partition));
    this.sender = new ReplicaSender(options, {
      clock: this.clock,
      logger: silentLogger,
      replicas: this,
      stream: {
        send: (chunks) => {
          const frame = Buffer.concat(chunks);
          this.frameBytes.push(frame.length);
          this.frames.push(decodeLeaderFrame(frame));
          return --this.room > 0;
        },
        close: (error) => {
          this.isClosed = true;
          this.closedWith = error;
        },
      },
    });
  }

  async find(_topicId: TopicId, partition: number): Promise<LeaderReplica | ReplicaRefusal> {
    this.findsPending += 1;
    this.mostFinds = Math.max(this.mostFinds, this.findsPending);
    await this.clock.sleep(1);
    this.findsPending -= 1;
    return this.refusal ?? this.replica(partition);
  }

  replica(partition = 0): FakeReplica {
    const replica = this.replicas[partition];
    if (replica === undefined) throw new Error(`no replica ${partition}`);
    return replica;
  }

  say(...parts: FollowerPart[]): void {
    this.sender.onFrame(encodeFollowerFrame(parts));
  }

  /** Opens, follows all from their start, and grants. */
  async begin(credit = 1_000_000_000): Promise<void> {
    this.say({ type: "open", nodeId: nodeId(7), brokerEpoch: 11 });
    this.follow(...this.replicas.map(({ partition }) => partition));
    if (credit > 0) this.say({ type: "credit", bytes: credit });
    await this.idle();
  }

  /** Under the id of its number plus one, or plus `base`. */
  follow(...partitions: number[]): void {
    this.say({ type: "follow", items: partitions.map((partition) => item(partition, partition + 1)) });
  }

  idle(): Promise<void> {
    return this.scheduler.runUntilIdle();
  }

  /** All parts since the last call. */
  take(): LeaderPart[] {
    this.frameBytes.length = 0;
    return this.frames.splice(0).flat();
  }
}

/** The question for one partition, from its start. */
export function item(
  partition: number,
  id: number,
): Extract<FollowerPart, { type: "follow" }>["items"][number] {
  const leaderEpoch = 3 as LeaderEpoch;
  return {
    id,
    topicId: TOPIC_ID,
    partition,
    leaderEpoch,
    logEndOffset: 0 as Offset,
    lastEpoch: -1 as LeaderEpoch,
  };
}

/** Of all records in `parts`, or of one id's. */
export function recordBytes(parts: readonly LeaderPart[], id?: number): number {
  let sum = 0;
  for (const part of parts) {
    if (part.type === "records" && (id === undefined || part.id === id)) sum += part.batches.length;
  }
  return sum;
}
