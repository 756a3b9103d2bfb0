import * as fs from "node:fs";
import type { DiskAction } from "../disk-error.ts";
import type { Disk, DiskEntry, DiskFile, DiskLock, OpenMode } from "../disk.ts";
import { errnoOf, wrapDiskError } from "./node-errors.ts";
import { NodeFile } from "./node-file.ts";
import { acquireLockFile } from "./node-lock.ts";

const { O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_RDWR } = fs.constants;

// Never O_APPEND: Linux then ignores the position of a write.
const OPEN_FLAGS: Readonly<Record<OpenMode, number>> = {
  read: O_RDONLY,
  write: O_RDWR,
  create: O_RDWR | O_CREAT,
  createNew: O_RDWR | O_CREAT | O_EXCL,
};

/** Files hold users' records: their owner writes, the group may read for backups, others see nothing. */
const FILE_MODE = 0o640;
const DIRECTORY_MODE = 0o750;

/** The machine's file system through `node:fs`. */
export class NodeDisk implements Disk {
  open(path: string, mode: OpenMode): Promise<DiskFile> {
    const action = mode === "read" || mode === "write" ? "read" : "write";
    return new Promise((resolve, reject) => {
      fs.open(path, OPEN_FLAGS[mode], FILE_MODE, (error, descriptor) => {
        if (error === null) resolve(new NodeFile(path, descriptor));
        else reject(wrapDiskError(action, path, "open", error));
      });
    });
  }

  async stat(
    path: string,
  ): Promise<{ readonly sizeBytes: number; readonly isDirectory: boolean } | undefined> {
    try {
      const stats = await fs.promises.stat(path);
      return { sizeBytes: stats.size, isDirectory: stats.isDirectory() };
    } catch (error: unknown) {
      if (isMissing(error)) return undefined;
      throw wrapDiskError("read", path, "stat", error);
    }
  }

  async list(path: string): Promise<readonly DiskEntry[]> {
    const entries = await attempt("read", path, "readdir", () =>
      fs.promises.readdir(path, { withFileTypes: true }),
    );
    return entries
      .map((entry) => ({ name: entry.name, isDirectory: entry.isDirectory() }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async makeDir(path: string): Promise<void> {
    await attempt("write", path, "mkdir", () =>
      fs.promises.mkdir(path, { recursive: true, mode: DIRECTORY_MODE }),
    );
  }

  async rename(from: string, to: string): Promise<void> {
    await attempt("write", from, "rename", () => fs.promises.rename(from, to));
  }

  async remove(path: string): Promise<void> {
    try {
      await fs.promises.unlink(path);
    } catch (error: unknown) {
      if (!isMissing(error)) throw wrapDiskError("write", path, "unlink", error);
    }
  }

  async removeDir(path: string): Promise<void> {
    await attempt("write", path, "rm", () => fs.promises.rm(path, { recursive: true, force: true }));
  }

  async syncDir(path: string): Promise<void> {
    const handle = await attempt("read", path, "open", () => fs.promises.open(path, O_RDONLY | O_DIRECTORY));
    try {
      await attempt("sync", path, "fsync", () => handle.sync());
    } finally {
      await handle.close();
    }
  }

  async freeBytes(path: string): Promise<number> {
    const stats = await attempt("read", path, "statfs", () => fs.promises.statfs(path));
    return stats.bavail * stats.bsize;
  }

  lock(path: string, owner: string): Promise<DiskLock> {
    return acquireLockFile(path, owner);
  }
}

async function attempt<T>(
  action: DiskAction,
  path: string,
  syscall: string,
  call: () => Promise<T>,
): Promise<T> {
  try {
    return await call();
  } catch (error: unknown) {
    throw wrapDiskError(action, path, syscall, error);
  }
}

function isMissing(error: unknown): boolean {
  const errno = errnoOf(error);
  return errno === "ENOENT" || errno === "ENOTDIR";
}
