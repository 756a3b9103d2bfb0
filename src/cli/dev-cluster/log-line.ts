import { printable } from "../record-text.ts";

const QUIET: ReadonlySet<unknown> = new Set(["debug", "info"]);

/** A line of a broker's log, for people. */
export interface LogLine {
  /** "2026-01-31T12:00:00.000Z warn text key=value"; a line that is no log entry, such as a stack, as it is. */
  readonly text: string;
  /** Somebody should look at it: a warning, an error, or what a dying process printed. */
  readonly isWarning: boolean;
}

/** Reads one line of a log that was written with --json. */
export function readLogLine(line: string): LogLine {
  const entry = line.startsWith("{") ? parseObject(line) : undefined;
  if (entry === undefined) return { text: printable(line), isWarning: line.trim() !== "" };
  const { level, time, msg, ...fields } = entry;
  const rest = Object.entries(fields).map(([key, value]) => `${key}=${asText(value)}`);
  const words = [asText(time ?? ""), asText(level ?? ""), asText(msg ?? ""), ...rest];
  return { text: printable(words.filter((word) => word !== "").join(" ")), isWarning: !QUIET.has(level) };
}

/** Of an error the text, or the stack where there is one: that is a bug. */
function asText(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value !== "object" || value === null || !("message" in value)) return JSON.stringify(value);
  return String("stack" in value ? value.stack : value.message);
}

function parseObject(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
