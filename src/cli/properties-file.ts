import { operationError } from "../base/errors.ts";

/** A setting with the line it stands in. */
export interface FileSetting {
  readonly key: string;
  readonly value: string;
  /** "path:line". */
  readonly origin: string;
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
]);

/**
 * Java properties as server.properties files use them: `key=value` or `key: value`, `#` and `!` comments, a backslash at
 * the end of a line joins it with the next, and before another character means that character.
 * @throws LograftError CONFIG_INVALID naming the line.
 */
export function readProperties(path: string, text: string): readonly FileSetting[] {
  const settings: FileSetting[] = [];
  const lines = text.split(/\r?\n/);
  for (let i = 0; i < lines.length; i++) {
    const origin = `${path}:${i + 1}`;
    // A byte order mark counts as white space.
    let line = (lines[i] ?? "").trimStart();
    if (line === "" || line.startsWith("#") || line.startsWith("!")) continue;
    while (goesOn(line)) {
      i++;
      line = line.slice(0, -1) + (lines[i] ?? "").trimStart();
    }
    const match = /^((?:\\.|[^\\=:\s])+)\s*[=:]\s*(.*)$/.exec(line);
    if (match === null) {
      throw operationError(
        "CONFIG_INVALID",
        `${origin}: ${JSON.stringify(line.slice(0, 60))} is not a setting; write it as key=value`,
      );
    }
    settings.push({ key: unescaped(match[1] ?? ""), value: unescaped((match[2] ?? "").trimEnd()), origin });
  }
  return settings;
}

/** An odd number of backslashes at the end: the last one is not itself escaped. */
function goesOn(line: string): boolean {
  const end = /\\+$/.exec(line);
  return end !== null && end[0].length % 2 === 1;
}

function unescaped(text: string): string {
  return text.replace(/\\(u[0-9a-fA-F]{4}|.)/g, (_match, what: string) => {
    if (what.length > 1) return String.fromCharCode(Number.parseInt(what.slice(1), 16));
    return ESCAPES.get(what) ?? what;
  });
}
