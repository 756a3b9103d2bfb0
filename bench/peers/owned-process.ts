import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";

/** How a program is started. */
export interface ProgramCall {
  readonly command: string;
  readonly args: readonly string[];
  /** Beside those of this process. */
  readonly env?: Readonly<Record<string, string>>;
}

const STOP_MS = 20_000;
const LOG_TAIL_CHARS = 2000;
const SETPRIV = "/usr/bin/setpriv";
const living = new Set<ChildProcess>();

// Whatever ends this process ends what it started, without a chance to linger.
process.once("exit", () => {
  for (const child of living) child.kill("SIGKILL");
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(signal, () => process.exit(130));
}

/** A child process that ends with this one, its stderr in a file. */
export class OwnedProcess {
  readonly child: ChildProcess;
  readonly #name: string;
  readonly #logPath: string;
  readonly #ended: Promise<unknown>;

  /** @param options.pipes whether stdin and stdout are pipes; stdout goes to the log otherwise. */
  constructor(options: {
    readonly name: string;
    readonly call: ProgramCall;
    readonly logPath: string;
    readonly pipes: boolean;
  }) {
    const { name, call, logPath, pipes } = options;
    this.#name = name;
    this.#logPath = logPath;
    const log = openSync(logPath, "a");
    try {
      // Where the system can, it ends the child even when this process is killed outright.
      const isTied = existsSync(SETPRIV);
      const args = isTied ? ["--pdeathsig", "KILL", call.command, ...call.args] : [...call.args];
      this.child = spawn(isTied ? SETPRIV : call.command, args, {
        stdio: pipes ? ["pipe", "pipe", log] : ["ignore", log, log],
        env: { ...foreignEnvironment(), ...call.env },
      });
    } finally {
      closeSync(log);
    }
    living.add(this.child);
    this.child.once("error", () => living.delete(this.child));
    this.child.once("exit", () => living.delete(this.child));
    this.#ended = Promise.race([once(this.child, "exit"), once(this.child, "error")]);
    this.#ended.catch(() => undefined);
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get isRunning(): boolean {
    return this.child.pid !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }

  kill(): void {
    if (this.isRunning) this.child.kill("SIGKILL");
  }

  /** SIGTERM, and SIGKILL when that does not end it within 20 s. */
  async stop(): Promise<void> {
    if (!this.isRunning) return;
    this.child.kill("SIGTERM");
    const timer = setTimeout(() => this.kill(), STOP_MS);
    await this.#ended;
    clearTimeout(timer);
  }

  /** Waits until it has ended. */
  async ended(): Promise<void> {
    if (this.isRunning) await this.#ended;
  }

  /** What it said last, for a message of an error. */
  async lastWords(): Promise<string> {
    const text = await readFile(this.#logPath, "utf8").catch(() => "");
    return `${this.#name}: ${text.slice(-LOG_TAIL_CHARS).trim() || "it said nothing"}`;
  }
}

/** The environment without settings of lograft: they are the harness's own, or would be a broker's. */
function foreignEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("LOGRAFT_")));
}

/** Runs a program to its end and gives its output. @throws with what it said last when it fails or takes too long. */
export async function runProgram(
  call: ProgramCall,
  options: { readonly timeoutMs: number; readonly directory?: string },
): Promise<string> {
  const child = spawn(call.command, [...call.args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...call.env },
    ...(options.directory === undefined ? {} : { cwd: options.directory }),
    timeout: options.timeoutMs,
    killSignal: "SIGKILL",
  });
  living.add(child);
  let output = "";
  let all = "";
  child.stdout.setEncoding("utf8").on("data", (piece: string) => {
    output += piece;
    all += piece;
  });
  child.stderr.setEncoding("utf8").on("data", (piece: string) => (all += piece));
  const [code, signal] = await new Promise<readonly [number | null, string | null]>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (...end) => resolve(end));
  }).finally(() => living.delete(child));
  if (code === 0) return output;
  const how = signal === null ? `ended with code ${code}` : `was ended by ${signal}`;
  throw new Error(`${call.command} ${call.args[0] ?? ""} ${how}: ${all.slice(-LOG_TAIL_CHARS).trim()}`);
}
