import { lowerBound } from "../base/binary-search.ts";
import type { Offset, ProducerId } from "../model/offsets.ts";
import {
  baseOffsetOf,
  baseSequenceOf,
  isControlBatch,
  lastOffsetOf,
  lastSequenceOf,
  maxTimestampOf,
  producerEpochOf,
  producerIdOf,
} from "../model/record-batch.ts";
import { readIfPresent } from "../platform/atomic-file.ts";
import { OffsetIndex } from "./offset-index.ts";
import type { ProducerSource } from "./producer-source.ts";
import type { ProducerState } from "./producer-state.ts";
import { PRODUCER_WINDOW_BATCHES } from "./producer-window.ts";
import type { WindowBatch } from "./producer-window.ts";
import { scanBatches } from "./record-scan.ts";
import type { Segment } from "./segment.ts";

/** Five batches of the largest default size, with room for those of other producers between them. */
const RECALL_BYTES = 8 * 1024 * 1024;

/**
 * A snapshot, in Kafka's format, keeps only the last batch of each producer. A client that retries all it had in flight
 * when the broker died would then be told of the others that they are old, and not where they are (H54). So the windows
 * are filled again from the headers of the batches just below the snapshot's offset.
 */
export async function recallWindows(
  source: ProducerSource,
  producers: ProducerState,
  below: Offset,
): Promise<void> {
  if (producers.count === 0) return;
  const recalled = new Map<ProducerId, WindowBatch[]>();
  for (const { segment, bytes } of tailOf(source.segments, below)) {
    const file = await source.disk.open(segment.logPath, "read");
    try {
      const from = await positionBefore(source, segment, segment.sizeBytes - bytes);
      await scanBatches(file, from, segment.sizeBytes, { verifyCrc: false }, ({ buffer, at }) => {
        const baseOffset = baseOffsetOf(buffer, at);
        if (baseOffset >= below) return false;
        const producerId = producerIdOf(buffer, at);
        if (producerId < 0) return true;
        if (isControlBatch(buffer, at) || producers.epochOf(producerId) !== producerEpochOf(buffer, at)) {
          // The end of a transaction empties the window, and so does a new epoch (H58).
          recalled.delete(producerId);
          return true;
        }
        const batches = recalled.get(producerId) ?? [];
        batches.push({
          baseSequence: baseSequenceOf(buffer, at),
          lastSequence: lastSequenceOf(buffer, at),
          baseOffset,
          lastOffset: lastOffsetOf(buffer, at),
          timestamp: maxTimestampOf(buffer, at),
        });
        if (batches.length > PRODUCER_WINDOW_BATCHES) batches.shift();
        recalled.set(producerId, batches);
        return true;
      });
    } finally {
      await file.close();
    }
  }
  for (const [producerId, batches] of recalled) producers.recall(producerId, batches);
}

/** The segments that hold the last bytes below the offset, oldest first, with how many bytes of each to look at. */
function tailOf(
  segments: readonly Segment[],
  below: Offset,
): readonly { readonly segment: Segment; readonly bytes: number }[] {
  const tail: { segment: Segment; bytes: number }[] = [];
  let left = RECALL_BYTES;
  for (let index = segments.length - 1; index >= 0 && left > 0; index--) {
    const segment = segments[index];
    if (segment === undefined || segment.baseOffset >= below || segment.isEmpty) continue;
    const bytes = Math.min(left, segment.sizeBytes);
    tail.unshift({ segment, bytes });
    left -= bytes;
  }
  return tail;
}

/** Where a batch begins, at or before `position`: without an index the beginning of the file. */
async function positionBefore(source: ProducerSource, segment: Segment, position: number): Promise<number> {
  if (position <= 0) return 0;
  const index = segment.indexes?.offsetIndex ?? (await readOffsetIndex(source, segment));
  if (index === undefined) return 0;
  const entry = lowerBound(index.entryCount, (i) => index.entry(i).position, position) - 1;
  return entry < 0 ? 0 : index.entry(entry).position;
}

async function readOffsetIndex(source: ProducerSource, segment: Segment): Promise<OffsetIndex | undefined> {
  const bytes = await readIfPresent(source.disk, segment.pathOf("index"));
  return bytes === undefined ? undefined : OffsetIndex.parse(segment.baseOffset, bytes, segment.sizeBytes);
}
