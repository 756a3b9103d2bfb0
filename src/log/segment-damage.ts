import type { LeaderEpoch, Offset } from "../model/offsets.ts";
import { NO_LEADER_EPOCH } from "../model/offsets.ts";
import { baseOffsetOf, lastOffsetOf, leaderEpochOf } from "../model/record-batch.ts";
import type { DiskFile } from "../platform/disk.ts";
import { mayFollow } from "./gaps.ts";
import { BatchReader } from "./record-scan.ts";
import type { ScanOptions } from "./record-scan.ts";

/** Where a segment stops being what was written to it. */
export interface SegmentDamage {
  /** First byte of the first damaged batch. */
  readonly position: number;
  /** One past the last offset that is whole: the base offset that the damaged batch has, or should have. */
  readonly offset: Offset;
  readonly reason: string;
}

/** What a replica has lost to its disk. Known in memory only: after a restart it is found again. */
export interface ReplicaDamage {
  /**
   * The first offset that this replica cannot give any more: the base offset of the first damaged batch. Everything
   * below is whole as far as it is known. May lie below the log start, inside the segment that holds it.
   */
  readonly offset: Offset;
  /** Names file, byte and cause, and what happens now. */
  readonly message: string;
}

/** What a segment should be. */
export interface SegmentExtent {
  readonly baseOffset: Offset;
  /** Bytes of whole batches. */
  readonly sizeBytes: number;
  /** Exclusive; undefined when it is not known, and then not compared. */
  readonly endOffset: Offset | undefined;
  /** See `LogCore.gapsBelow`. */
  readonly gapsBelow: Offset;
  /** The leader epoch that wrote an offset, below 0 when it is not known; left out: it is of none. */
  readonly epochAt?: ((offset: Offset) => LeaderEpoch) | undefined;
}

/** How a segment is read for it. */
export type DamageScanOptions = Pick<ScanOptions, "buffer" | "bufferBytes" | "beforeRead" | "signal">;

/**
 * Reads a segment from its beginning and answers the first damage in it: a length, header or checksum that is wrong, an
 * offset out of place, a leader epoch that falls or is not the one that wrote there, an end that is not where it should be. Undefined: it is whole. The file
 * must not be cut meanwhile, or the answer means nothing. @throws LograftError DISK_READ_FAILED; the signal's reason.
 */
export async function findSegmentDamage(
  file: DiskFile,
  extent: SegmentExtent,
  options: DamageScanOptions = {},
): Promise<SegmentDamage | undefined> {
  const { baseOffset, sizeBytes, endOffset, epochAt, gapsBelow } = extent;
  const reader = new BatchReader(file, 0, sizeBytes, { ...options, minBaseOffset: baseOffset });
  let expected = baseOffset;
  let before: SegmentDamage | undefined;
  let behindGap: SegmentDamage | undefined;
  let epoch = Number.NEGATIVE_INFINITY;
  while (await reader.fill()) {
    while (reader.next()) {
      const { buffer, at, position } = reader;
      const found = baseOffsetOf(buffer, at);
      if (found > expected && mayFollow(expected, found, gapsBelow)) {
        behindGap = { position, offset: expected, reason: "" };
      } else if (found !== expected) {
        return { position, offset: expected, reason: `base offset ${found} where ${expected} is expected` };
      }
      const last = lastOffsetOf(buffer, at);
      if (endOffset !== undefined && last >= endOffset) {
        const reason = `a batch up to offset ${last} where all end below ${endOffset}`;
        return { position, offset: expected, reason };
      }
      const batchEpoch = leaderEpochOf(buffer, at);
      const noted = epochAt?.(found) ?? NO_LEADER_EPOCH;
      if (noted >= 0 && batchEpoch !== noted) {
        const reason = `leader epoch ${batchEpoch} where epoch ${noted} wrote`;
        return { position, offset: expected, reason };
      }
      // No checksum covers the epoch either. Of the two that do not agree the earlier goes too: either may be wrong.
      if (batchEpoch < epoch) {
        const reason = `leader epoch ${batchEpoch} follows ${epoch}`;
        return before === undefined ? { position, offset: expected, reason } : { ...before, reason };
      }
      epoch = batchEpoch;
      before = { position, offset: expected, reason: "" };
      expected = (last + 1) as Offset;
    }
  }
  const { problem, validEnd } = reader.verdict();
  if (problem !== undefined) {
    const reason = problem.message;
    // Of two offsets in the wrong order the higher may be the wrong one; all since the last gap rests on it.
    if (problem.reason === "offset" && behindGap !== undefined) return { ...behindGap, reason };
    return { position: problem.position, offset: expected, reason };
  }
  return endOfSegment(extent, validEnd, expected);
}

function endOfSegment(
  extent: SegmentExtent,
  validEnd: number,
  nextOffset: Offset,
): SegmentDamage | undefined {
  const { sizeBytes, endOffset } = extent;
  if (validEnd < sizeBytes) {
    const reason = `the file ends there, ${sizeBytes} bytes were written`;
    return { position: validEnd, offset: nextOffset, reason };
  }
  if (endOffset === undefined || nextOffset === endOffset) return undefined;
  const reason = `it ends at offset ${nextOffset}, not ${endOffset}`;
  return { position: validEnd, offset: nextOffset, reason };
}

/** The one form of "these bytes have rotted": names the place, the cause and what happens now. */
export function damageMessage(path: string, damage: SegmentDamage): string {
  const { position, reason } = damage;
  return `${path} is damaged at byte ${position}: ${reason}; nothing was deleted, this replica is repaired from another one if there is one`;
}
