import { destination, pino } from "pino";
import { InvariantError } from "./base/assert.ts";
import { errorMessage, operationError } from "./base/errors.ts";
import type { LogFields, Logger } from "./base/logger.ts";
import type { ParsedBrokerConfig } from "./model/configs.ts";
import type { RunningBroker } from "./node.ts";
import { startNode } from "./node.ts";

export interface DaemonOptions {
  readonly parsed: ParsedBrokerConfig;
  readonly logLevel: string;
  /** One JSON object a line on stderr; otherwise short lines for people. */
  readonly isJson: boolean;
}

/** A broker that runs until it is told to stop. */
export interface RunningDaemon {
  readonly address: string;
  readonly nodeId: number;
  readonly clusterId: string;
  /** The active controller at the start; -1: this broker knows of none. */
  readonly controllerId: number;
  readonly dataDirectory: string;
  /** The port of health and metrics; undefined: there is none. */
  readonly httpPort: number | undefined;
  readonly startMs: number;
  /** Resolves when the broker has stopped after `signal`. */
  readonly finished: Promise<void>;
}

const LEVELS: ReadonlySet<string> = new Set(["debug", "info", "warn", "error"]);

/** The daemon: a broker in this process until `signal` is aborted. Resolves when it is ready to serve. */
export async function runDaemon(options: DaemonOptions, signal: AbortSignal): Promise<RunningDaemon> {
  const startedAt = performance.now();
  if (!LEVELS.has(options.logLevel)) {
    throw operationError(
      "CONFIG_INVALID",
      `--log-level ${options.logLevel}: there is ${[...LEVELS].join(", ")}`,
    );
  }
  const logger = options.isJson ? jsonLogger(options.logLevel) : textLogger(options.logLevel);
  endOnBugs(logger);
  const node = await startNode(options.parsed, { logger, signal });
  return {
    address: node.address,
    nodeId: node.nodeId,
    clusterId: node.clusterId,
    controllerId: node.controllerId,
    dataDirectory: node.dataDirectory,
    httpPort: node.httpPort,
    startMs: performance.now() - startedAt,
    finished: untilStopped(node, options, signal, logger),
  };
}

async function untilStopped(
  node: RunningBroker,
  options: DaemonOptions,
  signal: AbortSignal,
  logger: Logger,
): Promise<void> {
  const stopped = new Promise<undefined>((resolve) => {
    if (signal.aborted) resolve(undefined);
    else signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
  const failure = await Promise.race([stopped, node.failure]);
  if (failure === undefined) logger.info("stopping");
  else
    logger.error("stopping: this broker must not go on; the next start will check what is on the disk", {
      cause: errorMessage(failure),
    });
  const hardStop = setTimeout(() => {
    logger.error("the stop took too long; the next start will check the logs", {
      timeoutMs: options.parsed.config.shutdownTimeoutMs,
    });
    process.exit(1);
  }, options.parsed.config.shutdownTimeoutMs);
  await node.close();
  clearTimeout(hardStop);
  process.exitCode = failure === undefined ? 0 : 1;
  logger.info("stopped");
}

/** A bug ends the process: going on could turn a wrong state into a wrong file. */
function endOnBugs(logger: Logger): void {
  const end = (kind: string) => (error: unknown) => {
    const details = error instanceof InvariantError ? error.details : undefined;
    const stack = error instanceof Error ? error.stack : undefined;
    logger.error(kind, { error: errorMessage(error), details, stack });
    process.exit(1);
  };
  process.on("uncaughtException", end("an error that nobody handled: this is a bug, please report it"));
  process.on(
    "unhandledRejection",
    end("a failed promise that nobody owned: this is a bug, please report it"),
  );
}

function jsonLogger(level: string): Logger {
  return wrapPino(pino({ level, base: null }, destination({ dest: 2, sync: true })));
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

const ORDER = ["debug", "info", "warn", "error"] as const;

function textLogger(level: string, bound: LogFields = {}): Logger {
  const lowest = ORDER.findIndex((name) => name === level);
  const print =
    (at: number) =>
    (message: string, fields: LogFields = {}): void => {
      if (at < lowest) return;
      const rest = Object.entries({ ...bound, ...fields })
        .filter(([, value]) => value !== undefined)
        .map(([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`);
      process.stderr.write(`${new Date().toISOString()} ${ORDER[at]} ${[message, ...rest].join(" ")}\n`);
    };
  return {
    debug: print(0),
    info: print(1),
    warn: print(2),
    error: print(3),
    child: (fields) => textLogger(level, { ...bound, ...fields }),
  };
}
