import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const CLI = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));

/** A process that serves until it is stopped: it has printed a line that says where. */
export interface ServerProcess {
  readonly pid: number;
  readonly address: string;
  stop(): Promise<void>;
}

/** Starts a broker on free ports and waits until it says that it is ready. */
export async function startBroker(
  dataDirectory: string,
  settings: readonly string[],
): Promise<ServerProcess> {
  const args = [
    "start",
    "--json",
    "--log-level",
    "warn",
    "--data-dir",
    dataDirectory,
    "--set",
    "listeners=CLIENT://127.0.0.1:0",
  ];
  for (const setting of settings) args.push("--set", setting);
  return startServer([CLI, ...args], (line) => readAddress(line));
}

/** A cluster that `lograft dev up` watches over. */
export interface ClusterProcesses {
  /** "host:port" of each broker. */
  readonly addresses: readonly string[];
  /** From the command to the last broker, ms. */
  readonly readyMs: number;
  stop(): Promise<void>;
}

/** Starts a cluster of brokers on consecutive ports and waits until all are ready. */
export async function startCluster(options: {
  readonly directory: string;
  readonly nodes: number;
  readonly basePort: number;
  /** `key=value`, of every broker. */
  readonly settings?: readonly string[];
}): Promise<ClusterProcesses> {
  const args = ["dev", "up", "--json", "--dir", options.directory];
  args.push("--nodes", String(options.nodes), "--base-port", String(options.basePort));
  for (const setting of options.settings ?? []) args.push("--set", setting);
  const startedAt = performance.now();
  const server = await startServer([CLI, ...args], (line) => {
    const parsed = JSON.parse(line) as { readonly nodes: readonly { readonly client: string }[] };
    return parsed.nodes.map((node) => node.client).join(",");
  });
  const readyMs = performance.now() - startedAt;
  return { addresses: server.address.split(","), readyMs, stop: () => server.stop() };
}

/** The process ids of the brokers that `startCluster` has started in this directory, by node id. */
export async function pidsOf(directory: string): Promise<readonly number[]> {
  const rows = (await runCli(["dev", "status", "--dir", directory])) as readonly { readonly pid: number }[];
  return rows.map(({ pid }) => pid);
}

/** Starts a script that prints `{"address": "..."}` when it is ready. */
export async function startServer(
  args: readonly string[],
  parse: (line: string) => string | undefined = readAddress,
): Promise<ServerProcess> {
  const child = spawn(process.execPath, args, {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, UV_THREADPOOL_SIZE: process.env["UV_THREADPOOL_SIZE"] ?? "16" },
  });
  const address = await firstAddress(child, parse);
  return {
    pid: child.pid ?? 0,
    address,
    stop: async () => {
      if (child.exitCode !== null) return;
      const closed = once(child, "close");
      child.kill("SIGTERM");
      await closed;
    },
  };
}

function readAddress(line: string): string | undefined {
  if (!line.startsWith("{")) return undefined;
  const parsed = JSON.parse(line) as { readonly address?: string };
  return parsed.address;
}

async function firstAddress(
  child: ChildProcess,
  parse: (line: string) => string | undefined,
): Promise<string> {
  return new Promise<string>((resolve, reject) => {
    let text = "";
    child.once("error", reject);
    child.once("close", (code) =>
      reject(new Error(`the server ended with code ${code} before it was ready`)),
    );
    child.stdout?.setEncoding("utf8").on("data", (piece: string) => {
      text += piece;
      for (const line of text.split("\n").slice(0, -1)) {
        const address = parse(line);
        if (address !== undefined) resolve(address);
      }
      text = text.slice(text.lastIndexOf("\n") + 1);
    });
  });
}

/** Runs a script to its end and gives the JSON it printed. */
export async function runJson(args: readonly string[]): Promise<unknown> {
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (piece: string) => {
    text += piece;
  });
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`${args.join(" ")} ended with code ${code}`);
  return JSON.parse(text);
}

/** Runs a command of the CLI with `--json`. */
export async function runCli(args: readonly string[]): Promise<unknown> {
  return runJson([CLI, ...args, "--json"]);
}

const TICKS_PER_SECOND = 100;

/** CPU seconds used so far and resident bytes of a process, from /proc (Linux). */
export async function usageOf(
  pid: number,
): Promise<{ readonly cpuSeconds: number; readonly rssBytes: number }> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const rss = /VmRSS:\s+(\d+) kB/.exec(status);
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
    rssBytes: Number(rss?.[1] ?? 0) * 1024,
  };
}
