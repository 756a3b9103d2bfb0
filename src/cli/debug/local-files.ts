import { open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";

/** Enough to see what happened, small enough to be sent. */
const MAX_LOG_BYTES = 1024 * 1024;
const MAX_LISTED = 20_000;

/**
 * The files below a directory, a line each: size in bytes, time of the last change, path. Never a byte of what is in them.
 * What cannot be looked at is told in its place.
 */
export async function listFiles(directory: string): Promise<string> {
  const lines: string[] = [];
  const left = [""];
  for (let at = left.pop(); at !== undefined && lines.length < MAX_LISTED; at = left.pop()) {
    try {
      const entries = await readdir(join(directory, at), { withFileTypes: true });
      entries.sort((a, b) => (a.name < b.name ? -1 : 1));
      for (const entry of entries) {
        const path = at === "" ? entry.name : `${at}/${entry.name}`;
        if (entry.isDirectory()) left.push(path);
        else lines.push(await fileLine(directory, path));
      }
    } catch (error: unknown) {
      lines.push(`? ? ${at === "" ? "." : at}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  if (lines.length >= MAX_LISTED) lines.push(`... and more: the first ${MAX_LISTED} are listed`);
  return `${lines.join("\n")}\n`;
}

async function fileLine(directory: string, path: string): Promise<string> {
  const { size, mtime } = await stat(join(directory, path));
  return `${size} ${mtime.toISOString()} ${path}`;
}

/** The last whole lines of a text file, at most 1 MiB of them. @throws what the file system throws. */
export async function lastLines(path: string): Promise<string> {
  await using file = await open(path, "r");
  const { size } = await file.stat();
  const from = Math.max(0, size - MAX_LOG_BYTES);
  const buffer = Buffer.alloc(size - from);
  let filled = 0;
  while (filled < buffer.byteLength) {
    const { bytesRead } = await file.read(buffer, filled, buffer.byteLength - filled, from + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  const text = buffer.toString("utf8", 0, filled);
  return from === 0 ? text : text.slice(text.indexOf("\n") + 1);
}
