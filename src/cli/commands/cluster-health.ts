import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import { operationError } from "../../base/errors.ts";
import { isLograftError } from "../../client/errors.ts";
import { parseDuration } from "../arguments.ts";
import type { HealthCheck, HealthVerdict } from "../cluster-health.ts";
import { judgeHealth, unanswered } from "../cluster-health.ts";
import { surveyCluster } from "../cluster-survey.ts";
import type { CliEnvironment } from "../context.ts";
import { CliContext, withGlobalOptions } from "../context.ts";
import { EXIT } from "../exit-codes.ts";
import type { Output } from "../output.ts";
import { counted } from "../output.ts";
import { checkLocalOptions, localHealth } from "./local-health.ts";
import type { LocalHealthOptions } from "./local-health.ts";

interface HealthOptions extends LocalHealthOptions {
  readonly watch?: boolean;
  readonly exitWhenHealthy?: boolean;
  readonly interval: string;
  readonly within: string;
}

/** Names that a line of the table shows; JSON has more. */
const SHOWN_NAMES = 5;
const LISTED_NAMES = 1000;
/** Each look asks every broker. */
const MIN_INTERVAL_MS = 50;
/** An unanswered look is bounded by this while looks are repeated, so that a cluster that comes up is seen soon. */
const LOOK_TIMEOUT_MS = 5000;

/** `lograft cluster health`. */
export function addHealthCommand(cluster: Command, environment: CliEnvironment): void {
  withGlobalOptions(cluster.command("health"))
    .description(
      "check controller, voters, metadata, brokers and partitions; exit code 8 when one check fails",
    )
    .option("--watch", "look again and again, and print each look")
    .option("--exit-when-healthy", "look until all is well; with --watch, print what is found on the way")
    .option("--interval <duration>", "between looks", "2s")
    .option("--within <duration>", "how long --exit-when-healthy waits", "1m")
    .option("--local", "ask the broker on this machine how it is, by its HTTP port, and no other")
    .option("--ready", "with --local: only whether clients should come to it")
    .option(
      "--http <host:port>",
      "with --local: its HTTP port (default: LOGRAFT_HTTP_HOST and LOGRAFT_HTTP_PORT, else 127.0.0.1:8080)",
    )
    .action(async (options: HealthOptions, command: Command) => {
      checkLocalOptions(options);
      if (options.local === true) {
        await localHealth(options, command, environment);
        return;
      }
      await CliContext.run(command, environment, async (context) => {
        await health(context, options);
      });
    });
}

async function health(context: CliContext, options: HealthOptions): Promise<void> {
  const isWatching = options.watch === true;
  const isWaiting = options.exitWhenHealthy === true;
  const intervalMs = parseInterval(options.interval);
  const deadlineMs = performance.now() + (isWaiting ? parseDuration(options.within, "--within") : Infinity);
  if (!isWatching && !isWaiting) {
    const verdict = await look(context, context.options.timeoutMs);
    print(context.output, verdict);
    if (!verdict.isHealthy) context.environment.exit(EXIT.CHECK_FAILED);
    return;
  }
  for (;;) {
    const verdict = await lookAnyway(context, deadlineMs);
    const isLast = isWaiting && (verdict.isHealthy || performance.now() + intervalMs >= deadlineMs);
    if (isWatching) printOneOfMany(context.output, verdict);
    else if (isLast) print(context.output, verdict);
    if (isLast) {
      if (!verdict.isHealthy) context.environment.exit(EXIT.CHECK_FAILED);
      return;
    }
    await sleep(intervalMs, undefined, { signal: context.signal });
  }
}

/** @throws LograftError INVALID_ARGUMENT. */
function parseInterval(text: string): number {
  const intervalMs = parseDuration(text, "--interval");
  if (intervalMs >= MIN_INTERVAL_MS) return intervalMs;
  throw operationError("INVALID_ARGUMENT", `--interval ${text}: at least ${MIN_INTERVAL_MS}ms`);
}

async function look({ client, signal }: CliContext, timeoutMs: number): Promise<HealthVerdict> {
  try {
    return judgeHealth(await surveyCluster(client.admin(), { timeoutMs, signal }));
  } catch (error: unknown) {
    // A broker is there, and has not found the others yet: that is a finding, not a failure to look.
    if (isLograftError(error) && error.code === "NO_QUORUM") return unanswered(error.message);
    throw error;
  }
}

/** A look that takes "nobody answers" for a finding. */
async function lookAnyway(context: CliContext, deadlineMs: number): Promise<HealthVerdict> {
  const leftMs = Math.max(1, Math.ceil(deadlineMs - performance.now()));
  try {
    return await look(context, Math.min(context.options.timeoutMs, LOOK_TIMEOUT_MS, leftMs));
  } catch (error: unknown) {
    const isWorthAnotherLook = isLograftError(error) && (error.retriable || error.code === "TIMEOUT");
    if (!isWorthAnotherLook || context.signal.aborted) throw error;
    return unanswered(error.message);
  }
}

function print(output: Output, verdict: HealthVerdict): void {
  if (output.format === "json") output.json(verdictAsJson(verdict));
  else printTable(output, verdict);
}

/** One JSON line for each look, or tables with a line between them. */
function printOneOfMany(output: Output, verdict: HealthVerdict): void {
  if (output.format === "json") {
    output.line(JSON.stringify(verdictAsJson(verdict)));
    return;
  }
  printTable(output, verdict);
  output.line("");
}

function printTable(output: Output, verdict: HealthVerdict): void {
  const failures = verdict.checks.filter(({ isOk }) => !isOk);
  output.rows(
    [
      { title: "CHECK", cell: ({ name }) => name },
      { title: "STATE", cell: ({ isOk }) => (isOk ? "ok" : "FAILED") },
      { title: "FOUND", cell: found },
    ],
    verdict.checks,
    { empty: "nothing was checked", toJson: checkAsJson },
  );
  for (const { name, next } of failures) output.line(`${name}: ${next}`);
  const name = verdict.clusterId === undefined ? "the cluster" : `cluster ${verdict.clusterId}`;
  output.line(
    verdict.isHealthy
      ? `${name} is healthy`
      : `${name} is NOT healthy: ${counted(failures.length, "check")} failed`,
  );
}

function found({ detail, affected }: HealthCheck): string {
  if (affected.length === 0) return detail;
  const more = affected.length > SHOWN_NAMES ? `, and ${affected.length - SHOWN_NAMES} more` : "";
  return `${detail}: ${affected.slice(0, SHOWN_NAMES).join(", ")}${more}`;
}

function verdictAsJson({ clusterId, controllerId, isHealthy, checks }: HealthVerdict): unknown {
  return { clusterId: clusterId ?? null, controllerId, isHealthy, checks: checks.map(checkAsJson) };
}

function checkAsJson({ name, isOk, detail, affected, next }: HealthCheck): unknown {
  return {
    name,
    isOk,
    detail,
    affectedCount: affected.length,
    affected: affected.slice(0, LISTED_NAMES),
    next: next === "" ? null : next,
  };
}
