import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { errorMessage } from "../base/errors.ts";
import type { ClusterDetails } from "../client/index.ts";
import { LograftClient } from "../client/index.ts";
import { BrokerProcess } from "./broker-process.ts";
import { freePort } from "./free-port.ts";
import { Relay } from "./relay.ts";
import type { RelayCounts } from "./relay.ts";

/** What one broker says of the cluster. */
export interface NodeView {
  readonly nodeId: number;
  /** -1: it knows of none. */
  readonly controllerId: number;
  readonly controllerEpoch: number;
  readonly metadataOffset: number;
  readonly stateHash: number;
}

export interface ClusterProcessOptions {
  /** Each broker gets a directory of its own in it. */
  readonly directory: string;
  /** Founding voters. Default 3. */
  readonly nodes?: number;
  /** "key=value", for every broker. */
  readonly settings?: readonly string[];
  /** Each broker reaches each other one through a relay of its own, so that every directed link can be cut. */
  readonly hasRelays?: boolean;
  /** Where a broker has its data. Default: "node-N" in the directory. */
  readonly dataDirectoryOf?: (nodeId: number) => string;
  /** Each broker's log goes to "node-N.log" in this directory. */
  readonly logDirectory?: string;
  /** The syncs of each broker can be made slow. */
  readonly hasSlowSync?: boolean;
}

interface NodePlan {
  readonly nodeId: number;
  readonly clientPort: number;
  readonly peerPort: number;
  readonly isFounder: boolean;
}

const POLL_MS = 10;
const ASK_TIMEOUT_MS = 1000;
const READY_TIMEOUT_MS = 30_000;
const AGREE_TIMEOUT_MS = 30_000;

/** A cluster of real processes on free ports, to be killed, stopped and cut apart. */
export class ClusterProcess implements AsyncDisposable {
  readonly #options: ClusterProcessOptions;
  readonly #plans: NodePlan[];
  readonly #relays: ReadonlyMap<string, Relay>;
  readonly #brokers = new Map<number, BrokerProcess>();
  readonly #client: LograftClient;
  #isRelayed = false;

  private constructor(options: ClusterProcessOptions, plans: NodePlan[], relays: ReadonlyMap<string, Relay>) {
    this.#options = options;
    this.#plans = plans;
    this.#relays = relays;
    this.#client = this.client();
  }

  /** Resolves when all founders are ready. @throws with all their logs when they are not in time. */
  static async start(options: ClusterProcessOptions): Promise<ClusterProcess> {
    const plans: NodePlan[] = [];
    for (let nodeId = 1; nodeId <= (options.nodes ?? 3); nodeId++) plans.push(await planOf(nodeId, true));
    const relays = new Map<string, Relay>();
    if (options.hasRelays === true) {
      for (const from of plans) {
        for (const to of plans) {
          if (from !== to) relays.set(linkName(from.nodeId, to.nodeId), await Relay.listen(to.peerPort));
        }
      }
    }
    const cluster = new ClusterProcess(options, plans, relays);
    try {
      await cluster.startAll();
      if (options.hasRelays === true) {
        // Founders have to list the same voters; behind relays each has its own ways to the others, so they come after.
        await cluster.killAll();
        cluster.#isRelayed = true;
        await cluster.startAll();
      }
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  get nodeIds(): number[] {
    return this.#plans.map((plan) => plan.nodeId);
  }

  /** Those whose process has not ended; a paused one counts. */
  get runningIds(): number[] {
    return this.nodeIds.filter((nodeId) => this.#brokers.get(nodeId)?.isRunning === true);
  }

  /** "host:port" of a node for clients, running or not. */
  addressOf(nodeId: number): string {
    return `127.0.0.1:${this.#plan(nodeId).clientPort}`;
  }

  /** Where a node has its data. */
  dataDirectoryOf(nodeId: number): string {
    return this.#options.dataDirectoryOf?.(nodeId) ?? join(this.#options.directory, `node-${nodeId}`);
  }

  /** A client that begins with these nodes, or all. The caller closes it. */
  client(nodeIds: readonly number[] = this.nodeIds): LograftClient {
    return new LograftClient({
      brokers: nodeIds.map((nodeId) => this.addressOf(nodeId)),
      clientId: "cluster-process",
      retry: { initialMs: 5, maxMs: 50, jitter: 0.2 },
    });
  }

  broker(nodeId: number): BrokerProcess {
    const broker = this.#brokers.get(nodeId);
    if (broker === undefined) throw new Error(`node ${nodeId} was never started`);
    return broker;
  }

  /** The way on which `from` sends to `to`, and on which the answers come back. */
  link(from: number, to: number): Relay {
    const relay = this.#relays.get(linkName(from, to));
    if (relay === undefined) throw new Error(`there is no relay from ${from} to ${to}`);
    return relay;
  }

  /** Nothing that `from` sends reaches `to`: neither its own messages nor its answers to those of `to`. */
  cutOneWay(from: number, to: number): void {
    this.link(from, to).cut("forward");
    this.link(to, from).cut("back");
  }

  /** Nothing passes between the two. */
  cutBoth(one: number, other: number): void {
    this.link(one, other).cut("forward", "back");
    this.link(other, one).cut("forward", "back");
  }

  /** What passed between a node and others so far, both ways together. */
  passedBetween(node: number, others: readonly number[]): RelayCounts {
    const counts = others.flatMap((other) => [this.link(node, other).counts, this.link(other, node).counts]);
    const sum = (name: keyof RelayCounts): number => counts.reduce((total, each) => total + each[name], 0);
    return { passedBytes: sum("passedBytes"), blockedConnections: sum("blockedConnections") };
  }

  healAll(): void {
    for (const relay of this.#relays.values()) relay.heal();
  }

  /** Starts a node, again or for the first time, and does not wait. */
  launch(nodeId: number): BrokerProcess {
    const plan = this.#plan(nodeId);
    const { logDirectory, hasSlowSync = false } = this.#options;
    const broker = BrokerProcess.launch({
      dataDirectory: this.dataDirectoryOf(nodeId),
      port: 0,
      settings: this.#settingsOf(plan),
      ...(logDirectory === undefined ? {} : { logPath: join(logDirectory, `node-${nodeId}.log`) }),
      hasSlowSync,
    });
    this.#brokers.set(nodeId, broker);
    return broker;
  }

  /** Starts a node and resolves when it is ready, with the milliseconds that took. */
  async start(nodeId: number): Promise<number> {
    const startedAt = performance.now();
    await this.#readyInTime([this.launch(nodeId)]);
    return performance.now() - startedAt;
  }

  /** Starts every node that does not run, at once; resolves when they are ready, with the milliseconds that took. */
  async startAll(): Promise<number> {
    const startedAt = performance.now();
    const { directory, logDirectory = directory } = this.#options;
    for (const path of [directory, logDirectory]) await mkdir(path, { recursive: true });
    const running = new Set(this.runningIds);
    const stopped = this.nodeIds.filter((nodeId) => !running.has(nodeId));
    await this.#readyInTime(stopped.map((nodeId) => this.launch(nodeId)));
    return performance.now() - startedAt;
  }

  /** One more broker joins the running cluster; resolves with its node id when it is ready. */
  async add(): Promise<number> {
    const nodeId = Math.max(...this.nodeIds) + 1;
    this.#plans.push(await planOf(nodeId, false));
    await this.start(nodeId);
    return nodeId;
  }

  /** SIGKILL to all, without waiting: for the end of this process. */
  killNow(): void {
    for (const broker of this.#brokers.values()) broker.killNow();
  }

  /** SIGKILL to all at the same moment. */
  async killAll(): Promise<void> {
    await Promise.all([...this.#brokers.values()].map((broker) => broker.kill()));
  }

  /** What a node says when it is asked itself; undefined when it does not answer in time. */
  async viewOf(nodeId: number): Promise<NodeView | undefined> {
    let cluster: ClusterDetails;
    try {
      const options = { address: this.addressOf(nodeId), timeoutMs: ASK_TIMEOUT_MS };
      cluster = await this.#client.admin().describeCluster(options);
    } catch {
      return undefined;
    }
    const { controllerId, controllerEpoch, answeredBy } = cluster;
    return { controllerId, controllerEpoch, ...answeredBy };
  }

  /** Resolves when these nodes (all that run) name one active controller of one epoch, which is among them. */
  async agreedController(nodeIds: readonly number[] = this.runningIds): Promise<NodeView> {
    return this.until(`nodes ${nodeIds.join(", ")} name one controller`, async () => {
      const views = await Promise.all(nodeIds.map((nodeId) => this.viewOf(nodeId)));
      const [first] = views;
      if (first === undefined || !nodeIds.includes(first.controllerId)) return undefined;
      const isAgreed = views.every(
        (view) => view?.controllerId === first.controllerId && view.controllerEpoch === first.controllerEpoch,
      );
      return isAgreed ? views.find((view) => view?.nodeId === first.controllerId) : undefined;
    });
  }

  /** Resolves with the state hash of all nodes that run, once all are at one metadata offset. @throws when the hashes differ. */
  async agreedState(): Promise<number> {
    const views = await this.until("all nodes are at one metadata offset", async () => {
      const found = await Promise.all(this.runningIds.map((nodeId) => this.viewOf(nodeId)));
      const isLevel = found.every(
        (view) => view !== undefined && view.metadataOffset === found[0]?.metadataOffset,
      );
      return isLevel ? found : undefined;
    });
    const hashes = new Set(views.map((view) => view?.stateHash));
    const [only] = hashes;
    if (hashes.size !== 1 || only === undefined) {
      throw new Error(`the states differ at offset ${views[0]?.metadataOffset}: ${JSON.stringify(views)}`);
    }
    return only;
  }

  /** Asks again and again until the probe has an answer. @throws with all logs when it has none in time. */
  async until<T>(
    what: string,
    probe: () => Promise<T | undefined>,
    timeoutMs: number = AGREE_TIMEOUT_MS,
  ): Promise<T> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const found = await probe();
      if (found !== undefined) return found;
      if (performance.now() > deadline)
        throw new Error(`not within ${timeoutMs} ms: ${what}\n${this.logs()}`);
      await sleep(POLL_MS);
    }
  }

  /** The newest lines of every node's log. */
  logs(lines = 40): string {
    return [...this.#brokers]
      .map(([nodeId, { log }]) => `--- node ${nodeId}\n${log.split("\n").slice(-lines).join("\n")}`)
      .join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.close();
    await this.killAll();
    for (const relay of this.#relays.values()) await relay[Symbol.asyncDispose]();
  }

  async #readyInTime(brokers: readonly BrokerProcess[]): Promise<void> {
    const late = new AbortController();
    const deadline = sleep(READY_TIMEOUT_MS, undefined, { signal: late.signal }).then(
      () => Promise.reject(new Error(`not ready within ${READY_TIMEOUT_MS} ms`)),
      () => undefined,
    );
    try {
      await Promise.race([Promise.all(brokers.map((broker) => broker.ready)), deadline]);
    } catch (error) {
      throw new Error(`${errorMessage(error)}\n${this.logs()}`, { cause: error });
    } finally {
      late.abort();
    }
  }

  #settingsOf({ nodeId, clientPort, peerPort, isFounder }: NodePlan): string[] {
    const founders = this.#plans.filter((plan) => plan.isFounder);
    const endpoint = (plan: NodePlan): string => {
      const relay = this.#isRelayed ? this.#relays.get(linkName(nodeId, plan.nodeId)) : undefined;
      return `127.0.0.1:${relay?.port ?? plan.peerPort}`;
    };
    return [
      `node.id=${nodeId}`,
      `listeners=CLIENT://127.0.0.1:${clientPort},PEER://127.0.0.1:${peerPort}`,
      isFounder
        ? `controller.quorum.voters=${founders.map((plan) => `${plan.nodeId}@${endpoint(plan)}`).join(",")}`
        : `controller.quorum.bootstrap.servers=${founders.map(endpoint).join(",")}`,
      ...(this.#options.settings ?? []),
    ];
  }

  #plan(nodeId: number): NodePlan {
    const plan = this.#plans.find((one) => one.nodeId === nodeId);
    if (plan === undefined) throw new Error(`there is no node ${nodeId}`);
    return plan;
  }
}

async function planOf(nodeId: number, isFounder: boolean): Promise<NodePlan> {
  return { nodeId, clientPort: await freePort(), peerPort: await freePort(), isFounder };
}

function linkName(from: number, to: number): string {
  return `${from}>${to}`;
}
