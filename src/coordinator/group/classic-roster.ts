import { assert } from "../../base/assert.ts";
import { fencedInstance } from "./classic-answers.ts";
import { ClassicDeadlines } from "./classic-deadlines.ts";
import { ClassicMember, profileBytes } from "./classic-member.ts";
import type { ClassicProfile, ClassicProtocol } from "./classic-member.ts";
import type { GroupOutcome } from "./group-api.ts";
import type { ClassicMemberValue, GroupEffects } from "./group-records.ts";
import { unknownMember } from "./group-rules.ts";

/** From one look at a member whose answer waits to the next. */
const OWED_LOOK_MS = 500;

/** A member, or why the caller is not one. */
export type FoundMember =
  | { readonly ok: true; readonly member: ClassicMember }
  | { readonly ok: false; readonly refusal: GroupOutcome };

/**
 * Who is in a classic group: members in the order of their coming, the static ones by instance id too, the ids that were
 * given out and not used yet (KIP-394), the leader, and everybody's session.
 */
export class ClassicRoster {
  readonly #groupId: string;
  readonly #members = new Map<string, ClassicMember>();
  /** Group instance id to member id. */
  readonly #staticIds = new Map<string, string>();
  /** Names of protocols to how many members support them. */
  readonly #supporters = new Map<string, number>();
  readonly #sessions = new ClassicDeadlines();
  /** Member ids to the time until which they may be used for a join. */
  readonly pending = new ClassicDeadlines();
  /** Makes the plans. Undefined in an empty group only. */
  #leader: string | undefined;
  #profileBytes = 0;

  constructor(groupId: string) {
    this.#groupId = groupId;
  }

  get size(): number {
    return this.#members.size;
  }

  get leader(): string | undefined {
    return this.#leader;
  }

  get members(): IterableIterator<ClassicMember> {
    return this.#members.values();
  }

  /** What is remembered of all members together. */
  get profileBytes(): number {
    return this.#profileBytes;
  }

  /** Members whose join waits. */
  get joining(): number {
    let count = 0;
    for (const member of this.members) if (member.isJoining) count++;
    return count;
  }

  /** The longest that a member may take to come into a new generation. */
  get rebalanceTimeoutMs(): number {
    let longest = 0;
    for (const { profile } of this.members) longest = Math.max(longest, profile.rebalanceTimeoutMs);
    return longest;
  }

  /** Nobody is missing for a new generation. */
  get isEverybodyJoining(): boolean {
    for (const { isJoining } of this.members) if (!isJoining) return false;
    return this.pending.size === 0;
  }

  /** Nobody has still to ask for its assignment. */
  get isEverybodySynced(): boolean {
    for (const { hasSynced } of this.members) if (!hasSynced) return false;
    return true;
  }

  /** Nothing expires before; a lower bound. */
  get nextDeadlineMs(): number {
    return Math.min(this.#sessions.nextMs, this.pending.nextMs);
  }

  get(memberId: string): ClassicMember | undefined {
    return this.#members.get(memberId);
  }

  staticMember(groupInstanceId: string | undefined): ClassicMember | undefined {
    const memberId = groupInstanceId === undefined ? undefined : this.#staticIds.get(groupInstanceId);
    return memberId === undefined ? undefined : this.#members.get(memberId);
  }

  /** The caller as a member: by its id, and by its instance id when it names one, which must still be its own. */
  find(memberId: string, groupInstanceId: string | undefined): FoundMember {
    const member = this.#members.get(memberId);
    if (groupInstanceId !== undefined) {
      const holder = this.staticMember(groupInstanceId);
      if (holder !== undefined && holder !== member) {
        return { ok: false, refusal: fencedInstance(this.#groupId, groupInstanceId) };
      }
      if (holder === undefined) return { ok: false, refusal: unknownMember(this.#groupId, memberId) };
    }
    if (member === undefined) return { ok: false, refusal: unknownMember(this.#groupId, memberId) };
    return { ok: true, member };
  }

  /** The first one leads. */
  add(member: ClassicMember): void {
    const { memberId, groupInstanceId } = member;
    assert(!this.#members.has(memberId), "a member joined twice", { memberId });
    this.#members.set(memberId, member);
    if (groupInstanceId !== undefined) this.#staticIds.set(groupInstanceId, memberId);
    this.#countProfile(member, 1);
    this.#leader ??= memberId;
  }

  /** It has something else to say of itself. */
  change(member: ClassicMember, profile: ClassicProfile): void {
    this.#countProfile(member, -1);
    member.profile = profile;
    this.#countProfile(member, 1);
  }

  /** Without it; whatever it waits for is answered with `outcome`. Another one leads if it did. */
  remove(member: ClassicMember, outcome: GroupOutcome, effects: GroupEffects): void {
    this.#forget(member);
    member.dismiss(outcome, effects);
    if (this.#leader === member.memberId) this.#leader = this.#members.keys().next().value;
  }

  /** A static member goes on under another id: the same place, assignment and leadership; the old one is fenced. */
  replace(old: ClassicMember, memberId: string, effects: GroupEffects): ClassicMember {
    assert(old.groupInstanceId !== undefined, "only a static member can be replaced", { memberId });
    const member = new ClassicMember(memberId, old.groupInstanceId, old.profile);
    member.assignment = old.assignment;
    member.hasSynced = old.hasSynced;
    this.#forget(old);
    old.dismiss(fencedInstance(this.#groupId, old.groupInstanceId), effects);
    if (this.#leader === old.memberId) this.#leader = memberId;
    this.add(member);
    return member;
  }

  /** Makes sure that the leader is one who takes part in the new generation. False: nobody does. */
  electJoined(): boolean {
    const leader = this.#leader === undefined ? undefined : this.#members.get(this.#leader);
    if (leader?.isJoining === true) return true;
    for (const { memberId, isJoining } of this.members) {
      if (!isJoining) continue;
      this.#leader = memberId;
      return true;
    }
    return false;
  }

  /** Whether somebody with these protocols has one in common with all members; `self` apart, who would replace its own. */
  supports(protocols: readonly ClassicProtocol[], self: ClassicMember | undefined): boolean {
    const others = this.size - (self === undefined ? 0 : 1);
    return protocols.some(({ name }) => {
      const own = self?.metadata(name) === undefined ? 0 : 1;
      return (this.#supporters.get(name) ?? 0) - own === others;
    });
  }

  /**
   * The protocol that most members like best of those which all support; among equals that which the first member
   * prefers. Undefined without members.
   */
  chooseProtocol(): string | undefined {
    const votes = new Map<string, number>();
    const [first] = this.members;
    for (const { name } of first?.profile.protocols ?? []) {
      if (this.#supporters.get(name) === this.size) votes.set(name, 0);
    }
    for (const { profile } of this.members) {
      const vote = profile.protocols.find(({ name }) => votes.has(name))?.name;
      if (vote !== undefined) votes.set(vote, (votes.get(vote) ?? 0) + 1);
    }
    let chosen: string | undefined;
    for (const [name, count] of votes) {
      if (chosen === undefined || count > (votes.get(chosen) ?? 0)) chosen = name;
    }
    return chosen;
  }

  /**
   * The member has been heard of, or has been given its answer: a full session from now on. One that waits for an answer
   * has nothing to send and cannot expire.
   */
  renew(member: ClassicMember, nowMs: number): void {
    // The limit of a first join that waits stands: it bounds what is kept for callers that may be long gone.
    if (member.isNew && member.isWaiting) return;
    this.#sessions.set(
      member.memberId,
      member.isWaiting ? Infinity : nowMs + member.profile.sessionTimeoutMs,
    );
  }

  /** Until when a member is kept whatever it waits for. */
  limit(member: ClassicMember, untilMs: number): void {
    this.#sessions.set(member.memberId, untilMs);
  }

  /** Members whose session is over. */
  takeExpired(nowMs: number): ClassicMember[] {
    const expired: ClassicMember[] = [];
    for (const memberId of this.#sessions.takeDue(nowMs)) {
      const member = this.#members.get(memberId);
      if (member === undefined) continue;
      const excusedMs = member.excusedUntilMs(nowMs + OWED_LOOK_MS);
      if (member.isWaiting || excusedMs <= nowMs) expired.push(member);
      else this.#sessions.set(memberId, excusedMs);
    }
    return expired;
  }

  /** Takes the members of a record. Those who are here already keep what is of this term. */
  restore(values: readonly ClassicMemberValue[], protocol: string, leader: string | null): void {
    const before = new Map(this.#members);
    this.#members.clear();
    this.#staticIds.clear();
    this.#supporters.clear();
    this.#profileBytes = 0;
    this.#leader = leader ?? undefined;
    for (const value of values) {
      const { memberId, groupInstanceId } = value;
      const member =
        before.get(memberId) ??
        new ClassicMember(memberId, groupInstanceId ?? undefined, { ...value, protocols: [] });
      member.restore(value, protocol);
      this.add(member);
      before.delete(memberId);
    }
    for (const memberId of before.keys()) this.#sessions.delete(memberId);
  }

  #forget(member: ClassicMember): void {
    const { memberId, groupInstanceId } = member;
    this.#countProfile(member, -1);
    this.#members.delete(memberId);
    this.#sessions.delete(memberId);
    if (groupInstanceId !== undefined) this.#staticIds.delete(groupInstanceId);
  }

  #countProfile({ profile }: ClassicMember, change: 1 | -1): void {
    this.#profileBytes += change * profileBytes(profile);
    for (const name of new Set(profile.protocols.map((protocol) => protocol.name))) {
      const count = (this.#supporters.get(name) ?? 0) + change;
      if (count === 0) this.#supporters.delete(name);
      else this.#supporters.set(name, count);
    }
  }
}
