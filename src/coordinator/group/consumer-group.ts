import type { MetadataImage } from "../../metadata/image.ts";
import type { DecisionContext, ReplyTo } from "../shard.ts";
import type { ServerAssignor } from "./assignor.ts";
import { consumerGroupState, describeMembers } from "./consumer-description.ts";
import {
  checkEpoch,
  checkIdentity,
  checkJoining,
  checkOffsetsEpoch,
  checkOwner,
} from "./consumer-fencing.ts";
import { intersection, isSameSet, partitionSet } from "./consumer-partitions.ts";
import { askAgain, isRevocationEpoch, nextAssignment } from "./consumer-reconciliation.ts";
import type { Reconciliation } from "./consumer-reconciliation.ts";
import { checkHeartbeat, JOIN_EPOCH, LEAVE_EPOCH, LEAVE_FOR_A_WHILE_EPOCH } from "./consumer-request.ts";
import { ConsumerRoster } from "./consumer-roster.ts";
import { ConsumerSessions } from "./consumer-sessions.ts";
import { ConsumerState } from "./consumer-state.ts";
import type { ConsumerGroupRecord } from "./consumer-state.ts";
import { ConsumerSubscriptions } from "./consumer-subscriptions.ts";
import { chosenAssignor, coversTopics, recordTarget } from "./consumer-target.ts";
import { ConsumerWatches } from "./consumer-watches.ts";
import { GROUP_SUCCESS } from "./group.ts";
import type { Group, GroupOptions } from "./group.ts";
import type {
  ConsumerGroupHeartbeatRequest,
  ConsumerGroupHeartbeatResponse,
  DescribeGroupResponse,
  GroupOutcome,
  GroupState,
  LeaveGroupRequest,
  LeaveGroupResponse,
  MemberDisconnectedRequest,
  OffsetCommitRequest,
  TopicPartitions,
  WatchMemberRequest,
} from "./group-api.ts";
import type { CurrentAssignmentValue, GroupEffects } from "./group-records.ts";
import { isFromOutside, refuse, refusedHeartbeat, shownGroup } from "./group-rules.ts";

/**
 * A group whose plan the broker makes (KIP-848). Every change of members, subscriptions or topics raises the group epoch
 * and makes a target for it; each member is led from what it has to its target by its own heartbeats, and a partition
 * goes to a member only after the one before has given it up, left, or is out. Members whose target stays go on
 * undisturbed.
 */
export class ConsumerGroup implements Group {
  readonly groupId: string;
  readonly type = "consumer";
  readonly protocolType = "consumer";
  readonly #options: GroupOptions;
  readonly #assignors: readonly ServerAssignor[];
  readonly #state = new ConsumerState();
  readonly #subscriptions = new ConsumerSubscriptions();
  readonly #sessions = new ConsumerSessions();
  readonly #roster: ConsumerRoster;
  readonly #watches = new ConsumerWatches();
  #emptySinceMs: number | undefined;

  /** `assignors`: the first one is the default. */
  constructor(
    groupId: string,
    options: GroupOptions,
    { assignors }: { readonly assignors: readonly ServerAssignor[] },
  ) {
    this.groupId = groupId;
    this.#options = options;
    this.#assignors = assignors;
    this.#roster = new ConsumerRoster(groupId, { state: this.#state, sessions: this.#sessions });
  }

  get state(): GroupState {
    return consumerGroupState(this.#state);
  }

  get isEmpty(): boolean {
    return this.#state.members.size === 0;
  }

  /** No record says it: a new coordinator counts from when it loaded the group. */
  get emptySinceMs(): number | undefined {
    return this.isEmpty ? this.#emptySinceMs : undefined;
  }

  get nextDeadlineMs(): number {
    return Math.min(this.#sessions.nextDeadlineMs, this.#watches.nextDeadlineMs);
  }

  /** Takes a record of this group. */
  replay(record: ConsumerGroupRecord): void {
    this.#state.replay(record);
  }

  /** Answers a heartbeat at once: a member joins, stays or leaves. */
  heartbeat(
    request: ConsumerGroupHeartbeatRequest,
    to: ReplyTo<ConsumerGroupHeartbeatResponse>,
    context: DecisionContext,
    effects: GroupEffects,
  ): void {
    const answer = this.#answer(request, context, effects);
    const onGiven = answer.error === "NONE" ? this.#sessions.owe(request.memberId, context.nowMs) : undefined;
    effects.reply(to, answer, onGiven);
    this.#finish(context, effects);
  }

  /** Parks the watch until a heartbeat of the member would bring it other partitions, or an error. */
  watch(
    { memberId, memberEpoch }: WatchMemberRequest,
    to: ReplyTo<GroupOutcome>,
    context: DecisionContext,
    effects: GroupEffects,
  ): void {
    this.#watches.park(memberId, to, effects);
    // Another epoch than the member's: the answer that carried it was lost.
    const isBehind = memberEpoch !== this.#state.current(memberId).memberEpoch;
    if (isBehind || this.#hasNews(memberId, context.image)) this.#watches.answer(memberId, effects);
  }

  /**
   * The member is out unless it is heard of within the grace time. One that is connected anew is called by its watch, so
   * the late end of its old connection does no harm. A static member keeps its session: it may restart (KIP-345).
   */
  disconnected({ memberId }: MemberDisconnectedRequest, { nowMs }: DecisionContext): void {
    const member = this.#state.members.get(memberId);
    if (member === undefined || member.instanceId !== null) return;
    this.#sessions.shorten(memberId, nowMs + this.#options.reconnectGraceMs);
    this.#watches.recall(memberId, nowMs);
  }

  expire(context: DecisionContext, effects: GroupEffects): void {
    this.#callBack(context, effects);
    const overdue = this.#sessions.takeOverdue(context.nowMs);
    for (const memberId of overdue) this.#roster.remove(memberId, effects);
    if (overdue.length > 0) this.#makeTarget(context.image, effects);
    this.#finish(context, effects);
  }

  onLoaded(context: DecisionContext, effects: GroupEffects): void {
    for (const [memberId, { rebalanceTimeoutMs }] of this.#state.members) {
      this.#renew(memberId, context);
      const isRevoking = this.#state.current(memberId).state === "unrevoked";
      if (isRevoking) this.#sessions.revokeBy(memberId, context.nowMs + rebalanceTimeoutMs);
    }
    this.onMetadata(context, effects);
  }

  onMetadata(context: DecisionContext, effects: GroupEffects): void {
    this.#subscriptions.topicsChanged();
    const topics = this.#subscriptions.resolve(this.#state.members.values(), context.image);
    const isOutdated = this.#state.targetEpoch < this.#state.epoch || !coversTopics(this.#state, topics);
    if (isOutdated) this.#makeTarget(context.image, effects);
    this.#finish(context, effects);
  }

  checkCommit(request: OffsetCommitRequest): GroupOutcome | undefined {
    if (!isFromOutside(request)) {
      const { memberId, generationIdOrMemberEpoch } = request;
      return checkOffsetsEpoch(this.groupId, this.#state, memberId, generationIdOrMemberEpoch);
    }
    if (this.isEmpty) return undefined;
    const text = `${shownGroup(this.groupId)} has members, which commit for themselves; stop them before committing from outside`;
    return refuse("UNKNOWN_MEMBER_ID", text);
  }

  checkOwned(
    request: OffsetCommitRequest,
    partition: { readonly topic: string; readonly partition: number },
    { image }: DecisionContext,
  ): GroupOutcome | undefined {
    if (!request.requireOwned || isFromOutside(request)) return undefined;
    return checkOwner(this.groupId, this.#state, request, partition, image);
  }

  checkFetch(memberId: string, memberEpoch: number): GroupOutcome | undefined {
    if (memberId === "" && memberEpoch < 0) return undefined;
    return checkOffsetsEpoch(this.groupId, this.#state, memberId, memberEpoch);
  }

  isSubscribedTo(topic: string): boolean {
    for (const member of this.#state.members.values()) {
      if (this.#subscriptions.includes(member, topic)) return true;
    }
    return false;
  }

  leave(request: LeaveGroupRequest, context: DecisionContext, effects: GroupEffects): LeaveGroupResponse {
    let isChanged = false;
    const members = request.members.map(({ memberId, groupInstanceId: instanceId }) => {
      // An operator may name a static member by its instance alone.
      const named = instanceId === undefined ? undefined : this.#state.instance(instanceId);
      const leavingId = memberId === "" ? (named ?? "") : memberId;
      const refusal = checkIdentity(this.groupId, this.#state, { memberId: leavingId, instanceId });
      if (refusal === undefined) {
        this.#roster.remove(leavingId, effects);
        isChanged = true;
      }
      return { ...(refusal ?? GROUP_SUCCESS), memberId, groupInstanceId: instanceId };
    });
    if (isChanged) this.#makeTarget(context.image, effects);
    this.#finish(context, effects);
    return { ...GROUP_SUCCESS, members };
  }

  describe({ image }: DecisionContext): DescribeGroupResponse {
    return {
      ...GROUP_SUCCESS,
      groupId: this.groupId,
      type: this.type,
      state: this.state,
      protocolType: this.protocolType,
      protocol: chosenAssignor(this.#state, this.#assignors).name,
      epoch: this.#state.epoch,
      members: describeMembers(this.#state, image),
    };
  }

  remove(effects: GroupEffects): void {
    const { groupId } = this;
    for (const memberId of this.#state.members.keys()) this.#roster.remove(memberId, effects);
    effects.record({ type: "targetEpoch", groupId, value: null });
    effects.record({ type: "consumerGroup", groupId, value: null });
  }

  #answer(
    request: ConsumerGroupHeartbeatRequest,
    context: DecisionContext,
    effects: GroupEffects,
  ): ConsumerGroupHeartbeatResponse {
    const refusal = this.#check(request, context.image);
    const { memberId, memberEpoch } = request;
    const heartbeatIntervalMs = this.#options.consumerHeartbeatIntervalMs;
    if (refusal !== undefined) return refusedHeartbeat(memberId, heartbeatIntervalMs, refusal);
    if (memberEpoch === LEAVE_EPOCH) {
      this.#roster.remove(memberId, effects);
      this.#makeTarget(context.image, effects);
    } else if (memberEpoch === LEAVE_FOR_A_WHILE_EPOCH) {
      this.#roster.goAway(memberId, effects);
      this.#renew(memberId, context);
    } else {
      return { ...GROUP_SUCCESS, memberId, heartbeatIntervalMs, ...this.#stay(request, context, effects) };
    }
    return { ...GROUP_SUCCESS, memberId, memberEpoch, heartbeatIntervalMs, assignment: undefined };
  }

  #check(request: ConsumerGroupHeartbeatRequest, image: MetadataImage): GroupOutcome | undefined {
    const { maxMemberBytes, maxSize } = this.#options;
    const assignorNames = this.#assignors.map(({ name }) => name);
    const refusal = checkHeartbeat(request, { assignorNames, maxMemberBytes });
    if (refusal !== undefined) return refusal;
    if (request.memberEpoch === JOIN_EPOCH) return checkJoining(this.groupId, this.#state, request, maxSize);
    return (
      checkIdentity(this.groupId, this.#state, request) ??
      checkEpoch(this.groupId, this.#state, request, image)
    );
  }

  /** A member that comes or goes on: takes what it says, makes a target if that changes, and leads it one step on. */
  #stay(
    request: ConsumerGroupHeartbeatRequest,
    context: DecisionContext,
    effects: GroupEffects,
  ): Pick<ConsumerGroupHeartbeatResponse, "memberEpoch" | "assignment"> {
    const { memberId, memberEpoch, topicPartitions } = request;
    const isJoin = memberEpoch === JOIN_EPOCH;
    const needsTarget = isJoin ? this.#roster.join(request, effects) : this.#roster.update(request, effects);
    this.#renew(memberId, context);
    if (needsTarget) this.#makeTarget(context.image, effects);
    const before = this.#state.current(memberId);
    const isCurrent = isJoin || memberEpoch === before.memberEpoch;
    // A member that has not seen its epoch is told again.
    if (isCurrent) this.#lead(request, context, effects);
    const after = this.#state.current(memberId);
    if (memberEpoch !== after.memberEpoch) this.#noteReport(request, after, context.image);
    const owned = topicPartitions === undefined ? undefined : partitionSet(topicPartitions);
    // Who says nothing while it is to give something up is told again, which asks it to say what it owns.
    const isSilent = after.state === "unrevoked" && owned === undefined;
    const isTold =
      isCurrent &&
      !isJoin &&
      !isSilent &&
      isSameSet(before.assigned, after.assigned) &&
      isSameSet(owned ?? after.assigned, after.assigned);
    return { memberEpoch: after.memberEpoch, assignment: isTold ? undefined : after.assigned };
  }

  /** One step of the member towards its target, if there is one to make. */
  #lead(request: ConsumerGroupHeartbeatRequest, context: DecisionContext, effects: GroupEffects): void {
    const { memberId } = request;
    const isJoin = request.memberEpoch === JOIN_EPOCH;
    const current = this.#state.current(memberId);
    const isAskedAgain = isJoin && current.state === "unrevoked";
    if (isAskedAgain && current.memberEpoch + 1 >= this.#state.targetEpoch)
      this.#makeTarget(context.image, effects);
    const unrevoked = isJoin ? current.pendingRevocation : this.#unrevoked(request, current, context.image);
    const step = this.#step(memberId, context.image, unrevoked);
    const next = isAskedAgain ? askAgain(step) : nextAssignment(step);
    if (next === current) return;
    effects.record({ type: "currentMember", groupId: this.groupId, memberId, value: next });
    const rebalanceTimeoutMs = this.#state.members.get(memberId)?.rebalanceTimeoutMs ?? 0;
    if (next.state !== "unrevoked") this.#sessions.revokeBy(memberId, Infinity);
    else if (next.memberEpoch !== current.memberEpoch)
      this.#sessions.revokeBy(memberId, context.nowMs + rebalanceTimeoutMs);
  }

  #step(memberId: string, image: MetadataImage, unrevoked: readonly TopicPartitions[]): Reconciliation {
    return {
      current: this.#state.current(memberId),
      target: this.#state.target(memberId),
      targetEpoch: this.#state.targetEpoch,
      unrevoked,
      isHeld: (topicId, partition) => {
        const holder = this.#state.holders.owner(topicId, partition);
        return holder !== undefined && holder !== memberId;
      },
      exists: (topicId) => image.topicById(topicId) !== undefined,
    };
  }

  /** What a member of which this heartbeat comes, sent with the epoch in which it is to give that up, may hold yet. */
  #unrevoked(
    { memberId, memberEpoch, topicPartitions }: ConsumerGroupHeartbeatRequest,
    { pendingRevocation }: CurrentAssignmentValue,
    image: MetadataImage,
  ): readonly TopicPartitions[] {
    if (topicPartitions !== undefined) return heldOf(pendingRevocation, topicPartitions, image);
    // Who says nothing may hold all of it.
    if (this.#sessions.hasGivenUp(memberId, memberEpoch)) return [];
    return heldOf(pendingRevocation, pendingRevocation, image);
  }

  /**
   * Remembers what a heartbeat says that is answered with an epoch in which the member is to give something up: what that
   * one has said already it does not say again.
   */
  #noteReport(
    request: ConsumerGroupHeartbeatRequest,
    { memberEpoch, state, pendingRevocation }: CurrentAssignmentValue,
    image: MetadataImage,
  ): void {
    if (state !== "unrevoked") return;
    const { memberId, topicPartitions } = request;
    const isFree =
      topicPartitions !== undefined && heldOf(pendingRevocation, topicPartitions, image).length === 0;
    // It was asked before, and nothing was given to it since.
    const isAskedAgain = isRevocationEpoch(request.memberEpoch);
    this.#sessions.noteReport(memberId, memberEpoch, !isFree ? "holds" : isAskedAgain ? "givenUp" : "free");
  }

  /** Whether its next heartbeat would bring the member other partitions, or tell it that it is out. */
  #hasNews(memberId: string, image: MetadataImage): boolean {
    if (!this.#state.members.has(memberId)) return true;
    const current = this.#state.current(memberId);
    const next = nextAssignment(this.#step(memberId, image, current.pendingRevocation));
    return (
      !isSameSet(next.assigned, current.assigned) ||
      !isSameSet(next.pendingRevocation, current.pendingRevocation)
    );
  }

  /** The grace time is for whoever was called; the call may come long after the end of the connection (H62). */
  #callBack({ nowMs }: DecisionContext, effects: GroupEffects): void {
    for (const memberId of this.#watches.takeRecalled()) {
      if (!this.#state.members.has(memberId) || !this.#watches.isParked(memberId)) continue;
      this.#sessions.prolong(memberId, nowMs + this.#options.reconnectGraceMs);
      this.#watches.answer(memberId, effects, this.#sessions.owe(memberId, nowMs));
    }
  }

  #makeTarget(image: MetadataImage, effects: GroupEffects): void {
    const topics = this.#subscriptions.resolve(this.#state.members.values(), image);
    const assignor = chosenAssignor(this.#state, this.#assignors);
    recordTarget(this.groupId, this.#state, { assignor, topics }, effects);
  }

  #renew(memberId: string, { nowMs }: DecisionContext): void {
    this.#sessions.renew(memberId, nowMs + this.#options.consumerSessionTimeoutMs);
  }

  /** Tells those who wait, after everything was decided. */
  #finish({ image, wallMs }: DecisionContext, effects: GroupEffects): void {
    for (const memberId of this.#state.takeTouched()) {
      if (this.#watches.isParked(memberId) && this.#hasNews(memberId, image))
        this.#watches.answer(memberId, effects);
    }
    this.#emptySinceMs = this.isEmpty ? (this.#emptySinceMs ?? wallMs) : undefined;
  }
}

/** What a member that owns these has of what it is to give up. Nobody has to give up a topic that is deleted. */
function heldOf(
  pending: readonly TopicPartitions[],
  owned: readonly TopicPartitions[],
  image: MetadataImage,
): readonly TopicPartitions[] {
  const left = pending.filter(({ topicId }) => image.topicById(topicId) !== undefined);
  return intersection(left, partitionSet(owned));
}
