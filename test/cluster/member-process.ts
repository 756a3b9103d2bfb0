import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const MEMBER = fileURLToPath(new URL("./group-member.ts", import.meta.url));
const PATIENCE_MS = 30_000;

export interface MemberProcessOptions {
  readonly brokers: readonly string[];
  readonly groupId: string;
  readonly topics: readonly string[];
  /** The handlers of values that begin so wait until `release`, and then commit by hand. */
  readonly holdPrefix?: string;
  readonly rebalanceTimeoutMs?: number;
}

/** What a member says that it did. */
export interface MemberLine {
  readonly what: "assigned" | "committed" | "error" | "handles" | "lost" | "refused" | "revoked";
  readonly value?: string;
  readonly code?: string;
  readonly partitions?: readonly number[];
}

/** A member of a group in a process of its own, to be killed and stopped for real. It ends with this process. */
export class MemberProcess implements AsyncDisposable {
  readonly lines: MemberLine[] = [];
  readonly #child: ChildProcess;
  #rest = "";
  #errors = "";
  #wakers: (() => void)[] = [];

  constructor(options: MemberProcessOptions) {
    this.#child = spawn(process.execPath, [MEMBER, JSON.stringify(options)], {
      stdio: ["pipe", "pipe", "pipe"],
      env: { NODE_COMPILE_CACHE: join(tmpdir(), "node-compile-cache"), ...process.env },
    });
    this.#child.stdin?.on("error", () => undefined);
    this.#child.stderr?.setEncoding("utf8").on("data", (piece: string) => {
      this.#errors += piece;
    });
    this.#child.stdout?.setEncoding("utf8").on("data", (piece: string) => this.#receive(piece));
    this.#child.once("close", () => this.#wake());
  }

  /** Values that its handler was given, in order. */
  get handled(): string[] {
    return this.lines.flatMap(({ what, value = "" }) => (what === "handles" ? [value] : []));
  }

  /** What it has by its own account, ascending. */
  get assignment(): number[] {
    const has = new Set<number>();
    for (const { what, partitions = [] } of this.lines) {
      for (const partition of partitions) {
        if (what === "assigned") has.add(partition);
        else has.delete(partition);
      }
    }
    return [...has].sort((a, b) => a - b);
  }

  /** How often its assignment changed, such as "assigned 0,1". */
  get changes(): string[] {
    return this.lines.flatMap(({ what, partitions }) =>
      partitions === undefined ? [] : [`${what} ${partitions.join()}`],
    );
  }

  /** Resolves when it has said so. @throws with all that it said when that does not come. */
  async until(condition: () => boolean): Promise<void> {
    const endMs = performance.now() + PATIENCE_MS;
    while (!condition()) {
      const restMs = endMs - performance.now();
      const hasEnded = this.#child.exitCode !== null || this.#child.signalCode !== null;
      if (restMs <= 0 || hasEnded) {
        throw new Error(`not said: ${String(condition)}\n${JSON.stringify(this.lines)}\n${this.#errors}`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, restMs);
        this.#wakers.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  /** Lets the handlers that hold go on. */
  release(): void {
    this.#child.stdin?.write("go\n");
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
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const closed = once(this.#child, "close");
    this.#child.kill("SIGKILL");
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  #receive(piece: string): void {
    const lines = (this.#rest + piece).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.lines.push(JSON.parse(line) as MemberLine);
    this.#wake();
  }

  #wake(): void {
    for (const waker of this.#wakers.splice(0)) waker();
  }
}
