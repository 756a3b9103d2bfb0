import * as fs from "node:fs/promises";
import { crc32c } from "../../base/crc32c.ts";
import { errorMessage, operationError } from "../../base/errors.ts";

/*
 * The write-ahead log of LevelDB (leveldb/doc/log_format.md): blocks of 32 KiB, each filled with
 *
 *    4 bytes   CRC-32C of type and data, masked: rotated right by 15, plus a constant
 *    2 bytes   length of the data, little-endian
 *    1 byte    type: 1 a whole record, 2 its first part, 3 a middle one, 4 the last one
 *    n bytes   data
 *
 * and, where fewer than 7 bytes are left, zeros.
 */
const BLOCK_BYTES = 32_768;
const HEADER_BYTES = 7;
const FULL = 1;
const FIRST = 2;
const LAST = 4;
const MASK_DELTA = 0xa282_ead8;

/**
 * Looks at the logs of a store before LevelDB does, for it drops what it cannot read, keeps the rest, and deletes the
 * file. The torn end that a crash leaves is left to it; damage with intact records behind it is not (H16, H46).
 * @throws LograftError METADATA_CORRUPT naming file and position; DISK_READ_FAILED.
 */
export async function refuseDamagedLogs(directory: string): Promise<void> {
  for (const name of (await fs.readdir(directory)).sort()) {
    if (!/^\d+\.log$/.test(name)) continue;
    const path = `${directory}/${name}`;
    const position = findDamage(await readLog(path));
    if (position === undefined) continue;
    throw operationError(
      "METADATA_CORRUPT",
      `the metadata cannot be trusted: ${path} is damaged at byte ${position} and has intact records behind it`,
      { context: { path, position } },
    );
  }
}

/** Where the log is damaged although a record begins behind it; undefined when it is sound up to a torn end. */
export function findDamage(log: Buffer): number | undefined {
  let at = 0;
  while (at < log.length) {
    const type = typeAt(log, at);
    if (type === undefined) return hasRecordBehind(log, at) ? at : undefined;
    at = type === 0 ? endOfBlock(at) : at + HEADER_BYTES + log.readUInt16LE(at + 4);
  }
  return undefined;
}

/**
 * A write is one record and the last one alone may be unsynced, in any part of it. So parts that go on with a record
 * prove nothing, but one that begins a record does.
 */
function hasRecordBehind(log: Buffer, damagedAt: number): boolean {
  // In the damaged block the lengths are no guide, in those behind it the block's beginning is one.
  const end = Math.min(endOfBlock(damagedAt), log.length);
  for (let at = damagedAt + 1; at < end; at++) if (isBeginning(typeAt(log, at))) return true;
  for (let at = endOfBlock(damagedAt); at < log.length;) {
    const type = typeAt(log, at);
    if (isBeginning(type)) return true;
    const isPart = type !== undefined && type !== 0;
    at = isPart ? at + HEADER_BYTES + log.readUInt16LE(at + 4) : endOfBlock(at);
  }
  return false;
}

function isBeginning(type: number | undefined): boolean {
  return type === FULL || type === FIRST;
}

/** The type of the intact part that begins here; 0 for the padding of a block; undefined for anything else. */
function typeAt(log: Buffer, at: number): number | undefined {
  const left = Math.min(endOfBlock(at), log.length) - at;
  if (endOfBlock(at) - at < HEADER_BYTES) return 0;
  if (left < HEADER_BYTES) return undefined;
  const type = log[at + 6] ?? 0;
  const length = log.readUInt16LE(at + 4);
  if (type < FULL || type > LAST || HEADER_BYTES + length > left) return undefined;
  const crc = crc32c(log.subarray(at + 6, at + HEADER_BYTES + length));
  const masked = (((crc >>> 15) | (crc << 17)) + MASK_DELTA) >>> 0;
  return masked === log.readUInt32LE(at) ? type : undefined;
}

function endOfBlock(at: number): number {
  return at - (at % BLOCK_BYTES) + BLOCK_BYTES;
}

async function readLog(path: string): Promise<Buffer> {
  try {
    return await fs.readFile(path);
  } catch (error: unknown) {
    throw operationError("DISK_READ_FAILED", `cannot read ${path}: ${errorMessage(error)}`, {
      context: { path },
      cause: error,
    });
  }
}
