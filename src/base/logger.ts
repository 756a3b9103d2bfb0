import type { LogComponent } from "./log-levels.ts";

/** Structured fields of a log line. An error goes into `err`, as it is. */
export type LogFields = Readonly<Record<string, unknown>>;

/** One line per state change, never one per record. Implementations must not throw and must not block. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger that adds these fields to each of its lines. `component` also says whose level it obeys. */
  child(fields: LogFields): Logger;
}

/** Drops everything: for tests and for the SDK when its user gave no logger. */
export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLogger,
};

/** The logger of a part of the broker, which obeys the level of that part. */
export function componentLogger(logger: Logger, component: LogComponent): Logger {
  return logger.child({ component });
}
