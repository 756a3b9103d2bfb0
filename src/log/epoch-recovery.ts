import type { Logger } from "../base/logger.ts";
import type { Offset } from "../model/offsets.ts";
import { baseOffsetOf, leaderEpochOf } from "../model/record-batch.ts";
import { readIfPresent, writeAtomically } from "../platform/atomic-file.ts";
import type { Disk } from "../platform/disk.ts";
import { LEADER_EPOCH_FILE } from "./file-names.ts";
import { LeaderEpochCache } from "./leader-epoch-cache.ts";
import { scanBatches } from "./record-scan.ts";
import type { Segment } from "./segment.ts";

/** The leader epochs of a log within its bounds: from the file, else from the headers of all batches (H40). */
export async function loadEpochs(
  segments: readonly Segment[],
  logStart: Offset,
  logEnd: Offset,
  directory: string,
  deps: { readonly disk: Disk; readonly logger: Logger },
): Promise<LeaderEpochCache> {
  const { disk, logger } = deps;
  const path = `${directory}/${LEADER_EPOCH_FILE}`;
  const text = await readIfPresent(disk, path);
  let epochs = text === undefined ? undefined : LeaderEpochCache.parse(text.toString());
  if (epochs === undefined) {
    epochs = new LeaderEpochCache();
    if (segments.every((segment) => segment.isEmpty)) return epochs;
    logger.warn("the leader epochs of a log are built again from its batches", {
      path,
      wasDamaged: text !== undefined,
    });
    for (const segment of segments) await collectEpochs(segment, epochs, disk);
    if (epochs.latestEpoch >= 0) await writeAtomically(disk, path, Buffer.from(epochs.toText()));
  }
  epochs.truncateFromEnd(logEnd);
  epochs.truncateFromStart(logStart);
  return epochs;
}

async function collectEpochs(segment: Segment, epochs: LeaderEpochCache, disk: Disk): Promise<void> {
  const file = await disk.open(segment.logPath, "read");
  try {
    await scanBatches(file, 0, segment.sizeBytes, { verifyCrc: false }, ({ buffer, at }) => {
      const epoch = leaderEpochOf(buffer, at);
      if (epoch > epochs.latestEpoch) epochs.assign(epoch, baseOffsetOf(buffer, at));
      return true;
    });
  } finally {
    await file.close();
  }
}
