import { abortable, deadlineSignal } from "../base/abort.ts";
import { Backoff } from "../base/backoff.ts";
import { Deferred } from "../base/deferred.ts";
import { errorMessage, type LograftError, operationError } from "../base/errors.ts";
import { type ErrorName, ProtocolError } from "../model/error-code.ts";
import type { TopicPartitionRef } from "./consumer-types.ts";
import type { ClientAssignor } from "./assignors/assignor.ts";
import { cooperativeStickyAssignor } from "./assignors/cooperative-sticky.ts";
import { rangeAssignor } from "./assignors/range.ts";
import { ClassicCalls, type ClassicAssignment } from "./classic-calls.ts";
import { ClassicHeartbeat, type HeartbeatResultListener } from "./classic-heartbeat.ts";
import { countPartitions, type PartitionCounts } from "./classic-plan.ts";
import type { ClientContext } from "./client-context.ts";
import { isLograftError } from "./errors.ts";
import type {
  GroupIdentity,
  GroupMembership,
  GroupSubscription,
  MembershipDeps,
  MembershipListener,
  MembershipOptions,
  MembershipState,
} from "./group-membership.ts";
import { OwnedPartitions } from "./owned-partitions.ts";
import { SubscribedTopics } from "./subscribed-topics.ts";

export interface ClassicMemberOptions extends MembershipOptions {
  /** By preference; the group uses one that all its members name. Empty: `DEFAULT_ASSIGNORS`. */
  readonly assignors: readonly ClientAssignor[];
  /** Silence after which the coordinator takes the member for dead. */
  readonly sessionTimeoutMs: number;
  /** Default 3 s, but at most a third of the session timeout. */
  readonly heartbeatIntervalMs?: number;
  /** Default: a member leaves when it is closed, a static one does not, so that it can be back within its session. */
  readonly leavesOnClose?: boolean;
  /** How often topics are listed for a pattern. Default 60 s. */
  readonly patternRefreshMs?: number;
}

/** Kafka's defaults, so that members of both SDKs agree: range as long as one member knows nothing better. */
export const DEFAULT_ASSIGNORS: readonly ClientAssignor[] = [rangeAssignor, cooperativeStickyAssignor];

const DEFAULT_HEARTBEAT_INTERVAL_MS = 3000;
const DEFAULT_PATTERN_REFRESH_MS = 60_000;
/** Beyond this a leave is not worth waiting for: the session ends by itself. */
const LEAVE_TIMEOUT_MS = 3000;

/** Answers that say: join again, and say nothing about what went wrong. */
const REJOIN: ReadonlySet<string> = new Set<ErrorName>([
  "REBALANCE_IN_PROGRESS",
  "ILLEGAL_GENERATION",
  "UNKNOWN_MEMBER_ID",
]);

/**
 * A member of a group whose members share out the partitions themselves (JoinGroup, SyncGroup, Heartbeat): one loop that
 * joins, takes what the leader's plan gives, and waits until there is a reason to join again. Heartbeats go by the clock
 * beside it, whatever handlers do. With eager assignors everything is given up before a join; when all assignors are
 * cooperative, only what a plan takes away, and what stays is never interrupted.
 */
export class ClassicMember implements GroupMembership, HeartbeatResultListener {
  readonly #options: ClassicMemberOptions;
  readonly #context: ClientContext;
  readonly #listener: MembershipListener;
  readonly #calls: ClassicCalls;
  readonly #heartbeat: ClassicHeartbeat;
  readonly #topics: SubscribedTopics;
  readonly #backoff: Backoff;
  readonly #isCooperative: boolean;
  readonly #heartbeatIntervalMs: number;
  readonly #closing = new AbortController();
  readonly #owned = new OwnedPartitions();
  #subscription: GroupSubscription;
  #phase: "new" | "running" | "leaving" | "ended" = "new";
  #isStable = false;
  #isRejoinWanted = false;
  #wake = new Deferred<void>();
  /** Counts losses, so that what began before one does not go on after it. */
  #life = 0;
  #isFirstOfLife = true;
  /** What the plan rests on; only the leader has one. */
  #planned: PartitionCounts | undefined;
  #stopListening: (() => void) | undefined;
  #loop: Promise<void> = Promise.resolve();
  #closed: Promise<void> | undefined;
  #leavesAfterFailure = false;

  constructor(options: ClassicMemberOptions, deps: MembershipDeps) {
    const { sessionTimeoutMs, heartbeatIntervalMs } = options;
    const assignors = options.assignors.length > 0 ? options.assignors : DEFAULT_ASSIGNORS;
    const usualMs = Math.min(DEFAULT_HEARTBEAT_INTERVAL_MS, Math.ceil(sessionTimeoutMs / 3));
    this.#options = options;
    this.#subscription = options.subscription;
    this.#context = deps.context;
    this.#listener = deps.listener;
    this.#isCooperative = assignors.every(({ protocol }) => protocol === "cooperative");
    this.#heartbeatIntervalMs = heartbeatIntervalMs ?? usualMs;
    this.#backoff = new Backoff(deps.context.retry, deps.context);
    this.#calls = new ClassicCalls(
      { ...options, assignors },
      { context: deps.context, calls: deps.calls, signal: this.#closing.signal },
    );
    this.#heartbeat = new ClassicHeartbeat(
      { intervalMs: this.#heartbeatIntervalMs, sessionTimeoutMs },
      { context: deps.context, calls: deps.calls, listener: this },
    );
    this.#topics = new SubscribedTopics(
      { refreshMs: options.patternRefreshMs ?? DEFAULT_PATTERN_REFRESH_MS },
      { context: deps.context, onChanged: () => this.#wantRejoin() },
    );
  }

  get identity(): GroupIdentity | undefined {
    const { memberId, generationId } = this.#calls;
    if (generationId < 0 || this.#phase === "ended") return undefined;
    const { groupId, instanceId } = this.#options;
    return {
      groupId,
      memberId,
      generationIdOrMemberEpoch: generationId,
      ...(instanceId === undefined ? {} : { groupInstanceId: instanceId }),
    };
  }

  get state(): MembershipState {
    if (this.#phase === "ended") return "closed";
    if (this.#calls.generationId < 0) return "joining";
    return this.#isStable && !this.#isRejoinWanted ? "stable" : "rebalancing";
  }

  get lastHeartbeatMs(): number | undefined {
    return this.#heartbeat.lastGoodMs;
  }

  start(): void {
    if (this.#phase !== "new") return;
    this.#phase = "running";
    this.#stopListening = this.#context.metadata.onUpdate(() => this.#onMetadata());
    this.#loop = this.#run();
  }

  subscribe(subscription: GroupSubscription): void {
    this.#subscription = subscription;
    this.#wantRejoin();
  }

  close(options: { readonly timeoutMs: number }): Promise<void> {
    this.#closed ??= this.#close(options.timeoutMs);
    return this.#closed;
  }

  onHeartbeat(name: ErrorName, message: string): void {
    if (name === "NONE") return;
    if (name === "REBALANCE_IN_PROGRESS") {
      this.#wantRejoin();
      return;
    }
    const { groupId } = this.#options;
    const text = `group ${groupId}, heartbeat of ${this.#calls.memberId}: ${message === "" ? name : message}`;
    this.#onError(new ProtocolError(name, text, { context: { groupId } }));
  }

  onHeartbeatFailed(error: LograftError): void {
    this.#onError(error);
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    while (this.#isRunning()) {
      try {
        await this.#rebalance();
        this.#backoff.reset();
      } catch (error: unknown) {
        if (!this.#isRunning()) break;
        this.#isRejoinWanted = true;
        this.#onError(asLograftError(error));
        await this.#pause(error);
      }
      if (!this.#isRejoinWanted && this.#isRunning()) await this.#wake.promise;
    }
    if (this.#leavesAfterFailure) await this.#leave(LEAVE_TIMEOUT_MS);
  }

  /** One join, and what follows from it. @throws LograftError; the loop then tries again, unless it was fatal. */
  async #rebalance(): Promise<void> {
    const subscription = this.#subscription;
    const topics = await this.#topics.of(subscription);
    if (!this.#isCooperative && this.#owned.size > 0) await this.#giveUp(this.#owned.list());
    // Changed or closed meanwhile: the loop comes again with what is wanted now.
    if (!this.#isRunning() || subscription !== this.#subscription) return;
    // From here on every wish is answered by this join: what heartbeats say until it is answered is not news.
    this.#isRejoinWanted = false;
    this.#isStable = false;
    this.#planned = undefined;
    this.#heartbeat.stop();
    const joined = await this.#calls.join(topics, this.#isCooperative ? this.#owned.toNamed() : []);
    const life = this.#life;
    const { groupId, instanceId } = this.#options;
    this.#heartbeat.start({
      groupId,
      memberId: joined.memberId,
      generationId: joined.generationId,
      ...(instanceId === undefined ? {} : { groupInstanceId: instanceId }),
    });
    const assigned = await this.#calls.sync(joined);
    // Heartbeats may have learned meanwhile that this generation is over.
    if (life !== this.#life || !this.#isRunning()) return;
    this.#planned = assigned.partitionCounts;
    await this.#take(assigned);
    if (life === this.#life) this.#isStable = true;
    // What changed between plan and now was nobody's to notice.
    this.#onMetadata();
  }

  /** Brings what is owned to what was assigned. */
  async #take({ target, plan, assignor, generationId }: ClassicAssignment): Promise<void> {
    const missing = target.without(this.#owned);
    const surplus = this.#owned.without(target);
    const isNews = missing.length > 0 || this.#isFirstOfLife || !this.#isCooperative;
    this.#isFirstOfLife = false;
    // What is new is nobody else's, so it need not wait until handlers are done with what goes.
    this.#owned.add(missing);
    assignor.onAssignment?.(plan, generationId);
    if (isNews) this.#listener.onAssign(missing);
    if (surplus.length === 0) return;
    await this.#giveUp(surplus);
    // Others wait for these: the next plan hands them over (KIP-429).
    this.#wantRejoin();
  }

  /** Waits until the listener is done, but not until the coordinator's patience ends; heartbeats go on meanwhile. */
  async #giveUp(partitions: readonly TopicPartitionRef[]): Promise<void> {
    const { rebalanceTimeoutMs } = this.#options;
    const patienceMs = Math.max(rebalanceTimeoutMs / 2, rebalanceTimeoutMs - 2 * this.#heartbeatIntervalMs);
    const life = this.#life;
    this.#isStable = false;
    const isDone = await this.#revoke(partitions, patienceMs);
    if (life !== this.#life) return;
    this.#owned.remove(partitions);
    // Others get them now. What handlers still do with them must not be committed in a generation of later: nobody but
    // this member knows that they are not its own any more (H60).
    if (!isDone && this.#isRunning()) this.#listener.onLost(partitions);
  }

  /** Resolves when the listener is done, or after `timeoutMs`; answers whether it was. */
  async #revoke(partitions: readonly TopicPartitionRef[], timeoutMs: number): Promise<boolean> {
    using deadline = deadlineSignal(this.#context.clock, timeoutMs);
    try {
      await abortable(this.#listener.onRevoke(partitions), deadline.signal);
      return true;
    } catch (error: unknown) {
      this.#context.logger.warn("partitions were not given up in time", { err: error });
      return false;
    }
  }

  #onMetadata(): void {
    const planned = this.#planned;
    if (planned === undefined || this.#phase !== "running") return;
    const counts = countPartitions(planned.keys(), this.#context);
    for (const [topic, count] of planned) {
      if (counts.get(topic) === count) continue;
      this.#wantRejoin();
      return;
    }
  }

  #wantRejoin(): void {
    this.#isRejoinWanted = true;
    const wake = this.#wake;
    this.#wake = new Deferred();
    wake.resolve();
  }

  /** What an error means for the membership, wherever it came from. */
  #onError(error: LograftError): void {
    switch (error.code) {
      case "REBALANCE_IN_PROGRESS":
        this.#wantRejoin();
        return;
      case "ILLEGAL_GENERATION":
        this.#lose();
        break;
      case "UNKNOWN_MEMBER_ID":
        this.#calls.forgetMember();
        this.#lose();
        break;
      default:
        if (error.retriable) break;
        this.#fail(error);
        return;
    }
    this.#listener.onRetriedError(error);
  }

  /** No member of a living generation any more: what it had may be with another one already (H60). */
  #lose(): void {
    const lost = this.#owned.list();
    this.#life++;
    this.#isFirstOfLife = true;
    this.#isStable = false;
    this.#planned = undefined;
    this.#heartbeat.stop();
    this.#calls.forgetGeneration();
    this.#owned.clear();
    if (lost.length > 0) this.#listener.onLost(lost);
    this.#wantRejoin();
  }

  #fail(error: LograftError): void {
    if (this.#phase === "ended") return;
    // Others must not wait for one that cannot go on; somebody else has the place of one that was fenced.
    this.#leavesAfterFailure = this.#mayLeave() && error.code !== "FENCED_INSTANCE_ID";
    this.#end();
    this.#lose();
    this.#listener.onFatal(error);
  }

  #end(): void {
    this.#phase = "ended";
    this.#heartbeat.stop();
    this.#topics.close();
    this.#stopListening?.();
    this.#closing.abort(operationError("CLOSED", `the member of group ${this.#options.groupId} is closed`));
    this.#wantRejoin();
  }

  /** Behind a word of the coordinator at once, the first time; behind anything else after a pause. */
  async #pause(error: unknown): Promise<void> {
    const isAtOnce = this.#backoff.attempts === 0 && isLograftError(error) && REJOIN.has(error.code);
    const pauseMs = this.#backoff.nextMs();
    if (isAtOnce || !this.#isRunning()) return;
    try {
      await this.#context.clock.sleep(pauseMs, this.#closing.signal);
    } catch {
      // Closed: the loop sees it.
    }
  }

  async #close(timeoutMs: number): Promise<void> {
    const { clock } = this.#context;
    const endMs = clock.monotonicMs() + timeoutMs;
    if (this.#phase === "running") {
      // Heartbeats go on while handlers finish.
      this.#phase = "leaving";
      this.#closing.abort(operationError("CLOSED", `the member of group ${this.#options.groupId} is closed`));
      this.#wantRejoin();
      await this.#until(this.#loop, timeoutMs);
      const restMs = endMs - clock.monotonicMs();
      const rest = this.#owned.list();
      if (rest.length > 0 && restMs > 0) await this.#revoke(rest, restMs);
      const wasLost = this.#phase !== "leaving";
      this.#end();
      const leaveMs = Math.min(LEAVE_TIMEOUT_MS, endMs - clock.monotonicMs());
      if (!wasLost && this.#mayLeave() && leaveMs > 0) await this.#leave(leaveMs);
    } else {
      this.#end();
      await this.#until(this.#loop, timeoutMs);
    }
    this.#owned.clear();
    this.#calls.forgetGeneration();
  }

  /** Waits for what never rejects, but not longer than `timeoutMs`. */
  async #until(promise: Promise<void>, timeoutMs: number): Promise<void> {
    using deadline = deadlineSignal(this.#context.clock, timeoutMs);
    try {
      await abortable(promise, deadline.signal);
    } catch (error: unknown) {
      this.#context.logger.debug("a member is closed before it was done", { err: error });
    }
  }

  #mayLeave(): boolean {
    return this.#options.leavesOnClose ?? this.#options.instanceId === undefined;
  }

  async #leave(timeoutMs: number): Promise<void> {
    try {
      await this.#calls.leave(timeoutMs);
    } catch (error: unknown) {
      // The session ends by itself.
      this.#context.logger.debug("a member could not say that it leaves", { err: error });
    }
  }

  #isRunning(): boolean {
    return this.#phase === "running";
  }
}

function asLograftError(error: unknown): LograftError {
  if (isLograftError(error)) return error;
  return operationError("CONNECTION_FAILED", errorMessage(error), { cause: error, retriable: true });
}
