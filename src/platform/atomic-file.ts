import { operationError } from "../base/errors.ts";
import { readFully, writeFully } from "./disk.ts";
import type { Disk } from "./disk.ts";

/** Small files are read whole; one that is larger than this is not one of ours. */
const MAX_FILE_BYTES = 256 * 1024 * 1024;
const TEMPORARY_SUFFIX = ".tmp";

/**
 * Replaces a small file so that after a crash at any point the old or the new content is there, whole (H49): a temporary
 * file beside it, synced, renamed over it, and the directory synced. One writer for a path at a time.
 * @throws LograftError DISK_WRITE_FAILED, DISK_FULL, DISK_SYNC_FAILED; the old content then still stands, except that
 * after a failed sync of the directory either may.
 */
export async function writeAtomically(disk: Disk, path: string, bytes: Uint8Array): Promise<void> {
  const temporary = path + TEMPORARY_SUFFIX;
  const file = await disk.open(temporary, "create");
  try {
    // A crash may have left a longer one.
    await file.truncate(0);
    await writeFully(file, [bytes], 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(temporary, path);
  await disk.syncDir(parentOf(path));
}

/** Whether a name is that of a temporary file that a crash left behind: to be removed. */
export function isTemporaryName(name: string): boolean {
  return name.endsWith(TEMPORARY_SUFFIX);
}

/**
 * The whole content, or undefined when there is no such file.
 * @throws LograftError DISK_READ_FAILED; METADATA_CORRUPT when it is larger than any file of this kind (256 MiB).
 */
export async function readIfPresent(disk: Disk, path: string): Promise<Buffer | undefined> {
  const stat = await disk.stat(path);
  if (stat === undefined) return undefined;
  if (stat.sizeBytes > MAX_FILE_BYTES) {
    throw operationError(
      "METADATA_CORRUPT",
      `${path} has ${stat.sizeBytes} bytes; at most ${MAX_FILE_BYTES} are read`,
      {
        context: { path, sizeBytes: stat.sizeBytes },
      },
    );
  }
  const file = await disk.open(path, "read");
  try {
    const bytes = Buffer.alloc(stat.sizeBytes);
    const count = await readFully(file, bytes, 0);
    return bytes.subarray(0, count);
  } finally {
    await file.close();
  }
}

/** The directory a path is in, by its text. */
export function parentOf(path: string): string {
  const separator = path.lastIndexOf("/");
  if (separator < 0) return ".";
  return separator === 0 ? "/" : path.slice(0, separator);
}
