import { createInterface } from "node:readline";
import type { HistogramCounts } from "./latency-histogram.ts";
import { OwnedProcess } from "./owned-process.ts";
import type { ProgramCall } from "./owned-process.ts";

/*
 * The clients of all systems are programs of one form: a line "command key=value ..." on stdin, one line of JSON back on
 * stdout (`{"result": {...}}`, or `{"error": "..."}`), and in between perhaps `{"event": "..."}`. One program serves
 * all rows of a session, so that what it measures is warm.
 */

/** What a client answers; each command fills its own part. */
export interface ClientResult {
  /** Records and bytes of their values that count, and the time that they took. */
  readonly records?: number;
  readonly bytes?: number;
  readonly seconds?: number;
  /** CPU time of the client in that time. */
  readonly cpuSeconds?: number;
  /** All bytes of the command, those of the warm-up too. */
  readonly allBytes?: number;
  readonly latency?: HistogramCounts;
  /** Longest time between two acknowledgements. */
  readonly gapMs?: number;
  /** Records that the system gave up. */
  readonly failed?: number;
  /** Node ids, by partition. */
  readonly leaders?: readonly number[];
  /** -1: the system has none. */
  readonly controller?: number;
}

interface Waiting {
  readonly resolve: (result: ClientResult) => void;
  readonly reject: (error: Error) => void;
  readonly onEvent: (event: string) => void;
}

/** A running client. */
export class ClientDriver {
  readonly #process: OwnedProcess;
  #waiting: Waiting | undefined;
  #isGivenUp = false;

  constructor(name: string, call: ProgramCall, logPath: string) {
    this.#process = new OwnedProcess({ name, call, logPath, pipes: true });
    const { child } = this.#process;
    child.stdin?.on("error", () => undefined);
    if (child.stdout !== null) createInterface(child.stdout).on("line", (line) => this.#onLine(line));
    const fail = (): void => {
      this.#process.lastWords().then(
        (words) => this.#settle((waiting) => waiting.reject(new Error(`the client ended: ${words}`))),
        () => undefined,
      );
    };
    child.once("exit", fail);
    child.once("error", fail);
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** False from the moment on when it was given up. */
  get isRunning(): boolean {
    return !this.#isGivenUp && this.#process.isRunning;
  }

  /** One command at a time. @throws what the client answers; when it ends, or has not answered in time: it is killed then. */
  async ask(
    command: string,
    values: Readonly<Record<string, string | number>>,
    options: { readonly timeoutMs: number; readonly onEvent?: (event: string) => void },
  ): Promise<ClientResult> {
    if (this.#waiting !== undefined) throw new Error("the client is still at its last command");
    if (!this.#process.isRunning) throw new Error(`the client has ended: ${await this.#process.lastWords()}`);
    const answer = new Promise<ClientResult>((resolve, reject) => {
      this.#waiting = { resolve, reject, onEvent: options.onEvent ?? (() => undefined) };
    });
    const words = Object.entries(values).map(([key, value]) => `${key}=${value}`);
    this.tell([command, ...words].join(" "));
    const timer = setTimeout(() => {
      this.#settle(({ reject }) => reject(new Error(`no answer to "${command}" in ${options.timeoutMs} ms`)));
      this.#isGivenUp = true;
      this.#process.kill();
    }, options.timeoutMs);
    try {
      return await answer;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Says a line in the middle of a command. */
  tell(line: string): void {
    this.#process.child.stdin?.write(`${line}\n`);
  }

  /** The end of its stdin ends a client. */
  async stop(): Promise<void> {
    this.#process.child.stdin?.end();
    const timer = setTimeout(() => this.#process.kill(), 3000);
    await this.#process.ended();
    clearTimeout(timer);
  }

  #onLine(line: string): void {
    if (!line.startsWith("{")) return;
    const parsed = JSON.parse(line) as {
      readonly result?: ClientResult;
      readonly error?: string;
      readonly event?: string;
    };
    const { result, error, event } = parsed;
    if (event !== undefined) this.#waiting?.onEvent(event);
    else if (result !== undefined) this.#settle(({ resolve }) => resolve(result));
    else this.#settle(({ reject }) => reject(new Error(error ?? `the client said: ${line}`)));
  }

  #settle(how: (waiting: Waiting) => void): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined) how(waiting);
  }
}
