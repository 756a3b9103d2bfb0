import type { OnGiven, ReplyTo } from "../shard.ts";
import type { GroupOutcome } from "./group-api.ts";
import { GROUP_SUCCESS } from "./group.ts";
import type { GroupEffects } from "./group-records.ts";

/** Those who wait for news of members, at most one for each member. An answer says: send a heartbeat now. */
export class ConsumerWatches {
  #parked = new Map<string, ReplyTo<GroupOutcome>>();
  #recalled = new Set<string>();
  #recallAtMs = Infinity;

  /** When `takeRecalled` has something to do, of the monotonic clock; Infinity: never. */
  get nextDeadlineMs(): number {
    return this.#recallAtMs;
  }

  /** Keeps the watch until there is news. An older one of that member is answered now. */
  park(memberId: string, to: ReplyTo<GroupOutcome>, effects: GroupEffects): void {
    this.answer(memberId, effects);
    this.#parked.set(memberId, to);
  }

  isParked(memberId: string): boolean {
    return this.#parked.has(memberId);
  }

  /** There is news for the member; nothing happens when nobody waits for it. */
  answer(memberId: string, effects: GroupEffects, onGiven?: OnGiven): void {
    const to = this.#parked.get(memberId);
    if (to === undefined) return;
    this.#parked.delete(memberId);
    effects.reply(to, GROUP_SUCCESS, onGiven);
  }

  /** Calls for a sign of life: its watch is to be answered as soon as it can be. */
  recall(memberId: string, nowMs: number): void {
    if (!this.#parked.has(memberId)) return;
    this.#recalled.add(memberId);
    this.#recallAtMs = Math.min(this.#recallAtMs, nowMs);
  }

  /** Those who are called for; each is to be answered now. */
  takeRecalled(): readonly string[] {
    const recalled = [...this.#recalled];
    this.#recalled.clear();
    this.#recallAtMs = Infinity;
    return recalled;
  }
}
