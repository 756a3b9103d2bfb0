import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { closeSync, fstatSync, openSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Deferred } from "../../base/deferred.ts";
import { errorMessage, operationError } from "../../base/errors.ts";

/** What a broker prints when it is ready. */
export interface ReadyBroker {
  readonly address: string;
  readonly nodeId: number;
  readonly clusterId: string;
  /** The active controller as this broker knows it; -1: none. */
  readonly controllerId: number;
}

/** How a process ended. */
export interface ChildEnd {
  readonly code: number | null;
  readonly signal: string | null;
}

/** The CLI of this very installation: JavaScript in dist/, TypeScript when it runs from the sources. */
export const CLI_ENTRY = fileURLToPath(
  new URL(import.meta.url.endsWith(".ts") ? "../main.ts" : "../main.js", import.meta.url),
);

/** One broker as a child process. It stops by itself when this process is gone, however that ended. */
export class BrokerChild {
  readonly pid: number;
  /** Rejects when the process ends before it is ready. */
  readonly ready: Promise<ReadyBroker>;
  readonly ended: Promise<ChildEnd>;
  /** Size of the log file when the process began to write to it, in bytes. */
  readonly logStart: number;
  readonly #child: ChildProcess;
  #state: "starting" | "running" | "stopping" | "ended" = "starting";

  /** @param args of the CLI. @param logPath gets its stderr, behind what is there. */
  constructor(options: {
    readonly args: readonly string[];
    readonly logPath: string;
    readonly env: Readonly<Record<string, string | undefined>>;
  }) {
    const log = openSync(options.logPath, "a");
    try {
      this.logStart = fstatSync(log).size;
      this.#child = spawn(process.execPath, [CLI_ENTRY, ...options.args], {
        // The log file itself and no pipe: what a broker says last is not lost with this process.
        stdio: ["pipe", "pipe", log],
        // A session of its own: the terminal's Ctrl-C is for the supervisor, which then stops them.
        detached: true,
        env: { NODE_COMPILE_CACHE: join(tmpdir(), "node-compile-cache"), ...options.env },
      });
    } finally {
      closeSync(log);
    }
    this.pid = this.#child.pid ?? 0;
    const ready = new Deferred<ReadyBroker>();
    const ended = new Deferred<ChildEnd>();
    this.ready = ready.promise;
    this.ended = ended.promise;
    const end = (how: ChildEnd, why: string): void => {
      this.#state = "ended";
      ready.reject(operationError("CONNECTION_FAILED", why));
      ended.resolve(how);
    };
    // Nobody may be waiting for the readiness of a process that was started again long ago.
    this.ready.catch(() => undefined);
    this.#child.once("error", (error) => end({ code: null, signal: null }, errorMessage(error)));
    this.#child.once("exit", (code, signal) => end({ code, signal }, describeEnd({ code, signal })));
    // Closing the pipe is how a dying process looks; the write end is never written to.
    this.#child.stdin?.on("error", () => undefined);
    this.#onLines((line) => {
      const broker = parseReady(line);
      if (broker === undefined) return;
      if (this.#state === "starting") this.#state = "running";
      ready.resolve(broker);
    });
  }

  get state(): "starting" | "running" | "stopping" | "ended" {
    return this.#state;
  }

  /** SIGTERM: the broker finishes what it has taken. */
  stop(): void {
    if (this.#state === "ended") return;
    this.#state = "stopping";
    this.#child.kill("SIGTERM");
  }

  /** SIGKILL. */
  kill(): void {
    if (this.#state !== "ended") this.#child.kill("SIGKILL");
  }

  #onLines(onLine: (line: string) => void): void {
    let rest = "";
    this.#child.stdout?.setEncoding("utf8").on("data", (piece: string) => {
      const lines = (rest + piece).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) onLine(line);
    });
  }
}

/** "ended with code 1", "was killed by SIGKILL". */
export function describeEnd(end: ChildEnd): string {
  if (end.signal !== null) return `was ended by ${end.signal}`;
  return end.code === null ? "could not be started" : `ended with code ${end.code}`;
}

function parseReady(line: string): ReadyBroker | undefined {
  if (!line.startsWith("{")) return undefined;
  const value = JSON.parse(line) as Partial<ReadyBroker>;
  const { address, nodeId, clusterId, controllerId } = value;
  if (address === undefined || nodeId === undefined || clusterId === undefined) return undefined;
  return { address, nodeId, clusterId, controllerId: controllerId ?? -1 };
}
