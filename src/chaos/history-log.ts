import type { WriteStream } from "node:fs";
import { createWriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { finished } from "node:stream/promises";
import type { HistoryLine } from "../history/history-line.ts";
import { HistoryWriter } from "../history/history-writer.ts";
import { formatHistoryLine } from "../history/parse-line.ts";
import { nowNs } from "./monotonic-time.ts";

/** Lines are brought to the file system at least so often. */
const FLUSH_MS = 100;

interface OpenFile {
  readonly stream: WriteStream;
  pending: string[];
}

/** The history of a run in a directory: one file for each process of the clients, and one for what the harness does. */
export class HistoryLog implements AsyncDisposable {
  readonly directory: string;
  readonly #files = new Map<string, OpenFile>();
  readonly #timer: NodeJS.Timeout;
  #nextProcess = 1;

  private constructor(directory: string) {
    this.directory = directory;
    this.#timer = setInterval(() => this.#flush(), FLUSH_MS);
  }

  static async create(directory: string): Promise<HistoryLog> {
    await mkdir(directory, { recursive: true });
    return new HistoryLog(directory);
  }

  /** A process that was never there before. */
  newProcess(): HistoryWriter {
    const number = this.#nextProcess++;
    const file = this.#file(processName(number));
    const write = (line: string): void => {
      file.pending.push(line);
    };
    return new HistoryWriter({ process: number }, { write, nowNs });
  }

  /** A process that writes its lines itself, and the file that it is to write them to. */
  reserveProcess(): { readonly process: number; readonly path: string } {
    const process = this.#nextProcess++;
    return { process, path: join(this.directory, `${processName(process)}.ndjson`) };
  }

  /** A line of the harness itself. */
  note(line: HistoryLine): void {
    this.#file("harness").pending.push(formatHistoryLine(line));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#flush();
    for (const { stream } of this.#files.values()) {
      stream.end();
      await finished(stream);
    }
    this.#files.clear();
  }

  #file(name: string): OpenFile {
    const known = this.#files.get(name);
    if (known !== undefined) return known;
    const file = { stream: createWriteStream(join(this.directory, `${name}.ndjson`)), pending: [] };
    this.#files.set(name, file);
    return file;
  }

  #flush(): void {
    for (const file of this.#files.values()) {
      if (file.pending.length === 0) continue;
      file.stream.write(file.pending.join(""));
      file.pending = [];
    }
  }
}

function processName(number: number): string {
  return `process-${String(number).padStart(4, "0")}`;
}
