/** From the most to the least that is written. */
export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];

/** The parts of a broker that have a level of their own. */
export const LOG_COMPONENTS = [
  "broker",
  "controller",
  "coordinator",
  "http",
  "log",
  "peer",
  "quorum",
  "raft",
  "replication",
  "server",
] as const;

export type LogComponent = (typeof LOG_COMPONENTS)[number];

/** The level of one component. */
export interface ComponentLevel {
  readonly component: LogComponent;
  readonly level: LogLevel;
  /** What the configuration says, and what holds again after a restart. */
  readonly configured: LogLevel;
}

/** A level to set; without one, that of the configuration. */
export interface LevelChange {
  readonly component: LogComponent;
  readonly level: LogLevel | undefined;
}

/** The configured levels. */
export interface LogLevelOptions {
  /** Of every component that `levels` does not name. */
  readonly level: LogLevel;
  readonly levels: ReadonlyMap<LogComponent, LogLevel>;
}

/** Read for each line, so it is one number: the place in `LOG_LEVELS` from which on lines are written. */
export interface LevelCell {
  rank: number;
}

/** What is written of each component: as configured at the start, and changed while the broker runs. */
export class LogLevels {
  readonly #options: LogLevelOptions;
  readonly #cells: ReadonlyMap<LogComponent, LevelCell>;

  constructor(options: LogLevelOptions) {
    this.#options = options;
    this.#cells = new Map(
      LOG_COMPONENTS.map((component) => [component, { rank: rankOf(this.#configured(component)) }]),
    );
  }

  /** The cell that follows the component's level. */
  cellOf(component: LogComponent): LevelCell {
    return this.#cells.get(component) ?? { rank: rankOf(this.#options.level) };
  }

  /** All of them, by name. */
  list(): readonly ComponentLevel[] {
    return LOG_COMPONENTS.map((component) => ({
      component,
      level: LOG_LEVELS[this.cellOf(component).rank] ?? "info",
      configured: this.#configured(component),
    }));
  }

  /** Holds until it is changed again or the process ends. */
  change(changes: readonly LevelChange[]): void {
    for (const { component, level } of changes) {
      this.cellOf(component).rank = rankOf(level ?? this.#configured(component));
    }
  }

  #configured(component: LogComponent): LogLevel {
    return this.#options.levels.get(component) ?? this.#options.level;
  }
}

/** The place of a level in `LOG_LEVELS`. */
export function rankOf(level: LogLevel): number {
  return LOG_LEVELS.indexOf(level);
}

export function isLogLevel(text: string): text is LogLevel {
  return LOG_LEVELS.some((level) => level === text);
}

export function isLogComponent(text: unknown): text is LogComponent {
  return LOG_COMPONENTS.some((component) => component === text);
}
