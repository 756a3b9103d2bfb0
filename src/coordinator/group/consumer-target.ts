import { assert } from "../../base/assert.ts";
import type { ServerAssignor } from "./assignor.ts";
import { intersection, isSameSet, isSubset, partitionSet } from "./consumer-partitions.ts";
import { AWAY_EPOCH } from "./consumer-reconciliation.ts";
import type { ConsumerState } from "./consumer-state.ts";
import type { SubscribedTopics } from "./consumer-subscriptions.ts";
import type { GroupEffects } from "./group-records.ts";

/** The assignor that most members wish for; among equals, and where nobody has a wish, the earliest of the list. */
export function chosenAssignor(state: ConsumerState, assignors: readonly ServerAssignor[]): ServerAssignor {
  const votes = new Map<string, number>();
  for (const { serverAssignor } of state.members.values()) {
    votes.set(serverAssignor, (votes.get(serverAssignor) ?? 0) + 1);
  }
  let [chosen] = assignors;
  assert(chosen !== undefined, "a broker has at least one assignor");
  for (const assignor of assignors) {
    if ((votes.get(assignor.name) ?? 0) > (votes.get(chosen.name) ?? 0)) chosen = assignor;
  }
  return chosen;
}

/** Raises the group epoch and makes the target for it; records only the members whose target changed. */
export function recordTarget(
  groupId: string,
  state: ConsumerState,
  plan: { readonly assignor: ServerAssignor; readonly topics: SubscribedTopics },
  effects: GroupEffects,
): void {
  const epoch = state.nextEpoch;
  effects.record({ type: "consumerGroup", groupId, value: { epoch } });
  const members = [...state.members].map(([memberId, member]) => ({
    memberId,
    instanceId: member.instanceId ?? undefined,
    rackId: member.rackId ?? undefined,
    topicIds: plan.topics.of(member),
    previous: state.target(memberId),
  }));
  const assigned = plan.assignor.assign(members, plan.topics);
  for (const { memberId, previous } of members) {
    const partitions = partitionSet(assigned.get(memberId) ?? []);
    if (isSameSet(partitions, previous)) continue;
    effects.record({ type: "targetMember", groupId, memberId, value: { partitions } });
    trimAway(groupId, state, memberId, effects);
  }
  effects.record({ type: "targetEpoch", groupId, value: { assignmentEpoch: epoch } });
}

/** True when the targets are for exactly these topics with all their partitions. */
export function coversTopics({ targetOwners }: ConsumerState, topics: SubscribedTopics): boolean {
  return (
    targetOwners.topicCount === topics.topicIds.length &&
    topics.topicIds.every((topicId) => targetOwners.count(topicId) === topics.partitionCount(topicId))
  );
}

/** A static member that is away holds nothing: what it is not to have any more, others get at once. */
function trimAway(groupId: string, state: ConsumerState, memberId: string, effects: GroupEffects): void {
  const current = state.current(memberId);
  const target = state.target(memberId);
  if (current.memberEpoch !== AWAY_EPOCH || isSubset(current.assigned, target)) return;
  const value = { ...current, assigned: intersection(current.assigned, target) };
  effects.record({ type: "currentMember", groupId, memberId, value });
}
