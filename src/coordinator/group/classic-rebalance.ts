import { assert } from "../../base/assert.ts";
import type { DecisionContext, ReplyTo } from "../shard.ts";
import { planTooLarge, rebalanceInProgress, tooLate } from "./classic-answers.ts";
import { NO_BYTES } from "./classic-member.ts";
import type { ClassicMember } from "./classic-member.ts";
import type { ClassicRoster } from "./classic-roster.ts";
import type { JoinGroupResponse, SyncGroupRequest, SyncGroupResponse } from "./group-api.ts";
import type { ClassicGroupValue, GroupEffects } from "./group-records.ts";
import { refusedSync } from "./group-rules.ts";
import { GROUP_SUCCESS } from "./group.ts";
import type { GroupOptions } from "./group.ts";

/**
 * Empty: no members. PreparingRebalance: joins are collected. CompletingRebalance: the generation has begun and the leader
 * makes its plan. Stable: everybody can have its part of the plan.
 */
export type ClassicState = "Empty" | "PreparingRebalance" | "CompletingRebalance" | "Stable";

/**
 * Of a group's record. A batch of the offsets topic takes 1 MiB unless that was changed; a larger record could not be
 * written, which would stop all groups of the partition (H62).
 */
const MAX_RECORD_BYTES = 1_000_000;
/** Of a member in the record, beside its texts: lengths and timeouts. */
const MEMBER_OVERHEAD_BYTES = 32;

/**
 * The way of a classic group from one generation to the next:
 *
 *   Empty, Stable, CompletingRebalance --prepare--> PreparingRebalance   somebody came, left or wants something else
 *   PreparingRebalance --complete--> CompletingRebalance                 all members have joined, or the time is over
 *   PreparingRebalance --complete--> Empty                               nobody has
 *   CompletingRebalance --plan--> Stable                                 the leader's assignments are in the log
 *
 * Each phase has a deadline, so no answer waits for ever. Only the ends of that way (Stable, Empty) are in the log; a new
 * coordinator begins at the last of them.
 */
export class ClassicRebalance {
  readonly #groupId: string;
  readonly #options: GroupOptions;
  readonly #roster: ClassicRoster;
  #state: ClassicState = "Empty";
  #stateSinceMs = 0;
  #generation = 0;
  #protocolType = "";
  #protocol: string | undefined;
  #joinDeadlineMs = Infinity;
  /** While the first members of an empty group are waited for: when that must end, however many still come. */
  #initialUntilMs: number | undefined;
  #syncDeadlineMs = Infinity;

  constructor(groupId: string, options: GroupOptions, roster: ClassicRoster) {
    this.#groupId = groupId;
    this.#options = options;
    this.#roster = roster;
  }

  get state(): ClassicState {
    return this.#state;
  }

  /** Milliseconds since 1970; 0: it was always as it is. */
  get stateSinceMs(): number {
    return this.#stateSinceMs;
  }

  get generation(): number {
    return this.#generation;
  }

  get protocolType(): string {
    return this.#protocolType;
  }

  get protocol(): string | undefined {
    return this.#protocol;
  }

  get nextDeadlineMs(): number {
    return Math.min(this.#joinDeadlineMs, this.#syncDeadlineMs);
  }

  replay(value: ClassicGroupValue): void {
    this.#generation = value.generation;
    this.#protocolType = value.protocolType;
    this.#protocol = value.protocol ?? undefined;
    this.#state = value.members.length === 0 ? "Empty" : "Stable";
    this.#stateSinceMs = value.currentStateTimestampMs;
    this.#roster.restore(value.members, value.protocol ?? "", value.leader);
  }

  /** Somebody is the first to come: the group is of its kind. */
  adoptType(protocolType: string): void {
    this.#protocolType = protocolType;
  }

  /** Members or what they want have changed: a new generation is needed, unless one is on its way already. */
  membersChanged(context: DecisionContext, effects: GroupEffects): void {
    if (this.#state === "PreparingRebalance") this.completeIfJoined(context, effects);
    else this.#prepare(context, effects);
  }

  /** A member has come that was not here: while an empty group fills up, others may be close behind it. */
  memberCame(context: DecisionContext, effects: GroupEffects): void {
    if (this.#initialUntilMs !== undefined) {
      const waitMs = context.nowMs + this.#options.initialRebalanceDelayMs;
      this.#joinDeadlineMs = Math.min(this.#initialUntilMs, waitMs);
    }
    this.membersChanged(context, effects);
  }

  /** Ends the join phase when nobody is missing. */
  completeIfJoined(context: DecisionContext, effects: GroupEffects): void {
    const isFilling = this.#initialUntilMs !== undefined && this.#roster.size > 0;
    if (this.#state !== "PreparingRebalance" || isFilling || !this.#roster.isEverybodyJoining) return;
    this.#complete(context, effects);
  }

  /** The member asks for its part of the plan; the leader brings the plan. The generation was checked. */
  sync(
    member: ClassicMember,
    request: SyncGroupRequest,
    to: ReplyTo<SyncGroupResponse>,
    context: DecisionContext,
    effects: GroupEffects,
  ): void {
    if (this.#state === "PreparingRebalance") {
      this.#roster.renew(member, context.nowMs);
      effects.reply(to, refusedSync(rebalanceInProgress(this.#groupId)));
      return;
    }
    const isPlanner = this.#state === "CompletingRebalance" && member.memberId === this.#roster.leader;
    const value = isPlanner ? this.#planOf(request, context) : undefined;
    const sizeBytes = value === undefined ? 0 : recordBytes(value);
    if (sizeBytes > MAX_RECORD_BYTES) {
      effects.reply(to, refusedSync(planTooLarge(this.#groupId, sizeBytes, MAX_RECORD_BYTES)));
      return;
    }
    member.parkSync(to, this.#groupId, effects);
    if (value !== undefined) this.#record(value, effects);
    if (this.#state === "Stable") this.#deliver(context, effects);
    else this.#roster.renew(member, context.nowMs);
    if (this.#roster.isEverybodySynced) this.#syncDeadlineMs = Infinity;
  }

  /** What a member has to know of the current generation. */
  joinResponse(member: ClassicMember): JoinGroupResponse {
    const leader = this.#roster.leader ?? "";
    const isLeader = leader === member.memberId;
    return {
      ...GROUP_SUCCESS,
      generationId: this.#generation,
      protocolType: this.#protocolType,
      protocolName: this.#protocol ?? "",
      leader,
      skipAssignment: false,
      memberId: member.memberId,
      members: isLeader ? this.#subscriptions() : [],
    };
  }

  /** Writes the generation as it is: a static member goes on under another id. False: it has become too large for that. */
  recordMembers(effects: GroupEffects): boolean {
    const value = this.#value((member) => member.assignment, this.#stateSinceMs);
    if (recordBytes(value) > MAX_RECORD_BYTES) return false;
    this.#record(value, effects);
    return true;
  }

  /** Does what is due by now. */
  expire(context: DecisionContext, effects: GroupEffects): void {
    if (this.#joinDeadlineMs <= context.nowMs) this.#complete(context, effects);
    if (this.#syncDeadlineMs <= context.nowMs) this.#dropSilent(context, effects);
  }

  #prepare(context: DecisionContext, effects: GroupEffects): void {
    const { nowMs } = context;
    const untilMs = nowMs + this.#roster.rebalanceTimeoutMs;
    const delayMs = this.#options.initialRebalanceDelayMs;
    const isFilling = this.#state === "Empty" && delayMs > 0;
    this.#initialUntilMs = isFilling ? untilMs : undefined;
    this.#joinDeadlineMs = isFilling ? Math.min(untilMs, nowMs + delayMs) : untilMs;
    this.#syncDeadlineMs = Infinity;
    this.#enter("PreparingRebalance", context);
    const answer = refusedSync(rebalanceInProgress(this.#groupId));
    for (const member of this.#roster.members) {
      if (member.isJoining) continue;
      if (member.isWaiting) {
        member.answerSync(answer, effects);
        this.#roster.renew(member, nowMs);
      }
    }
    // With nobody left there is nobody to wait for, whatever ids were given out: who comes with one begins a group anew.
    if (this.#roster.size === 0) this.#complete(context, effects);
    else this.completeIfJoined(context, effects);
  }

  /** The join phase is over: who has not come is out, static members apart, who have until their session ends. */
  #complete(context: DecisionContext, effects: GroupEffects): void {
    for (const member of this.#roster.members) {
      if (!member.isJoining && member.groupInstanceId === undefined) this.#removeLate(member, effects);
    }
    if (this.#roster.size > 0 && !this.#roster.electJoined()) {
      // Only static members are left and none of them has come, so nobody could make a plan. Their sessions go on, and
      // the next look is not before the shortest one could have ended, whatever they call their rebalance timeout.
      const waitMs = Math.max(this.#roster.rebalanceTimeoutMs, this.#options.minSessionTimeoutMs);
      this.#initialUntilMs = undefined;
      this.#joinDeadlineMs = context.nowMs + waitMs;
      return;
    }
    this.#joinDeadlineMs = Infinity;
    this.#initialUntilMs = undefined;
    this.#generation++;
    this.#protocol = this.#roster.chooseProtocol();
    if (this.#roster.size === 0)
      this.#record(
        this.#value(() => NO_BYTES, context.wallMs),
        effects,
      );
    else this.#begin(context, effects);
  }

  #begin(context: DecisionContext, effects: GroupEffects): void {
    assert(this.#protocol !== undefined, "members without a common protocol", { groupId: this.#groupId });
    this.#enter("CompletingRebalance", context);
    this.#syncDeadlineMs = context.nowMs + this.#roster.rebalanceTimeoutMs;
    for (const member of this.#roster.members) {
      member.answerJoin(this.joinResponse(member), effects);
      member.isNew = false;
      member.hasSynced = false;
      this.#roster.renew(member, context.nowMs);
    }
  }

  #planOf({ assignments }: SyncGroupRequest, { wallMs }: DecisionContext): ClassicGroupValue {
    const planned = new Map(assignments.map(({ memberId, assignment }) => [memberId, assignment]));
    return this.#value(({ memberId }) => planned.get(memberId) ?? NO_BYTES, wallMs);
  }

  /** Everybody who has asked for its part of the plan gets it. */
  #deliver({ nowMs }: DecisionContext, effects: GroupEffects): void {
    const common = {
      ...GROUP_SUCCESS,
      protocolType: this.#protocolType,
      protocolName: this.#protocol ?? "",
    };
    for (const member of this.#roster.members) {
      if (!member.isWaiting) continue;
      member.answerSync({ ...common, assignment: member.assignment }, effects);
      this.#roster.renew(member, nowMs);
    }
  }

  /** Members that took part in the join and never asked for their assignment are gone. */
  #dropSilent(context: DecisionContext, effects: GroupEffects): void {
    this.#syncDeadlineMs = Infinity;
    for (const member of this.#roster.members) {
      if (!member.hasSynced) this.#removeLate(member, effects);
    }
    this.#prepare(context, effects);
  }

  #removeLate(member: ClassicMember, effects: GroupEffects): void {
    this.#roster.remove(member, tooLate(this.#groupId, member.memberId), effects);
  }

  #value(
    assignmentOf: (member: ClassicMember) => Buffer,
    currentStateTimestampMs: number,
  ): ClassicGroupValue {
    const protocol = this.#protocol ?? null;
    return {
      protocolType: this.#protocolType,
      generation: this.#generation,
      protocol,
      leader: this.#roster.leader ?? null,
      currentStateTimestampMs,
      members: [...this.#roster.members].map((member) =>
        member.toValue(protocol ?? "", assignmentOf(member)),
      ),
    };
  }

  /** Replaying it makes the group Stable, or Empty without members. */
  #record(value: ClassicGroupValue, effects: GroupEffects): void {
    effects.record({ type: "classicGroup", groupId: this.#groupId, value });
  }

  #subscriptions(): JoinGroupResponse["members"] {
    return [...this.#roster.members].map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.groupInstanceId,
      metadata: member.metadata(this.#protocol) ?? NO_BYTES,
    }));
  }

  #enter(state: ClassicState, context: DecisionContext): void {
    this.#state = state;
    this.#stateSinceMs = context.wallMs;
  }
}

function recordBytes({ members }: ClassicGroupValue): number {
  let bytes = 0;
  for (const { memberId, groupInstanceId, clientId, clientHost, subscription, assignment } of members) {
    bytes += MEMBER_OVERHEAD_BYTES + subscription.byteLength + assignment.byteLength;
    for (const text of [memberId, groupInstanceId ?? "", clientId, clientHost])
      bytes += Buffer.byteLength(text);
  }
  return bytes;
}
