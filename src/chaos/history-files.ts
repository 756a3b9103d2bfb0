import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { errorMessage } from "../base/errors.ts";
import { History } from "../history/history.ts";
import { ProtocolError } from "../model/error-code.ts";

const ENDING = ".ndjson";

/** A history that was read, and what was passed over on the way. */
export interface ReadHistory {
  readonly history: History;
  /** Files whose last line was cut off, as a killed client leaves it; that line is not part of the history. */
  readonly torn: readonly string[];
}

/**
 * Reads history files line by line; a directory stands for all its *.ndjson files.
 * @throws ProtocolError RESOURCE_NOT_FOUND; LograftError INVALID_ARGUMENT for a line that is none, with its place.
 */
export async function readHistory(paths: readonly string[], signal: AbortSignal): Promise<ReadHistory> {
  const history = new History();
  const torn: string[] = [];
  for (const file of await filesOf(paths)) {
    signal.throwIfAborted();
    if (await readFile(history, file, signal)) torn.push(file);
  }
  return { history, torn };
}

async function filesOf(paths: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  for (const path of paths) {
    let isDirectory: boolean;
    try {
      isDirectory = (await stat(path)).isDirectory();
    } catch (error: unknown) {
      throw new ProtocolError("RESOURCE_NOT_FOUND", `${path}: cannot be read: ${errorMessage(error)}`, {
        cause: error,
      });
    }
    if (!isDirectory) {
      files.push(path);
      continue;
    }
    const names = (await readdir(path)).filter((name) => name.endsWith(ENDING)).toSorted();
    if (names.length === 0) {
      throw new ProtocolError(
        "RESOURCE_NOT_FOUND",
        `${path}: holds no ${ENDING} file; name the files of a run`,
      );
    }
    files.push(...names.map((name) => join(path, name)));
  }
  return files;
}

/** True when the last line was torn. A line before it that is none is an error, whatever comes after. */
async function readFile(history: History, file: string, signal: AbortSignal): Promise<boolean> {
  let lastByte = 0;
  const stream = createReadStream(file, { signal });
  stream.on("data", (piece) => {
    lastByte = typeof piece === "string" ? 0 : (piece.at(-1) ?? lastByte);
  });
  // One line is held back: only the end of the file tells whether it is whole.
  let held: string | undefined;
  let line = 0;
  for await (const text of createInterface({ input: stream, crlfDelay: Infinity })) {
    if (held !== undefined) history.addText(held, { file, line });
    line++;
    held = text;
  }
  if (held === undefined) return false;
  const isWhole = lastByte === 0x0a || isJson(held);
  if (isWhole) history.addText(held, { file, line });
  return !isWhole;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    // Cut off in the middle.
    return false;
  }
}
