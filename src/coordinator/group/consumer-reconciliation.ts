import { assert } from "../../base/assert.ts";
import type { TopicId } from "../../model/ids.ts";
import {
  difference,
  intersection,
  isSameSet,
  NO_PARTITIONS,
  selectPartitions,
  union,
} from "./consumer-partitions.ts";
import type { PartitionSet } from "./consumer-partitions.ts";
import type { CurrentAssignmentValue } from "./group-records.ts";

/**
 * What a raise adds to the group epoch. By two, so that every target has an epoch below it that no target ever has: the
 * one in which members give up what they must. A heartbeat with that epoch is of a member that was told what to give up;
 * a delayed duplicate of an earlier one never passes for the sign that it has (H60).
 */
export const EPOCH_STEP = 2;

/** Whether members are asked in this epoch to give something up, and given nothing. */
export function isRevocationEpoch(epoch: number): boolean {
  return epoch > 0 && epoch % EPOCH_STEP !== 0;
}

/** What a member's next step depends on. */
export interface Reconciliation {
  readonly current: CurrentAssignmentValue;
  readonly target: PartitionSet;
  readonly targetEpoch: number;
  /** What of `current.pendingRevocation` the member may hold yet. */
  readonly unrevoked: PartitionSet;
  /** Another member holds it. */
  isHeld(topicId: TopicId, partition: number): boolean;
  /** False for a deleted topic, which nobody has to give up. */
  exists(topicId: TopicId): boolean;
}

/**
 * The next step of a member towards its target (KIP-848, "Reconciliation"): `current` itself when there is none. First it
 * gives up what it is not to have; then it reaches the epoch of the target with what others do not hold any more; then
 * it gets the rest as that is given up. What it keeps is never taken from it in between.
 */
export function nextAssignment(step: Reconciliation): CurrentAssignmentValue {
  const { current, target, targetEpoch } = step;
  if (current.state === "stable" && current.memberEpoch === targetEpoch) return current;
  if (current.state === "unrevoked" && step.unrevoked.length > 0) {
    // What it has given up is free at once: one slow handler holds up its own partition only.
    const isSame = isSameSet(step.unrevoked, current.pendingRevocation);
    return isSame ? current : { ...current, pendingRevocation: step.unrevoked };
  }
  const kept = intersection(current.assigned, target);
  // Who was away, and who comes in the place of one that was, holds nothing of what was kept for it.
  const held = current.memberEpoch > 0 ? current.assigned : NO_PARTITIONS;
  const revoked = selectPartitions(difference(held, target), (topicId) => step.exists(topicId));
  if (revoked.length > 0) {
    assert(targetEpoch - 1 > current.memberEpoch, "no epoch to ask in", { targetEpoch, ...current });
    return {
      memberEpoch: targetEpoch - 1,
      previousMemberEpoch: current.memberEpoch,
      state: "unrevoked",
      assigned: kept,
      pendingRevocation: revoked,
    };
  }
  const missing = difference(target, kept);
  const free = selectPartitions(missing, (topicId, partition) => !step.isHeld(topicId, partition));
  const state = isSameSet(free, missing) ? "stable" : "unreleased";
  const isSameEpoch = current.memberEpoch === targetEpoch;
  if (isSameEpoch && state === current.state && free.length === 0) return current;
  return {
    memberEpoch: targetEpoch,
    previousMemberEpoch: isSameEpoch ? current.previousMemberEpoch : current.memberEpoch,
    state,
    assigned: union(kept, free),
    pendingRevocation: NO_PARTITIONS,
  };
}

/**
 * A member that joins again while it is to give something up is asked again, in an epoch of its own: what was sent with
 * the epoch before says nothing about what the new one holds. It is asked for all that the target takes from it, for there
 * is one request in one epoch. `targetEpoch` is at least two above the epoch of the member.
 */
export function askAgain(step: Reconciliation): CurrentAssignmentValue {
  const { current, target, targetEpoch } = step;
  assert(targetEpoch - 1 > current.memberEpoch, "no epoch to ask again in", { targetEpoch, ...current });
  const pending = union(current.pendingRevocation, difference(current.assigned, target));
  return {
    memberEpoch: targetEpoch - 1,
    previousMemberEpoch: current.memberEpoch,
    state: "unrevoked",
    assigned: intersection(current.assigned, target),
    pendingRevocation: selectPartitions(pending, (topicId) => step.exists(topicId)),
  };
}

/** A static member that says that it goes for a while: it holds nothing, and what it is to have is kept for it. */
export function awayAssignment(
  current: CurrentAssignmentValue,
  target: PartitionSet,
): CurrentAssignmentValue {
  return {
    memberEpoch: AWAY_EPOCH,
    previousMemberEpoch: current.memberEpoch,
    state: "stable",
    assigned: intersection(current.assigned, target),
    pendingRevocation: NO_PARTITIONS,
  };
}

/** The member epoch of a static member that is away (KIP-848, "-2"). */
export const AWAY_EPOCH = -2;

/** What a member has to which nothing was ever given. */
export const NOTHING_ASSIGNED: CurrentAssignmentValue = {
  memberEpoch: 0,
  previousMemberEpoch: 0,
  state: "stable",
  assigned: NO_PARTITIONS,
  pendingRevocation: NO_PARTITIONS,
};
