import type { Disk, DiskEntry, DiskFile, DiskLock, OpenMode } from "../platform/disk.ts";

/** A disk that tells how many bytes are read from it, for a progress bar. */
export class CountingDisk implements Disk {
  readonly #disk: Disk;
  readonly #onRead: (bytes: number) => void;

  constructor(disk: Disk, onRead: (bytes: number) => void) {
    this.#disk = disk;
    this.#onRead = onRead;
  }

  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    return new CountingFile(await this.#disk.open(path, mode), this.#onRead);
  }

  stat(path: string): Promise<{ readonly sizeBytes: number; readonly isDirectory: boolean } | undefined> {
    return this.#disk.stat(path);
  }

  list(path: string): Promise<readonly DiskEntry[]> {
    return this.#disk.list(path);
  }

  makeDir(path: string): Promise<void> {
    return this.#disk.makeDir(path);
  }

  rename(from: string, to: string): Promise<void> {
    return this.#disk.rename(from, to);
  }

  remove(path: string): Promise<void> {
    return this.#disk.remove(path);
  }

  removeDir(path: string): Promise<void> {
    return this.#disk.removeDir(path);
  }

  syncDir(path: string): Promise<void> {
    return this.#disk.syncDir(path);
  }

  freeBytes(path: string): Promise<number> {
    return this.#disk.freeBytes(path);
  }

  lock(path: string, owner: string): Promise<DiskLock> {
    return this.#disk.lock(path, owner);
  }
}

class CountingFile implements DiskFile {
  readonly path: string;
  readonly #file: DiskFile;
  readonly #onRead: (bytes: number) => void;

  constructor(file: DiskFile, onRead: (bytes: number) => void) {
    this.path = file.path;
    this.#file = file;
    this.#onRead = onRead;
  }

  write(chunks: readonly Uint8Array[], position: number): Promise<number> {
    return this.#file.write(chunks, position);
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    const count = await this.#file.read(target, position);
    this.#onRead(count);
    return count;
  }

  truncate(sizeBytes: number): Promise<void> {
    return this.#file.truncate(sizeBytes);
  }

  sync(): Promise<void> {
    return this.#file.sync();
  }

  sizeBytes(): Promise<number> {
    return this.#file.sizeBytes();
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
