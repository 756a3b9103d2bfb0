import { minOffset, NO_TIMESTAMP } from "../model/offsets.ts";
import type { Offset } from "../model/offsets.ts";
import { BATCH_HEADER_BYTES, maxTimestampOf } from "../model/record-batch.ts";
import { readFully } from "../platform/disk.ts";
import type { LogCore } from "./log-core.ts";
import { maxTimestampOfSegment } from "./log-search.ts";
import type { Segment } from "./segment.ts";

/** What of a log can be compacted now. */
export interface CompactRange {
  /** Sealed, from the beginning of the log to the last that may be looked at. */
  readonly segments: readonly Segment[];
  /** Keys were deduplicated up to here; what lies from here on is "dirty". */
  readonly firstDirtyOffset: Offset;
  /** Part of the bytes of `segments` that is dirty, 0 to 1. */
  readonly dirtyRatio: number;
  /** A dirty record has waited for longer than `max.compaction.lag.ms`. */
  readonly isOverdue: boolean;
}

/** What is known of a log from outside it. */
export interface CompactLimits {
  /** From the cleaner checkpoint; undefined when it was never compacted. */
  readonly firstDirtyOffset: Offset | undefined;
  /** The high watermark: what lies behind may still be taken back, and must not stand for what it replaces. */
  readonly endOffset: Offset;
  readonly nowMs: number;
}

/**
 * The sealed segments below the high watermark and the durable end, up to the first whose records are too young, or
 * undefined when nothing in them is dirty. The active one never is among them. @throws LograftError DISK_READ_FAILED.
 */
export async function findCompactRange(
  core: LogCore,
  limits: CompactLimits,
): Promise<CompactRange | undefined> {
  if (core.state !== "open" || core.damage !== undefined) return undefined;
  const { config } = core;
  const end = minOffset(limits.endOffset, core.durableEndOffset);
  const segments: Segment[] = [];
  for (const segment of core.segments.all().slice(0, -1)) {
    // One whose indexes are being written is left for the next time.
    if (segment.endOffset > end || segment.areIndexesDirty) break;
    if (config.minCompactionLagMs > 0 && !segment.isEmpty) {
      const { timestamp } = await maxTimestampOfSegment(core, segment);
      const bornMs = timestamp === NO_TIMESTAMP ? segment.createdMs : timestamp;
      if (bornMs > limits.nowMs - config.minCompactionLagMs) break;
    }
    segments.push(segment);
  }
  const firstDirtyOffset = dirtyFrom(core, limits.firstDirtyOffset);
  const dirty = segments.filter((segment) => segment.endOffset > firstDirtyOffset && !segment.isEmpty);
  if (dirty.length === 0) return undefined;
  const total = bytesOf(segments);
  return {
    segments,
    firstDirtyOffset,
    dirtyRatio: bytesOf(dirty) / total,
    isOverdue: await hasOlder(core, dirty, limits.nowMs - config.maxCompactionLagMs),
  };
}

/** A checkpoint that does not fit the log, which may have been cut or begun anew, counts for nothing. */
function dirtyFrom(core: LogCore, noted: Offset | undefined): Offset {
  const first = core.segments.first?.baseOffset ?? core.logStartOffset;
  const last = core.segments.active?.baseOffset ?? core.logEndOffset;
  return noted === undefined || noted < first || noted > last ? first : noted;
}

function bytesOf(segments: readonly Segment[]): number {
  let total = 0;
  for (const { sizeBytes } of segments) total += sizeBytes;
  return total;
}

/** Whether a segment begins with a batch from before `thanMs`. */
async function hasOlder(core: LogCore, segments: readonly Segment[], thanMs: number): Promise<boolean> {
  if (thanMs === Number.NEGATIVE_INFINITY) return false;
  const { files } = core.deps;
  const header = Buffer.alloc(BATCH_HEADER_BYTES);
  for (const segment of segments) {
    const handle = await files.acquire(segment.logPath, "read");
    try {
      if ((await readFully(handle.file, header, 0)) < BATCH_HEADER_BYTES) continue;
    } finally {
      files.release(handle);
    }
    const timestamp = maxTimestampOf(header);
    if ((timestamp === NO_TIMESTAMP ? segment.createdMs : timestamp) < thanMs) return true;
  }
  return false;
}
