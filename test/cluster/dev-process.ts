import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { planCluster } from "../../src/cli/dev-cluster/plan.ts";
import { takenPorts } from "../../src/cli/dev-cluster/ports.ts";
import { freePort } from "../../src/chaos/free-port.ts";

const CLI = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const ENV = { NODE_COMPILE_CACHE: join(tmpdir(), "node-compile-cache"), ...process.env };

/** What `lograft dev up --json` prints when it is ready. */
export interface DevReady {
  readonly readyMs: number;
  readonly controllerId: number;
  readonly nodes: readonly { readonly nodeId: number; readonly client: string; readonly peer: string }[];
}

/** One row of `lograft dev status --json`. */
export interface DevStatusRow {
  readonly nodeId: number;
  readonly pid: number;
  readonly state: string;
  readonly role: string;
}

/** `lograft dev up` as a process of its own, and the other `dev` commands on the same directory. */
export class DevProcess implements AsyncDisposable {
  readonly directory: string;
  readonly #child: ChildProcess;
  #stdout = "";
  #stderr = "";

  constructor(directory: string, args: readonly string[]) {
    this.directory = directory;
    this.#child = spawn(process.execPath, [CLI, "dev", "up", "--json", "--dir", directory, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: ENV,
    });
    this.#child.stdout?.setEncoding("utf8").on("data", (piece: string) => {
      this.#stdout += piece;
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (piece: string) => {
      this.#stderr += piece;
    });
  }

  /** What it told its user so far. */
  get notes(): string {
    return this.#stderr;
  }

  /** Resolves when the cluster is ready. @throws when the process ends before that. */
  async ready(): Promise<DevReady> {
    const ended = once(this.#child, "close");
    while (!this.#stdout.includes("\n")) {
      const next = this.#child.stdout === null ? ended : once(this.#child.stdout, "data");
      const isEnd = await Promise.race([next.then(() => false), ended.then(() => true)]);
      if (isEnd) throw new Error(`dev up ended before it was ready:\n${this.#stderr}`);
    }
    return JSON.parse(this.#stdout) as DevReady;
  }

  /** Sends a signal; resolves with the exit code, null when the signal ended it. */
  async end(signal: "SIGINT" | "SIGKILL"): Promise<number | null> {
    const closed = this.ended();
    this.#child.kill(signal);
    return closed;
  }

  /** Resolves with the exit code. */
  async ended(): Promise<number | null> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, "close");
    return this.#child.exitCode;
  }

  /** Runs `lograft dev ...` on the same directory. */
  async dev(...args: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
    return runDev([...args, "--dir", this.directory]);
  }

  async status(): Promise<DevStatusRow[]> {
    const { stdout, stderr } = await this.dev("status", "--json");
    if (stdout === "") throw new Error(stderr);
    return JSON.parse(stdout) as DevStatusRow[];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.end("SIGKILL");
  }
}

/** Runs `lograft dev ...` to its end. */
export async function runDev(
  args: readonly string[],
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [CLI, "dev", ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: ENV,
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (piece: string) => {
    stdout += piece;
  });
  child.stderr.setEncoding("utf8").on("data", (piece: string) => {
    stderr += piece;
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stdout, stderr };
}

/** The first of ports for so many brokers in a row that were free a moment ago. */
export async function freeBasePort(count: number): Promise<number> {
  for (let tries = 0; tries < 50; tries++) {
    const basePort = Math.min(await freePort(), 65_535 - 2 * count);
    const plan = planCluster({ count, basePort, settings: [] });
    if ((await takenPorts(plan.nodes)).length === 0) return basePort;
  }
  throw new Error(`no ${2 * count} free ports in a row`);
}

/** Resolves when none of the processes is there any more. @throws when one still is after 10 s. */
export async function gone(pids: readonly number[]): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (pids.some(isAlive)) {
    if (performance.now() > deadline) throw new Error(`still running: ${pids.filter(isAlive).join(", ")}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 10);
    });
  }
}

function isAlive(pid: number): boolean {
  try {
    // In a container nobody may collect an orphan that has ended: it is there by name only.
    if (process.platform === "linux" && readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z "))
      return false;
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
