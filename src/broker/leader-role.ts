import type { PartitionImage } from "../metadata/image.ts";
import type { NodeId, TopicId } from "../model/ids.ts";
import type { LeaderEpoch, Offset } from "../model/offsets.ts";
import type { Clock } from "../platform/clock.ts";
import { compareHistories } from "../replication/divergence.ts";
import { IsrState } from "../replication/isr.ts";
import type { IsEligible, IsrProposal, IsrStart } from "../replication/isr.ts";
import type { RateLimit } from "../replication/rate-limit.ts";
import type {
  FollowAnswer,
  FollowerIdentity,
  FollowerPosition,
  LeaderReplica,
} from "../replication/replica.ts";
import type { BrokerSabotage } from "./broker-options.ts";
import type { ReplicaStore } from "./log-store.ts";
import { ReplicationWaits } from "./replication-waits.ts";

export interface LeaderRoleOptions {
  readonly self: NodeId;
  readonly topicId: TopicId;
  readonly topic: string;
  readonly partition: number;
  readonly image: PartitionImage;
  /** Known from before this broker led it; a hint. */
  readonly highWatermark: Offset;
  readonly minInsyncReplicas: number;
  readonly lagTimeMs: number;
  readonly sabotage?: BrokerSabotage | undefined;
}

export interface LeaderRoleDeps {
  readonly log: ReplicaStore;
  readonly clock: Clock;
  /** There may be something to ask of the controller. Must only take note. */
  readonly onIsrNews: (role: LeaderRole) => void;
  /** How fast replicas of a reassignment may copy the topic from this broker, all together; undefined: as they can. */
  readonly pace: () => RateLimit | undefined;
}

/** What those who watch a leader's partition look at. */
interface Marks {
  highWatermark: Offset;
  logEndOffset: Offset;
  logStartOffset: Offset;
  state: ReplicaStore["state"];
}

/** In so many parts of the lag time it is looked at who falls behind while records keep coming. */
const NEWS_PER_LAG_TIME = 20;

/**
 * A partition in the time that this broker leads it: who follows how closely, how far records are committed, and who
 * waits for that. Ends with the leader epoch.
 */
export class LeaderRole implements LeaderReplica {
  readonly topicId: TopicId;
  readonly partition: number;
  readonly leaderEpoch: LeaderEpoch;
  readonly #name: string;
  readonly #log: ReplicaStore;
  readonly #clock: Clock;
  readonly #onIsrNews: (role: LeaderRole) => void;
  readonly #pace: () => RateLimit | undefined;
  readonly #isr: IsrState;
  readonly #waits = new ReplicationWaits();
  readonly #listeners = new Set<() => void>();
  readonly #stopWatching: () => void;
  readonly #newsIntervalMs: number;
  /** For tests, which must notice it. */
  readonly #isUnchecked: boolean;
  /** When a look at who falls behind is due although nothing else has happened. */
  #nextNewsMs = Number.NEGATIVE_INFINITY;
  /** What the listeners know. */
  readonly #told: Marks;
  #isEnded = false;

  constructor(options: LeaderRoleOptions, deps: LeaderRoleDeps) {
    const { image, topic, partition } = options;
    this.topicId = options.topicId;
    this.partition = partition;
    this.leaderEpoch = image.leaderEpoch;
    this.#name = `${topic}-${partition}`;
    this.#log = deps.log;
    this.#clock = deps.clock;
    this.#onIsrNews = deps.onIsrNews;
    this.#pace = deps.pace;
    this.#isr = new IsrState({
      self: options.self,
      image,
      logEndOffset: deps.log.logEndOffset,
      durableEndOffset: deps.log.durableEndOffset,
      highWatermark: options.highWatermark,
      minInsyncReplicas: options.minInsyncReplicas,
      lagTimeMaxMs: options.lagTimeMs,
      nowMs: deps.clock.monotonicMs(),
      ...(isIsrSabotage(options.sabotage) ? { sabotage: options.sabotage } : {}),
    });
    this.#isUnchecked = options.sabotage === "followUnchecked";
    this.#newsIntervalMs = options.lagTimeMs / NEWS_PER_LAG_TIME;
    const { logEndOffset, logStartOffset, state } = deps.log;
    this.#told = { highWatermark: this.highWatermark, logEndOffset, logStartOffset, state };
    this.#stopWatching = deps.log.onAdvance(() => this.#onLogAdvance());
  }

  get highWatermark(): Offset {
    return this.#isr.highWatermark;
  }

  /** Where this epoch began: until the high watermark is here, how far the partition really goes is not known (KIP-207). */
  get epochStartOffset(): Offset {
    return this.#isr.epochStartOffset;
  }

  get logStartOffset(): Offset {
    return this.#log.logStartOffset;
  }

  get gapsBelow(): Offset {
    return this.#log.gapsBelow;
  }

  get logEndOffset(): Offset {
    return this.#log.logEndOffset;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  follow(follower: FollowerIdentity, at: FollowerPosition): FollowAnswer {
    const isChecked = !this.#isUnchecked;
    const refusal =
      (isChecked ? this.#epochRefusal(at.leaderEpoch) : undefined) ?? this.#strangerRefusal(follower);
    if (refusal !== undefined) return refusal;
    const answer = isChecked ? compareHistories(at, this.#log) : ({ type: "ok" } as const);
    if (answer.type !== "ok") return answer;
    this.#isr.followed(follower, at.logEndOffset, this.#clock.monotonicMs());
    this.#settle();
    return answer;
  }

  progress(follower: FollowerIdentity, endOffset: Offset): void {
    if (this.#isEnded) return;
    const nowMs = this.#clock.monotonicMs();
    this.#isr.progress(follower, endOffset, nowMs);
    this.#advance(nowMs);
  }

  /** Nothing is counted off at once: a follower has its lag time to come back. */
  detach(): void {
    if (!this.#isEnded) this.#onIsrNews(this);
  }

  read(from: Offset, maxBytes: number): ReturnType<ReplicaStore["read"]> {
    return this.#log.read(from, maxBytes);
  }

  watch(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Ends in the step in which the high watermark begins to wait for the follower (H36). */
  paceFor(nodeId: NodeId): RateLimit | undefined {
    const isCopying =
      this.#isr.image.addingReplicas.includes(nodeId) && !this.#isr.maximalIsr.includes(nodeId);
    return isCopying ? this.#pace() : undefined;
  }

  /** The pace of its topic is another one. */
  paceChanged(): void {
    if (this.#isr.image.addingReplicas.length > 0) this.#notify();
  }

  /** Calls back, once, with true when everything below `endOffset` is committed, with false when this role ends first. */
  whenCommitted(endOffset: Offset, callback: (isCommitted: boolean) => void): void {
    if (this.#isEnded) callback(false);
    else if (this.highWatermark >= endOffset) callback(true);
    else this.#waits.add(endOffset, callback);
  }

  /** What should be asked of the controller now; it is then in flight until `rejected`, `lost` or the next `committed`. */
  takeProposal(isEligible: IsEligible): IsrProposal | undefined {
    if (this.#isEnded) return undefined;
    const proposal = this.#isr.proposal(this.#clock.monotonicMs(), isEligible);
    if (proposal === undefined) return undefined;
    this.#isr.proposed(proposal);
    this.paceChanged();
    return proposal;
  }

  /** The controller refused the proposal and will not carry it out. */
  rejected(proposal: IsrProposal): void {
    if (this.#isEnded) return;
    this.#isr.rejected(proposal);
    this.#settle();
  }

  /** Whether the proposal is carried out is not known. */
  lost(proposal: IsrProposal): void {
    if (this.#isEnded) return;
    this.#isr.lost(proposal);
    this.#settle();
  }

  /** The partition as it is committed, in the same leader epoch. */
  committed(image: PartitionImage): void {
    this.paceChanged();
    this.#isr.committed(image);
    this.#settle();
  }

  minInsyncChanged(minInsyncReplicas: number): void {
    this.#isr.minInsyncChanged(minInsyncReplicas);
    this.#settle();
  }

  /** Another epoch has begun: who waits is told that this broker cannot promise it any more. */
  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#stopWatching();
    this.#waits.rejectAll();
    this.#notify();
  }

  #onLogAdvance(): void {
    const nowMs = this.#clock.monotonicMs();
    this.#isr.ownAdvanced(this.#log.logEndOffset, this.#log.durableEndOffset, nowMs);
    this.#advance(nowMs);
  }

  /** After a change of who follows or counts: what became committed, what to ask for, who wants to know. */
  #settle(): void {
    this.#release();
    this.#onIsrNews(this);
  }

  /**
   * After more records at whichever replica, which is what happens all the time. With everybody in the ISR it can only
   * be that somebody falls behind, which need not be known at once.
   */
  #advance(nowMs: number): void {
    this.#release();
    const { isr, replicas } = this.#isr.image;
    if (isr.length === replicas.length && nowMs < this.#nextNewsMs) return;
    this.#nextNewsMs = nowMs + this.#newsIntervalMs;
    this.#onIsrNews(this);
  }

  /** Tells who waits or watches, if there is anything to tell. */
  #release(): void {
    const told = this.#told;
    const { highWatermark } = this;
    const { logEndOffset, logStartOffset, state } = this.#log;
    const isCommitted = highWatermark !== told.highWatermark;
    const isLogNews =
      logEndOffset !== told.logEndOffset || logStartOffset !== told.logStartOffset || state !== told.state;
    if (!isCommitted && !isLogNews) return;
    told.highWatermark = highWatermark;
    told.logEndOffset = logEndOffset;
    told.logStartOffset = logStartOffset;
    told.state = state;
    if (isCommitted) this.#waits.release(highWatermark);
    this.#notify();
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }

  /** A replica of a reassignment that this broker has not heard of yet: taken now, it would never be counted. */
  #strangerRefusal({ nodeId }: FollowerIdentity): FollowAnswer | undefined {
    if (this.#isr.image.replicas.includes(nodeId)) return undefined;
    const message = `broker ${nodeId} is no replica of ${this.#name} yet, as its leader knows it; try again`;
    return { type: "refused", error: "UNKNOWN_LEADER_EPOCH", message, leaderEpoch: this.leaderEpoch };
  }

  #epochRefusal(epoch: LeaderEpoch): FollowAnswer | undefined {
    const { leaderEpoch } = this;
    if (!this.#isEnded && epoch === leaderEpoch) return undefined;
    const error = this.#isEnded || epoch < leaderEpoch ? "FENCED_LEADER_EPOCH" : "UNKNOWN_LEADER_EPOCH";
    const message = `the follower of ${this.#name} says leader epoch ${epoch}, this leader's is ${leaderEpoch}`;
    return { type: "refused", error, message, leaderEpoch };
  }
}

function isIsrSabotage(sabotage: BrokerSabotage | undefined): sabotage is NonNullable<IsrStart["sabotage"]> {
  return sabotage === "committedIsrOnly" || sabotage === "joinWithoutEpochStart";
}
