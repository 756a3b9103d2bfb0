import type { DecisionContext, ReplyTo } from "../shard.ts";
import { illegalGeneration, inconsistentProtocol, rebalanceInProgress } from "./classic-answers.ts";
import { ClassicJoins } from "./classic-joins.ts";
import type { ClassicMember } from "./classic-member.ts";
import { ClassicRebalance } from "./classic-rebalance.ts";
import type { ClassicState } from "./classic-rebalance.ts";
import { ClassicRoster } from "./classic-roster.ts";
import { describeMember, isSubscribed } from "./classic-view.ts";
import type {
  DescribeGroupResponse,
  GroupOutcome,
  HeartbeatRequest,
  JoinGroupRequest,
  JoinGroupResponse,
  LeaveGroupRequest,
  LeaveGroupResponse,
  OffsetCommitRequest,
  SyncGroupRequest,
  SyncGroupResponse,
} from "./group-api.ts";
import type { ClassicGroupValue, GroupEffects } from "./group-records.ts";
import { refuse, refusedSync, shownGroup, unknownMember } from "./group-rules.ts";
import { GROUP_SUCCESS } from "./group.ts";
import type { Group, GroupOptions } from "./group.ts";

/**
 * A group of Kafka's classic protocol: members meet in JoinGroup, one of them plans, all get their part in SyncGroup, and
 * heartbeats tell them when to meet again. The coordinator decides who is in a generation and lets nobody act who is not
 * (H60); what the members plan is theirs.
 *
 * In the log are the generations that were completed. All of the way there is of this term: after a change of coordinator
 * the group is what its last record says, and every member of that has a full session to be heard of (H62). A member that
 * was on its way into the next generation joins again.
 */
export class ClassicGroup implements Group {
  readonly groupId: string;
  readonly type = "classic";
  readonly #options: GroupOptions;
  readonly #roster: ClassicRoster;
  readonly #rebalance: ClassicRebalance;
  readonly #joins: ClassicJoins;

  constructor(groupId: string, options: GroupOptions) {
    this.groupId = groupId;
    this.#options = options;
    this.#roster = new ClassicRoster(groupId);
    this.#rebalance = new ClassicRebalance(groupId, options, this.#roster);
    this.#joins = new ClassicJoins(groupId, options, this.#roster, this.#rebalance);
  }

  get state(): ClassicState {
    return this.#rebalance.state;
  }

  get protocolType(): string {
    return this.#rebalance.protocolType;
  }

  get isEmpty(): boolean {
    return this.state === "Empty" && this.#roster.pending.size === 0;
  }

  /** 0 when it never had members. */
  get emptySinceMs(): number | undefined {
    return this.isEmpty ? this.#rebalance.stateSinceMs : undefined;
  }

  /** A lower bound: members that were heard of move theirs back, which shows when this one comes. */
  get nextDeadlineMs(): number {
    return Math.min(this.#roster.nextDeadlineMs, this.#rebalance.nextDeadlineMs);
  }

  /** Takes the record "classicGroup": the end of a rebalance. */
  replay(value: ClassicGroupValue): void {
    this.#rebalance.replay(value);
  }

  onLoaded(context: DecisionContext, effects: GroupEffects): void {
    for (const member of this.#roster.members) this.#roster.renew(member, context.nowMs);
    // The bound was lowered since: the group meets, and those who come first stay.
    if (this.#roster.size > this.#options.maxSize) this.#rebalance.membersChanged(context, effects);
  }

  /** What topics there are is for the members to find out. */
  onMetadata(): void {}

  expire(context: DecisionContext, effects: GroupEffects): void {
    const { nowMs } = context;
    const expired = this.#roster.takeExpired(nowMs);
    for (const member of expired) this.#dismiss(member, effects);
    const forgotten = this.#roster.pending.takeDue(nowMs);
    if (expired.length > 0) this.#rebalance.membersChanged(context, effects);
    else if (forgotten.length > 0) this.#rebalance.completeIfJoined(context, effects);
    this.#rebalance.expire(context, effects);
  }

  /**
   * Answered when the next generation begins; at once when there is nothing to wait for, or with INVALID_SESSION_TIMEOUT,
   * INVALID_REQUEST (too many bytes), INCONSISTENT_GROUP_PROTOCOL, MEMBER_ID_REQUIRED, UNKNOWN_MEMBER_ID,
   * FENCED_INSTANCE_ID, GROUP_MAX_SIZE_REACHED.
   */
  joinGroup(
    request: JoinGroupRequest,
    to: ReplyTo<JoinGroupResponse>,
    context: DecisionContext,
    effects: GroupEffects,
  ): void {
    this.#joins.join({ request, to, context, effects });
  }

  /** Answered when the leader's plan is in the log; REBALANCE_IN_PROGRESS when members have to meet again before. */
  syncGroup(
    request: SyncGroupRequest,
    to: ReplyTo<SyncGroupResponse>,
    context: DecisionContext,
    effects: GroupEffects,
  ): void {
    const { memberId, groupInstanceId, generationId } = request;
    const found = this.#roster.find(memberId, groupInstanceId);
    const outcome = found.ok
      ? (this.#wrongGeneration(generationId) ?? this.#wrongProtocol(request) ?? this.#tooLarge(request))
      : found.refusal;
    if (outcome !== undefined) effects.reply(to, refusedSync(outcome));
    else if (found.ok) this.#rebalance.sync(found.member, request, to, context, effects);
  }

  /** REBALANCE_IN_PROGRESS: the member is to join again, and is alive all the same. */
  heartbeat(
    request: HeartbeatRequest,
    to: ReplyTo<GroupOutcome>,
    context: DecisionContext,
    effects: GroupEffects,
  ): void {
    const found = this.#roster.find(request.memberId, request.groupInstanceId);
    const outcome = found.ok ? this.#wrongGeneration(request.generationId) : found.refusal;
    if (outcome === undefined && found.ok) this.#roster.renew(found.member, context.nowMs);
    const isMeeting = this.state === "PreparingRebalance";
    const onGiven = outcome === undefined && found.ok ? found.member.owe() : undefined;
    effects.reply(to, outcome ?? (isMeeting ? rebalanceInProgress(this.groupId) : GROUP_SUCCESS), onGiven);
  }

  /** However many leave, it is one rebalance. A static member may be named by its instance id alone (by operators). */
  leave(request: LeaveGroupRequest, context: DecisionContext, effects: GroupEffects): LeaveGroupResponse {
    let gone = 0;
    const members = request.members.map(({ memberId, groupInstanceId }) => {
      const outcome = this.#leave(memberId, groupInstanceId, effects);
      if (outcome === undefined) gone++;
      return { ...(outcome ?? GROUP_SUCCESS), memberId, groupInstanceId };
    });
    if (gone > 0) {
      // A group without members can only have lost ids that nobody has used yet.
      if (this.state === "Empty") this.#rebalance.completeIfJoined(context, effects);
      else this.#rebalance.membersChanged(context, effects);
    }
    return { ...GROUP_SUCCESS, members };
  }

  /**
   * Members of the current generation may commit, unless they have not got its plan yet; in an empty group so may those
   * who name neither member nor generation.
   */
  checkCommit(request: OffsetCommitRequest, context: DecisionContext): GroupOutcome | undefined {
    const { memberId, groupInstanceId, generationIdOrMemberEpoch: generation } = request;
    if (generation < 0 && memberId === "" && groupInstanceId === undefined) {
      if (this.state === "Empty") return undefined;
      return refuse(
        "UNKNOWN_MEMBER_ID",
        `${shownGroup(this.groupId)} has members, so only they may commit; stop them first, or commit as a member`,
      );
    }
    const found = this.#roster.find(memberId, groupInstanceId);
    if (!found.ok) return found.refusal;
    const outcome = this.#wrongGeneration(generation);
    if (outcome !== undefined) return outcome;
    // It knows the generation from its join and has no partitions of it yet; those of the one before are gone (H60).
    if (this.state === "CompletingRebalance") return rebalanceInProgress(this.groupId);
    this.#roster.renew(found.member, context.nowMs);
    return undefined;
  }

  /** Who has which partition is known to the members only. */
  checkOwned(): undefined {
    return undefined;
  }

  /** Everybody may read what a classic group has committed, as in Kafka. */
  checkFetch(): undefined {
    return undefined;
  }

  isSubscribedTo(topic: string): boolean {
    return isSubscribed(this.#roster.members, this.protocolType, topic);
  }

  describe(): DescribeGroupResponse {
    const { state, protocolType } = this;
    const { generation, protocol } = this.#rebalance;
    const isStable = state === "Stable";
    const members = [...this.#roster.members].map((member) => describeMember(member, protocolType, isStable));
    return {
      ...GROUP_SUCCESS,
      groupId: this.groupId,
      type: this.type,
      state,
      protocolType,
      protocol: protocol ?? "",
      epoch: generation,
      members,
    };
  }

  remove(effects: GroupEffects): void {
    effects.record({ type: "classicGroup", groupId: this.groupId, value: null });
  }

  #leave(
    memberId: string,
    groupInstanceId: string | undefined,
    effects: GroupEffects,
  ): GroupOutcome | undefined {
    if (groupInstanceId === undefined && this.#roster.pending.delete(memberId)) return undefined;
    const named = memberId === "" ? this.#roster.staticMember(groupInstanceId)?.memberId : memberId;
    const found = this.#roster.find(named ?? "", groupInstanceId);
    if (!found.ok) return found.refusal;
    this.#dismiss(found.member, effects);
    return undefined;
  }

  #dismiss(member: ClassicMember, effects: GroupEffects): void {
    this.#roster.remove(member, unknownMember(this.groupId, member.memberId), effects);
  }

  #wrongGeneration(theirs: number): GroupOutcome | undefined {
    const { generation } = this.#rebalance;
    return theirs === generation ? undefined : illegalGeneration(this.groupId, theirs, generation);
  }

  #wrongProtocol({ protocolType, protocolName }: SyncGroupRequest): GroupOutcome | undefined {
    const ours = { type: this.protocolType, name: this.#rebalance.protocol ?? "" };
    const isType = protocolType === undefined || protocolType === ours.type;
    if (isType && (protocolName === undefined || protocolName === ours.name)) return undefined;
    const theirs = `protocol type "${protocolType ?? ours.type}" with "${protocolName ?? ours.name}"`;
    return inconsistentProtocol(this.groupId, theirs, `type "${ours.type}" and "${ours.name}"`);
  }

  #tooLarge({ assignments }: SyncGroupRequest): GroupOutcome | undefined {
    const { maxMemberBytes } = this.#options;
    const large = assignments.find(({ assignment }) => assignment.byteLength > maxMemberBytes);
    if (large === undefined) return undefined;
    return refuse(
      "INVALID_REQUEST",
      `the assignment of member "${large.memberId}" of ${shownGroup(this.groupId)} has ${large.assignment.byteLength} ` +
        `bytes, more than the ${maxMemberBytes} that are kept for one; use more members or less user data`,
    );
  }
}
