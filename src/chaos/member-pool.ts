import { setTimeout as sleep } from "node:timers/promises";
import { join } from "node:path";
import type { HistoryLog } from "./history-log.ts";
import type { Key } from "./keys.ts";
import { MemberProcess } from "./member-process.ts";
import type { MemberProgram } from "./member-messages.ts";
import { nowNs } from "./monotonic-time.ts";

export interface MemberPoolOptions {
  readonly group: string;
  /** Members at a time. */
  readonly size: number;
  /** All that the members share. */
  readonly keys: readonly Key[];
  readonly topics: readonly string[];
  readonly brokers: readonly string[];
  /** As in `MemberProgram`. */
  readonly ways: MemberProgram["ways"];
  /** Each member's stderr goes to a file of its own in it. */
  readonly logDirectory: string;
}

const START_TIMEOUT_MS = 120_000;
const LEAVE_TIMEOUT_MS = 20_000;
const POLL_MS = 20;

/** The members of one consumer group, each a process; the history has a file for each. */
export class MemberPool implements AsyncDisposable {
  readonly group: string;
  readonly keys: readonly Key[];
  readonly #options: MemberPoolOptions;
  readonly #log: HistoryLog;
  #members: MemberProcess[] = [];

  constructor(options: MemberPoolOptions, deps: { readonly log: HistoryLog }) {
    this.group = options.group;
    this.keys = options.keys;
    this.#options = options;
    this.#log = deps.log;
  }

  /** Those whose process has not ended; a paused one counts. */
  get running(): readonly MemberProcess[] {
    this.#members = this.#members.filter(({ isRunning }) => isRunning);
    return this.#members;
  }

  /** Those that have keys. */
  get busy(): readonly MemberProcess[] {
    return this.running.filter(({ held }) => held.length > 0);
  }

  /** Starts all members; resolves when they have all keys between them. @throws when that takes too long. */
  async start(signal: AbortSignal): Promise<void> {
    this.fill();
    const deadline = performance.now() + START_TIMEOUT_MS;
    while (!this.isWhole) {
      if (performance.now() > deadline) {
        const logs = this.#members.map(({ number, log }) => `--- member ${number}\n${log.slice(-2000)}`);
        throw new Error(
          `the members of ${this.group} have not shared out all keys within ${START_TIMEOUT_MS} ms\n${logs.join("\n")}`,
        );
      }
      await sleep(POLL_MS, undefined, { signal });
    }
  }

  /** Starts as many as are missing, and does not wait for them. */
  fill(): void {
    while (this.running.length < this.#options.size) this.#launch();
  }

  /** All members have joined, and each key is held by one that runs. */
  get isWhole(): boolean {
    return this.running.every(({ hasJoined }) => hasJoined) && this.hasAll(this.keys.map(({ name }) => name));
  }

  /** Each of these keys is held by a member that runs, other than this one. */
  hasAll(keys: readonly string[], except?: MemberProcess): boolean {
    const held = new Set(this.running.flatMap((member) => (member === except ? [] : member.held)));
    return keys.every((key) => held.has(key));
  }

  /** SIGCONT to all. */
  resumeAll(): void {
    for (const member of this.running) member.resume();
  }

  /** SIGKILL to all, without waiting: for the end of this process. */
  killNow(): void {
    for (const member of this.#members) member.killNow();
  }

  /** Ends one in the clean way. Answers whether it left in time. */
  async leave(member: MemberProcess): Promise<boolean> {
    return member.leave(LEAVE_TIMEOUT_MS);
  }

  /** All leave the group and end. */
  async stop(): Promise<void> {
    await Promise.all(this.running.map((member) => this.leave(member)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#members.map((member) => member[Symbol.asyncDispose]()));
  }

  #launch(): void {
    const { group, topics, brokers, ways, logDirectory } = this.#options;
    const { process, path } = this.#log.reserveProcess();
    const program: MemberProgram = { process, historyPath: path, group, topics, brokers, ways };
    const member = MemberProcess.launch(program, {
      logPath: join(logDirectory, `member-${process}.log`),
      onEnd: ({ number }) => {
        this.#log.note({ type: "broken", t: nowNs(), what: `member ${number} ended by itself` });
      },
    });
    this.#members.push(member);
  }
}
