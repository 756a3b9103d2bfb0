import type { Command } from "commander";
import { isLograftError } from "../../client/errors.ts";
import { LograftClient } from "../../client/index.ts";
import type { Admin } from "../../client/index.ts";
import { environmentEntries } from "../../model/config-parse.ts";
import { PEER_LISTENER } from "../../model/configs.ts";
import type { BrokerConfig } from "../../model/configs.ts";
import { judgeHealth } from "../cluster-health.ts";
import type { CliEnvironment } from "../context.ts";
import { CliContext, withGlobalOptions } from "../context.ts";
import { checkAddresses } from "../doctor/address-checks.ts";
import { lookAtCluster } from "../doctor/cluster-look.ts";
import { checkAdvertised, checkMachine, checkPorts } from "../doctor/config-checks.ts";
import { dial, DIAL_TIMEOUT_MS, parseAddress } from "../doctor/dial.ts";
import { Findings } from "../doctor/finding.ts";
import type { Finding } from "../doctor/finding.ts";
import { lookAtDirectory, readHost } from "../doctor/machine.ts";
import { checkNodes } from "../doctor/node-checks.ts";
import { EXIT } from "../exit-codes.ts";
import { counted } from "../output.ts";
import type { Output } from "../output.ts";
import type { ConfigOptions } from "./config.ts";
import { effectiveConfig, withConfigOptions } from "./config.ts";

/** Of each question to the cluster: who looks for a fault does not wait for long. */
const LOOK_TIMEOUT_MS = 8000;

/** `lograft doctor`. */
export function addDoctorCommand(program: Command, environment: CliEnvironment): void {
  withConfigOptions(withGlobalOptions(program.command("doctor")))
    .description(
      "look for what is wrong with a cluster that runs (-b), or with the configuration of a broker that does not start " +
        "(--config, --set, --data-dir, or LOGRAFT_ variables); exit code 8 when a check fails",
    )
    .action(async (options: ConfigOptions, command: Command) => {
      await CliContext.run(command, environment, async (context) => {
        const findings = await examine(context, options, command);
        print(context.output, findings);
        if (findings.some(({ state }) => state === "failed")) environment.exit(EXIT.CHECK_FAILED);
      });
    });
}

async function examine(context: CliContext, options: ConfigOptions, command: Command): Promise<Finding[]> {
  const { env } = context.environment;
  const asksCluster =
    command.optsWithGlobals()["bootstrapServer"] !== undefined || env["LOGRAFT_BROKERS"] !== undefined;
  if (!hasConfig(options, env)) return examineCluster(context, context.options.bootstrapServer);
  const found: Finding[] = [];
  const config = await readConfig(options, env, found);
  if (config !== undefined) {
    const running = await examineConfig(context, config, found);
    // A broker that runs on this data directory is asked too.
    if (!asksCluster && running !== undefined) found.push(...(await examineCluster(context, [running])));
  }
  if (asksCluster) found.push(...(await examineCluster(context, context.options.bootstrapServer)));
  return found;
}

function hasConfig(options: ConfigOptions, env: Readonly<Record<string, string | undefined>>): boolean {
  const { config, set, dataDir, nodeId } = options;
  if (config !== undefined || set.length > 0 || dataDir !== undefined || nodeId !== undefined) return true;
  const { entries, files } = environmentEntries({ ...env, LOGRAFT_BROKERS: undefined });
  return entries.size + files.size > 0;
}

/** Undefined: it is not valid, which is found. */
async function readConfig(
  options: ConfigOptions,
  env: Readonly<Record<string, string | undefined>>,
  found: Finding[],
): Promise<BrokerConfig | undefined> {
  const findings = new Findings("config", found);
  try {
    const { parsed } = await effectiveConfig(options, env);
    findings.ok("the configuration", `valid, ${counted(parsed.given.size, "setting")} given`);
    return parsed.config;
  } catch (error: unknown) {
    if (!isLograftError(error) || error.code !== "CONFIG_INVALID") throw error;
    findings.failed("the configuration", error.message, "");
    return undefined;
  }
}

/** Answers the client address of the broker that runs on this data directory, if one does. */
async function examineConfig(
  { signal, options }: CliContext,
  config: BrokerConfig,
  found: Finding[],
): Promise<string | undefined> {
  const [dataDirectory = "."] = config.logDirs;
  const directory = await lookAtDirectory(dataDirectory);
  found.push(...checkMachine({ config, directory, host: readHost(), nowMs: Date.now() }));
  await using clients = new Clients(options.lane);
  const isRunning = directory.holder !== undefined;
  const admin = (address: string): Admin => clients.at(address).admin();
  found.push(...(await checkPorts(config, { admin, isRunning, signal })));
  found.push(...(await checkAdvertised(config, signal)));
  const first = config.listeners.find(({ name, port }) => name !== PEER_LISTENER && port !== 0);
  if (!isRunning || first === undefined) return undefined;
  const isAny = first.host === "" || first.host === "0.0.0.0" || first.host === "::";
  return `${isAny ? "localhost" : first.host}:${first.port}`;
}

async function examineCluster(context: CliContext, brokers: readonly string[]): Promise<Finding[]> {
  const { signal, options } = context;
  await using clients = new Clients(options.lane);
  const timeoutMs = Math.min(options.timeoutMs, LOOK_TIMEOUT_MS);
  try {
    const look = await lookAtCluster(clients.at(...brokers).admin(), { timeoutMs, signal });
    const quorum = judgeHealth(look.survey).checks.map(({ name, isOk, detail, affected, next }): Finding => {
      const shown = affected.length === 0 ? "" : `: ${affected.slice(0, 5).join(", ")}`;
      return {
        check: name,
        about: "the cluster",
        state: isOk ? "ok" : "failed",
        found: `${detail}${shown}`,
        next,
      };
    });
    return [...checkAddresses(look), ...quorum, ...checkNodes(look, readHost().version)];
  } catch (error: unknown) {
    if (!isLograftError(error) || signal.aborted) throw error;
    return await unanswered(clients.at(...brokers).admin(), { brokers, error, signal });
  }
}

/** Why none of these brokers told anything. */
async function unanswered(
  admin: Admin,
  asked: { readonly brokers: readonly string[]; readonly error: Error; readonly signal: AbortSignal },
): Promise<Finding[]> {
  const found: Finding[] = [];
  const findings = new Findings("answer", found);
  const next =
    "is a broker up there? See its log, and run doctor with its --config on its machine; name others with -b host:port";
  for (const broker of asked.brokers) {
    const reached = await dial(admin, parseAddress(broker), asked.signal);
    if (reached.kind !== "broker") findings.failed(broker, reached.cause, next);
    else
      findings.failed(
        broker,
        `broker ${reached.cluster.answeredBy.nodeId} is there: ${asked.error.message}`,
        "see its log",
      );
  }
  return found;
}

/** Clients of brokers that a check comes across; disposing closes them. */
class Clients implements AsyncDisposable {
  readonly #lane: "direct" | "grpc-js";
  readonly #open: LograftClient[] = [];

  constructor(lane: "direct" | "grpc-js") {
    this.#lane = lane;
  }

  at(...brokers: readonly string[]): LograftClient {
    const options = { clientId: "lograft-doctor", lane: this.#lane, requestTimeoutMs: DIAL_TIMEOUT_MS };
    const client = new LograftClient({ ...options, brokers });
    this.#open.push(client);
    return client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#open.map((client) => client.close()));
  }
}

const SHOWN_STATES = { ok: "ok", warning: "warning", failed: "FAILED" } as const;

function print(output: Output, findings: readonly Finding[]): void {
  const failed = findings.filter(({ state }) => state === "failed").length;
  const warnings = findings.filter(({ state }) => state === "warning").length;
  if (output.format === "json") {
    output.json({ isHealthy: failed === 0, failed, warnings, findings });
    return;
  }
  const width = Math.max(...findings.map(({ check }) => check.length));
  for (const { state, check, about, found, next } of findings) {
    const advice = next === "" ? "" : `; ${next}`;
    output.line(`${SHOWN_STATES[state].padEnd(7)}  ${check.padEnd(width)}  ${about}: ${found}${advice}`);
  }
  output.line(
    failed + warnings === 0
      ? `${counted(findings.length, "check")}, all well`
      : `${counted(findings.length, "check")}: ${failed} failed, ${counted(warnings, "warning")}`,
  );
}
