import { assertNever } from "../../base/assert.ts";
import type { DecisionContext, ReplyTo } from "../shard.ts";
import { inconsistentProtocol } from "./classic-answers.ts";
import { ClassicMember, profileBytes, profileOf } from "./classic-member.ts";
import type { ClassicRebalance } from "./classic-rebalance.ts";
import type { ClassicRoster } from "./classic-roster.ts";
import type { GroupOutcome, JoinGroupRequest, JoinGroupResponse } from "./group-api.ts";
import type { GroupEffects } from "./group-records.ts";
import { refuse, refusedJoin, shownGroup, unknownMember } from "./group-rules.ts";
import type { GroupOptions } from "./group.ts";

/**
 * How long the first join of a member is kept waiting, in milliseconds (as in Kafka). Nobody knows its id yet, so a caller
 * that gave up and tries again comes as another member; this bounds how many of those a long rebalance gathers.
 */
const FIRST_JOIN_TIMEOUT_MS = 300_000;

/** Ids given out and not used yet may be as many as members, and at least these. */
const MIN_PENDING = 1000;

/** What the members of a group say may together have as many bytes as that of so many of the largest ones (H62). */
const LARGEST_MEMBERS = 64;

/** Characters of a client's name that its member id begins with, for those who read logs. */
const ID_PREFIX_LENGTH = 128;

/** One call, with everything that is at hand while it is decided. */
interface Call {
  readonly request: JoinGroupRequest;
  readonly to: ReplyTo<JoinGroupResponse>;
  readonly context: DecisionContext;
  readonly effects: GroupEffects;
}

/** Decides what a JoinGroup means: a new member, one that comes again, or a static one that was started anew. */
export class ClassicJoins {
  readonly #groupId: string;
  readonly #options: GroupOptions;
  readonly #roster: ClassicRoster;
  readonly #rebalance: ClassicRebalance;

  constructor(groupId: string, options: GroupOptions, roster: ClassicRoster, rebalance: ClassicRebalance) {
    this.#groupId = groupId;
    this.#options = options;
    this.#roster = roster;
    this.#rebalance = rebalance;
  }

  join(call: Call): void {
    const { request } = call;
    const { memberId, groupInstanceId } = request;
    const self = this.#roster.staticMember(groupInstanceId) ?? this.#roster.get(memberId);
    const outcome = this.#invalid(request, self) ?? this.#inconsistent(request, self);
    if (outcome !== undefined) this.#refuse(call, outcome);
    else if (request.memberId === "") this.#joinUnnamed(call);
    else this.#joinNamed(call);
  }

  /** A caller without an id: somebody new, or a static member that has been started again. */
  #joinUnnamed(call: Call): void {
    const { request, to, context, effects } = call;
    const { groupInstanceId, clientId } = request;
    const memberId = `${(groupInstanceId ?? clientId).slice(0, ID_PREFIX_LENGTH)}-${this.#options.newId()}`;
    const old = this.#roster.staticMember(groupInstanceId);
    if (old !== undefined) {
      this.#replace(old, memberId, call);
      return;
    }
    if (groupInstanceId !== undefined || !request.requireKnownMemberId) {
      this.#add(memberId, call);
      return;
    }
    if (this.#refuseIfFull(call)) return;
    // KIP-394: only who comes again with this id becomes a member, so a caller that does not listen costs no rebalance.
    const { pending } = this.#roster;
    const limit = Math.max(this.#options.maxSize, MIN_PENDING);
    if (pending.size >= limit && pending.oldest !== undefined) pending.delete(pending.oldest);
    pending.set(memberId, context.nowMs + request.sessionTimeoutMs);
    const isRequired = refuse(
      "MEMBER_ID_REQUIRED",
      `join ${shownGroup(this.#groupId)} again as "${memberId}"`,
    );
    effects.reply(to, refusedJoin(memberId, isRequired));
  }

  #joinNamed(call: Call): void {
    const { request, to, context, effects } = call;
    const { memberId, groupInstanceId } = request;
    if (groupInstanceId === undefined && this.#roster.pending.delete(memberId)) {
      if (!this.#add(memberId, call)) this.#rebalance.completeIfJoined(context, effects);
      return;
    }
    const found = this.#roster.find(memberId, groupInstanceId);
    if (!found.ok) {
      this.#refuse(call, found.refusal);
      return;
    }
    const { member } = found;
    const { state } = this.#rebalance;
    const isUnchanged = member.hasProtocols(request.protocols);
    const isLeader = memberId === this.#roster.leader;
    switch (state) {
      case "PreparingRebalance":
        if (!this.#removeIfTooMany(member, call)) this.#rejoin(member, call);
        return;
      case "CompletingRebalance":
      case "Stable":
        // The answer to its last join was lost. The leader of a stable group is the exception: by joining it says that
        // it has something new to plan for.
        if (isUnchanged && (state === "CompletingRebalance" || !isLeader)) {
          this.#roster.renew(member, context.nowMs);
          effects.reply(to, this.#rebalance.joinResponse(member));
        } else this.#rejoin(member, call);
        return;
      case "Empty":
        this.#refuse(call, unknownMember(this.#groupId, memberId));
        return;
      default:
        assertNever(state);
    }
  }

  /** False: the group is full, and the caller has been told. */
  #add(memberId: string, call: Call): boolean {
    const { request, to, context, effects } = call;
    if (this.#refuseIfFull(call)) return false;
    const member = new ClassicMember(memberId, request.groupInstanceId, profileOf(request));
    member.isNew = true;
    if (this.#roster.size === 0) this.#rebalance.adoptType(request.protocolType);
    this.#roster.add(member);
    this.#roster.limit(member, context.nowMs + FIRST_JOIN_TIMEOUT_MS);
    member.parkJoin(to, this.#groupId, effects);
    this.#rebalance.memberCame(context, effects);
    return true;
  }

  /** It waits for the next generation, with what it now wants. */
  #rejoin(member: ClassicMember, { request, to, context, effects }: Call): void {
    this.#roster.change(member, profileOf(request));
    member.parkJoin(to, this.#groupId, effects);
    this.#roster.renew(member, context.nowMs);
    this.#rebalance.membersChanged(context, effects);
  }

  /**
   * A static member was started again and has no id (KIP-345): it takes the place of its former self, who is fenced. A
   * stable group goes on as it is when nothing changes for the others.
   */
  #replace(old: ClassicMember, memberId: string, call: Call): void {
    const { request, to, context, effects } = call;
    const leaderBefore = this.#roster.leader ?? "";
    const member = this.#roster.replace(old, memberId, effects);
    const { profile: before } = member;
    const topicsBefore = this.#topics(member);
    this.#roster.change(member, profileOf(request));
    const isSame =
      topicsBefore === undefined
        ? member.hasProtocols(before.protocols)
        : this.#topics(member) === topicsBefore;
    const isSameProtocol = this.#roster.chooseProtocol() === this.#rebalance.protocol;
    const goesOn = this.#rebalance.state === "Stable" && isSame && isSameProtocol;
    if (!goesOn || !this.#rebalance.recordMembers(effects)) {
      this.#rejoin(member, call);
      return;
    }
    this.#roster.renew(member, context.nowMs);
    const response = this.#rebalance.joinResponse(member);
    if (request.supportsSkippingAssignment) {
      // KIP-814: a leader knows for whom it plans, and that the plan stands.
      effects.reply(to, { ...response, skipAssignment: response.leader === memberId });
    } else {
      // It must not make a plan nobody waits for, so it is shown the former leader and takes its assignment as others do.
      effects.reply(to, { ...response, leader: leaderBefore, members: [] });
    }
  }

  /**
   * What it subscribes to, as one text. Undefined: not readable. The bytes of two equal subscriptions may differ, since a
   * member that was just started does not own anything yet.
   */
  #topics(member: ClassicMember): string | undefined {
    const subscription = member.subscription(this.#rebalance.protocolType);
    return subscription === undefined ? undefined : JSON.stringify([...new Set(subscription.topics)].sort());
  }

  #invalid(request: JoinGroupRequest, self: ClassicMember | undefined): GroupOutcome | undefined {
    const { minSessionTimeoutMs, maxSessionTimeoutMs, maxMemberBytes } = this.#options;
    const { sessionTimeoutMs } = request;
    if (sessionTimeoutMs < minSessionTimeoutMs || sessionTimeoutMs > maxSessionTimeoutMs) {
      return refuse(
        "INVALID_SESSION_TIMEOUT",
        `a session timeout of ${sessionTimeoutMs} ms is not within ${minSessionTimeoutMs} to ${maxSessionTimeoutMs} ms; ` +
          "change session.timeout.ms of the member, or group.min.session.timeout.ms and group.max.session.timeout.ms",
      );
    }
    const bytes = profileBytes(request);
    if (bytes > maxMemberBytes) {
      return refuse(
        "INVALID_REQUEST",
        `the subscription of a member of ${shownGroup(this.#groupId)} has ${bytes} bytes, more than the ${maxMemberBytes} ` +
          "that are kept for one; subscribe to fewer topics or send less user data",
      );
    }
    const others = this.#roster.profileBytes - (self?.profileBytes ?? 0);
    const groupBytes = maxMemberBytes * LARGEST_MEMBERS;
    if (others + bytes <= groupBytes) return undefined;
    return refuse(
      "GROUP_MAX_SIZE_REACHED",
      `the subscriptions of ${shownGroup(this.#groupId)} would have ${others + bytes} bytes, more than the ` +
        `${groupBytes} that are kept for one group; stop some members or send less user data`,
    );
  }

  #inconsistent(
    { protocolType, protocols }: JoinGroupRequest,
    self: ClassicMember | undefined,
  ): GroupOutcome | undefined {
    const { size } = this.#roster;
    const isType = protocolType !== "" && (size === 0 || protocolType === this.#rebalance.protocolType);
    if (isType && protocols.length > 0 && this.#roster.supports(protocols, self)) return undefined;
    const names = protocols.map(({ name }) => name).join(", ");
    const common = this.#rebalance.protocol ?? "no assignor yet";
    return inconsistentProtocol(
      this.#groupId,
      `protocol type "${protocolType}" with [${names}]`,
      size === 0 ? "no members but needs both" : `type "${this.#rebalance.protocolType}" and ${common}`,
    );
  }

  #refuseIfFull(call: Call): boolean {
    const isFull = this.#roster.size >= this.#options.maxSize;
    if (isFull) this.#refuse(call, this.#tooMany(), "");
    return isFull;
  }

  /** The bound was lowered while the group was larger: those who come back first stay. */
  #removeIfTooMany(member: ClassicMember, call: Call): boolean {
    if (member.isJoining || this.#roster.joining < this.#options.maxSize) return false;
    const outcome = this.#tooMany();
    this.#roster.remove(member, outcome, call.effects);
    this.#refuse(call, outcome, "");
    this.#rebalance.completeIfJoined(call.context, call.effects);
    return true;
  }

  #tooMany(): GroupOutcome {
    const { maxSize } = this.#options;
    return refuse(
      "GROUP_MAX_SIZE_REACHED",
      `${shownGroup(this.#groupId)} may have ${maxSize} members and has them; stop some, or raise group.max.size`,
    );
  }

  #refuse(call: Call, outcome: GroupOutcome, memberId = call.request.memberId): void {
    call.effects.reply(call.to, refusedJoin(memberId, outcome));
  }
}
