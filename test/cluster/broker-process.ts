import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const CLI = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

export interface BrokerProcessOptions {
  readonly dataDirectory: string;
  /** For clients; 0 takes a free one. */
  readonly port: number;
  /** "key=value"; they win over what the harness sets. */
  readonly settings?: readonly string[];
}

/** A broker in a process of its own, to be killed for real. It runs from the sources, so no build can be stale. */
export class BrokerProcess implements AsyncDisposable {
  readonly dataDirectory: string;
  /** Resolves when the broker has printed that it is ready. Rejects when it ends before that; the text has its stderr. */
  readonly ready: Promise<this>;
  readonly #child: ChildProcess;
  readonly #output: OutputTail;
  #address = "";

  private constructor(child: ChildProcess, dataDirectory: string) {
    this.#child = child;
    this.#output = new OutputTail(child);
    this.dataDirectory = dataDirectory;
    this.ready = readyAddress(child, this.#output).then((address) => {
      this.#address = address;
      return this;
    });
    // It may be killed before anybody waits for it.
    this.ready.catch(() => undefined);
  }

  /** Starts a process and does not wait: founders of a cluster are ready together or not at all. */
  static launch(options: BrokerProcessOptions): BrokerProcess {
    const args = ["start", "--json", "--data-dir", options.dataDirectory];
    args.push("--set", `listeners=CLIENT://127.0.0.1:${options.port}`);
    for (const setting of options.settings ?? []) args.push("--set", setting);
    const child = spawn(process.execPath, [CLI, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { NODE_COMPILE_CACHE: join(tmpdir(), "node-compile-cache"), ...process.env },
    });
    return new BrokerProcess(child, options.dataDirectory);
  }

  /** As `launch`; resolves when the broker is ready. @throws when it ends before that. */
  static async start(options: BrokerProcessOptions): Promise<BrokerProcess> {
    return BrokerProcess.launch(options).ready;
  }

  /** "host:port"; empty until it is ready. */
  get address(): string {
    return this.#address;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get port(): number {
    return Number(this.address.slice(this.address.lastIndexOf(":") + 1));
  }

  /** False once the process has ended, whatever ended it. */
  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** What the broker logged, the newest megabyte of it. */
  get log(): string {
    return this.#output.text;
  }

  /** SIGSTOP: it stays connected and does nothing. */
  pause(): void {
    this.#child.kill("SIGSTOP");
  }

  /** SIGCONT. */
  resume(): void {
    this.#child.kill("SIGCONT");
  }

  /** SIGKILL; resolves when the process is gone. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** SIGTERM; resolves with the exit code. */
  async stop(): Promise<number | null> {
    await this.#end("SIGTERM");
    return this.#child.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end("SIGKILL");
  }

  async #end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const closed = once(this.#child, "close");
    this.#child.kill(signal);
    await closed;
  }
}

/** A port that was free a moment ago: for a broker that must come back under the same address. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const closed = once(server, "close");
  server.close();
  await closed;
  if (typeof address !== "object" || address === null) throw new Error("no port");
  return address.port;
}

/** Runs `lograft start` where it is expected to refuse. Resolves with the exit code and what was printed. */
export async function startRefused(
  args: readonly string[],
): Promise<{ readonly code: number | null; readonly text: string }> {
  const child = spawn(process.execPath, [CLI, "start", ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const output = new OutputTail(child);
  let printed = "";
  child.stdout.setEncoding("utf8").on("data", (piece: string) => {
    printed += piece;
    // It came up: the caller's expectation fails, but not by its time limit.
    if (printed.includes("ready at")) child.kill("SIGKILL");
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { code, text: printed + output.text };
}

/** The newest part of what a process writes to its stderr. */
class OutputTail {
  text = "";

  constructor(child: ChildProcess) {
    child.stderr?.setEncoding("utf8").on("data", (piece: string) => {
      this.text = (this.text + piece).slice(-1024 * 1024);
    });
  }
}

async function readyAddress(child: ChildProcess, errors: OutputTail): Promise<string> {
  return new Promise<string>((resolve, reject) => {
    let out = "";
    child.once("error", reject);
    child.once("close", (code, signal) => {
      reject(
        new Error(`the broker ended (code ${code}, signal ${signal}) before it was ready:\n${errors.text}`),
      );
    });
    child.stdout?.setEncoding("utf8").on("data", (piece: string) => {
      out += piece;
      const lines = out.split("\n");
      out = lines.pop() ?? "";
      for (const line of lines) {
        if (!line.startsWith("{")) continue;
        const parsed = JSON.parse(line) as { readonly address?: string };
        if (parsed.address !== undefined) resolve(parsed.address);
      }
    });
  });
}
