import { printable } from "../record-text.ts";

const LEVELS: ReadonlyMap<number, string> = new Map([
  [20, "debug"],
  [30, "info"],
  [40, "warn"],
  [50, "error"],
]);
const WARN = 40;

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
  const number = typeof level === "number" ? level : WARN;
  const at = typeof time === "number" ? new Date(time).toISOString() : "";
  const rest = Object.entries(fields).map(([key, value]) => `${key}=${asText(value)}`);
  const words = [at, LEVELS.get(number) ?? String(number), asText(msg ?? ""), ...rest];
  return { text: printable(words.filter((word) => word !== "").join(" ")), isWarning: number >= WARN };
}

function asText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function parseObject(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
