import type { Offset } from "../model/offsets.ts";

/*
 * Offsets may be missing from a log below the bound up to which it was compacted, here or at the leader that it was copied
 * from; see docs/decisions/0017-where-gaps-may-be.md. Also there a segment ends where the next one begins, and the log with
 * a batch: what is missing lies before a batch of the same segment.
 */

/** What a leader says of batches that may leave offsets out. */
export interface LeaderGaps {
  /** Where it read from. Between here and the first batch its log has nothing: no batch was lost on the way. */
  readonly from: Offset;
  /** Offsets below may be missing from its log. */
  readonly below: Offset;
}

/** Whether a batch may begin at `baseOffset` where the one before it ends, exclusive, at `endOffset`. */
export function mayFollow(endOffset: Offset, baseOffset: Offset, gapsBelow: Offset): boolean {
  return baseOffset === endOffset || (baseOffset > endOffset && baseOffset <= gapsBelow);
}
