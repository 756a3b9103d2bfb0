import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { operationError } from "../../base/errors.ts";
import type { CliEnvironment } from "../context.ts";
import type { Output } from "../output.ts";
import { CLI_ENTRY } from "./broker-child.ts";
import { describeReady, readyAsJson } from "./cluster-report.ts";
import { askSupervisor, ControlServer, controlPathOf } from "./control.ts";
import type { NodeStatus } from "./control.ts";
import { DEFAULT_DIRECTORY, DevDirectory } from "./dev-directory.ts";
import type { DevState } from "./dev-directory.ts";
import { LogTail } from "./log-tail.ts";
import { basePortOf, planCluster, withSettings } from "./plan.ts";
import type { ClusterPlan } from "./plan.ts";
import { portsTakenError, takenPorts } from "./ports.ts";
import { READY_TIMEOUT_MS, Supervisor } from "./supervisor.ts";

/** What `dev up` was given; what is undefined is decided by the cluster that is there, else by its default. */
export interface UpOptions {
  readonly directory: string;
  readonly isEphemeral: boolean;
  readonly nodes: number | undefined;
  readonly basePort: number | undefined;
  readonly settings: readonly string[];
}

export const DEFAULT_NODES = 3;
export const DEFAULT_BASE_PORT = 9092;

/** Brokers whose supervisor was killed stop by themselves; so long `up` waits for them. */
const LEFTOVERS_TIMEOUT_MS = 35_000;
const POLL_MS = 25;

/** Runs a cluster until the signal of the environment fires or another terminal says `dev down`. */
export async function runCluster(
  options: UpOptions,
  environment: CliEnvironment,
  output: Output,
): Promise<void> {
  const directory = new DevDirectory(options.directory);
  const found = await directory.read();
  const plan = choosePlan(options, found);
  const controlPath = controlPathOf(directory.path);
  const down = new AbortController();
  const report = { note: (text: string) => output.note(text) };
  const running = new Supervisor({ directory, plan, controlPath, env: environment.env }, { report });
  await using _control = await ControlServer.listen(controlPath, async (request) => {
    if (request.command !== "down") return running.handle(request);
    down.abort();
    return running.status;
  });
  await waitForPorts(plan, found, output, environment.signal);
  if (found === undefined) await directory.create();
  const killAll = (): void => running.killAll();
  // The second Ctrl-C ends this process at once, and the brokers with it.
  process.once("exit", killAll);
  try {
    await running.save();
    const brokers = await until(running.startAll(), [environment.signal, down.signal]);
    if (brokers !== undefined) {
      const shown = { plan, brokers, directory, isEphemeral: options.isEphemeral };
      const ready = { ...shown, readyMs: performance.now() };
      output.line(output.format === "json" ? JSON.stringify(readyAsJson(ready)) : describeReady(ready));
      await until(new Promise<never>(() => undefined), [environment.signal, down.signal]);
    }
  } finally {
    if (environment.signal.aborted || down.signal.aborted)
      output.note("stopping the brokers; Ctrl-C again kills them");
    await running.stopAll();
    await running.save();
    process.off("exit", killAll);
    if (options.isEphemeral) await directory.purge();
  }
}

/** Starts `dev up` in a process of its own and resolves when its cluster is ready. */
export async function runInBackground(
  options: UpOptions,
  environment: CliEnvironment,
): Promise<{ readonly directory: DevDirectory; readonly nodes: readonly NodeStatus[] }> {
  const directory = new DevDirectory(options.directory);
  const found = await directory.read();
  choosePlan(options, found);
  const controlPath = controlPathOf(directory.path);
  const bounds = { timeoutMs: 1000, signal: environment.signal };
  if ((await askSupervisor(controlPath, { command: "status" }, bounds)) !== undefined) {
    throw operationError("DATA_DIR_LOCKED", "this cluster is running already; see: lograft dev status");
  }
  if (found === undefined) await directory.create();
  const log = openSync(directory.supervisorLog, "w");
  const child = spawn(process.execPath, [CLI_ENTRY, ...upArguments(options, directory)], {
    stdio: ["ignore", log, log],
    detached: true,
    env: { ...environment.env },
  });
  closeSync(log);
  let isEnded = false;
  child.once("exit", () => {
    isEnded = true;
  });
  child.once("error", () => {
    isEnded = true;
  });
  const deadline = performance.now() + READY_TIMEOUT_MS + LEFTOVERS_TIMEOUT_MS;
  for (;;) {
    const nodes = await askSupervisor(controlPath, { command: "status" }, bounds).catch(() => undefined);
    if (nodes !== undefined && nodes.every((node) => node.state === "running")) {
      child.unref();
      return { directory, nodes };
    }
    if (isEnded) {
      const said = await new LogTail(directory.supervisorLog, 0).read();
      throw operationError("CONNECTION_FAILED", `the cluster did not start:\n${said.join("\n")}`);
    }
    if (performance.now() > deadline) {
      throw operationError(
        "TIMEOUT",
        "the cluster is not ready yet; see: lograft dev status, lograft dev logs",
      );
    }
    await sleep(POLL_MS, undefined, { signal: environment.signal });
  }
}

/** Where `up` puts the cluster: where it was told to, a new directory that will be removed, or the default. */
export async function chooseDirectory(given: string | undefined, isEphemeral: boolean): Promise<string> {
  if (given !== undefined) return given;
  return isEphemeral ? mkdtemp(join(tmpdir(), "lograft-dev-")) : DEFAULT_DIRECTORY;
}

/** The plan of the cluster that is there, if the options agree with it, else a new one. @throws INVALID_ARGUMENT. */
export function choosePlan(options: UpOptions, found: DevState | undefined): ClusterPlan {
  if (found === undefined) {
    return planCluster({
      count: options.nodes ?? DEFAULT_NODES,
      basePort: options.basePort ?? DEFAULT_BASE_PORT,
      settings: options.settings,
    });
  }
  const { plan } = found;
  const other = "choose another directory with --dir for another cluster";
  if (options.nodes !== undefined && options.nodes !== plan.nodes.length) {
    const what = `--nodes ${options.nodes}: the cluster in this directory has ${plan.nodes.length}`;
    throw operationError(
      "INVALID_ARGUMENT",
      `${what}; leave the option out and use "lograft dev add", or ${other}`,
    );
  }
  if (options.basePort !== undefined && options.basePort !== basePortOf(plan)) {
    const what = `--base-port ${options.basePort}: the cluster in this directory has ${basePortOf(plan)}`;
    throw operationError("INVALID_ARGUMENT", `${what}; leave the option out, or ${other}`);
  }
  return withSettings(plan, options.settings);
}

function upArguments(options: UpOptions, directory: DevDirectory): string[] {
  const { nodes, basePort, settings } = options;
  return [
    "dev",
    "up",
    "--dir",
    directory.path,
    ...(options.isEphemeral ? ["--ephemeral"] : []),
    ...(nodes === undefined ? [] : ["--nodes", String(nodes)]),
    ...(basePort === undefined ? [] : ["--base-port", String(basePort)]),
    ...settings.flatMap((setting) => ["--set", setting]),
  ];
}

/** Resolves when every port is free, which waits only for brokers of this cluster that are still stopping. @throws ADDRESS_IN_USE. */
async function waitForPorts(
  plan: ClusterPlan,
  found: DevState | undefined,
  output: Output,
  signal: AbortSignal,
): Promise<void> {
  const deadline = performance.now() + LEFTOVERS_TIMEOUT_MS;
  let isNoted = false;
  for (;;) {
    const taken = await takenPorts(plan.nodes);
    if (taken.length === 0) return;
    const leftovers = taken.filter(({ nodeId }) => isAlive(found?.pids[nodeId]));
    if (leftovers.length < taken.length || performance.now() > deadline) {
      throw portsTakenError(taken, found === undefined);
    }
    if (!isNoted) output.note("waiting for the brokers of the last run, which are stopping");
    isNoted = true;
    await sleep(POLL_MS, undefined, { signal });
  }
}

function isAlive(pid: number | undefined): boolean {
  if (pid === undefined || pid <= 0) return false;
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** The result of `work`, or undefined when one of the signals fires first; the work goes on, its failure is then not ours. */
async function until<T>(work: Promise<T>, signals: readonly AbortSignal[]): Promise<T | undefined> {
  const any = AbortSignal.any([...signals]);
  const fired = new Promise<undefined>((resolve) => {
    if (any.aborted) resolve(undefined);
    else any.addEventListener("abort", () => resolve(undefined), { once: true });
  });
  work.catch(() => undefined);
  return Promise.race([work, fired]);
}
