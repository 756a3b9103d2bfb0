import type { Logger } from "../base/logger.ts";
import { maxOffset, NO_TIMESTAMP } from "../model/offsets.ts";
import type { Offset } from "../model/offsets.ts";
import { BATCH_HEADER_BYTES, maxTimestampOf } from "../model/record-batch.ts";
import { isTemporaryName, writeAtomically } from "../platform/atomic-file.ts";
import { readFully } from "../platform/disk.ts";
import type { Disk, DiskEntry, DiskFile } from "../platform/disk.ts";
import { finishSwaps } from "./compact-swap.ts";
import {
  DELETED_SUFFIX,
  LEADER_EPOCH_FILE,
  parseSegmentFileName,
  SEGMENT_FILE_KINDS,
  segmentFileName,
} from "./file-names.ts";
import { loadEpochs } from "./epoch-recovery.ts";
import { LeaderEpochCache } from "./leader-epoch-cache.ts";
import type { LogConfig } from "./log-config.ts";
import type { LogSabotage } from "./log-sabotage.ts";
import { listSnapshots, loadProducers, saveSnapshot } from "./producer-recovery.ts";
import type { ProducerSource } from "./producer-source.ts";
import { ProducerState } from "./producer-state.ts";
import { scanBatches } from "./record-scan.ts";
import { Segment } from "./segment.ts";
import {
  buildIndexes,
  emptyIndexes,
  endAtGap,
  findMaxTimestampInFile,
  INDEX_KINDS,
  readIndexes,
  saveIndexes,
} from "./segment-indexes.ts";
import { judgeTail } from "./torn-tail.ts";

/** Which log to load and what is known of it. */
export interface RecoveryInput {
  readonly directory: string;
  readonly config: LogConfig;
  /** Everything below was durable (0: nothing is known). */
  readonly recoveryPoint: Offset;
  /** From the checkpoint; what lies below is gone, whatever the files say. */
  readonly logStartOffset: Offset;
  /** See `LogCore.gapsBelow`. */
  readonly gapsBelow: Offset;
  /** The last process closed this log in order: the files are as it left them. */
  readonly isClean: boolean;
  readonly producerExpirationMs: number;
  readonly sabotage?: LogSabotage | undefined;
}

export interface RecoveryDeps {
  readonly disk: Disk;
  readonly logger: Logger;
  /** Wall and monotonic time of the load. */
  readonly wallMs: number;
  readonly monotonicMs: number;
}

/** Damage that is not a crash's doing; nothing was cut (H46). */
export interface LogDamage {
  readonly path: string;
  readonly position: number;
  /** The first offset that cannot be read. */
  readonly offset: Offset;
  readonly reason: string;
}

/** A log as its files have it, ready to be opened. */
export interface RecoveredLog {
  readonly segments: Segment[];
  readonly logStartOffset: Offset;
  readonly logEndOffset: Offset;
  readonly epochs: LeaderEpochCache;
  readonly producers: ProducerState;
  readonly damage: LogDamage | undefined;
  /** Bytes of a torn tail that were cut off. */
  readonly cutBytes: number;
}

/**
 * Loads a partition directory. After a clean stop sizes and indexes are believed and a few KiB are read. Otherwise the
 * segments from the recovery point on are walked, checksums and all: a torn tail is cut, indexes and producer state are
 * built again, and what was found is made durable, so that afterwards the directory is as after a clean stop. Damage that
 * a crash cannot explain is reported and nothing is changed. Files it does not know are left alone.
 * @throws LograftError DISK_READ_FAILED, DISK_WRITE_FAILED, DISK_SYNC_FAILED.
 */
export async function recoverLog(input: RecoveryInput, deps: RecoveryDeps): Promise<RecoveredLog> {
  const { disk } = deps;
  const { directory } = input;
  const segments = await findSegments(input, deps);
  const first = segments[0];
  const logStart =
    first === undefined ? input.logStartOffset : maxOffset(input.logStartOffset, first.baseOffset);
  const source: ProducerSource = {
    disk,
    logger: deps.logger,
    directory,
    segments,
    producerExpirationMs: input.producerExpirationMs,
    nowMs: deps.monotonicMs,
  };
  const found =
    (await loadClean(segments, source, input, deps)) ?? (await scanFrom(segments, source, input, deps));
  const end = found.logEndOffset;
  if (segments.length > 0 && end < logStart && found.damage === undefined) {
    return startOver(segments, logStart, input.config, source, deps);
  }
  const logEnd = segments.length === 0 ? logStart : end;
  const { producers, damage: met } =
    found.producers === undefined
      ? await loadProducers(source, logEnd)
      : { producers: found.producers, damage: undefined };
  if (met !== undefined) met.segment.damage = met.found;
  const damage = found.damage ?? (met && { path: met.segment.logPath, ...met.found });
  const epochs = await loadEpochs(segments, logStart, logEnd, directory, deps);
  const isUnsaved = segments.at(-1)?.mayStayUnsaved(input.config) === true;
  if (!found.isClean && damage === undefined && segments.length > 0 && !isUnsaved) {
    await saveSnapshot(disk, directory, logEnd, producers.snapshot());
  }
  if (damage === undefined && segments.length > 0) await dropOldSnapshots(disk, directory, segments, logEnd);
  const { cutBytes } = found;
  return { segments, logStartOffset: logStart, logEndOffset: logEnd, epochs, producers, damage, cutBytes };
}

interface Found {
  readonly logEndOffset: Offset;
  readonly producers: ProducerState | undefined;
  readonly damage: LogDamage | undefined;
  readonly cutBytes: number;
  readonly isClean: boolean;
}

async function findSegments(input: RecoveryInput, deps: RecoveryDeps): Promise<Segment[]> {
  const { disk, logger } = deps;
  const { directory } = input;
  const isThere = (await disk.stat(directory)) !== undefined;
  let entries: readonly DiskEntry[] = isThere ? await disk.list(directory) : [];
  const listed = entries.map(({ name }) => name);
  if (await finishSwaps(directory, listed, deps)) entries = await disk.list(directory);
  const segments: Segment[] = [];
  const unknown: string[] = [];
  const names = new Set(entries.map(({ name }) => name));
  for (const { name, isDirectory } of entries) {
    const parsed = parseSegmentFileName(name);
    if (parsed?.kind === "log" && !isDirectory) {
      segments.push(new Segment(directory, parsed.baseOffset, deps.wallMs));
    } else if (name.endsWith(DELETED_SUFFIX) || isTemporaryName(name)) {
      // Left by a crash: the first were deleted in order, the second never became what they were to be.
      await disk.remove(`${directory}/${name}`);
    } else if (parsed === undefined && !KNOWN_FILES.has(name)) {
      unknown.push(name);
    }
  }
  if (unknown.length > 0)
    logger.warn("files of unknown kind are left alone", { directory, files: unknown.slice(0, 10) });
  await Promise.all(
    segments.map(async (segment, index) => {
      segment.sizeBytes = (await disk.stat(segment.logPath))?.sizeBytes ?? 0;
      segment.endOffset = segments[index + 1]?.baseOffset ?? segment.baseOffset;
      segment.hasIndexFiles = INDEX_KINDS.some((kind) =>
        names.has(segmentFileName(segment.baseOffset, kind)),
      );
    }),
  );
  return segments;
}

const KNOWN_FILES: ReadonlySet<string> = new Set([LEADER_EPOCH_FILE, "partition.metadata"]);

/**
 * Reads only what follows the last index entry of the active segment; undefined when something does not fit, or may not
 * be believed after a crash.
 */
async function loadClean(
  segments: readonly Segment[],
  source: ProducerSource,
  input: RecoveryInput,
  deps: RecoveryDeps,
): Promise<Found | undefined> {
  const active = segments.at(-1);
  if (active === undefined) {
    return {
      logEndOffset: input.logStartOffset,
      producers: undefined,
      damage: undefined,
      cutBytes: 0,
      isClean: true,
    };
  }
  const indexes = await readIndexes(deps.disk, active, MAX_OFFSET, input.config);
  if (indexes === undefined)
    return active.mayStayUnsaved(input.config) ? walkUnsaved(active, source, input, deps) : undefined;
  const file = await deps.disk.open(active.logPath, "read");
  try {
    const { offsetIndex, timeIndex } = indexes;
    const verdict = await scanBatches(file, offsetIndex.lastPosition, active.sizeBytes, {}, () => true);
    const end = verdict.nextOffset ?? active.baseOffset;
    if (verdict.problem !== undefined || (timeIndex.entryCount > 0 && end <= timeIndex.lastEntry.offset))
      return undefined;
    // Nothing was appended since the recovery point, so a crash had nothing to tear.
    if (!input.isClean && end !== input.recoveryPoint) return undefined;
    active.endOffset = end;
    active.setIndexes(indexes);
    active.maxTimestamp = await findMaxTimestampInFile(file, active, indexes);
    await noteAge(file, active, deps.wallMs);
    return { logEndOffset: end, producers: undefined, damage: undefined, cutBytes: 0, isClean: true };
  } finally {
    await file.close();
  }
}

/** Builds what a little active segment has no files for. */
async function walkUnsaved(
  active: Segment,
  source: ProducerSource,
  input: RecoveryInput,
  deps: RecoveryDeps,
): Promise<Found | undefined> {
  const { sizeBytes } = active;
  const { producers } = await loadProducers(source, active.baseOffset);
  const file = await deps.disk.open(active.logPath, "read");
  try {
    const { verdict } = await buildIndexes(file, active, sizeBytes, producers, {
      config: input.config,
      gapsBelow: input.gapsBelow,
      nowMs: deps.monotonicMs,
    });
    const logEndOffset = active.endOffset;
    if (verdict.problem !== undefined || (!input.isClean && logEndOffset !== input.recoveryPoint)) {
      active.sizeBytes = sizeBytes;
      return undefined;
    }
    await noteAge(file, active, deps.wallMs);
    // No files hold them: they stay in memory until the log is closed.
    active.areIndexesDirty = true;
    return { logEndOffset, producers, damage: undefined, cutBytes: 0, isClean: true };
  } finally {
    await file.close();
  }
}

const MAX_OFFSET = Number.MAX_SAFE_INTEGER as Offset;

async function scanFrom(
  segments: Segment[],
  source: ProducerSource,
  input: RecoveryInput,
  deps: RecoveryDeps,
): Promise<Found> {
  let from = segments.findLastIndex((segment) => segment.baseOffset <= input.recoveryPoint);
  if (from < 0) from = 0;
  const first = segments[from];
  if (first === undefined) {
    return {
      logEndOffset: input.logStartOffset,
      producers: undefined,
      damage: undefined,
      cutBytes: 0,
      isClean: false,
    };
  }
  const { producers } = await loadProducers(source, first.baseOffset);
  let cutBytes = 0;
  for (let index = from; index < segments.length; index++) {
    const segment = segments[index];
    if (segment === undefined) break;
    const result = await scanSegment(segment, segments[index + 1], producers, input, deps);
    cutBytes += result.cutBytes;
    if (result.damage !== undefined) {
      // What lies above stays on the disk, but is not part of what can be read.
      const above = segments.splice(index + 1);
      if (input.sabotage === "truncateAtBadCrc") {
        const file = await deps.disk.open(segment.logPath, "write");
        await file.truncate(result.damage.position);
        await file.sync();
        await file.close();
        segment.sizeBytes = result.damage.position;
        segment.damage = undefined;
        for (const { logPath } of above) await deps.disk.remove(logPath);
        break;
      }
      return { logEndOffset: segment.endOffset, producers, damage: result.damage, cutBytes, isClean: false };
    }
  }
  const end = segments.at(-1)?.endOffset ?? input.logStartOffset;
  await deps.disk.syncDir(input.directory);
  return { logEndOffset: end, producers, damage: undefined, cutBytes, isClean: false };
}

async function scanSegment(
  segment: Segment,
  next: Segment | undefined,
  producers: ProducerState,
  input: RecoveryInput,
  deps: RecoveryDeps,
): Promise<{ readonly damage: LogDamage | undefined; readonly cutBytes: number }> {
  const { disk, logger } = deps;
  const sizeBytes = segment.sizeBytes;
  const file = await disk.open(segment.logPath, "write");
  try {
    const { verdict, lastGap } = await buildIndexes(file, segment, sizeBytes, producers, {
      config: input.config,
      gapsBelow: input.gapsBelow,
      nowMs: deps.monotonicMs,
    });
    let cutBytes = 0;
    if (verdict.problem !== undefined) {
      const judged = await judgeTail(file, {
        problem: verdict.problem,
        offset: segment.endOffset,
        sizeBytes,
        recoveryPoint: input.recoveryPoint,
        hasNewerSegment: next !== undefined,
      });
      const { position, message, reason } = verdict.problem;
      if (judged.kind === "damage") {
        const gap = reason === "offset" ? lastGap : undefined;
        if (gap !== undefined) endAtGap(segment, gap);
        const what = `${message}; ${judged.reason}`;
        return { damage: reportDamage(segment, gap?.position ?? position, what, deps), cutBytes };
      }
      cutBytes = sizeBytes - position;
      logger.warn("the torn end of a log was cut off", {
        path: segment.logPath,
        position,
        cutBytes,
        reason: message,
        hadLaterBatches: judged.hasLaterBatches,
      });
      await file.truncate(position);
    } else if (next !== undefined && segment.endOffset !== next.baseOffset) {
      const reason = `it ends at offset ${segment.endOffset}, the next segment begins at ${next.baseOffset}`;
      if (lastGap !== undefined) endAtGap(segment, lastGap);
      return { damage: reportDamage(segment, lastGap?.position ?? sizeBytes, reason, deps), cutBytes };
    } else if (next === undefined && segment.endOffset < input.recoveryPoint) {
      const reason = `it ends at offset ${segment.endOffset}, everything below ${input.recoveryPoint} was durable`;
      return { damage: reportDamage(segment, sizeBytes, reason, deps), cutBytes };
    }
    // What a killed process wrote may still be in the page cache only; from here on it counts as durable.
    await file.sync();
    await noteAge(file, segment, deps.wallMs);
    if (next !== undefined) segment.finishIndexes();
    if (next === undefined && segment.mayStayUnsaved(input.config)) {
      segment.areIndexesDirty = true;
    } else {
      if (segment.indexes !== undefined) await saveIndexes(disk, segment, segment.indexes);
      segment.areIndexesDirty = false;
    }
    return { damage: undefined, cutBytes };
  } finally {
    await file.close();
  }
}

function reportDamage(segment: Segment, position: number, reason: string, deps: RecoveryDeps): LogDamage {
  const offset = segment.endOffset;
  deps.logger.error("a log is damaged; nothing was cut", { path: segment.logPath, position, offset, reason });
  segment.damage = { position, offset, reason };
  return { path: segment.logPath, position, offset, reason };
}

/** Records older than the segment's own age make it older, so that a restart does not put off its roll. */
async function noteAge(file: DiskFile, segment: Segment, wallMs: number): Promise<void> {
  const header = Buffer.alloc(BATCH_HEADER_BYTES);
  if ((await readFully(file, header, 0)) < BATCH_HEADER_BYTES) return;
  const timestamp = maxTimestampOf(header);
  segment.firstTimestamp = timestamp;
  if (timestamp !== NO_TIMESTAMP && timestamp < segment.createdMs) segment.createdMs = Math.max(0, timestamp);
  segment.createdMs = Math.min(segment.createdMs, wallMs);
}

/** Keeps one for each segment's beginning and one for the log's end. Those behind the end stand for what is no more. */
async function dropOldSnapshots(
  disk: Disk,
  directory: string,
  segments: readonly Segment[],
  logEnd: Offset,
): Promise<void> {
  const wanted = new Set<Offset>(segments.map((segment) => segment.baseOffset)).add(logEnd);
  let dropped = 0;
  for (const offset of await listSnapshots(disk, directory)) {
    if (wanted.has(offset)) continue;
    await disk.remove(`${directory}/${segmentFileName(offset, "snapshot")}`);
    dropped++;
  }
  if (dropped > 0) await disk.syncDir(directory);
}

/**
 * The log ends below its durable start: without a sync of its records (policy "os") a crash took more than had been
 * deleted. What is left lies below the start and is gone for every reader; the log goes on from there.
 */
async function startOver(
  segments: readonly Segment[],
  logStart: Offset,
  config: LogConfig,
  source: ProducerSource,
  deps: RecoveryDeps,
): Promise<RecoveredLog> {
  const { disk, logger } = deps;
  const { directory } = source;
  logger.warn("a log ends below its start and begins anew there", { directory, logStartOffset: logStart });
  for (const segment of segments.toReversed()) {
    for (const kind of SEGMENT_FILE_KINDS) await disk.remove(segment.pathOf(kind));
    await disk.syncDir(directory);
  }
  const producers = new ProducerState({ expirationMs: source.producerExpirationMs });
  const epochs = new LeaderEpochCache();
  await writeAtomically(disk, `${directory}/${LEADER_EPOCH_FILE}`, Buffer.from(epochs.toText()));
  const first = new Segment(directory, logStart, deps.wallMs);
  await (await disk.open(first.logPath, "create")).close();
  await saveIndexes(disk, first, emptyIndexes(first, config));
  await disk.syncDir(directory);
  return {
    segments: [first],
    logStartOffset: logStart,
    logEndOffset: logStart,
    epochs,
    producers,
    damage: undefined,
    cutBytes: 0,
  };
}
