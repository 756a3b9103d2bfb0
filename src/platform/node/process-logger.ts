import { destination, pino, stdTimeFunctions } from "pino";
import { LOG_LEVELS } from "../../base/log-levels.ts";
import type { LogLevel } from "../../base/log-levels.ts";
import type { LogFields, Logger } from "../../base/logger.ts";
import { LograftError } from "../../base/errors.ts";

/** How a process writes its log. */
export interface ProcessLoggerOptions {
  /** One JSON object a line; otherwise short lines for people. */
  readonly isJson: boolean;
  /** Where to. Default: stderr, of which JSON is written without waiting, up to a bound, and flushed as the process ends. */
  readonly write?: (line: string) => void;
}

/** Lines that a reader which stands still may leave here; more are dropped, for a log must not stop a broker. */
const MAX_UNWRITTEN_BYTES = 8 * 1024 * 1024;
const STDERR = 2;

/** Names of fields whose values are nobody's business. */
const SECRET = /password|passwd|secret|token|credential|authorization|private.?key/i;
const REDACTED = "[redacted]";
/** Deeper objects are shown as they are: lines have no deeper ones. */
const REDACTED_DEPTH = 3;

/** The log of this process, with every line that it is given: levels are the caller's (`LeveledLogger`). */
export function processLogger(options: ProcessLoggerOptions): Logger {
  return options.isJson ? jsonLogger(options.write) : textLogger(options.write, {});
}

function jsonLogger(write: ((line: string) => void) | undefined): Logger {
  return wrapPino(
    pino(
      {
        level: "debug",
        base: null,
        timestamp: stdTimeFunctions.isoTime,
        formatters: { level: (label) => ({ level: label }), log: redacted },
        serializers: { err: errorFields },
      },
      write === undefined
        ? destination({ dest: STDERR, sync: false, maxLength: MAX_UNWRITTEN_BYTES })
        : { write },
    ),
  );
}

function wrapPino(log: ReturnType<typeof pino>): Logger {
  return {
    debug: (message, fields) => log.debug(fields ?? {}, message),
    info: (message, fields) => log.info(fields ?? {}, message),
    warn: (message, fields) => log.warn(fields ?? {}, message),
    error: (message, fields) => log.error(fields ?? {}, message),
    child: (fields) => wrapPino(log.child({ ...fields })),
  };
}

function textLogger(write: ((line: string) => void) | undefined, bound: LogFields): Logger {
  const print =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}): void => {
      const { component, ...rest } = redacted({ ...bound, ...fields });
      const from = typeof component === "string" ? ` ${component}:` : "";
      const shown = Object.entries(rest)
        // Whose log it is goes without saying where one reads along.
        .filter(([key, value]) => value !== undefined && key !== "nodeId")
        .map(([key, value]) => `${key}=${textOf(value)}`);
      const line = `${new Date().toISOString()} ${level}${from} ${[message, ...shown].join(" ")}\n`;
      if (write === undefined) process.stderr.write(line);
      else write(line);
    };
  const [debug, info, warn, error] = LOG_LEVELS;
  return {
    debug: print(debug),
    info: print(info),
    warn: print(warn),
    error: print(error),
    child: (fields) => textLogger(write, { ...bound, ...fields }),
  };
}

/** The fields without what no log may hold. */
function redacted(fields: Readonly<Record<string, unknown>>, depth = 1): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (SECRET.test(name)) out[name] = REDACTED;
    else out[name] = isPlain(value) && depth < REDACTED_DEPTH ? redacted(value, depth + 1) : value;
  }
  return out;
}

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** An error of ours says all in its text; of others, which may be bugs, the stack is needed. */
function errorFields(error: unknown): unknown {
  if (!(error instanceof Error)) return { message: String(error) };
  const { name, message } = error;
  if (error instanceof LograftError) return { type: name, code: String(error.code), message };
  const code: unknown = "code" in error ? error.code : undefined;
  return { type: name, ...(typeof code === "string" ? { code } : {}), message, stack: error.stack };
}

function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  return value instanceof Error ? value.message : JSON.stringify(value);
}
