import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { usageOf } from "../processes.ts";
import { OwnedProcess } from "./owned-process.ts";
import type { ClusterPlan } from "./peer.ts";

/** CPU time used so far and resident memory, of all brokers together. */
export interface BrokerUsage {
  readonly cpuSeconds: number;
  readonly rssMiB: number;
}

const LOOK_MS = 200;

/** The brokers of a plan, as processes. */
export class ServerCluster implements AsyncDisposable {
  readonly #plan: ClusterPlan;
  readonly #directory: string;
  #running: readonly OwnedProcess[] = [];
  readonly #killed = new Set<OwnedProcess>();

  constructor(plan: ClusterPlan, directory: string) {
    this.#plan = plan;
    this.#directory = directory;
  }

  /** Starts all that the plan has. Readiness is for clients to see. */
  start(): void {
    this.#running = this.#plan.programs.map(
      (call, index) =>
        new OwnedProcess({
          name: `node ${index + 1}`,
          call,
          logPath: join(this.#directory, `node-${index + 1}.log`),
          pipes: false,
        }),
    );
  }

  /** Does nothing until `signal`. @throws with its last words when a broker that was not killed has ended by itself. */
  async watch(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      for (const program of this.#running) {
        if (program.isRunning || this.#killed.has(program)) continue;
        throw new Error(`a broker has ended, ${await program.lastWords()}`);
      }
      await sleep(LOOK_MS);
    }
  }

  /** kill -9. */
  kill(nodeId: number): void {
    const program = this.#running[nodeId - 1];
    if (program === undefined) return;
    this.#killed.add(program);
    program.kill();
  }

  async usage(): Promise<BrokerUsage> {
    const usages = await Promise.all(
      this.#running.filter(({ isRunning }) => isRunning).map(({ pid }) => usageOf(pid)),
    );
    return {
      cpuSeconds: usages.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0),
      rssMiB: usages.reduce((sum, { rssBytes }) => sum + rssBytes, 0) / 2 ** 20,
    };
  }

  /** In order: whoever was started last ends first where there are several kinds, brokers together. */
  async stop(): Promise<void> {
    await Promise.all(this.#running.map((program) => program.stop()));
    this.#running = [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const program of this.#running) program.kill();
    await Promise.all(this.#running.map((program) => program.ended()));
    this.#running = [];
  }
}
