import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/* Everything under scripts/ that runs before the installation is plain JavaScript for Node 20, without dependencies. */

/** The folder that holds package.json. */
export const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

/** An absolute path inside the project. */
export function inProject(...parts) {
  return join(root, ...parts);
}

/** The code that is formatted and linted, as paths relative to the project. */
export function codePaths() {
  const all = ["src", "test", "bench", "scripts", "examples", "vitest.config.ts"];
  return all.filter((path) => existsSync(inProject(path)));
}

/** The arguments that make the linter a check: with types, a warning is a failure, one line for each problem. */
export const lintOptions = ["--type-aware", "--deny-warnings", "--format=unix"];

/** A file's text, or undefined when it cannot be read. */
export function readIfThere(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** A file's JSON value, or undefined when it is missing or is not JSON. */
export function readJson(path) {
  const text = readIfThere(path);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Short digest of texts, with their borders. */
export function digest(...texts) {
  const hash = createHash("sha256");
  for (const text of texts) hash.update(`${text.length}:`).update(text);
  return hash.digest("hex").slice(0, 32);
}

/** Every file below a folder as [path relative to the project, stat], in name order; a missing folder has none. */
export function listFiles(folder) {
  const found = [];
  const walk = (relative) => {
    let entries;
    try {
      entries = readdirSync(inProject(relative), { withFileTypes: true });
    } catch (error) {
      if (error.code === "ENOENT") return;
      throw error;
    }
    entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries) {
      const path = `${relative}/${entry.name}`;
      if (entry.isDirectory()) walk(path);
      else if (entry.isFile()) found.push([path, statSync(inProject(path))]);
    }
  };
  walk(folder);
  return found;
}

/** A failure with a text for people: printed without a stack. */
export class SetupError extends Error {}

/** One line of progress; on stderr, so that stdout stays the target's own. */
export function say(text) {
  process.stderr.write(`lograft: ${text}\n`);
}
