import { isLograftError } from "../../client/errors.ts";
import { LograftClient } from "../../client/index.ts";
import type { Admin } from "../../client/index.ts";
import { environmentEntries } from "../../model/config-parse.ts";
import { PEER_LISTENER } from "../../model/configs.ts";
import type { BrokerConfig } from "../../model/configs.ts";
import { judgeHealth } from "../cluster-health.ts";
import type { ConfigOptions } from "../commands/config.ts";
import { effectiveConfig } from "../commands/config.ts";
import type { CliContext } from "../context.ts";
import { counted } from "../output.ts";
import { checkAddresses } from "./address-checks.ts";
import { lookAtCluster } from "./cluster-look.ts";
import { checkAdvertised, checkMachine, checkPorts } from "./config-checks.ts";
import { dial, DIAL_TIMEOUT_MS, parseAddress } from "./dial.ts";
import { Findings } from "./finding.ts";
import type { Finding } from "./finding.ts";
import { lookAtDirectory, readHost } from "./machine.ts";
import { checkNodes } from "./node-checks.ts";

/** Of each question to the cluster: who looks for a fault does not wait for long. */
const LOOK_TIMEOUT_MS = 8000;

/**
 * What doctor finds: of the configuration that is given, and of the cluster that is named, that runs on that configuration,
 * or, when there is no configuration, that the client's defaults name. `isNamed`: the user said which brokers to ask.
 */
export async function examine(
  context: CliContext,
  options: ConfigOptions,
  isNamed: boolean,
): Promise<Finding[]> {
  const { env } = context.environment;
  const asksCluster = isNamed || env["LOGRAFT_BROKERS"] !== undefined;
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

/** Whether a configuration was given: by an option, or by a LOGRAFT_ variable. */
export function hasConfig(
  options: ConfigOptions,
  env: Readonly<Record<string, string | undefined>>,
): boolean {
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
  const ownLog = "see its log, and run doctor with its --config on its machine";
  for (const broker of asked.brokers) {
    const reached = await dial(admin, parseAddress(broker), asked.signal);
    if (reached.kind === "broker") {
      const { nodeId } = reached.cluster.answeredBy;
      findings.failed(broker, `broker ${nodeId} is there, and: ${asked.error.message}`, ownLog);
    } else if (reached.kind === "foreign") findings.failed(broker, reached.cause, ownLog);
    else {
      const next = `is a broker up there? If so, ${ownLog}; name others with -b host:port`;
      findings.failed(broker, reached.cause, next);
    }
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
