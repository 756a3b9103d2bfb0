import type { Offset } from "../model/offsets.ts";
import type { LogCore } from "./log-core.ts";
import { loadProducers } from "./producer-recovery.ts";
import type { LoadedProducers } from "./producer-recovery.ts";
import { Segment } from "./segment.ts";
import type { SegmentIndexes } from "./segment.ts";
import { buildIndexes, endAtGap, readIndexes } from "./segment-indexes.ts";

/** Changes of the segments that one load may run into; each needs a new one to happen during it. */
const MAX_ATTEMPTS = 8;

/** A segment's indexes from memory or disk, built again when their files are in doubt. @throws LograftError DISK_READ_FAILED. */
export async function indexesOf(core: LogCore, segment: Segment): Promise<SegmentIndexes> {
  let { indexes } = segment;
  if (indexes === undefined) {
    const loaded =
      (await readIndexes(core.deps.disk, segment, segment.endOffset, core.config)) ??
      (await walkForIndexes(core, segment));
    // Another caller may have loaded them meanwhile, and something may have been written since.
    indexes = segment.indexes ?? loaded;
    if (segment.indexes === undefined) segment.setIndexes(loaded);
  }
  core.deps.indexes.touch(segment);
  return indexes;
}

/** Builds a segment's indexes from its batches because those on the disk turned out to be wrong (H48). */
export async function rebuildIndexes(core: LogCore, segment: Segment): Promise<void> {
  const indexes = await walkForIndexes(core, segment);
  if (!segment.areIndexesDirty) segment.setIndexes(indexes);
}

/**
 * Reads the producer state below `endOffset` from the disk. Damage on the way is noted: of what lies behind it the state
 * lacks all. Only for who is alone with the files.
 */
export async function rebuildProducers(core: LogCore, endOffset: Offset): Promise<void> {
  const { producers, damage } = await readProducers(core, endOffset);
  core.producers = producers;
  if (damage !== undefined) core.noteDamage(damage.segment, damage.found);
}

/** The producer state of a log below `endOffset`, from its files. @throws LograftError DISK_READ_FAILED. */
async function readProducers(core: LogCore, endOffset: Offset): Promise<LoadedProducers> {
  const { disk, logger, clock, limits } = core.deps;
  for (let attempt = 1; ; attempt++) {
    await core.swapping;
    const segments = core.segments.all().slice();
    const source = {
      disk,
      logger,
      directory: core.directory,
      segments,
      producerExpirationMs: limits.producerExpirationMs,
      nowMs: clock.monotonicMs(),
    };
    try {
      const loaded = await loadProducers(source, endOffset);
      if (loaded.damage?.segment.isRemoved !== true || attempt === MAX_ATTEMPTS) return loaded;
    } catch (error: unknown) {
      // Files may go under a load that is not alone with them.
      if (attempt === MAX_ATTEMPTS || !segments.some((segment) => segment.isRemoved)) throw error;
    }
  }
}

/** The indexes of a segment from its batches; damage that ends them is noted. @throws LograftError DISK_READ_FAILED. */
async function walkForIndexes(core: LogCore, segment: Segment): Promise<SegmentIndexes> {
  const { files, clock, logger } = core.deps;
  const { sizeBytes } = segment;
  const { generation } = core;
  logger.warn("the indexes of a segment are missing or wrong and are built again", {
    path: segment.logPath,
  });
  const { producers } = await readProducers(core, segment.baseOffset);
  const scratch = new Segment(segment.directory, segment.baseOffset, segment.createdMs);
  const handle = await files.acquire(segment.logPath, "read");
  try {
    const { indexes, verdict, lastGap } = await buildIndexes(handle.file, scratch, sizeBytes, producers, {
      config: core.config,
      gapsBelow: core.gapsBelow,
      nowMs: clock.monotonicMs(),
    });
    const { problem } = verdict;
    const gap = problem?.reason === "offset" ? lastGap : undefined;
    if (gap !== undefined) endAtGap(scratch, gap);
    scratch.finishIndexes();
    const position = gap?.position ?? verdict.validEnd;
    if (position < sizeBytes && core.isConclusive(segment, generation)) {
      const reason = problem?.message ?? `the file ends there, ${sizeBytes} bytes were written`;
      core.noteDamage(segment, { position, offset: scratch.endOffset, reason });
    }
    return indexes;
  } finally {
    files.release(handle);
  }
}
