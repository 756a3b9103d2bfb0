import { LograftError } from "../base/errors.ts";
import { writeFully } from "../platform/disk.ts";
import type { Disk } from "../platform/disk.ts";

const CHUNK_BYTES = 1024 * 1024;
/** The reserve takes at most half of what is free. */
const MIN_FREE_FACTOR = 2;

/**
 * A file of zeros that keeps room on the data's disk. When records have filled the disk it is given up for the metadata
 * that makes room again, such as the removal of a topic. Only a help: a disk without it works, but to the brim
 * (H53).
 */
export class DiskReserve {
  readonly #directory: string;
  readonly #path: string;
  readonly #sizeBytes: number;
  readonly #disk: Disk;

  /** @param options.sizeBytes 0: no reserve is kept. */
  constructor(
    options: { readonly directory: string; readonly sizeBytes: number },
    deps: { readonly disk: Disk },
  ) {
    this.#directory = options.directory;
    this.#path = `${options.directory}/reserve`;
    this.#sizeBytes = options.sizeBytes;
    this.#disk = deps.disk;
  }

  /** Makes the reserve, if the disk has room for it and it is not there whole (a kill may have cut its writing short). Never rejects: without room there is none. */
  async keep(): Promise<void> {
    try {
      if (this.#sizeBytes === 0 || (await this.isKept())) return;
      if ((await this.#disk.freeBytes(this.#directory)) < MIN_FREE_FACTOR * this.#sizeBytes) return;
      await this.#write();
    } catch (error: unknown) {
      if (!(error instanceof LograftError)) throw error;
      await this.release();
    }
  }

  /** Whether the reserve is there whole. */
  async isKept(): Promise<boolean> {
    try {
      return this.#sizeBytes > 0 && (await this.#disk.stat(this.#path))?.sizeBytes === this.#sizeBytes;
    } catch (error: unknown) {
      if (!(error instanceof LograftError)) throw error;
      return false;
    }
  }

  /** Gives the room back. False: there was none to give. */
  async release(): Promise<boolean> {
    try {
      if (this.#sizeBytes === 0 || (await this.#disk.stat(this.#path)) === undefined) return false;
      await this.#disk.remove(this.#path);
      return true;
    } catch (error: unknown) {
      if (!(error instanceof LograftError)) throw error;
      return false;
    }
  }

  async #write(): Promise<void> {
    const file = await this.#disk.open(this.#path, "create");
    try {
      await file.truncate(0);
      const zeros = new Uint8Array(Math.min(CHUNK_BYTES, this.#sizeBytes));
      for (let at = 0; at < this.#sizeBytes; at += zeros.length) {
        await writeFully(file, [zeros.subarray(0, Math.min(zeros.length, this.#sizeBytes - at))], at);
      }
    } finally {
      await file.close();
    }
  }
}
