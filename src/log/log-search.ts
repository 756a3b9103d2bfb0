import { LograftError } from "../base/errors.ts";
import type { ErrorName } from "../model/error-code.ts";
import { NO_TIMESTAMP } from "../model/offsets.ts";
import type { Offset, Timestamp } from "../model/offsets.ts";
import { lastOffsetOf, maxTimestampOf } from "../model/record-batch.ts";
import { DEFAULT_MAX_INFLATED_BYTES, RecordReader } from "../model/record-reader.ts";
import type { LogCore } from "./log-core.ts";
import { indexesOf, rebuildIndexes } from "./log-rebuild.ts";
import { corrupt, MAX_READ_ATTEMPTS, tooMuchChange } from "./log-reader.ts";
import type { ReadFault } from "./log-reader.ts";
import { BatchReader } from "./record-scan.ts";
import type { Segment, SegmentIndexes } from "./segment.ts";
import { locateDamage } from "./segment-check.ts";
import type { TimestampOffset } from "./time-index.ts";
import type { AbortedTransaction } from "./transaction-index.ts";

/** See `PartitionLog.offsetForTimestamp`. */
export function findTimestamp(core: LogCore, target: Timestamp): Promise<TimestampOffset | undefined> {
  return overSegments(core, async (segments) => {
    for (const segment of segments) {
      if (segment.isEmpty || segment.endOffset <= core.logStartOffset) continue;
      const newest = await maxTimestampOfSegment(core, segment);
      // Indexes built over a damaged segment do not know what lies behind the damage.
      if (newest.timestamp < target && segment.damage === undefined) continue;
      const found = await searchSegment(core, segment, {
        positionIn: ({ timeIndex, offsetIndex }) =>
          offsetIndex.lookup(timeIndex.lookup(target).offset).position,
        isWanted: (timestamp, offset) => timestamp >= target && offset >= core.logStartOffset,
      });
      if (found !== undefined) return found;
    }
    return undefined;
  });
}

/** See `PartitionLog.offsetOfMaxTimestamp`. */
export function findMaxTimestamp(core: LogCore): Promise<TimestampOffset | undefined> {
  return overSegments(core, async (segments) => {
    let best: TimestampOffset | undefined;
    let holder: Segment | undefined;
    for (const segment of segments) {
      if (segment.isEmpty || segment.endOffset <= core.logStartOffset) continue;
      const newest = await maxTimestampOfSegment(core, segment);
      if (segment.damage !== undefined) throw corruptError(segment, segment.damage);
      if (newest.timestamp === NO_TIMESTAMP || newest.timestamp <= (best?.timestamp ?? NO_TIMESTAMP))
        continue;
      best = newest;
      holder = segment;
    }
    if (best === undefined || holder === undefined) return undefined;
    const { timestamp, offset } = best;
    return searchSegment(core, holder, {
      positionIn: ({ offsetIndex }) => offsetIndex.lookup(offset).position,
      isWanted: (time) => time >= timestamp,
    });
  });
}

/** Searches the segments as they are now, and again when some were deleted or compacted under the search (H50). */
async function overSegments<Found>(
  core: LogCore,
  search: (segments: readonly Segment[]) => Promise<Found>,
): Promise<Found> {
  for (let attempt = 0; attempt < MAX_READ_ATTEMPTS; attempt++) {
    await core.swapping;
    const segments = core.segments.all().slice();
    try {
      const found = await search(segments);
      if (!segments.some((segment) => segment.isRemoved)) return found;
    } catch (error: unknown) {
      if (!segments.some((segment) => segment.isRemoved)) throw error;
    }
  }
  throw changedTooMuch(core);
}

/** Greatest timestamp of a segment, from memory or its time index. @throws LograftError DISK_READ_FAILED. */
export async function maxTimestampOfSegment(core: LogCore, segment: Segment): Promise<TimestampOffset> {
  if (segment.maxTimestamp === undefined) {
    const { timeIndex } = await indexesOf(core, segment);
    segment.maxTimestamp = timeIndex.lastEntry;
  }
  return segment.maxTimestamp;
}

/** See `PartitionLog.abortedTransactions`. */
export function findAborted(core: LogCore, from: Offset, endOffset: Offset): Promise<AbortedTransaction[]> {
  return overSegments(core, async (segments) => {
    const aborted: AbortedTransaction[] = [];
    const first = segments.findLastIndex(({ baseOffset }) => baseOffset <= from);
    for (const segment of segments.slice(Math.max(first, 0))) {
      const { transactionIndex } = await indexesOf(core, segment);
      const part = transactionIndex.collectAborted(from, endOffset);
      aborted.push(...part.aborted);
      if (part.isComplete) break;
      // Its index may have been built over what is left of it, and an abort marker may be in what is not.
      if (segment.damage !== undefined && segment.damage.position < segment.sizeBytes) {
        throw corruptError(segment, segment.damage);
      }
    }
    return aborted;
  });
}

interface RecordSearch {
  /** Where the wanted record is at the earliest. */
  positionIn(indexes: SegmentIndexes): number;
  isWanted(timestamp: Timestamp, offset: Offset): boolean;
}

/** The first wanted record of a segment. @throws LograftError CORRUPT_MESSAGE when damage may hide it, DISK_READ_FAILED. */
async function searchSegment(
  core: LogCore,
  segment: Segment,
  search: RecordSearch,
): Promise<TimestampOffset | undefined> {
  let isRebuilt = false;
  for (let attempt = 0; attempt < MAX_READ_ATTEMPTS; attempt++) {
    const { generation } = core;
    const position = search.positionIn(await indexesOf(core, segment));
    const { found, fault } = await findRecord(core, segment, position, (timestamp, offset) =>
      search.isWanted(timestamp, offset),
    );
    if (segment.isRemoved || (found === undefined && fault === undefined)) return undefined;
    if (found !== undefined) return found;
    if (fault === undefined || core.generation !== generation) continue;
    const known = segment.damage;
    if (known !== undefined && fault.position >= known.position) throw corruptError(segment, known);
    // The segment may be whole, and the index wrong that led into the middle of a batch.
    if ((await locateDamage(core, segment)) !== "whole") continue;
    if (isRebuilt) throw corruptError(segment, fault);
    isRebuilt = true;
    await rebuildIndexes(core, segment);
  }
  throw changedTooMuch(core);
}

function changedTooMuch(core: LogCore): LograftError<ErrorName> {
  return new LograftError<ErrorName>("KAFKA_STORAGE_ERROR", tooMuchChange(core.directory), {
    context: { directory: core.directory },
    retriable: true,
  });
}

/** The first record from `position` on that `isWanted`; batches whose greatest timestamp rules them out stay packed. */
async function findRecord(
  core: LogCore,
  segment: Segment,
  position: number,
  isWanted: (timestamp: Timestamp, offset: Offset) => boolean,
): Promise<{ readonly found?: TimestampOffset; readonly fault?: ReadFault }> {
  const { files } = core.deps;
  const { sizeBytes, damage } = segment;
  const end = Math.min(sizeBytes, damage?.position ?? sizeBytes);
  const handle = await files.acquire(segment.logPath, "read");
  try {
    const reader = new BatchReader(handle.file, Math.min(position, end), end);
    while (await reader.fill()) {
      while (reader.next()) {
        const { buffer, at } = reader;
        if (!isWanted(maxTimestampOf(buffer, at), lastOffsetOf(buffer, at))) continue;
        const records = new RecordReader(buffer, at, { maxInflatedBytes: DEFAULT_MAX_INFLATED_BYTES });
        for (let record = records.next(); record !== undefined; record = records.next()) {
          if (isWanted(record.timestamp, record.offset))
            return { found: { timestamp: record.timestamp, offset: record.offset } };
        }
      }
    }
    const { problem, validEnd } = reader.verdict();
    if (problem !== undefined) return { fault: { position: problem.position, reason: problem.message } };
    if (validEnd < end) return { fault: { position: validEnd, reason: "the file ends there" } };
    return damage === undefined ? {} : { fault: damage };
  } finally {
    files.release(handle);
  }
}

function corruptError(segment: Segment, fault: ReadFault): LograftError<ErrorName> {
  const { error, message } = corrupt(segment, fault);
  return new LograftError<ErrorName>(error, message, {
    context: { path: segment.logPath, position: fault.position },
    retriable: true,
  });
}
