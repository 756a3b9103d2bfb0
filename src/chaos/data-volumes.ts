import { execFile, spawnSync } from "node:child_process";
import { mkdir, open, rm, statfs, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { errorMessage } from "../base/errors.ts";

const run = promisify(execFile);
const BALLAST = "ballast";
const FILL_CHUNK_BYTES = 64 * 1024;

/** A small file system of its own for one broker, which can be filled to the last block. */
export class DataVolume {
  readonly #mountPoint: string;

  constructor(mountPoint: string) {
    this.#mountPoint = mountPoint;
  }

  /** Where the broker puts its data. */
  get dataDirectory(): string {
    return join(this.#mountPoint, "data");
  }

  get mountPoint(): string {
    return this.#mountPoint;
  }

  /** Takes all the space there is. Answers how many bytes are left. */
  async fill(): Promise<number> {
    const path = join(this.#mountPoint, BALLAST);
    const free = await this.#freeBytes();
    // Most of it without a byte written: the disk under this one is for others, too.
    await run("fallocate", ["-l", String(Math.max(1, free)), path]).catch(() => undefined);
    await using file = await open(path, "a");
    const chunk = Buffer.alloc(FILL_CHUNK_BYTES);
    for (let sizeBytes = chunk.length; sizeBytes >= 1024;) {
      try {
        await file.write(chunk, 0, sizeBytes);
      } catch {
        // Full for pieces of this size.
        sizeBytes /= 2;
      }
    }
    await file.sync().catch(() => undefined);
    return await this.#freeBytes();
  }

  /** Gives the space back. */
  async empty(): Promise<void> {
    await rm(join(this.#mountPoint, BALLAST), { force: true });
  }

  async #freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.#mountPoint);
    return bavail * bsize;
  }
}

/** One volume for each broker: images in a directory, mounted through loop devices. Unmounted when disposed. */
export class DataVolumes implements AsyncDisposable {
  readonly #volumes = new Map<number, DataVolume>();
  readonly #unmountNow = (): void => {
    for (const { mountPoint } of this.#volumes.values()) spawnSync("umount", ["-l", mountPoint]);
  };

  private constructor() {
    process.once("exit", this.#unmountNow);
  }

  /** @returns the volumes, or why there can be none here: no right to mount, no loop device, no mkfs.ext4. */
  static async mount(options: {
    readonly directory: string;
    readonly nodeIds: readonly number[];
    readonly sizeBytes: number;
  }): Promise<DataVolumes | { readonly missing: string }> {
    const volumes = new DataVolumes();
    try {
      for (const nodeId of options.nodeIds) {
        const image = join(options.directory, `disk-${nodeId}.ext4`);
        const mountPoint = join(options.directory, `disk-${nodeId}`);
        await mkdir(mountPoint, { recursive: true });
        await writeFile(image, "");
        await truncate(image, options.sizeBytes);
        await run("mkfs.ext4", ["-q", "-m", "0", image]);
        await run("mount", ["-o", "loop", image, mountPoint]);
        volumes.#volumes.set(nodeId, new DataVolume(mountPoint));
      }
      return volumes;
    } catch (error: unknown) {
      await volumes[Symbol.asyncDispose]();
      const [line = ""] = errorMessage(error).trim().split("\n").slice(-1);
      return { missing: line };
    }
  }

  of(nodeId: number): DataVolume | undefined {
    return this.#volumes.get(nodeId);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    process.off("exit", this.#unmountNow);
    for (const { mountPoint } of this.#volumes.values()) {
      // Lazily where something still looks at it: it goes with the last who does.
      await run("umount", [mountPoint]).catch(async () => run("umount", ["-l", mountPoint]));
    }
    this.#volumes.clear();
  }
}
