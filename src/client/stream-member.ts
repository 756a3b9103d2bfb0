import { Backoff } from "../base/backoff.ts";
import { Deferred } from "../base/deferred.ts";
import { type LograftError } from "../base/errors.ts";
import { errorNameOf, type ErrorName, isRetriable, ProtocolError } from "../model/error-code.ts";
import type { Timer } from "../platform/clock.ts";
import type { ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse } from "../rpc/group-messages.ts";
import { AssignedSet } from "./assigned-set.ts";
import type { ClientContext } from "./client-context.ts";
import type { TopicPartitionRef } from "./consumer-types.ts";
import type { CoordinatorCalls } from "./coordinator-calls.ts";
import type {
  GroupIdentity,
  GroupMembership,
  GroupSubscription,
  MembershipDeps,
  MembershipListener,
  MembershipOptions,
  MembershipState,
} from "./group-membership.ts";
import { HeartbeatStream, type HeartbeatListener } from "./heartbeat-stream.ts";
import { randomUuid } from "./random-uuid.ts";

export interface StreamMemberOptions extends MembershipOptions {
  /** "uniform", "range" or undefined: the group's own. */
  readonly serverAssignor?: string | undefined;
}

/** Special epochs of KIP-848. */
const JOIN_EPOCH = 0;
const LEAVE_EPOCH = -1;
const STATIC_LEAVE_EPOCH = -2;

const DEFAULT_INTERVAL_MS = 5000;
/** Beyond this a leave is not worth waiting for: the coordinator sees the stream end. */
const LEAVE_TIMEOUT_MS = 3000;
/** So long the former bearer of a static name may take to be taken for dead: the longest usual session, and some. */
const INSTANCE_PATIENCE_MS = 60_000;

/** After these the member is none any more and joins anew. */
const FENCED: ReadonlySet<ErrorName> = new Set<ErrorName>(["UNKNOWN_MEMBER_ID", "FENCED_MEMBER_EPOCH"]);

/**
 * A member of a group whose coordinator shares out the partitions (KIP-848). Heartbeats go by the clock on a stream of
 * their own, whatever handlers do; partitions come and go one by one, and what stays is never interrupted. A lost stream
 * is opened again at once: the coordinator waits half a second before it takes the member for dead.
 */
export class StreamMember implements GroupMembership, HeartbeatListener {
  readonly #options: StreamMemberOptions;
  readonly #context: ClientContext;
  readonly #calls: CoordinatorCalls;
  readonly #listener: MembershipListener;
  readonly #stream: HeartbeatStream;
  readonly #backoff: Backoff;
  readonly #memberId: string;
  readonly #owned = new AssignedSet();
  #target = new AssignedSet();
  #subscription: GroupSubscription;
  #epoch = JOIN_EPOCH;
  #intervalMs = DEFAULT_INTERVAL_MS;
  #lastHeartbeatMs: number | undefined;
  /** What the coordinator is still to be told; all of it on a new stream, where an answer may have been lost. */
  #owes = { owned: true, subscription: true };
  #isSendDue = false;
  #timer: Timer | undefined;
  #isReconciling = false;
  #isFirstOfJoin = false;
  /** Counts losses, so that what began before one does not go on after it. */
  #life = 0;
  #waitsForInstanceSinceMs: number | undefined;
  #phase: "new" | "running" | "leaving" | "ended" = "new";
  #closed: Promise<void> | undefined;

  constructor(options: StreamMemberOptions, deps: MembershipDeps) {
    this.#options = options;
    this.#subscription = options.subscription;
    this.#context = deps.context;
    this.#calls = deps.calls;
    this.#listener = deps.listener;
    this.#backoff = new Backoff(deps.context.retry, deps.context);
    this.#memberId = randomUuid(deps.context.random);
    this.#stream = new HeartbeatStream({ context: deps.context, calls: deps.calls, listener: this });
  }

  get identity(): GroupIdentity | undefined {
    if (this.#epoch === JOIN_EPOCH || this.#phase === "ended") return undefined;
    const { groupId, instanceId } = this.#options;
    return {
      groupId,
      memberId: this.#memberId,
      generationIdOrMemberEpoch: this.#epoch,
      ...(instanceId === undefined ? {} : { groupInstanceId: instanceId }),
    };
  }

  get state(): MembershipState {
    if (this.#phase === "ended") return "closed";
    if (this.#epoch === JOIN_EPOCH) return "joining";
    return this.#isReconciling || !this.#owned.equals(this.#target) ? "rebalancing" : "stable";
  }

  get lastHeartbeatMs(): number | undefined {
    return this.#lastHeartbeatMs;
  }

  start(): void {
    if (this.#phase !== "new") return;
    this.#phase = "running";
    this.#beat();
  }

  subscribe(subscription: GroupSubscription): void {
    this.#subscription = subscription;
    this.#owes.subscription = true;
    if (this.#phase === "running") this.#beat();
  }

  close(options: { readonly timeoutMs: number }): Promise<void> {
    this.#closed ??= this.#close(options.timeoutMs);
    return this.#closed;
  }

  onNudge(): void {
    this.#beat();
  }

  onAnswer(response: ConsumerGroupHeartbeatResponse): void {
    if (this.#phase === "ended") return;
    if (response.errorCode !== 0) {
      this.#onError(response);
      return;
    }
    this.#backoff.reset();
    this.#waitsForInstanceSinceMs = undefined;
    this.#lastHeartbeatMs = this.#context.clock.monotonicMs();
    this.#isFirstOfJoin ||= this.#epoch === JOIN_EPOCH;
    this.#epoch = response.memberEpoch;
    this.#intervalMs = Math.max(1, response.heartbeatIntervalMs);
    const { assignment } = response;
    if (assignment !== undefined && assignment !== null) {
      this.#target = AssignedSet.of(assignment);
      // Also when nothing changes: the coordinator may have missed it.
      this.#owes.owned = true;
    }
    void this.#reconcile(); // Never rejects: neither does the listener.
    this.#beatAfter(this.#isSendDue ? 0 : this.#intervalMs);
  }

  onLost(error: LograftError): void {
    if (this.#phase === "ended") return;
    this.#owes = { owned: true, subscription: true };
    if (!error.retriable) {
      this.#fail(error);
      return;
    }
    this.#listener.onRetriedError(error);
    // At once, where it was: often only the connection is gone. Then after a pause, wherever the coordinator is by then.
    if (this.#backoff.attempts > 0) this.#stream.abandon();
    this.#retry(this.#backoff.attempts === 0);
  }

  /** Sends a heartbeat now, or as soon as the one under way is answered. */
  #beat(): void {
    if (this.#phase !== "running" && this.#phase !== "leaving") return;
    this.#isSendDue = true;
    if (this.#stream.isAwaiting) return;
    this.#isSendDue = false;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#stream.send(this.#request());
    this.#owes = { owned: false, subscription: false };
  }

  #beatAfter(delayMs: number): void {
    this.#timer?.cancel();
    this.#timer = this.#context.clock.setTimer(delayMs, () => {
      this.#timer = undefined;
      this.#beat();
    });
  }

  #retry(isAtOnce: boolean): void {
    const pauseMs = this.#backoff.nextMs();
    this.#beatAfter(isAtOnce ? 0 : pauseMs);
  }

  #request(): ConsumerGroupHeartbeatRequest {
    const { groupId, instanceId, rebalanceTimeoutMs, serverAssignor } = this.#options;
    const { rack, clientId } = this.#context;
    const isJoin = this.#epoch === JOIN_EPOCH;
    const { topics, pattern } = this.#subscription;
    return {
      groupId,
      memberId: this.#memberId,
      memberEpoch: this.#epoch,
      clientId,
      ...(instanceId === undefined ? {} : { instanceId }),
      ...(isJoin || this.#owes.subscription
        ? {
            rebalanceTimeoutMs,
            subscribedTopics: { names: topics },
            subscribedTopicRegex: pattern?.source ?? "",
            ...(rack === "" ? {} : { rackId: rack }),
            ...(serverAssignor === undefined ? {} : { serverAssignor }),
          }
        : {}),
      ...(isJoin || this.#owes.owned ? { owned: this.#owned.toMessage() } : {}),
    };
  }

  #onError({ errorCode, errorMessage: text }: ConsumerGroupHeartbeatResponse): void {
    const name = errorNameOf(errorCode);
    const error = new ProtocolError(
      name,
      `group ${this.#options.groupId}, member ${this.#memberId}: ${text === "" ? name : text}`,
      { context: { groupId: this.#options.groupId, memberId: this.#memberId, memberEpoch: this.#epoch } },
    );
    this.#owes = { owned: true, subscription: true };
    if (FENCED.has(name)) {
      this.#listener.onRetriedError(error);
      this.#lose();
      // Nothing is left to commit or to give up, and nobody to come back as.
      if (this.#phase === "leaving") return;
      this.#retry(this.#backoff.attempts === 0);
    } else if (name === "UNRELEASED_INSTANCE_ID" && this.#mayWaitForInstance()) {
      this.#listener.onRetriedError(error);
      this.#retry(false);
    } else if (isRetriable(name)) {
      this.#listener.onRetriedError(error);
      if (name !== "COORDINATOR_LOAD_IN_PROGRESS") this.#stream.abandon();
      this.#retry(false);
    } else {
      this.#fail(error);
    }
  }

  /** A static member that crashed comes back before its former self is taken for dead. */
  #mayWaitForInstance(): boolean {
    const nowMs = this.#context.clock.monotonicMs();
    this.#waitsForInstanceSinceMs ??= nowMs;
    return nowMs - this.#waitsForInstanceSinceMs < INSTANCE_PATIENCE_MS;
  }

  /** No member any more: what it had may be with another one already. */
  #lose(): void {
    const lost = this.#owned.list();
    this.#life++;
    this.#epoch = JOIN_EPOCH;
    this.#owned.clear();
    this.#target = new AssignedSet();
    this.#isFirstOfJoin = false;
    if (lost.length > 0) this.#listener.onLost(lost);
  }

  #fail(error: LograftError): void {
    this.#end();
    this.#lose();
    this.#listener.onFatal(error);
  }

  #hasEnded(): boolean {
    return this.#phase === "ended";
  }

  #end(): void {
    this.#phase = "ended";
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#stream.close();
  }

  /** Brings what is owned to what is to be owned: first gives up, then takes. One at a time. */
  async #reconcile(): Promise<void> {
    if (this.#isReconciling || this.#phase !== "running") return;
    this.#isReconciling = true;
    const life = this.#life;
    for (;;) {
      const surplus = this.#owned.without(this.#target);
      if (surplus.size === 0) break;
      const isDone = await this.#revoke(surplus, this.#patienceMs());
      // Lost meanwhile: then all is gone, and told. Closed meanwhile: the close gives up the rest.
      if (life !== this.#life || this.#phase !== "running") break;
      // Others get them now. What handlers still do with them must not be committed with an epoch of later (H60).
      if (!isDone) this.#listener.onLost(surplus.list());
      this.#owned.remove(surplus);
      this.#owes.owned = true;
      this.#beat();
    }
    this.#isReconciling = false;
    if (this.#phase !== "running") return;
    if (life !== this.#life) {
      // What a new life has been given was left for this moment.
      if (this.#epoch !== JOIN_EPOCH) await this.#reconcile();
      return;
    }
    const missing = this.#target.without(this.#owned);
    this.#owned.add(missing);
    if (missing.size > 0) this.#owes.owned = true;
    if (missing.size > 0 || this.#isFirstOfJoin) this.#listener.onAssign(missing.list());
    this.#isFirstOfJoin = false;
    // The coordinator learns that they arrived; until then it may have to tell them again.
    if (missing.size > 0) this.#beat();
  }

  /** A little less than the coordinator's own patience, so that one stuck partition does not cost the others. */
  #patienceMs(): number {
    const { rebalanceTimeoutMs } = this.#options;
    return Math.max(rebalanceTimeoutMs / 2, rebalanceTimeoutMs - 2 * this.#intervalMs);
  }

  /** Resolves when the listener is done, or after `timeoutMs`; answers whether it was. */
  async #revoke(partitions: AssignedSet, timeoutMs: number): Promise<boolean> {
    const done = new Deferred<boolean>();
    const timer = this.#context.clock.setTimer(timeoutMs, () => done.resolve(false));
    const life = this.#life;
    // Others may have at once what is done; one slow handler holds up its own partition only.
    const onGivenUp = (given: readonly TopicPartitionRef[]): void => {
      if (given.length === 0 || life !== this.#life || this.#phase !== "running") return;
      this.#owned.remove(partitions.only(given));
      this.#owes.owned = true;
      this.#beat();
    };
    this.#listener.onRevoke(partitions.list(), onGivenUp).then(
      () => done.resolve(true),
      (error: unknown) => {
        this.#context.logger.warn("giving up partitions failed", { err: error });
        done.resolve(false);
      },
    );
    const isDone = await done.promise;
    timer.cancel();
    return isDone;
  }

  async #close(timeoutMs: number): Promise<void> {
    const { clock } = this.#context;
    const endMs = clock.monotonicMs() + timeoutMs;
    if (this.#phase !== "running") {
      this.#end();
      return;
    }
    // Heartbeats go on while handlers finish. A part of the time is for the leave.
    const leaveMs = Math.min(LEAVE_TIMEOUT_MS, timeoutMs / 4);
    this.#phase = "leaving";
    if (this.#owned.size > 0) await this.#revoke(this.#owned, timeoutMs - leaveMs);
    const wasFatal = this.#hasEnded();
    this.#end();
    const restMs = Math.min(LEAVE_TIMEOUT_MS, endMs - clock.monotonicMs());
    if (!wasFatal && restMs > 0) await this.#leave(restMs);
    this.#owned.clear();
    this.#epoch = JOIN_EPOCH;
  }

  async #leave(timeoutMs: number): Promise<void> {
    const { groupId, instanceId } = this.#options;
    const request = {
      groupId,
      memberId: this.#memberId,
      memberEpoch: instanceId === undefined ? LEAVE_EPOCH : STATIC_LEAVE_EPOCH,
      clientId: this.#context.clientId,
      ...(instanceId === undefined ? {} : { instanceId }),
    };
    try {
      await this.#calls.call("ConsumerGroupHeartbeat", request, { timeoutMs });
    } catch (error: unknown) {
      // The coordinator finds out by itself.
      this.#context.logger.debug("a member could not say that it leaves", { err: error });
    }
  }
}
