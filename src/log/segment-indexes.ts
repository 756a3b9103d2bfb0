import { copyBytes } from "../base/bytes.ts";
import type { Offset } from "../model/offsets.ts";
import { baseOffsetOf, lastOffsetOf, maxTimestampOf } from "../model/record-batch.ts";
import { readIfPresent } from "../platform/atomic-file.ts";
import { writeFully } from "../platform/disk.ts";
import type { Disk, DiskFile } from "../platform/disk.ts";
import { mayFollow } from "./gaps.ts";
import type { LogConfig } from "./log-config.ts";
import { OffsetIndex } from "./offset-index.ts";
import type { ProducerState } from "./producer-state.ts";
import { replayBatch } from "./producer-replay.ts";
import { scanBatches } from "./record-scan.ts";
import type { ScanProblem, ScanVerdict } from "./record-scan.ts";
import type { Segment, SegmentIndexes } from "./segment.ts";
import { TimeIndex } from "./time-index.ts";
import type { TimestampOffset } from "./time-index.ts";
import { TransactionIndex } from "./transaction-index.ts";

/** The files of a segment that can be built again from its log. */
export const INDEX_KINDS = ["index", "timeindex", "txnindex"] as const;

/** Indexes of a segment without batches. */
export function emptyIndexes(segment: Segment, config: LogConfig): SegmentIndexes {
  return {
    offsetIndex: new OffsetIndex(segment.baseOffset, config.segmentIndexBytes),
    timeIndex: new TimeIndex(segment.baseOffset, config.segmentIndexBytes),
    transactionIndex: new TransactionIndex(),
  };
}

/**
 * The indexes as their files have them, or undefined when one is missing or cannot be that of this segment, which ends
 * before `endOffset`: the caller builds them again (H48). A missing transaction index counts as damage, since it might have held aborted transactions.
 */
export async function readIndexes(
  disk: Disk,
  segment: Segment,
  endOffset: Offset,
  config: LogConfig,
): Promise<SegmentIndexes | undefined> {
  const { baseOffset, sizeBytes } = segment;
  const [offsets, times, transactions] = await Promise.all(
    INDEX_KINDS.map((kind) => readIfPresent(disk, segment.pathOf(kind))),
  );
  if (offsets === undefined || times === undefined || transactions === undefined) return undefined;
  const offsetIndex = OffsetIndex.parse(baseOffset, offsets, sizeBytes, config.segmentIndexBytes);
  const timeIndex = TimeIndex.parse(baseOffset, times, endOffset, config.segmentIndexBytes);
  const transactionIndex = TransactionIndex.parse(baseOffset, transactions);
  if (offsetIndex === undefined || timeIndex === undefined || transactionIndex === undefined)
    return undefined;
  return { offsetIndex, timeIndex, transactionIndex };
}

/**
 * Writes the index files and makes them durable. Not atomic and need not be: until it has resolved the recovery point
 * stays at or below this segment, so that after a crash recovery builds them again. `suffix`: what follows their names
 * until they are renamed.
 */
export async function saveIndexes(
  disk: Disk,
  segment: Segment,
  indexes: SegmentIndexes,
  suffix = "",
): Promise<void> {
  const { offsetIndex, timeIndex, transactionIndex } = indexes;
  // Copies, because appends go on while the files are written.
  const contents = {
    index: copyBytes(offsetIndex.bytes()),
    timeindex: copyBytes(timeIndex.bytes()),
    txnindex: copyBytes(transactionIndex.bytes()),
  };
  segment.hasIndexFiles = true;
  for (const kind of INDEX_KINDS) await replaceContent(disk, segment.pathOf(kind) + suffix, contents[kind]);
}

/** How a segment is walked for its indexes. */
export interface IndexOptions {
  readonly config: LogConfig;
  /** See `LogCore.gapsBelow`. */
  readonly gapsBelow: Offset;
  /** Monotonic time. */
  readonly nowMs: number;
}

/** A gap between batches: the position of the one behind it, and the end of the one before. */
export interface PassedGap {
  readonly position: number;
  readonly endOffset: Offset;
}

/** What a walk has built, and how it ended. */
export interface SegmentWalk {
  readonly indexes: SegmentIndexes;
  readonly verdict: ScanVerdict;
  /** Should offsets turn out to be in the wrong order, all from here on is in doubt; see `findSegmentDamage`. */
  readonly lastGap: PassedGap | undefined;
}

/**
 * Walks a segment from its beginning up to `endPosition` and builds all its indexes; stops at the first thing that is
 * not a batch, or not where it should be. `producers` must stand for the log just before the segment and is brought forward through it.
 */
export async function buildIndexes(
  file: DiskFile,
  segment: Segment,
  endPosition: number,
  producers: ProducerState,
  { config, gapsBelow, nowMs }: IndexOptions,
): Promise<SegmentWalk> {
  const indexes = emptyIndexes(segment, config);
  segment.sizeBytes = 0;
  segment.endOffset = segment.baseOffset;
  segment.maxTimestamp = undefined;
  segment.setIndexes(indexes);
  let lost: ScanProblem | undefined;
  let lastGap: PassedGap | undefined;
  const verdict = await scanBatches(
    file,
    0,
    endPosition,
    { minBaseOffset: segment.baseOffset },
    ({ buffer, at, size, position }) => {
      const baseOffset = baseOffsetOf(buffer, at);
      const { endOffset } = segment;
      // No checksum covers the base offset; where nothing is compacted a hole tells that it is wrong.
      if (!mayFollow(endOffset, baseOffset, gapsBelow)) {
        const message = `base offset ${baseOffset} where ${endOffset} is expected`;
        lost = { position, reason: "offset", message };
        return false;
      }
      if (baseOffset > endOffset) lastGap = { position, endOffset };
      const completed = replayBatch(producers, buffer, at, nowMs);
      if (completed?.isAborted === true) indexes.transactionIndex.append(completed);
      segment.onWritten(
        { lastOffset: lastOffsetOf(buffer, at), maxTimestamp: maxTimestampOf(buffer, at), sizeBytes: size },
        indexes,
        config.indexIntervalBytes,
      );
      return true;
    },
  );
  return {
    indexes,
    verdict: lost === undefined ? verdict : { ...verdict, validEnd: lost.position, problem: lost },
    lastGap,
  };
}

/** Lets a segment that was walked end before a gap. */
export function endAtGap(segment: Segment, { position, endOffset }: PassedGap): void {
  segment.sizeBytes = position;
  segment.endOffset = endOffset;
  segment.indexes?.offsetIndex.truncateTo(endOffset);
  segment.indexes?.timeIndex.truncateTo(endOffset);
  segment.indexes?.transactionIndex.truncateTo(endOffset);
}

/** Greatest timestamp of a segment whose time index need not know its last batches. The batches are not verified. */
export async function findMaxTimestampInFile(
  file: DiskFile,
  segment: Segment,
  indexes: SegmentIndexes,
): Promise<TimestampOffset> {
  let greatest = indexes.timeIndex.lastEntry;
  const from = indexes.offsetIndex.lookup(greatest.offset).position;
  await scanBatches(file, from, segment.sizeBytes, { verifyCrc: false }, ({ buffer, at }) => {
    const timestamp = maxTimestampOf(buffer, at);
    if (timestamp > greatest.timestamp) greatest = { timestamp, offset: lastOffsetOf(buffer, at) };
    return true;
  });
  return greatest;
}

async function replaceContent(disk: Disk, path: string, bytes: Buffer): Promise<void> {
  const file = await disk.open(path, "create");
  try {
    if ((await file.sizeBytes()) > bytes.length) await file.truncate(bytes.length);
    await writeFully(file, [bytes], 0);
    await file.sync();
  } finally {
    await file.close();
  }
}
