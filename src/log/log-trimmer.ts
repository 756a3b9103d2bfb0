import { assert, InvariantError } from "../base/assert.ts";
import { addOffset, maxOffset, minOffset } from "../model/offsets.ts";
import type { Offset } from "../model/offsets.ts";
import { baseOffsetOf, lastOffsetOf } from "../model/record-batch.ts";
import { writeAtomically } from "../platform/atomic-file.ts";
import type { DiskFile } from "../platform/disk.ts";
import {
  DELETED_SUFFIX,
  LEADER_EPOCH_FILE,
  parseSegmentFileName,
  SEGMENT_FILE_KINDS,
  segmentFileName,
} from "./file-names.ts";
import { reshape } from "./compact-swap.ts";
import { mayFollow } from "./gaps.ts";
import { LeaderEpochCache } from "./leader-epoch-cache.ts";
import { rollMsOf } from "./log-config.ts";
import { storageError } from "./log-core.ts";
import type { LogCore } from "./log-core.ts";
import { indexesOf, rebuildProducers } from "./log-rebuild.ts";
import { maxTimestampOfSegment } from "./log-search.ts";
import type { LogWriter } from "./log-writer.ts";
import { listSnapshots } from "./producer-recovery.ts";
import { BatchReader } from "./record-scan.ts";
import { countExpired } from "./retention.ts";
import type { SegmentAge } from "./retention.ts";
import { Segment } from "./segment.ts";
import { findMaxTimestampInFile, INDEX_KINDS } from "./segment-indexes.ts";

/** See `PartitionLog.truncateTo`. @throws LograftError KAFKA_STORAGE_ERROR. */
export async function truncateLog(core: LogCore, writer: LogWriter, offset: Offset): Promise<void> {
  core.assertOpen();
  if (offset >= core.nextOffset) return;
  if (offset < core.logStartOffset) {
    await resetLog(core, writer, offset);
    return;
  }
  let isHidden = false;
  await withBarrier(core, writer, "the log is being truncated; try again", async () => {
    if (offset >= core.logEndOffset) return;
    const last = core.segments.covering(offset);
    const cut = last === undefined ? undefined : await findCut(core, last, offset);
    // To cut at the damage would take what is whole as far as others know: it must be told of first (H42).
    isHidden = last !== undefined && cut === undefined;
    if (isHidden) return;
    setEnd(core, offset);
    // Or a crash would take the shorter log for one that has lost what was durable.
    await core.deps.host.lowerRecoveryPoint(core.options.topicPartition, offset);
    writer.releaseHandle();
    await writer.sealed();
    await deleteNewestFirst(core, core.segments.removeBehind(offset));
    if (last !== undefined && cut !== undefined) await endLogIn(core, last, cut);
  });
  if (isHidden) throw storageError(core.directory, core.damage?.message ?? "it is damaged", undefined);
}

/** See `PartitionLog.cutDamage`. @throws LograftError KAFKA_STORAGE_ERROR. */
export async function cutDamage(core: LogCore, writer: LogWriter): Promise<Offset> {
  if (!core.isServing) throw core.offlineError();
  if (core.damage === undefined) return core.logEndOffset;
  const reason = "the log is being cut where it is damaged; try again";
  if (core.state === "offline") {
    // From here on a failure is one of the disk. Nothing is appended before the barrier is lifted.
    core.barrier = reason;
    core.state = "open";
    core.failure = undefined;
  }
  await withBarrier(core, writer, reason, async () => {
    const { topic, partition } = core.options.topicPartition;
    const from = core.logEndOffset;
    // Cutting looks at what is left, and may find that it is damaged, too.
    for (let segment = firstDamaged(core); segment !== undefined; segment = firstDamaged(core)) {
      await cutAtDamage(core, writer, segment);
    }
    const to = core.logEndOffset;
    core.deps.logger.warn("a log was cut where it was damaged", { topic, partition, from, to });
  });
  return core.logEndOffset;
}

function firstDamaged(core: LogCore): Segment | undefined {
  return core.segments.all().find(({ damage }) => damage !== undefined);
}

/** Cuts a damaged segment and removes those behind it. Behind the barrier. */
async function cutAtDamage(core: LogCore, writer: LogWriter, segment: Segment): Promise<void> {
  const { damage } = segment;
  if (damage === undefined) return;
  if (damage.offset < core.logStartOffset) {
    await emptyLog(core, writer, core.logStartOffset);
    return;
  }
  setEnd(core, damage.offset);
  await core.deps.host.lowerRecoveryPoint(core.options.topicPartition, damage.offset);
  writer.releaseHandle();
  await writer.sealed();
  await deleteNewestFirst(core, await unlistedSegments(core));
  await deleteNewestFirst(core, core.segments.removeAfter(segment));
  await endLogIn(core, segment, { position: damage.position, end: damage.offset });
}

/** See `PartitionLog.resetTo`. @throws LograftError KAFKA_STORAGE_ERROR. */
export async function resetLog(core: LogCore, writer: LogWriter, offset: Offset): Promise<void> {
  core.assertOpen();
  await withBarrier(core, writer, "the log is being reset; try again", () => emptyLog(core, writer, offset));
}

/** Removes all there is, and begins at `offset`. Behind the barrier. */
async function emptyLog(core: LogCore, writer: LogWriter, offset: Offset): Promise<void> {
  // Durable first: a crash in the middle then finds an end below the start, which a load resolves in the same way.
  await core.deps.host.persistLogStart(core.options.topicPartition, offset);
  core.logStartOffset = offset;
  setEnd(core, offset);
  await core.deps.host.lowerRecoveryPoint(core.options.topicPartition, offset);
  core.producers = undefined;
  writer.releaseHandle();
  await deleteNewestFirst(core, await unlistedSegments(core));
  await deleteNewestFirst(core, core.segments.removeAll());
  if (core.hasDirectory) {
    core.epochs = new LeaderEpochCache();
    await saveEpochs(core);
    await writer.begin(offset);
  }
  // An empty log is durable wherever it begins.
  core.durableEndOffset = offset;
  core.syncedEndOffset = offset;
}

/** See `PartitionLog.advanceLogStart`. */
export async function advanceStart(core: LogCore, offset: Offset): Promise<void> {
  core.assertOpen();
  assert(offset <= core.logEndOffset, "the log start would lie behind its end", {
    offset,
    end: core.logEndOffset,
  });
  if (offset <= core.logStartOffset) return;
  await core.deps.host.persistLogStart(core.options.topicPartition, offset);
  core.assertOpen();
  if (offset <= core.logStartOffset || offset > core.logEndOffset) return;
  core.logStartOffset = offset;
  if (core.epochs?.truncateFromStart(offset) === true) core.areEpochsDirty = true;
  core.notify();
}

/** What may be deleted now. */
export interface RetentionLimits {
  /** Default: the durable end. */
  readonly endOffset?: Offset;
  /** False while the wall clock is in doubt: only size and log start count. */
  readonly isClockTrusted?: boolean;
}

/** See `PartitionLog.applyRetention`. Answers the segments removed. */
export async function trimLog(
  core: LogCore,
  writer: LogWriter,
  nowMs: number,
  limits: RetentionLimits,
): Promise<number> {
  if (core.state !== "open" || core.barrier !== undefined || core.segments.count === 0) return 0;
  await rollIfIdle(core, writer, nowMs);
  // Their index files must be complete before they can be renamed.
  await writer.sealed();
  const sealed = core.segments.all().slice(0, -1);
  const { generation, config } = core;
  const ages: SegmentAge[] = [];
  for (const segment of sealed) {
    const { endOffset, sizeBytes, createdMs } = segment;
    const { timestamp } = segment.isEmpty ? { timestamp: NONE } : await maxTimestampOfSegment(core, segment);
    ages.push({ endOffset, sizeBytes, createdMs, maxTimestamp: timestamp });
  }
  const isByAge = config.isDeleting && limits.isClockTrusted !== false;
  const count = countExpired(ages, {
    logStartOffset: core.logStartOffset,
    endOffset: minOffset(limits.endOffset ?? core.durableEndOffset, core.durableEndOffset),
    nowMs,
    retentionMs: isByAge ? config.retentionMs : Number.POSITIVE_INFINITY,
    retentionBytes: config.isDeleting ? config.retentionBytes : Number.POSITIVE_INFINITY,
    sizeBytes: core.segments.sizeBytes,
  });
  const last = sealed[count - 1];
  if (count === 0 || last === undefined) return 0;
  const start = maxOffset(core.logStartOffset, last.endOffset);
  await core.deps.host.persistLogStart(core.options.topicPartition, start);
  let removedCount = 0;
  await reshape(core, async () => {
    // The log may have been cut, reset, compacted or closed while the checkpoint was written.
    if (core.state !== "open" || core.generation !== generation || core.segments.all()[count - 1] !== last)
      return;
    core.logStartOffset = maxOffset(core.logStartOffset, start);
    if (core.epochs?.truncateFromStart(core.logStartOffset) === true) core.areEpochsDirty = true;
    const removed = core.segments.removeFirst(count);
    removedCount = count;
    core.forgetDamage();
    core.notify();
    const renamed: string[] = [];
    for (const segment of removed) renamed.push(...(await renameAway(core, segment)));
    await core.deps.disk.syncDir(core.directory);
    core.deps.host.removeLater(renamed, config.fileDeleteDelayMs);
    core.deps.logger.info("segments were deleted by retention", {
      ...core.options.topicPartition,
      directory: core.directory,
      segments: count,
      logStartOffset: core.logStartOffset,
    });
  });
  return removedCount;
}

const NONE = -1 as SegmentAge["maxTimestamp"];

/**
 * Without appends nothing else would ever close the last segment, and its records would never grow old enough to go, nor
 * be compacted.
 */
export async function rollIfIdle(core: LogCore, writer: LogWriter, nowMs: number): Promise<void> {
  const isDue = (): boolean => {
    const active = core.segments.active;
    if (
      core.state !== "open" ||
      active === undefined ||
      active.isEmpty ||
      core.nextOffset !== core.logEndOffset
    ) {
      return false;
    }
    return nowMs - active.createdMs >= rollMsOf(core.config) || core.logStartOffset >= core.logEndOffset;
  };
  if (!isDue()) return;
  await core.exclusive(async () => {
    if (!isDue() || core.barrier !== undefined) return;
    await writer.roll();
    core.appendPlan = undefined;
  });
}

/** Runs a change of what offsets mean: no append is taken until it is done, none is under way when it begins. */
async function withBarrier(
  core: LogCore,
  writer: LogWriter,
  reason: string,
  change: () => Promise<void>,
): Promise<void> {
  await core.barred(reason, async () => {
    await writer.settle(core.nextOffset);
    await core.exclusive(async () => {
      await core.syncing;
      core.assertOpen();
      try {
        await change();
        // Behind the cut: a crash before it finds what was there, gaps and all.
        await core.lowerGaps();
        core.forgetDamage();
      } catch (error: unknown) {
        if (error instanceof InvariantError) throw error;
        core.goOffline(error, "the log could not be cut");
        throw core.offlineError();
      }
    });
  });
  core.notify();
}

/** At once, before anything waits: from here on nobody reads what is being cut off. */
function setEnd(core: LogCore, offset: Offset): void {
  core.generation++;
  core.logEndOffset = offset;
  core.nextOffset = offset;
  core.durableEndOffset = minOffset(core.durableEndOffset, offset);
  core.syncedEndOffset = minOffset(core.syncedEndOffset, offset);
  core.appendPlan = undefined;
  core.dropTail();
}

/** Each name is gone durably before the next older one goes: a crash leaves a shorter log, never one with a hole. */
async function deleteNewestFirst(core: LogCore, removed: readonly Segment[]): Promise<void> {
  const renamed: string[] = [];
  for (const segment of removed) {
    renamed.push(...(await renameAway(core, segment)));
    await core.deps.disk.syncDir(core.directory);
  }
  if (renamed.length > 0) core.deps.host.removeLater(renamed, core.config.fileDeleteDelayMs);
}

async function renameAway(core: LogCore, segment: Segment): Promise<string[]> {
  const { disk, files, indexes } = core.deps;
  const renamed: string[] = [];
  indexes.forget(segment);
  files.forget(segment.logPath);
  for (const kind of SEGMENT_FILE_KINDS) {
    const path = segment.pathOf(kind);
    if ((await disk.stat(path)) === undefined) continue;
    await disk.rename(path, path + DELETED_SUFFIX);
    renamed.push(path + DELETED_SUFFIX);
  }
  return renamed;
}

/** Where a segment is cut, and the offset that then ends the log. */
interface Cut {
  readonly position: number;
  readonly end: Offset;
}

/**
 * The batch that holds `offset`, or the first one behind it; undefined when damage hides it, which is noted. Where there
 * is a gap before that one the log ends with the batch before.
 */
async function findCut(core: LogCore, segment: Segment, offset: Offset): Promise<Cut | undefined> {
  if (segment.damage !== undefined && segment.damage.offset <= offset) return undefined;
  const { offsetIndex } = await indexesOf(core, segment);
  const { files } = core.deps;
  const handle = await files.acquire(segment.logPath, "read");
  try {
    const near = await walkToCut(core, segment, handle.file, offsetIndex.lookup(offset).position, offset);
    if (near.reason === undefined) return near;
    // The index may be wrong, or the damage begin before the place it led to.
    const walked = await walkToCut(core, segment, handle.file, 0, offset);
    if (walked.reason === undefined) return walked;
    core.noteDamage(segment, { position: walked.position, offset: walked.end, reason: walked.reason });
    return undefined;
  } finally {
    files.release(handle);
  }
}

/** A walk that begins at the very batch does not tell where the one before it ends. */
const UNKNOWN_END = "a gap may precede the batch";

/**
 * Verifies each batch on its way: one with a wrong length or base offset would lead past the place. Answers where it came
 * to, and the reason when that is not the place.
 */
async function walkToCut(
  core: LogCore,
  segment: Segment,
  file: DiskFile,
  from: number,
  offset: Offset,
): Promise<Cut & { readonly reason?: string }> {
  const { gapsBelow } = core;
  const reader = new BatchReader(file, from, segment.sizeBytes);
  let expected = from === 0 ? segment.baseOffset : undefined;
  while (await reader.fill()) {
    while (reader.next()) {
      const { buffer, at, position } = reader;
      const base = baseOffsetOf(buffer, at);
      if (expected !== undefined && !mayFollow(expected, base, gapsBelow)) {
        return { position, end: expected, reason: `offset ${expected} should follow, not ${base}` };
      }
      const next = addOffset(lastOffsetOf(buffer, at), 1);
      if (next > offset) {
        if (expected === undefined && base <= gapsBelow) return { position, end: base, reason: UNKNOWN_END };
        return { position, end: minOffset(offset, expected ?? base) };
      }
      expected = next;
    }
  }
  const { problem, validEnd: position } = reader.verdict();
  const end = minOffset(offset, expected ?? segment.baseOffset);
  return { position, end, reason: problem?.message ?? "the segment ends too early" };
}

/** Makes `segment` the last one and cuts it: bytes, indexes, snapshots, epochs, producer state. */
async function endLogIn(core: LogCore, segment: Segment, cut: Cut): Promise<void> {
  const { disk, files, host } = core.deps;
  const indexes = await indexesOf(core, segment);
  const { position, end } = cut;
  // A batch goes whole: the log may end below where it was to be cut, and a crash must not take that for a loss.
  if (end < core.logEndOffset) await host.lowerRecoveryPoint(core.options.topicPartition, end);
  core.deps.indexes.forget(segment);
  // The files on the disk would be those of batches that are no more; a crash must not find them (H48).
  for (const kind of INDEX_KINDS) await disk.remove(segment.pathOf(kind));
  await disk.syncDir(core.directory);
  segment.hasIndexFiles = false;
  const handle = await files.acquire(segment.logPath, "write");
  try {
    await handle.file.truncate(position);
    await core.deps.syncs.sync(handle.file);
    indexes.offsetIndex.truncateTo(end);
    indexes.timeIndex.truncateTo(end);
    indexes.transactionIndex.truncateTo(end);
    segment.setIndexes(indexes);
    segment.areIndexesDirty = true;
    segment.sizeBytes = position;
    segment.endOffset = end;
    segment.maxTimestamp = await findMaxTimestampInFile(handle.file, segment, indexes);
    if (segment.damage !== undefined && segment.damage.position >= position) segment.damage = undefined;
    core.syncedEndOffset = end;
    core.durableEndOffset = end;
  } finally {
    files.release(handle);
  }
  setEnd(core, end);
  await removeSnapshotsBehind(core, end);
  if (core.epochs?.truncateFromEnd(end) === true || core.areEpochsDirty) await saveEpochs(core);
  await rebuildProducers(core, end);
}

/**
 * Segments whose files lie behind the last one that is known, newest first: those behind the damage that a log was
 * opened with.
 */
async function unlistedSegments(core: LogCore): Promise<Segment[]> {
  if (!core.hasDirectory) return [];
  const known = new Set(core.segments.all().map(({ baseOffset }) => baseOffset));
  const found = new Set<Offset>();
  for (const { name } of await core.deps.disk.list(core.directory)) {
    const parsed = parseSegmentFileName(name);
    if (parsed === undefined || parsed.kind === "snapshot" || known.has(parsed.baseOffset)) continue;
    found.add(parsed.baseOffset);
  }
  return Array.from(found, (baseOffset) => new Segment(core.directory, baseOffset, 0)).sort(
    (a, b) => b.baseOffset - a.baseOffset,
  );
}

/** A snapshot of what was cut off must never be taken for the state of what is written there next. */
async function removeSnapshotsBehind(core: LogCore, end: Offset): Promise<void> {
  const { disk } = core.deps;
  let removed = 0;
  for (const offset of await listSnapshots(disk, core.directory)) {
    if (offset <= end) continue;
    await disk.remove(`${core.directory}/${segmentFileName(offset, "snapshot")}`);
    removed++;
  }
  if (removed > 0) await disk.syncDir(core.directory);
}

async function saveEpochs(core: LogCore): Promise<void> {
  const text = core.epochs?.toText() ?? "";
  await writeAtomically(core.deps.disk, `${core.directory}/${LEADER_EPOCH_FILE}`, Buffer.from(text));
  core.areEpochsDirty = false;
}
