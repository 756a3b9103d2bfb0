import { addOffset } from "../model/offsets.ts";
import type { Offset } from "../model/offsets.ts";
import { baseOffsetOf, lastOffsetOf } from "../model/record-batch.ts";
import { readIfPresent, writeAtomically } from "../platform/atomic-file.ts";
import type { Disk } from "../platform/disk.ts";
import { parseSegmentFileName, segmentFileName } from "./file-names.ts";
import { replayBatch } from "./producer-replay.ts";
import type { ProducerSource } from "./producer-source.ts";
import { parseProducerSnapshot } from "./producer-snapshot.ts";
import { ProducerState } from "./producer-state.ts";
import { scanBatches } from "./record-scan.ts";
import type { Segment } from "./segment.ts";
import type { SegmentDamage } from "./segment-damage.ts";
import { recallWindows } from "./window-recall.ts";

/** The producer state below an offset. */
export interface LoadedProducers {
  readonly producers: ProducerState;
  /** Met on the way: of what lies behind it the state knows nothing. */
  readonly damage: { readonly segment: Segment; readonly found: SegmentDamage } | undefined;
}

/**
 * The producer state that stands for the log below `endOffset`: the newest readable snapshot at or below it, brought
 * forward by replaying the batches behind it (H55). A damaged snapshot is passed over.
 */
export async function loadProducers(source: ProducerSource, endOffset: Offset): Promise<LoadedProducers> {
  const producers = new ProducerState({ expirationMs: source.producerExpirationMs });
  const from = await loadSnapshot(source, producers, endOffset);
  await recallWindows(source, producers, from);
  for (const segment of source.segments) {
    if (segment.endOffset <= from || segment.baseOffset >= endOffset || segment.isEmpty) continue;
    const file = await source.disk.open(segment.logPath, "read");
    let next = segment.baseOffset;
    try {
      const verdict = await scanBatches(file, 0, segment.sizeBytes, {}, ({ buffer, at }) => {
        const baseOffset = baseOffsetOf(buffer, at);
        if (baseOffset >= endOffset) return false;
        if (baseOffset >= from) replayBatch(producers, buffer, at, source.nowMs);
        next = addOffset(lastOffsetOf(buffer, at), 1);
        return true;
      });
      if (verdict.problem !== undefined) {
        const { position, message: reason } = verdict.problem;
        return { producers, damage: { segment, found: { position, offset: next, reason } } };
      }
    } finally {
      await file.close();
    }
  }
  return { producers, damage: undefined };
}

/** Writes the snapshot that stands for the log below `endOffset`, durably. */
export async function saveSnapshot(
  disk: Disk,
  directory: string,
  endOffset: Offset,
  bytes: Buffer,
): Promise<void> {
  await writeAtomically(disk, `${directory}/${segmentFileName(endOffset, "snapshot")}`, bytes);
}

/** End offsets of the snapshots in a partition directory, newest first. */
export async function listSnapshots(disk: Disk, directory: string): Promise<Offset[]> {
  const offsets: Offset[] = [];
  for (const { name } of await disk.list(directory)) {
    const parsed = parseSegmentFileName(name);
    if (parsed?.kind === "snapshot") offsets.push(parsed.baseOffset);
  }
  return offsets.sort((a, b) => b - a);
}

/** Answers the offset from which batches are to be replayed. */
async function loadSnapshot(
  source: ProducerSource,
  producers: ProducerState,
  endOffset: Offset,
): Promise<Offset> {
  const { disk, directory, logger } = source;
  for (const offset of await listSnapshots(disk, directory)) {
    if (offset > endOffset) continue;
    const path = `${directory}/${segmentFileName(offset, "snapshot")}`;
    const bytes = await readIfPresent(disk, path);
    const entries = bytes === undefined ? undefined : parseProducerSnapshot(bytes);
    if (entries !== undefined) {
      producers.load(entries, source.nowMs);
      return offset;
    }
    logger.warn("a producer snapshot is damaged; its state is built again from the log", { path });
  }
  return 0 as Offset;
}
