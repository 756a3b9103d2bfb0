import {
  attributesOf,
  baseOffsetOf,
  BATCH_HEADER_BYTES,
  checkBatchHeader,
  MAGIC_V2,
  verifyBatchCrc,
} from "../model/record-batch.ts";
import type { Offset } from "../model/offsets.ts";
import { readFully } from "../platform/disk.ts";
import type { DiskFile } from "../platform/disk.ts";

export interface ResyncOptions {
  /** Only a batch of at most this size is looked for. */
  readonly maxBatchBytes: number;
  /** Only a batch at or above this offset counts: older ones may be what an earlier use of the disk left. Default 0. */
  readonly minBaseOffset?: Offset;
  readonly signal?: AbortSignal;
}

const WINDOW_BYTES = 1024 * 1024;
/** Where the magic byte stands in a batch. */
const MAGIC_AT = 16;
const USED_ATTRIBUTES = 0x7f;

/**
 * The position of the first whole batch with a right checksum that begins in `[fromPosition, endPosition)`, wherever it
 * begins, or undefined. It tells a torn end of a log, behind which there is nothing, from damage in its middle, behind
 * which there are records that must not be cut off (H46). A torn batch whose own records hold a whole batch of a
 * later offset looks like damage: the replica is then fetched again rather than shortened, which is the safe mistake.
 * @throws LograftError DISK_READ_FAILED.
 */
export async function findValidBatch(
  file: DiskFile,
  fromPosition: number,
  endPosition: number,
  options: ResyncOptions,
): Promise<number | undefined> {
  const window = Buffer.alloc(Math.max(0, Math.min(WINDOW_BYTES, endPosition - fromPosition)));
  let start = fromPosition;
  while (endPosition - start >= BATCH_HEADER_BYTES) {
    options.signal?.throwIfAborted();
    const count = await readFully(
      file,
      window.subarray(0, Math.min(window.length, endPosition - start)),
      start,
    );
    if (count < BATCH_HEADER_BYTES) return undefined;
    const held = window.subarray(0, count);
    for (let at = nextCandidate(held, 0); at !== undefined; at = nextCandidate(held, at + 1)) {
      const size = plausibleSize(held, at, endPosition - start - at, options);
      if (size !== undefined && (await isWhole(file, held, at, start + at, size))) return start + at;
    }
    // Headers that lie across the end of this window are whole in the next.
    start += count - BATCH_HEADER_BYTES + 1;
  }
  return undefined;
}

/** The next place at or after `from` whose magic byte is 2 and whose header is wholly in the window. */
function nextCandidate(window: Buffer, from: number): number | undefined {
  const at = window.indexOf(MAGIC_V2, from + MAGIC_AT) - MAGIC_AT;
  return at >= from && at + BATCH_HEADER_BYTES <= window.length ? at : undefined;
}

/** Size of the batch that may begin here, if its header can be one: cheap, so that few places need a checksum. */
function plausibleSize(
  window: Buffer,
  at: number,
  available: number,
  options: ResyncOptions,
): number | undefined {
  if ((attributesOf(window, at) & ~USED_ATTRIBUTES) !== 0) return undefined;
  if (baseOffsetOf(window, at) < (options.minBaseOffset ?? 0)) return undefined;
  // `available` counts the file, of which the window may hold only the header.
  const check = checkBatchHeader(window, at, available, Math.min(options.maxBatchBytes, available));
  return check.ok ? check.size : undefined;
}

async function isWhole(
  file: DiskFile,
  window: Buffer,
  at: number,
  position: number,
  size: number,
): Promise<boolean> {
  if (at + size <= window.length) return verifyBatchCrc(window, at);
  const batch = Buffer.alloc(size);
  return (await readFully(file, batch, position)) === size && verifyBatchCrc(batch);
}
