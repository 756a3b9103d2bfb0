import type { EpochEnd } from "../log/leader-epoch-cache.ts";
import { minOffset } from "../model/offsets.ts";
import type { LeaderEpoch, Offset } from "../model/offsets.ts";
import type { FollowAnswer, FollowerPosition } from "./replica.ts";

/** What the comparison of two histories needs of a leader's log. */
export interface LeaderHistory {
  readonly logStartOffset: Offset;
  readonly logEndOffset: Offset;
  /** -1: nothing was ever written. */
  readonly latestEpoch: LeaderEpoch;
  endOffsetForEpoch(epoch: LeaderEpoch): EpochEnd;
}

/** What it needs of a follower's log. */
export interface FollowerHistory {
  readonly logEndOffset: Offset;
  endOffsetForEpoch(epoch: LeaderEpoch): EpochEnd;
}

/**
 * The leader's part (KIP-101, KIP-279): does the follower's log, as far as it goes, say the same as this one? It does
 * when the leader knows the epoch of the follower's last record and wrote in it at least up to the follower's end.
 */
export function compareHistories(
  at: FollowerPosition,
  leader: LeaderHistory,
): Exclude<FollowAnswer, { readonly type: "refused" }> {
  const { logStartOffset, logEndOffset } = leader;
  if (at.logEndOffset < logStartOffset) return { type: "reset", logStartOffset };
  let end = leader.endOffsetForEpoch(at.lastEpoch);
  // The follower wrote in an epoch after all that the leader knows, or knows none: all of the leader's log is before it.
  if (end.epoch < 0) end = { epoch: leader.latestEpoch, endOffset: logEndOffset };
  const isEpochShared = at.lastEpoch < 0 || end.epoch === at.lastEpoch;
  if (isEpochShared && at.logEndOffset <= end.endOffset) return { type: "ok" };
  // All that the follower has lies below what is left here, so nothing shows whether it is right: begin anew.
  if (at.logEndOffset === logStartOffset) return { type: "reset", logStartOffset };
  return { type: "diverging", ...end };
}

/**
 * The follower's part: where to cut so that no record of its own stays that the leader has not in the same epoch (H34).
 * One step; the follower then names its new position and may be told to cut again (H38).
 */
export function truncationPoint(answer: EpochEnd, own: FollowerHistory): Offset {
  const ownEnd = own.endOffsetForEpoch(answer.epoch);
  const agreed = ownEnd.epoch < 0 ? answer.endOffset : minOffset(ownEnd.endOffset, answer.endOffset);
  return minOffset(agreed, own.logEndOffset);
}
