import { allocUnsafe } from "../base/bytes.ts";
import type { ErrorName } from "../model/error-code.ts";
import { addOffset } from "../model/offsets.ts";
import type { Offset } from "../model/offsets.ts";
import {
  baseOffsetOf,
  BATCH_HEADER_BYTES,
  checkBatchHeader,
  lastOffsetOf,
  verifyBatchCrc,
} from "../model/record-batch.ts";
import { readFully } from "../platform/disk.ts";
import type { DiskFile } from "../platform/disk.ts";
import { mayFollow } from "./gaps.ts";
import type { LogCore, Refusal } from "./log-core.ts";
import { indexesOf, rebuildIndexes } from "./log-rebuild.ts";
import type { Segment } from "./segment.ts";
import { locateDamage } from "./segment-check.ts";
import { damageMessage } from "./segment-damage.ts";

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
export const MAX_READ_ATTEMPTS = 8;
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
  let doubted: Segment | undefined;
  let at = from;
  for (let attempt = 0; attempt < MAX_READ_ATTEMPTS;) {
    if (core.swapping !== undefined) await core.swapping;
    const refused = refuseRead(core, at);
    if (refused !== undefined) return refused;
    const endOffset = readableEnd(core, limit);
    const segment = core.segments.covering(at) ?? core.segments.first;
    if (at >= endOffset || segment === undefined) return nothingAt(at);
    const next = core.segments.after(segment);
    if (at >= segment.endOffset || segment.isEmpty) {
      if (next === undefined) return nothingAt(at);
      at = next.baseOffset;
      continue;
    }
    const { generation } = core;
    const read = await readUnlessGone(core, segment, at, maxBytes, endOffset);
    // H50: what was read may have been cut off, compacted or deleted while the disk was at work.
    if (read === undefined || core.generation !== generation || segment.isRemoved) {
      attempt++;
      continue;
    }
    const { found, isIndexWrong, fault } = read;
    if (isIndexWrong === true) {
      if (rebuilt.has(segment)) attempt++;
      rebuilt.add(segment);
      await rebuildIndexes(core, segment);
      continue;
    }
    if (fault !== undefined) {
      const known = segment.damage;
      // Damage was known, and nothing is left to read before it.
      if (known !== undefined && fault.position >= known.position) return corrupt(segment, known);
      const condition = await locateDamage(core, segment);
      // What precedes the damage is read again and served; a read that begins behind it ends above.
      if (condition === "damaged" && segment.damage !== known) continue;
      // One bad read of a segment that is whole is tried again, once.
      const isDoubted = condition === "whole" && doubted === segment;
      if (condition === "damaged" || isDoubted) return corrupt(segment, fault);
      if (condition === "whole") doubted = segment;
      attempt++;
      continue;
    }
    return found ?? nothingAt(at);
  }
  return refuse("KAFKA_STORAGE_ERROR", tooMuchChange(core.directory));
}

interface SegmentRead {
  readonly found?: ReadResult;
  /** The index pointed to something that is not the batch it says. */
  readonly isIndexWrong?: boolean;
  /** Something that is not the batch that should stand there, seen before anything to be served. */
  readonly fault?: ReadFault;
}

/** Where a file does not hold what it should. */
export interface ReadFault {
  readonly position: number;
  readonly reason: string;
}

/** Undefined when a failure is told by the segment's removal: its files have gone under the read. */
async function readUnlessGone(
  core: LogCore,
  segment: Segment,
  from: Offset,
  maxBytes: number,
  endOffset: Offset,
): Promise<SegmentRead | undefined> {
  try {
    return await readSegment(core, segment, from, maxBytes, endOffset);
  } catch (error: unknown) {
    if (segment.isRemoved) return undefined;
    throw error;
  }
}

async function readSegment(
  core: LogCore,
  segment: Segment,
  from: Offset,
  maxBytes: number,
  endOffset: Offset,
): Promise<SegmentRead> {
  const { files } = core.deps;
  const fileEnd = Math.min(segment.sizeBytes, segment.damage?.position ?? segment.sizeBytes);
  const { offsetIndex } = await indexesOf(core, segment);
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
  const nothingLeft = (): SegmentRead => faultAt(fileEnd, `the batch of offset ${from} is not there`);
  let position = start.position;
  if (position >= fileEnd) return nothingLeft();
  let buffer = await readAt(file, position, Math.min(fileEnd - position, maxBytes + SKIP_BYTES));
  let at = 0;
  let isIndexChecked = position === 0;
  // No checksum covers a base offset: that each batch begins where the one before it ends shows that it is right. Where
  // compaction may have left gaps, all that shows is that none begins lower.
  let expected = isIndexChecked ? segment.baseOffset : undefined;
  // To the batch that holds `from`: at most an index interval away.
  for (;;) {
    if (position + at >= fileEnd) return nothingLeft();
    if (at + BATCH_HEADER_BYTES > buffer.length) {
      position += at;
      at = 0;
      buffer = await readAt(file, position, Math.min(fileEnd - position, maxBytes + BATCH_HEADER_BYTES));
      if (buffer.length < BATCH_HEADER_BYTES) return faultAt(position, "the file ends inside a batch");
    }
    const header = checkBatchHeader(buffer, at, fileEnd - position - at, MAX_INT32);
    const lastOffset = header.ok ? lastOffsetOf(buffer, at) : -1;
    if (!isIndexChecked && lastOffset !== start.offset) return { isIndexWrong: true };
    isIndexChecked = true;
    if (!header.ok) return faultAt(position + at, header.reason);
    const baseOffset = baseOffsetOf(buffer, at);
    if (expected !== undefined && !mayFollow(expected, baseOffset, core.gapsBelow)) {
      return faultAt(position + at, `a batch of offset ${baseOffset} stands where ${expected} should`);
    }
    expected = addOffset(lastOffset as Offset, 1);
    if (lastOffset < from) {
      at += header.size;
      continue;
    }
    if (at + header.size > buffer.length) {
      position += at;
      at = 0;
      buffer = await readAt(file, position, Math.min(fileEnd - position, Math.max(header.size, maxBytes)));
      if (buffer.length < header.size) return faultAt(position, "the file ends inside a batch");
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
  const { gapsBelow } = core;
  let at = 0;
  let nextOffset = from;
  while (at + BATCH_HEADER_BYTES <= buffer.length) {
    const header = checkBatchHeader(buffer, at, fileEnd - position - at, MAX_INT32);
    const fault = !header.ok ? header.reason : undefined;
    const size = header.ok ? header.size : 0;
    if (fault === undefined && (at + size > buffer.length || (at > 0 && at + size > maxBytes))) break;
    const isOutOfPlace = fault === undefined && isMisplaced(segment, buffer, at, { nextOffset, gapsBelow });
    if (fault !== undefined || isOutOfPlace || !verifyBatchCrc(buffer, at)) {
      // What precedes it is served; the next read begins here and names it.
      if (at > 0) break;
      const wrong = isOutOfPlace
        ? `a batch of offset ${baseOffsetOf(buffer)} stands where ${from} should`
        : undefined;
      return faultAt(position, fault ?? wrong ?? "a batch does not match its CRC-32C");
    }
    const lastOffset = lastOffsetOf(buffer, at);
    if (lastOffset >= endOffset) break;
    nextOffset = addOffset(lastOffset, 1);
    at += size;
  }
  if (at === 0) return { found: nothingAt(from) };
  const chunk = buffer.subarray(0, at);
  const firstOffset = baseOffsetOf(chunk);
  return { found: { ok: true, chunks: [chunk], sizeBytes: at, firstOffset, nextOffset } };
}

/** Whether the batch at `at` cannot stand there by its offsets, behind batches up to `nextOffset`. */
function isMisplaced(
  segment: Segment,
  buffer: Buffer,
  at: number,
  place: { readonly nextOffset: Offset; readonly gapsBelow: Offset },
): boolean {
  const { nextOffset, gapsBelow } = place;
  const baseOffset = baseOffsetOf(buffer, at);
  // The first one may hold the offset that is asked for anywhere.
  const isInOrder = (at === 0 && baseOffset < nextOffset) || mayFollow(nextOffset, baseOffset, gapsBelow);
  // Of one that has rotted it must not be thought that the log ends before it.
  return !isInOrder || lastOffsetOf(buffer, at) >= segment.endOffset;
}

function faultAt(position: number, reason: string): SegmentRead {
  return { fault: { position, reason } };
}

/** H42, H46: a damaged batch is named, never served, never cut here. */
export function corrupt(segment: Segment, fault: ReadFault): Refusal {
  return refuse("CORRUPT_MESSAGE", damageMessage(segment.logPath, { ...fault, offset: segment.baseOffset }));
}

function refuseRead(core: LogCore, from: Offset): Refusal | undefined {
  if (!core.isServing) return core.unavailable();
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

/** Reads that are overtaken by truncation and deletion again and again end with this. */
export function tooMuchChange(directory: string): string {
  return `${directory} is cut or deleted faster than it can be read; try again`;
}

function refuse(error: ErrorName, message: string): Refusal {
  return { ok: false, error, message };
}
