import { allocUnsafe } from "../base/bytes.ts";
import type { ErrorName } from "../model/error-code.ts";
import { addOffset, NO_TIMESTAMP } from "../model/offsets.ts";
import type { Offset, Timestamp } from "../model/offsets.ts";
import {
  baseOffsetOf,
  BATCH_HEADER_BYTES,
  checkBatchHeader,
  lastOffsetOf,
  maxTimestampOf,
  verifyBatchCrc,
} from "../model/record-batch.ts";
import { DEFAULT_MAX_INFLATED_BYTES, RecordReader } from "../model/record-reader.ts";
import { readFully } from "../platform/disk.ts";
import type { DiskFile } from "../platform/disk.ts";
import type { LogCore, Refusal } from "./log-core.ts";
import { BatchReader } from "./record-scan.ts";
import type { Segment } from "./segment.ts";
import type { TimestampOffset } from "./time-index.ts";
import type { AbortedTransaction } from "./transaction-index.ts";

/** What a read found: whole batches, the first of which may begin below the offset asked for. */
export type ReadResult =
  | {
      readonly ok: true;
      /** Empty when nothing is readable there yet. Never to be changed: they may be the very buffers of the cache. */
      readonly chunks: readonly Buffer[];
      readonly sizeBytes: number;
      /** Base offset of the first batch; the offset asked for when there is none. */
      readonly firstOffset: Offset;
      /** Where the next read goes on. */
      readonly nextOffset: Offset;
    }
  | Refusal;

/** Bounds of a read. */
export interface ReadLimit {
  /** No batch that ends at or behind it is returned: the high watermark or what the caller may show. */
  readonly endOffset?: Offset;
}

const MAX_INT32 = 0x7fffffff;
/** Truncations and deletions that one read may run into; each needs a new one to happen during a read. */
const MAX_ATTEMPTS = 8;
/** Read behind what was asked for, so that the batch before the wanted one seldom costs a second read. */
const SKIP_BYTES = 16 * 1024;

/** See `PartitionLog.read`. */
export function readLog(
  core: LogCore,
  from: Offset,
  maxBytes: number,
  limit?: ReadLimit,
): ReadResult | Promise<ReadResult> {
  const refused = refuseRead(core, from);
  if (refused !== undefined) return refused;
  if (from >= readableEnd(core, limit)) return nothingAt(from);
  const { tail } = core;
  if (tail?.covers(from) === true) {
    core.deps.tail.touch(tail);
    return { ok: true, ...tail.read(from, maxBytes, readableEnd(core, limit)) };
  }
  return readFromDisk(core, from, maxBytes, limit);
}

async function readFromDisk(
  core: LogCore,
  from: Offset,
  maxBytes: number,
  limit: ReadLimit | undefined,
): Promise<ReadResult> {
  const rebuilt = new Set<Segment>();
  let at = from;
  for (let attempt = 0; attempt < MAX_ATTEMPTS;) {
    const refused = refuseRead(core, at);
    if (refused !== undefined) return refused;
    const endOffset = readableEnd(core, limit);
    const segment = core.segments.covering(at) ?? core.segments.first;
    if (at >= endOffset || segment === undefined) return nothingAt(at);
    const next = core.segments.after(segment);
    if (at >= segment.endOffset || segment.isEmpty) {
      if (next === undefined) return nothingAt(at);
      // A gap that compaction left at the end of the segment.
      at = next.baseOffset;
      continue;
    }
    const { generation } = core;
    const { found, isIndexWrong } = await readSegment(core, segment, at, maxBytes, endOffset);
    // H50: what was read may have been cut off, or deleted, while the disk was at work.
    if (core.generation !== generation || segment.isRemoved) {
      attempt++;
      continue;
    }
    if (isIndexWrong && !rebuilt.has(segment)) {
      rebuilt.add(segment);
      await core.rebuildIndexes(segment);
      continue;
    }
    if (found === undefined && next !== undefined) {
      at = next.baseOffset;
      continue;
    }
    return found ?? nothingAt(at);
  }
  return refuse(
    "KAFKA_STORAGE_ERROR",
    `${core.directory} is cut or deleted faster than it can be read; try again`,
  );
}

interface SegmentRead {
  /** Undefined when no batch of the segment ends at or behind the offset. */
  readonly found: ReadResult | undefined;
  /** The index pointed to something that is not the batch it says. */
  readonly isIndexWrong: boolean;
}

async function readSegment(
  core: LogCore,
  segment: Segment,
  from: Offset,
  maxBytes: number,
  endOffset: Offset,
): Promise<SegmentRead> {
  const { files } = core.deps;
  const fileEnd = Math.min(segment.sizeBytes, segment.damagedFrom ?? segment.sizeBytes);
  const { offsetIndex } = await core.indexesOf(segment);
  const start = offsetIndex.lookup(from);
  const handle = await files.acquire(segment.logPath, "read");
  try {
    return await readBatches(core, segment, handle.file, { start, from, maxBytes, endOffset, fileEnd });
  } finally {
    files.release(handle);
  }
}

interface BatchWindow {
  readonly start: { readonly offset: Offset; readonly position: number };
  readonly from: Offset;
  readonly maxBytes: number;
  readonly endOffset: Offset;
  /** Bytes of the segment when the read began. */
  readonly fileEnd: number;
}

async function readBatches(
  core: LogCore,
  segment: Segment,
  file: DiskFile,
  window: BatchWindow,
): Promise<SegmentRead> {
  const { from, maxBytes, fileEnd, start } = window;
  // Only compaction leaves a gap at the end of a segment; where damage was found, the next segment is no continuation.
  const nothingLeft = (): SegmentRead =>
    segment.damagedFrom === undefined
      ? { found: undefined, isIndexWrong: false }
      : damaged(core, segment, segment.damagedFrom, `the batch of offset ${from} is not to be had`);
  let position = start.position;
  if (position >= fileEnd) return nothingLeft();
  let buffer = await readAt(file, position, Math.min(fileEnd - position, maxBytes + SKIP_BYTES));
  let at = 0;
  let isIndexChecked = position === 0;
  // To the batch that holds `from`: at most an index interval away.
  for (;;) {
    if (position + at >= fileEnd) return nothingLeft();
    if (at + BATCH_HEADER_BYTES > buffer.length) {
      position += at;
      at = 0;
      buffer = await readAt(file, position, Math.min(fileEnd - position, maxBytes + BATCH_HEADER_BYTES));
    }
    const header = checkBatchHeader(buffer, at, fileEnd - position - at, MAX_INT32);
    const lastOffset = header.ok ? lastOffsetOf(buffer, at) : -1;
    if (!isIndexChecked && lastOffset !== start.offset) return { found: undefined, isIndexWrong: true };
    isIndexChecked = true;
    if (!header.ok) return damaged(core, segment, position + at, header.reason);
    if (lastOffset < from) {
      at += header.size;
      continue;
    }
    if (at + header.size > buffer.length) {
      position += at;
      at = 0;
      buffer = await readAt(file, position, Math.min(fileEnd - position, Math.max(header.size, maxBytes)));
      if (buffer.length < header.size)
        return damaged(core, segment, position, "the file ends inside a batch");
    }
    return collect(core, segment, buffer.subarray(at), position + at, window);
  }
}

/** Takes whole batches from the front of `buffer`; the first one is there as a whole. */
function collect(
  core: LogCore,
  segment: Segment,
  buffer: Buffer,
  position: number,
  window: BatchWindow,
): SegmentRead {
  const { from, maxBytes, endOffset, fileEnd } = window;
  const { isCompacting } = core.config;
  let at = 0;
  let nextOffset = from;
  while (at + BATCH_HEADER_BYTES <= buffer.length) {
    const header = checkBatchHeader(buffer, at, fileEnd - position - at, MAX_INT32);
    const fault = !header.ok ? header.reason : undefined;
    const size = header.ok ? header.size : 0;
    if (fault === undefined && (at + size > buffer.length || (at > 0 && at + size > maxBytes))) break;
    const isOutOfPlace =
      !isCompacting && (at === 0 ? baseOffsetOf(buffer) > from : baseOffsetOf(buffer, at) !== nextOffset);
    if (fault !== undefined || isOutOfPlace || !verifyBatchCrc(buffer, at)) {
      // What precedes it is served; the next read begins here and names it.
      if (at > 0) break;
      const wrong = isOutOfPlace
        ? `a batch of offset ${baseOffsetOf(buffer)} stands where ${from} should`
        : undefined;
      return damaged(core, segment, position, fault ?? wrong ?? "a batch does not match its CRC-32C");
    }
    const lastOffset = lastOffsetOf(buffer, at);
    if (lastOffset >= endOffset) break;
    nextOffset = addOffset(lastOffset, 1);
    at += size;
  }
  if (at === 0) return { found: nothingAt(from), isIndexWrong: false };
  const chunk = buffer.subarray(0, at);
  const firstOffset = baseOffsetOf(chunk);
  return {
    found: { ok: true, chunks: [chunk], sizeBytes: at, firstOffset, nextOffset },
    isIndexWrong: false,
  };
}

/** H42, H46: a damaged batch is named, never served, never cut. */
function damaged(core: LogCore, segment: Segment, position: number, reason: string): SegmentRead {
  const message = `${segment.logPath} is damaged at byte ${position}: ${reason}; nothing was deleted, restore this replica from another one`;
  if (segment.damagedFrom === undefined) {
    core.deps.logger.error("a segment is damaged", { path: segment.logPath, position, reason });
  }
  segment.damagedFrom = Math.min(position, segment.damagedFrom ?? position);
  return { found: refuse("CORRUPT_MESSAGE", message), isIndexWrong: false };
}

/** See `PartitionLog.offsetForTimestamp`. */
export async function findTimestamp(core: LogCore, target: Timestamp): Promise<TimestampOffset | undefined> {
  for (const segment of core.segments.all().slice()) {
    if (segment.isEmpty || segment.endOffset <= core.logStartOffset) continue;
    const newest = await maxTimestampOfSegment(core, segment);
    if (newest.timestamp < target) continue;
    const { timeIndex, offsetIndex } = await core.indexesOf(segment);
    const from = offsetIndex.lookup(timeIndex.lookup(target).offset).position;
    const found = await findRecord(core, segment, from, (timestamp, offset) => {
      return timestamp >= target && offset >= core.logStartOffset;
    });
    if (found !== undefined) return found;
  }
  return undefined;
}

/** See `PartitionLog.offsetOfMaxTimestamp`. */
export async function findMaxTimestamp(core: LogCore): Promise<TimestampOffset | undefined> {
  let best: TimestampOffset | undefined;
  let holder: Segment | undefined;
  for (const segment of core.segments.all().slice()) {
    if (segment.isEmpty || segment.endOffset <= core.logStartOffset) continue;
    const newest = await maxTimestampOfSegment(core, segment);
    if (newest.timestamp === NO_TIMESTAMP || newest.timestamp <= (best?.timestamp ?? NO_TIMESTAMP)) continue;
    best = newest;
    holder = segment;
  }
  if (best === undefined || holder === undefined) return undefined;
  const { timestamp, offset } = best;
  const { offsetIndex } = await core.indexesOf(holder);
  return findRecord(core, holder, offsetIndex.lookup(offset).position, (time) => time >= timestamp);
}

/** Greatest timestamp of a segment, from memory or its time index. @throws LograftError DISK_READ_FAILED. */
export async function maxTimestampOfSegment(core: LogCore, segment: Segment): Promise<TimestampOffset> {
  if (segment.maxTimestamp === undefined) {
    const { timeIndex } = await core.indexesOf(segment);
    segment.maxTimestamp = timeIndex.lastEntry;
  }
  return segment.maxTimestamp;
}

/** See `PartitionLog.abortedTransactions`. */
export async function findAborted(
  core: LogCore,
  from: Offset,
  endOffset: Offset,
): Promise<AbortedTransaction[]> {
  const aborted: AbortedTransaction[] = [];
  let segment = core.segments.covering(from) ?? core.segments.first;
  while (segment !== undefined) {
    const { transactionIndex } = await core.indexesOf(segment);
    const part = transactionIndex.collectAborted(from, endOffset);
    aborted.push(...part.aborted);
    if (part.isComplete) break;
    segment = core.segments.after(segment);
  }
  return aborted;
}

/** The first record from `position` on that `isWanted`; batches whose greatest timestamp rules them out stay packed. */
async function findRecord(
  core: LogCore,
  segment: Segment,
  position: number,
  isWanted: (timestamp: Timestamp, offset: Offset) => boolean,
): Promise<TimestampOffset | undefined> {
  const { files } = core.deps;
  const handle = await files.acquire(segment.logPath, "read");
  try {
    const reader = new BatchReader(handle.file, position, segment.sizeBytes);
    while (await reader.fill()) {
      while (reader.next()) {
        const { buffer, at } = reader;
        if (!isWanted(maxTimestampOf(buffer, at), lastOffsetOf(buffer, at))) continue;
        const records = new RecordReader(buffer, at, { maxInflatedBytes: DEFAULT_MAX_INFLATED_BYTES });
        for (let record = records.next(); record !== undefined; record = records.next()) {
          if (isWanted(record.timestamp, record.offset))
            return { timestamp: record.timestamp, offset: record.offset };
        }
      }
    }
    return undefined;
  } finally {
    files.release(handle);
  }
}

function refuseRead(core: LogCore, from: Offset): Refusal | undefined {
  if (core.state === "closed" || (core.state === "offline" && !core.isReadable)) return core.unavailable();
  if (from < core.logStartOffset || from > core.logEndOffset) {
    return refuse(
      "OFFSET_OUT_OF_RANGE",
      `offset ${from} is not in the log, which holds ${core.logStartOffset} to ${core.logEndOffset} (exclusive)`,
    );
  }
  return undefined;
}

function readableEnd(core: LogCore, limit: ReadLimit | undefined): Offset {
  return Math.min(limit?.endOffset ?? core.logEndOffset, core.logEndOffset) as Offset;
}

async function readAt(file: DiskFile, position: number, sizeBytes: number): Promise<Buffer> {
  const buffer = allocUnsafe(sizeBytes);
  return buffer.subarray(0, await readFully(file, buffer, position));
}

function nothingAt(from: Offset): ReadResult {
  return { ok: true, chunks: [], sizeBytes: 0, firstOffset: from, nextOffset: from };
}

function refuse(error: ErrorName, message: string): Refusal {
  return { ok: false, error, message };
}
