import type { LeveledLogger } from "../base/leveled-logger.ts";
import { isLogComponent, isLogLevel, LOG_COMPONENTS, LOG_LEVELS } from "../base/log-levels.ts";
import type { ComponentLevel, LevelChange, LogComponent, LogLevels } from "../base/log-levels.ts";
import { nearestName } from "../model/config-parse.ts";
import { ProtocolError } from "../model/error-code.ts";

/** A change as it was asked for: a component or "all", a level or "default". */
export interface AskedLevel {
  readonly component: string;
  readonly level: string;
}

/** Who asks. */
export interface LevelAsker {
  /** "host:port". */
  readonly peer: string;
  readonly requestId: string;
}

/** Every component. */
const ALL = "all";
/** As the configuration says. */
const CONFIGURED = "default";
/** More than there are components is a mistake. */
const MAX_CHANGES = 64;

/** Changes the log levels of this broker on request, and leaves a line of it in the log whatever the levels are. */
export class LogLevelControl {
  readonly #levels: LogLevels;
  readonly #logger: LeveledLogger;

  constructor(deps: { readonly levels: LogLevels; readonly logger: LeveledLogger }) {
    this.#levels = deps.levels;
    this.#logger = deps.logger;
  }

  list(): readonly ComponentLevel[] {
    return this.#levels.list();
  }

  /** All of it or nothing. @throws ProtocolError INVALID_REQUEST. */
  change(asked: readonly AskedLevel[], asker: LevelAsker): void {
    if (asked.length > MAX_CHANGES) {
      throw new ProtocolError(
        "INVALID_REQUEST",
        `${asked.length} changes of log levels; at most ${MAX_CHANGES}`,
      );
    }
    const changes = asked.flatMap(readChange);
    if (changes.length === 0) return;
    this.#levels.change(changes);
    const changed = Object.fromEntries(asked.map(({ component, level }) => [component, level]));
    this.#logger.always("log levels were changed, until the next start", { changed, ...asker });
  }
}

function readChange({ component, level }: AskedLevel): LevelChange[] {
  if (level !== CONFIGURED && !isLogLevel(level)) {
    const allowed = [...LOG_LEVELS, CONFIGURED].join(", ");
    throw new ProtocolError("INVALID_REQUEST", `${shown(level)} is no log level; there is ${allowed}`);
  }
  const wanted = level === CONFIGURED ? undefined : level;
  return componentsOf(component).map((one) => ({ component: one, level: wanted }));
}

function componentsOf(name: string): readonly LogComponent[] {
  if (name === ALL) return LOG_COMPONENTS;
  if (isLogComponent(name)) return [name];
  const nearest = nearestName(name, LOG_COMPONENTS);
  const hint = nearest === undefined ? "." : `; did you mean ${nearest}?`;
  throw new ProtocolError(
    "INVALID_REQUEST",
    `${shown(name)} is no component of the log${hint} There is ${LOG_COMPONENTS.join(", ")}, and ${ALL}`,
  );
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 40));
}
