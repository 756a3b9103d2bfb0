import { awayAssignment, NOTHING_ASSIGNED } from "./consumer-reconciliation.ts";
import { memberChange, memberValue } from "./consumer-request.ts";
import type { ConsumerSessions } from "./consumer-sessions.ts";
import type { ConsumerState } from "./consumer-state.ts";
import type { ConsumerGroupHeartbeatRequest } from "./group-api.ts";
import type { GroupEffects, MemberValue } from "./group-records.ts";

/** Who comes, changes and goes. Its methods say whether the group has to make a new target. */
export class ConsumerRoster {
  readonly #groupId: string;
  readonly #state: ConsumerState;
  readonly #sessions: ConsumerSessions;

  constructor(groupId: string, deps: { readonly state: ConsumerState; readonly sessions: ConsumerSessions }) {
    this.#groupId = groupId;
    this.#state = deps.state;
    this.#sessions = deps.sessions;
  }

  /** A member joins, for the first time or again; what it leaves out is not as before. True: a new target is due. */
  join(request: ConsumerGroupHeartbeatRequest, effects: GroupEffects): boolean {
    const { memberId, instanceId } = request;
    const holder = instanceId === undefined ? undefined : this.#state.instance(instanceId);
    const predecessor = holder === memberId ? undefined : holder;
    const before = this.#state.members.get(predecessor ?? memberId);
    const value = memberValue(request, undefined);
    if (predecessor === undefined) return this.#record(memberId, before, value, effects);
    this.#record(memberId, undefined, value, effects);
    this.#inherit(memberId, predecessor, effects);
    return before === undefined || memberChange(before, value) === "plan";
  }

  /** A member goes on; what it leaves out is as before. True: a new target is due. */
  update(request: ConsumerGroupHeartbeatRequest, effects: GroupEffects): boolean {
    const before = this.#state.members.get(request.memberId);
    return this.#record(request.memberId, before, memberValue(request, before), effects);
  }

  /** A static member goes for a while, and what it is to have is kept for it. */
  goAway(memberId: string, effects: GroupEffects): void {
    const value = awayAssignment(this.#state.current(memberId), this.#state.target(memberId));
    effects.record({ type: "currentMember", groupId: this.#groupId, memberId, value });
    this.#sessions.revokeBy(memberId, Infinity);
  }

  /** A member goes for good. A new target is due. */
  remove(memberId: string, effects: GroupEffects): void {
    const groupId = this.#groupId;
    effects.record({ type: "currentMember", groupId, memberId, value: null });
    effects.record({ type: "targetMember", groupId, memberId, value: null });
    effects.record({ type: "member", groupId, memberId, value: null });
    this.#sessions.remove(memberId);
  }

  #record(
    memberId: string,
    before: MemberValue | undefined,
    value: MemberValue,
    effects: GroupEffects,
  ): boolean {
    const change = before === undefined ? "plan" : memberChange(before, value);
    if (change !== "none") effects.record({ type: "member", groupId: this.#groupId, memberId, value });
    return change === "plan";
  }

  /** A static member comes back under a new member id: it has what was kept for the old one. */
  #inherit(memberId: string, predecessor: string, effects: GroupEffects): void {
    const groupId = this.#groupId;
    const partitions = this.#state.target(predecessor);
    const { assigned } = this.#state.current(predecessor);
    effects.record({ type: "targetMember", groupId, memberId, value: { partitions } });
    effects.record({
      type: "currentMember",
      groupId,
      memberId,
      value: { ...NOTHING_ASSIGNED, assigned },
    });
    this.remove(predecessor, effects);
  }
}
