import { BATCH_HEADER_BYTES, batchSizeOf } from "../model/record-batch.ts";
import type { Offset } from "../model/offsets.ts";
import { readFully } from "../platform/disk.ts";
import type { DiskFile } from "../platform/disk.ts";
import { findValidBatch } from "./record-resync.ts";
import type { ScanProblem } from "./record-scan.ts";

/** Where a scan stopped, and what is known around it. */
export interface TailQuestion {
  readonly problem: ScanProblem;
  /** The offset that should stand there. */
  readonly offset: Offset;
  readonly sizeBytes: number;
  readonly recoveryPoint: Offset;
  /** Another segment follows. It was begun only when every byte of this one was durable. */
  readonly hasNewerSegment: boolean;
}

/** "cut": a write that the crash caught. "damage": something that was durable has changed since. */
export type TailVerdict =
  | { readonly kind: "cut"; readonly hasLaterBatches: boolean }
  | { readonly kind: "damage"; readonly reason: string };

/** The least unit that a disk writes whole. */
const SECTOR_BYTES = 512;
/** Zeros at the end of a write that count as lost: a few occur in ordinary records, eight in any header. */
const MIN_HOLE_BYTES = 16;
/** Of a batch: where its base offset ends, and the length behind it. */
const OFFSET_BYTES = 8;
const LENGTH_END = 12;
const MAX_INT32 = 0x7fffffff;
const WINDOW_BYTES = 64 * 1024;

/**
 * Tells the torn end of a log from damage (H46; Protocol-Aware Recovery, FAST 2018). Cutting is right only for what no
 * sync had covered: above the recovery point, in the newest segment, and either nothing valid follows, or what follows
 * was written beside a write that was lost. Unsynced writes reach the disk in any order, and one that did not leaves a
 * hole, which reads as zeros from a sector boundary or the write's own beginning to another, or to the write's end;
 * bit rot does not look like that. In doubt it is damage, which loses nothing.
 */
export async function judgeTail(file: DiskFile, question: TailQuestion): Promise<TailVerdict> {
  const { problem, offset, sizeBytes, recoveryPoint } = question;
  if (offset < recoveryPoint) {
    return { kind: "damage", reason: `everything below offset ${recoveryPoint} was durable` };
  }
  if (question.hasNewerSegment) return { kind: "damage", reason: "a newer segment follows" };
  const later = await findValidBatch(file, problem.position + 1, sizeBytes, {
    maxBatchBytes: MAX_INT32,
    minBaseOffset: offset,
  });
  if (later === undefined) return { kind: "cut", hasLaterBatches: false };
  if (await hasHole(file, problem.position, later, offset)) return { kind: "cut", hasLaterBatches: true };
  return { kind: "damage", reason: `whole batches follow at byte ${later}` };
}

/**
 * Whether the bad batch at `position`, which ends at or before `end`, has a part that was never written. Only what cannot
 * be zero when it was written counts: a misdirected sector brings zeros, too, those of offsets and ids above all.
 */
async function hasHole(file: DiskFile, position: number, end: number, offset: Offset): Promise<boolean> {
  const header = Buffer.alloc(Math.min(BATCH_HEADER_BYTES, end - position));
  await readFully(file, header, position);
  const size = header.length === BATCH_HEADER_BYTES ? batchSizeOf(header) : 0;
  const batchEnd = size >= BATCH_HEADER_BYTES && position + size <= end ? position + size : end;
  // To the end of the sector that the batch ends in: a hole may begin a byte before that and go on in the next batch.
  const scanEnd = Math.min(sectorAfter(batchEnd - 1), end);
  for (let start = position; start < scanEnd;) {
    const stop = Math.min(scanEnd, sectorAfter(start + WINDOW_BYTES - SECTOR_BYTES));
    const window = Buffer.alloc(stop - start);
    await readFully(file, window, start);
    for (let at = start; at < stop;) {
      const pieceEnd = Math.min(sectorAfter(at), stop);
      const piece = window.subarray(at - start, pieceEnd - start);
      if (isZero(piece) && isTelling(piece.length, at === position, offset)) return true;
      at = pieceEnd;
    }
    start = stop;
  }
  return false;
}

/** Whether so many zeros, at the beginning of a batch or later in it, were not written. */
function isTelling(length: number, isFirst: boolean, offset: Offset): boolean {
  if (!isFirst) return length >= MIN_HOLE_BYTES;
  // The length of a batch is never zero; of its base offset so many bytes are.
  return length >= LENGTH_END || (length <= OFFSET_BYTES && offset >= 256 ** (OFFSET_BYTES - length));
}

function sectorAfter(position: number): number {
  return (Math.floor(position / SECTOR_BYTES) + 1) * SECTOR_BYTES;
}

function isZero(bytes: Buffer): boolean {
  return bytes.length > 0 && bytes.every((byte) => byte === 0);
}
