import { open } from "node:fs/promises";

const READ_BYTES = 64 * 1024;
/** A line of a log is cut here: a file without line ends must not fill the memory. */
const MAX_LINE_BYTES = 64 * 1024;

/** Reads a growing file line by line from a position on. Nothing is watched: whoever wants to know calls `read`. */
export class LogTail {
  readonly #path: string;
  #position: number;
  #rest = Buffer.alloc(0);

  /** @param position first byte to read. */
  constructor(path: string, position: number) {
    this.#path = path;
    this.#position = position;
  }

  /** The whole lines that came since the last time, at most 64 KiB of them; none when the file is not there. */
  async read(): Promise<string[]> {
    const bytes = await this.#readOn();
    if (bytes.byteLength === 0) return [];
    const all = Buffer.concat([this.#rest, bytes]);
    const lastEnd = all.lastIndexOf(0x0a);
    const isTooLong = lastEnd < 0 && all.byteLength > MAX_LINE_BYTES;
    const end = isTooLong ? all.byteLength : lastEnd + 1;
    this.#rest = Buffer.from(all.subarray(end));
    if (end === 0) return [];
    const lines = all.toString("utf8", 0, end).split("\n");
    return lines.at(-1) === "" ? lines.slice(0, -1) : lines;
  }

  async #readOn(): Promise<Buffer> {
    let file;
    try {
      file = await open(this.#path, "r");
    } catch {
      return Buffer.alloc(0);
    }
    try {
      const { size } = await file.stat();
      // A log that somebody emptied begins anew.
      if (size < this.#position) this.#position = 0;
      const { bytesRead, buffer } = await file.read({
        buffer: Buffer.alloc(Math.min(READ_BYTES, size - this.#position)),
        position: this.#position,
      });
      this.#position += bytesRead;
      return buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  }
}
