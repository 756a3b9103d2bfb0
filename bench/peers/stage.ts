import { join } from "node:path";
import { ClientDriver } from "./client-driver.ts";
import type { ClientResult } from "./client-driver.ts";
import { makeDirectory, removeDirectory } from "./owned-directory.ts";
import { runProgram } from "./owned-process.ts";
import type { InstalledPeer } from "./peer.ts";
import { ServerCluster } from "./server-cluster.ts";

/** How all clients of all systems send: the batch that a client may fill, and how long it may wait for that. */
export const SENDING = { batch: 64 << 10, linger: 5, buffer: 64 << 20 } as const;

/** How long the phases of each row take. */
export interface Phases {
  readonly warmupMs: number;
  readonly measureMs: number;
}

const ANSWER_MS = 120_000;
const READY_MS = 90_000;

/** One system started in a new directory, with a client. All of it is gone when it is disposed. */
export class Stage implements AsyncDisposable {
  readonly nodes: number;
  readonly directory: string;
  readonly cluster: ServerCluster;
  #driver: ClientDriver;
  readonly #drivers: ClientDriver[] = [];
  readonly #peer: InstalledPeer;
  readonly #servers: readonly string[];

  private constructor(options: {
    readonly peer: InstalledPeer;
    readonly nodes: number;
    readonly directory: string;
    readonly cluster: ServerCluster;
    readonly servers: readonly string[];
  }) {
    this.nodes = options.nodes;
    this.directory = options.directory;
    this.cluster = options.cluster;
    this.#peer = options.peer;
    this.#servers = options.servers;
    this.#driver = this.addDriver();
  }

  /** The client of most rows; another one when the last had to be ended. */
  get driver(): ClientDriver {
    if (!this.#driver.isRunning) this.#driver = this.addDriver();
    return this.#driver;
  }

  /** Makes a cluster below `parent` and starts it; nothing is known to answer yet. */
  static async open(peer: InstalledPeer, nodes: number, parent: string): Promise<Stage> {
    const directory = await makeDirectory(parent);
    try {
      const plan = await peer.prepare(directory, nodes);
      const cluster = new ServerCluster(plan, directory);
      cluster.start();
      return new Stage({ peer, nodes, directory, cluster, servers: plan.servers });
    } catch (error) {
      await removeDirectory(directory);
      throw error;
    }
  }

  /** One more client process; it ends with the stage. */
  addDriver(): ClientDriver {
    const name = `client ${this.#drivers.length + 1}`;
    const driver = new ClientDriver(
      name,
      this.#peer.client(this.#servers),
      join(this.directory, "client.log"),
    );
    this.#drivers.push(driver);
    return driver;
  }

  /** Asks the client, within what the command itself takes and two minutes. */
  async ask(
    command: string,
    values: Readonly<Record<string, string | number>>,
    takesMs = 0,
  ): Promise<ClientResult> {
    return this.driver.ask(command, values, { timeoutMs: takesMs + ANSWER_MS });
  }

  /** Makes a topic when all nodes are there. */
  async createTopic(topic: string, partitions: number): Promise<void> {
    const values = { topic, partitions, replicas: this.nodes, nodes: this.nodes, limit: READY_MS };
    const creating = this.driver.ask("create", values, { timeoutMs: READY_MS + ANSWER_MS });
    creating.catch(() => undefined);
    const done = new AbortController();
    try {
      // A broker that ended by itself is not waited for.
      await Promise.race([creating, this.cluster.watch(done.signal)]);
    } finally {
      done.abort();
    }
  }

  async deleteTopic(topic: string, partitions: number): Promise<void> {
    await this.ask("delete", { topic, partitions });
  }

  /** Writes this many records as fast as they are taken. */
  async fill(topic: string, partitions: number, recordBytes: number, count: number): Promise<void> {
    const values = { topic, partitions, bytes: recordBytes, producers: 1, acks: "all", ...SENDING };
    await this.ask("produce", { ...values, warmup: 0, duration: 0, count }, 120_000);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#drivers.map((driver) => driver.stop()));
    await this.cluster[Symbol.asyncDispose]();
    await removeDirectory(this.directory);
  }
}

/** Writes what is dirty to the disk and takes the files of a directory out of the page cache. */
export async function dropPageCache(directory: string): Promise<void> {
  const files = ["-type", "f", "-size", "+0"];
  const advise = ["-exec", "dd", "if={}", "iflag=nocache", "count=0", "status=none", ";"];
  await runProgram({ command: "sync", args: [] }, { timeoutMs: ANSWER_MS });
  await runProgram({ command: "find", args: [directory, ...files, ...advise] }, { timeoutMs: ANSWER_MS });
}

/** Lets what the last turn left on its way to the disk arrive, so that the next one does not pay for it. */
export async function settle(): Promise<void> {
  await runProgram({ command: "sync", args: [] }, { timeoutMs: ANSWER_MS });
}
