import { isLogComponent, rankOf } from "./log-levels.ts";
import type { LevelCell, LogComponent, LogLevels } from "./log-levels.ts";
import type { LogFields, Logger } from "./logger.ts";

const RANKS = {
  debug: rankOf("debug"),
  info: rankOf("info"),
  warn: rankOf("warn"),
  error: rankOf("error"),
} as const;

/** Whose lines they are, and what stands in each of them. */
export interface LeveledLoggerOptions {
  readonly component: LogComponent;
  readonly fields?: LogFields;
}

/**
 * Hands on the lines of a component that its level lets through, with the fields that are bound to it. The level may change
 * at any time, under children that were made before. The sink gets every field with the line: nothing is bound to it.
 */
export class LeveledLogger implements Logger {
  readonly #component: LogComponent;
  readonly #fields: LogFields;
  readonly #sink: Logger;
  readonly #levels: LogLevels;
  readonly #cell: LevelCell;

  constructor(options: LeveledLoggerOptions, deps: { readonly sink: Logger; readonly levels: LogLevels }) {
    this.#component = options.component;
    this.#fields = { component: options.component, ...options.fields };
    this.#sink = deps.sink;
    this.#levels = deps.levels;
    this.#cell = deps.levels.cellOf(options.component);
  }

  debug(message: string, fields?: LogFields): void {
    if (this.#cell.rank <= RANKS.debug) this.#sink.debug(message, this.#with(fields));
  }

  info(message: string, fields?: LogFields): void {
    if (this.#cell.rank <= RANKS.info) this.#sink.info(message, this.#with(fields));
  }

  warn(message: string, fields?: LogFields): void {
    if (this.#cell.rank <= RANKS.warn) this.#sink.warn(message, this.#with(fields));
  }

  error(message: string, fields?: LogFields): void {
    if (this.#cell.rank <= RANKS.error) this.#sink.error(message, this.#with(fields));
  }

  /** A line that is written at any level: for what must leave a trace. */
  always(message: string, fields?: LogFields): void {
    this.#sink.info(message, this.#with(fields));
  }

  child(fields: LogFields): LeveledLogger {
    const { component } = fields;
    const deps = { sink: this.#sink, levels: this.#levels };
    const inherited = { ...this.#fields, ...fields };
    if (!isLogComponent(component))
      return new LeveledLogger({ component: this.#component, fields: inherited }, deps);
    return new LeveledLogger({ component, fields: { ...inherited, component } }, deps);
  }

  #with(fields: LogFields | undefined): LogFields {
    return fields === undefined ? this.#fields : { ...this.#fields, ...fields };
  }
}
