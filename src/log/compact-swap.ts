import { operationError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { addOffset } from "../model/offsets.ts";
import type { Offset } from "../model/offsets.ts";
import { lastOffsetOf } from "../model/record-batch.ts";
import type { Disk } from "../platform/disk.ts";
import {
  CLEANED_SUFFIX,
  DELETED_SUFFIX,
  parseSegmentFileName,
  SEGMENT_FILE_KINDS,
  segmentFileName,
  SWAP_SUFFIX,
} from "./file-names.ts";
import type { LogCore } from "./log-core.ts";
import { scanBatches } from "./record-scan.ts";
import type { Segment } from "./segment.ts";
import { INDEX_KINDS } from "./segment-indexes.ts";

/*
 * How a compacted copy takes the place of its originals, and what a crash leaves at each step:
 *
 *   1. the copy is written and synced as `.log.cleaned`, its indexes likewise   crash: removed at the next opening
 *      and that there may be gaps up to its end is noted
 *   2. `.log.cleaned` is renamed to `.log.swap`, durably                        from here on it is finished at the opening
 *   3. the originals are renamed to `.deleted`, durably                         (their snapshots too, but for the first's)
 *   4. `.log.swap` is renamed to `.log`
 *   5. the `.cleaned` indexes are renamed into place                            crash: missing ones are built again
 *
 * The last batch of the last original is always in the copy, with records or without. So where the copy ends is where
 * its originals ended, and what has to go in step 3 can be told after a crash from the copy alone.
 */

/** What takes the place of some segments. */
export interface Swap {
  readonly originals: readonly Segment[];
  readonly copy: Segment;
  /** Offsets below may be missing from the copy. */
  readonly gapsBelow: Offset;
  /** Of the log when the originals were read. */
  readonly generation: number;
}

/**
 * Puts a copy in the place of its originals. False when they are no more what they were: nothing was changed then. Reads
 * of the log from the disk wait while names change. @throws LograftError when the bound of gaps or step 1 could not be
 * made durable. A failure behind step 2 takes the log offline, and the next opening goes on from there.
 */
export async function swapIn(
  core: LogCore,
  { originals, copy, gapsBelow, generation }: Swap,
): Promise<boolean> {
  let isDone = false;
  await reshape(core, () =>
    core.exclusive(async () => {
      const isUnchanged =
        core.state === "open" &&
        core.barrier === undefined &&
        core.generation === generation &&
        !originals.some((one) => one.isRemoved);
      if (!isUnchanged) return;
      await core.raiseGaps(gapsBelow);
      // A sync that failed meanwhile does not wait for the log's lock (H45).
      if (core.state !== "open" || core.barrier !== undefined) return;
      let release = (): void => undefined;
      try {
        const { disk } = core.deps;
        await disk.rename(copy.logPath + CLEANED_SUFFIX, copy.logPath + SWAP_SUFFIX);
        await disk.syncDir(core.directory);
        core.swapping = new Promise((resolve) => {
          release = resolve;
        });
        await exchange(core, originals, copy);
        isDone = true;
      } catch (error: unknown) {
        core.goOffline(error, "a compacted segment could not be put in place");
        throw core.offlineError();
      } finally {
        core.swapping = undefined;
        release();
      }
    }),
  );
  return isDone;
}

/** Runs changes of sealed segments' files, of retention and compaction, one after the other. */
export function reshape(core: LogCore, change: () => Promise<void>): Promise<void> {
  const running = core.reshaping === undefined ? change() : core.reshaping.then(change);
  const ended = running.then(ignore, ignore).then(() => {
    if (core.reshaping === ended) core.reshaping = undefined;
  });
  core.reshaping = ended;
  return running;
}

async function exchange(core: LogCore, originals: readonly Segment[], copy: Segment): Promise<void> {
  const { disk, files, host, indexes } = core.deps;
  // In one step: from here on a read that began on an original throws its result away and waits for the copy.
  core.segments.replace(originals, copy);
  for (const original of originals) {
    indexes.forget(original);
    files.forget(original.logPath);
  }
  // What is cached may hold records of aborted transactions that no index tells of any more.
  if (core.tail?.covers(addOffset(copy.endOffset, -1)) === true) core.dropTail();
  const renamed: string[] = [];
  for (const original of originals) {
    for (const kind of SEGMENT_FILE_KINDS) {
      // The first one's snapshot stands for what lies below the copy, too.
      if (kind === "snapshot" && original.baseOffset === copy.baseOffset) continue;
      const path = original.pathOf(kind);
      if ((await disk.stat(path)) === undefined) continue;
      await disk.rename(path, path + DELETED_SUFFIX);
      renamed.push(path + DELETED_SUFFIX);
    }
  }
  await disk.syncDir(core.directory);
  await disk.rename(copy.logPath + SWAP_SUFFIX, copy.logPath);
  for (const kind of INDEX_KINDS) await disk.rename(copy.pathOf(kind) + CLEANED_SUFFIX, copy.pathOf(kind));
  await disk.syncDir(core.directory);
  // A reader may have opened the path just before its name went.
  files.forget(copy.logPath);
  indexes.touch(copy);
  host.removeLater(renamed, core.config.fileDeleteDelayMs);
}

/**
 * Removes what an unfinished compaction left in a partition directory and finishes what it had begun to put in place.
 * Answers whether names were changed. @throws LograftError METADATA_CORRUPT when a copy that replaces segments, some of
 * which may be gone, cannot be read to its end: nothing is touched then. DISK_*.
 */
export async function finishSwaps(
  directory: string,
  names: readonly string[],
  deps: { readonly disk: Disk; readonly logger: Logger },
): Promise<boolean> {
  const { disk, logger } = deps;
  let isChanged = false;
  for (const name of names) {
    const swapped = baseOffsetOfSwap(name);
    if (swapped === undefined) continue;
    const endOffset = await endOfCopy(`${directory}/${name}`, disk);
    await finishSwap(directory, swapped, endOffset, names, disk);
    logger.info("a compacted segment was put in place", { directory, baseOffset: swapped, endOffset });
    isChanged = true;
  }
  for (const name of names) {
    if (!name.endsWith(CLEANED_SUFFIX)) continue;
    await disk.remove(`${directory}/${name}`);
    isChanged = true;
  }
  return isChanged;
}

function baseOffsetOfSwap(name: string): Offset | undefined {
  if (!name.endsWith(SWAP_SUFFIX)) return undefined;
  const parsed = parseSegmentFileName(name.slice(0, -SWAP_SUFFIX.length));
  return parsed?.kind === "log" ? parsed.baseOffset : undefined;
}

/** One past the last offset of a copy, which was synced whole before it got its name. */
async function endOfCopy(path: string, disk: Disk): Promise<Offset> {
  const file = await disk.open(path, "read");
  try {
    let end: Offset | undefined;
    const sizeBytes = await file.sizeBytes();
    const { problem } = await scanBatches(file, 0, sizeBytes, {}, ({ buffer, at }) => {
      end = addOffset(lastOffsetOf(buffer, at), 1);
      return true;
    });
    if (problem === undefined && end !== undefined) return end;
    throw operationError(
      "METADATA_CORRUPT",
      `${path}, the compacted form of segments that may be gone, is damaged at byte ${problem?.position ?? 0}: ` +
        `${problem?.message ?? "it is empty"}; nothing was changed. Remove the partition's directory to have it copied ` +
        "from another replica, or restore it",
      { context: { path } },
    );
  } finally {
    await file.close();
  }
}

/** Steps 3 and 4 again, wherever they had come to. */
async function finishSwap(
  directory: string,
  baseOffset: Offset,
  endOffset: Offset,
  names: readonly string[],
  disk: Disk,
): Promise<void> {
  for (const name of names) {
    const parsed = parseSegmentFileName(name);
    if (parsed === undefined || parsed.baseOffset < baseOffset || parsed.baseOffset >= endOffset) continue;
    const isFirst = parsed.baseOffset === baseOffset;
    // The first original's log is replaced by the rename below, so that its name is never missing.
    if (isFirst && (parsed.kind === "snapshot" || parsed.kind === "log")) continue;
    await disk.remove(`${directory}/${name}`);
  }
  await disk.syncDir(directory);
  const path = `${directory}/${segmentFileName(baseOffset, "log")}`;
  await disk.rename(path + SWAP_SUFFIX, path);
  await disk.syncDir(directory);
}

function ignore(): void {
  // Who began the change has its failure; the next in line only waits for its end.
}
