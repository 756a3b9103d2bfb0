import type { Command } from "commander";
import { operationError } from "../../base/errors.ts";
import { parseDuration } from "../arguments.ts";
import type { CliEnvironment } from "../context.ts";
import { EXIT } from "../exit-codes.ts";
import type { LocalCheck } from "../local-health.ts";
import { askLocal, localAddress, parseLocalHealth } from "../local-health.ts";
import { Output } from "../output.ts";

/** The options of `cluster health` that are about the broker on this machine. */
export interface LocalHealthOptions {
  readonly local?: boolean;
  readonly ready?: boolean;
  readonly http?: string;
}

/** Shorter than that of commands that ask a cluster: who checks a container's health asks again soon. */
const DEFAULT_TIMEOUT = "3s";

/**
 * `cluster health --local`: asks the HTTP port of the broker on this machine, and loads none of what speaks gRPC, for it
 * runs every few seconds in each container. @throws LograftError CONNECTION_FAILED, TIMEOUT, INVALID_ARGUMENT.
 */
export async function localHealth(
  options: LocalHealthOptions,
  command: Command,
  environment: CliEnvironment,
): Promise<void> {
  const { stdout, stderr, env, signal } = environment;
  const shared: Record<string, unknown> = command.optsWithGlobals();
  const timeoutText = typeof shared["timeout"] === "string" ? shared["timeout"] : DEFAULT_TIMEOUT;
  const timeoutMs = parseDuration(timeoutText, "--timeout");
  const at = localAddress(options.http, env);
  const { body } = await askLocal({ ...at, path: "/healthz?verbose" }, { timeoutMs, signal });
  const health = parseLocalHealth(body, `${at.host}:${at.port}`);
  const isOnlyReady = options.ready === true;
  const isWell = isOnlyReady ? health.isReady : health.isHealthy;
  const output = new Output({ format: shared["json"] === true ? "json" : "table", stdout, stderr });
  if (output.format === "json") {
    output.json(health);
  } else {
    const failed = health.checks.filter((check) => !check.isOk && (check.isNeeded || !isOnlyReady));
    for (const { name, detail } of failed) output.line(`${name}: ${detail}`);
    output.line(verdict(health.nodeId, isWell, isOnlyReady, failed));
  }
  if (!isWell) environment.exit(EXIT.CHECK_FAILED);
}

/** @throws LograftError INVALID_ARGUMENT: what asks about this machine alone goes with --local. */
export function checkLocalOptions({ local, ready, http }: LocalHealthOptions): void {
  if (local === true) return;
  const without = [...(ready === true ? ["--ready"] : []), ...(http === undefined ? [] : ["--http"])];
  if (without.length === 0) return;
  throw operationError(
    "INVALID_ARGUMENT",
    `${without.join(" and ")}: only with --local, which asks the broker on this machine`,
  );
}

function verdict(
  nodeId: number,
  isWell: boolean,
  isOnlyReady: boolean,
  failed: readonly LocalCheck[],
): string {
  const word = isOnlyReady ? "ready" : "healthy";
  if (isWell) return `broker ${nodeId} is ${word}`;
  return `broker ${nodeId} is NOT ${word}: ${failed.map(({ name }) => name).join(", ")}`;
}
