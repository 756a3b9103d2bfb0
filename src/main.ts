import { InvariantError } from "./base/assert.ts";
import { LeveledLogger } from "./base/leveled-logger.ts";
import { LogLevels } from "./base/log-levels.ts";
import type { Logger } from "./base/logger.ts";
import type { ParsedBrokerConfig } from "./model/configs.ts";
import type { RunningBroker } from "./node.ts";
import { configuredLevels, startNode } from "./node.ts";
import { processLogger } from "./platform/node/process-logger.ts";

export interface DaemonOptions {
  readonly parsed: ParsedBrokerConfig;
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
  /** Resolves when the broker has stopped: after `signal`, or with the failure for which it must not go on. */
  readonly finished: Promise<Error | undefined>;
}

/** From the end of a stop to the end of the process. */
const LINGER_MS = 2000;

/** The daemon: a broker in this process until `signal` is aborted. Resolves when it is ready to serve. */
export async function runDaemon(options: DaemonOptions, signal: AbortSignal): Promise<RunningDaemon> {
  const startedAt = performance.now();
  const { parsed, isJson } = options;
  const sink = processLogger({ isJson });
  const levels = new LogLevels(configuredLevels(parsed.config));
  const fields = { nodeId: parsed.config.nodeId };
  const logger = new LeveledLogger({ component: "broker", fields }, { sink, levels });
  endOnBugs(logger);
  const node = await startNode(parsed, { logger: sink, levels, signal });
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
): Promise<Error | undefined> {
  const stopped = new Promise<undefined>((resolve) => {
    if (signal.aborted) resolve(undefined);
    else signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
  const failure = await Promise.race([stopped, node.failure]);
  if (failure === undefined) logger.info("stopping");
  else
    logger.error("stopping: this broker must not go on; the next start will check what is on the disk", {
      err: failure,
    });
  const hardStop = setTimeout(() => {
    logger.error("the stop took too long; the next start will check the logs", {
      timeoutMs: options.parsed.config.shutdownTimeoutMs,
    });
    process.exit(1);
  }, options.parsed.config.shutdownTimeoutMs);
  await node.close();
  clearTimeout(hardStop);
  logger.info("stopped");
  endLingering(logger);
  return failure;
}

/** All that matters is on the disk: a connection or the like that has not ended does not keep the process. */
function endLingering(logger: Logger): void {
  const timer = setTimeout(() => {
    logger.warn("ended with something still open; please report it", {
      open: process.getActiveResourcesInfo().join(", "),
    });
    process.exit();
  }, LINGER_MS);
  timer.unref();
}

/** A bug ends the process: going on could turn a wrong state into a wrong file. */
function endOnBugs(logger: Logger): void {
  const end = (kind: string) => (error: unknown) => {
    const details = error instanceof InvariantError ? error.details : undefined;
    const stack = error instanceof Error ? error.stack : undefined;
    logger.error(kind, { err: error, details, stack });
    process.exit(1);
  };
  process.on("uncaughtException", end("an error that nobody handled: this is a bug, please report it"));
  process.on(
    "unhandledRejection",
    end("a failed promise that nobody owned: this is a bug, please report it"),
  );
}
