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
/** Zeros that count as a lost part of a write; a few occur at the end of ordinary records. */
const MIN_HOLE_BYTES = 4;
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
  if (await hasHole(file, problem.position, later)) return { kind: "cut", hasLaterBatches: true };
  return { kind: "damage", reason: `whole batches follow at byte ${later}` };
}

/** Whether the bad batch at `position`, which ends at or before `end`, has a part that was never written. */
async function hasHole(file: DiskFile, position: number, end: number): Promise<boolean> {
  const header = Buffer.alloc(Math.min(BATCH_HEADER_BYTES, end - position));
  await readFully(file, header, position);
  if (isZero(header.subarray(-8))) return true;
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
      if (piece.length >= MIN_HOLE_BYTES && isZero(piece)) return true;
      at = pieceEnd;
    }
    start = stop;
  }
  // Or to the end of the write, which may be that of the batch.
  const last = Buffer.alloc(Math.min(MIN_HOLE_BYTES, batchEnd - position));
  await readFully(file, last, batchEnd - last.length);
  return isZero(last);
}

function sectorAfter(position: number): number {
  return (Math.floor(position / SECTOR_BYTES) + 1) * SECTOR_BYTES;
}

function isZero(bytes: Buffer): boolean {
  return bytes.length > 0 && bytes.every((byte) => byte === 0);
}
