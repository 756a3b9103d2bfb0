import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isMemberNews } from "./member-messages.ts";
import type { MemberCommand, MemberProgram } from "./member-messages.ts";
import { OutputTail } from "./output-tail.ts";
import { siblingModule } from "./sibling-module.ts";

const MAIN = siblingModule("./member-main");
/** What a member gets beyond its own time to leave. */
const EXIT_TIMEOUT_MS = 5000;

/** A member of a consumer group in a process of its own, to be killed and stopped for real. */
export class MemberProcess implements AsyncDisposable {
  /** Its number in the history. */
  readonly number: number;
  readonly #child: ChildProcess;
  readonly #output: OutputTail;
  #held: readonly string[] = [];
  #newsCount = 0;
  #isEndMeant = false;

  private constructor(child: ChildProcess, number: number, logPath: string) {
    this.number = number;
    this.#child = child;
    this.#output = new OutputTail(child, logPath);
    // Its end tells more than that it could not be started or spoken to.
    child.on("error", () => undefined);
    child.on("message", (message) => {
      if (!isMemberNews(message)) return;
      this.#newsCount++;
      this.#held = message.held;
    });
  }

  /** Starts a member and does not wait for it. `onEnd`: it ended although nobody meant it to. */
  static launch(
    program: MemberProgram,
    how: { readonly logPath: string; readonly onEnd: (member: MemberProcess) => void },
  ): MemberProcess {
    const child = spawn(process.execPath, [MAIN, JSON.stringify(program)], {
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      // A session of its own: the terminal's Ctrl-C is for whoever does harm to it.
      detached: true,
      env: { NODE_COMPILE_CACHE: join(tmpdir(), "node-compile-cache"), ...process.env },
    });
    const member = new MemberProcess(child, program.process, how.logPath);
    child.once("close", () => {
      if (!member.#isEndMeant) how.onEnd(member);
    });
    return member;
  }

  /** The keys that it has, as far as it has told; of an ended one those that it had. */
  get held(): readonly string[] {
    return this.#held;
  }

  get hasJoined(): boolean {
    return this.#newsCount > 0;
  }

  /** How often it has told what it has. */
  get newsCount(): number {
    return this.#newsCount;
  }

  /** False once the process has ended, whatever ended it. */
  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The newest megabyte of its stderr. */
  get log(): string {
    return this.#output.text;
  }

  /** SIGSTOP: its connections stay, and it does nothing. */
  pause(): void {
    this.#child.kill("SIGSTOP");
  }

  /** SIGCONT. */
  resume(): void {
    this.#child.kill("SIGCONT");
  }

  /** SIGKILL, without waiting. */
  killNow(): void {
    this.#isEndMeant = true;
    if (this.isRunning) this.#child.kill("SIGKILL");
  }

  /** SIGKILL; resolves when the process is gone. */
  async kill(): Promise<void> {
    if (!this.isRunning) return;
    const closed = once(this.#child, "close");
    this.killNow();
    await closed;
  }

  /** It finishes, commits, leaves the group and ends. Answers whether it did in time; otherwise it is killed. */
  async leave(timeoutMs: number): Promise<boolean> {
    this.#isEndMeant = true;
    if (!this.isRunning) return false;
    const closed = once(this.#child, "close");
    const command: MemberCommand = { leaveWithinMs: timeoutMs };
    if (this.#child.connected) this.#child.send(command, () => undefined);
    const late = setTimeout(() => this.killNow(), timeoutMs + EXIT_TIMEOUT_MS);
    await closed;
    clearTimeout(late);
    return this.#child.exitCode === 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}
