import { NO_LEADER_EPOCH } from "../model/offsets.ts";
import type { Offset } from "../model/offsets.ts";
import type { LogCore } from "./log-core.ts";
import type { Segment } from "./segment.ts";
import { findSegmentDamage } from "./segment-damage.ts";
import type { DamageScanOptions, SegmentDamage } from "./segment-damage.ts";

/** "whole" and "damaged" as read; "changed": the log was cut or closed meanwhile, or the segment has gone. */
export type SegmentCondition = "whole" | "damaged" | "changed";

/**
 * Reads one segment of an open log from its beginning, as far as it is written and not known to be damaged, and notes
 * the first damage in it (H42, H46, H53). @throws LograftError DISK_READ_FAILED; the reason of the signal.
 */
export async function checkSegment(
  core: LogCore,
  segment: Segment,
  options: DamageScanOptions = {},
): Promise<SegmentCondition> {
  await core.swapping;
  const { generation } = core;
  const { baseOffset, endOffset, sizeBytes, damage } = segment;
  const extent = {
    baseOffset,
    sizeBytes: damage?.position ?? sizeBytes,
    endOffset: damage?.offset ?? endOffset,
    gapsBelow: core.gapsBelow,
    epochAt: (offset: Offset) => core.epochs?.epochForOffset(offset) ?? NO_LEADER_EPOCH,
  };
  let found: SegmentDamage | undefined;
  try {
    // Not from the cache of open files: a pass over all segments would drive out those that are in use.
    const file = await core.deps.disk.open(segment.logPath, "read");
    try {
      found = await findSegmentDamage(file, extent, options);
    } finally {
      await file.close();
    }
  } catch (error: unknown) {
    // H50: retention has taken its name away.
    if (core.isConclusive(segment, generation) || options.signal?.aborted === true) throw error;
    return "changed";
  }
  if (!core.isConclusive(segment, generation)) return "changed";
  if (found !== undefined) core.noteDamage(segment, found);
  return segment.damage === undefined ? "whole" : "damaged";
}

/**
 * Something was read that is not what it should be: finds where the damage begins, exactly, or that the segment is whole
 * and the fault was elsewhere (an index, one bad read). As `checkSegment`, one at a time for a log: readers of one
 * damaged place wait for one scan.
 */
export async function locateDamage(core: LogCore, segment: Segment): Promise<SegmentCondition> {
  const known = segment.damage;
  while (core.locating !== undefined) await core.locating;
  if (segment.damage !== known) return "damaged";
  const checking = checkSegment(core, segment);
  const ended = checking.then(ignore, ignore);
  core.locating = ended;
  try {
    return await checking;
  } finally {
    core.locating = undefined;
  }
}

function ignore(): void {
  // Who began the scan has its failure; the others look for themselves.
}
