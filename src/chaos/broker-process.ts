import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OutputTail } from "./output-tail.ts";
import { siblingModule } from "./sibling-module.ts";
import { isChaosReport } from "./slow-sync.ts";
import type { ChaosCommand } from "./slow-sync.ts";

/** The CLI of this very installation: JavaScript in dist/, TypeScript when it runs from the sources. */
export const CLI_ENTRY = siblingModule("../cli/main");
const SLOW_SYNC = siblingModule("./slow-sync-preload");

export interface BrokerProcessOptions {
  readonly dataDirectory: string;
  /** For clients; 0 takes a free one. */
  readonly port: number;
  /** "key=value"; they win over what is set here. */
  readonly settings?: readonly string[];
  /** Gets what the broker logs, behind what is there. */
  readonly logPath?: string;
  /** Its syncs can be made slow: a preloaded module stands between the broker and `fdatasync`. */
  readonly hasSlowSync?: boolean;
}

/** A broker in a process of its own, to be killed for real. It stops by itself when this process is gone. */
export class BrokerProcess implements AsyncDisposable {
  readonly dataDirectory: string;
  /** Resolves when the broker has printed that it is ready. Rejects when it ends before that; the text has its stderr. */
  readonly ready: Promise<this>;
  readonly #child: ChildProcess;
  readonly #output: OutputTail;
  #address = "";
  #slowSyncs = 0;

  private constructor(child: ChildProcess, { dataDirectory, logPath }: BrokerProcessOptions) {
    this.#child = child;
    this.#output = new OutputTail(child, logPath);
    this.dataDirectory = dataDirectory;
    // Closing the pipe is how a dying process looks; nothing is ever written to it.
    child.stdin?.on("error", () => undefined);
    child.on("message", (message) => {
      if (isChaosReport(message)) this.#slowSyncs = message.slowSyncs;
    });
    this.ready = readyAddress(child, this.#output).then((address) => {
      this.#address = address;
      return this;
    });
    // It may be killed before anybody waits for it.
    this.ready.catch(() => undefined);
  }

  /** Starts a process and does not wait: founders of a cluster are ready together or not at all. */
  static launch(options: BrokerProcessOptions): BrokerProcess {
    const hasSlowSync = options.hasSlowSync === true;
    const args = [...(hasSlowSync ? ["--import", SLOW_SYNC] : []), CLI_ENTRY, "start", "--json"];
    args.push("--exit-with-parent", "--data-dir", options.dataDirectory);
    args.push("--set", `listeners=CLIENT://127.0.0.1:${options.port}`);
    for (const setting of options.settings ?? []) args.push("--set", setting);
    const child = spawn(process.execPath, args, {
      stdio: ["pipe", "pipe", "pipe", ...(hasSlowSync ? ["ipc" as const] : [])],
      // A session of its own: the terminal's Ctrl-C is for whoever does harm to it.
      detached: true,
      env: { NODE_COMPILE_CACHE: join(tmpdir(), "node-compile-cache"), ...process.env },
    });
    return new BrokerProcess(child, options);
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

  /** Syncs of this process that were made to wait, as far as it has told. */
  get slowSyncs(): number {
    return this.#slowSyncs;
  }

  /** SIGSTOP: it stays connected and does nothing. */
  pause(): void {
    this.#child.kill("SIGSTOP");
  }

  /** SIGCONT. */
  resume(): void {
    this.#child.kill("SIGCONT");
  }

  /** From now on each sync of its files takes so much longer; 0 ends it. Only with `hasSlowSync`. */
  slowSync(delayMs: number): void {
    const command: ChaosCommand = { syncDelayMs: delayMs };
    // A process that ends right now needs no slow disk any more.
    if (this.#child.connected) this.#child.send(command, () => undefined);
  }

  /** SIGKILL, without waiting: for the end of this process. */
  killNow(): void {
    if (this.isRunning) this.#child.kill("SIGKILL");
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
    if (!this.isRunning) return;
    const closed = once(this.#child, "close");
    this.#child.kill(signal);
    await closed;
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
