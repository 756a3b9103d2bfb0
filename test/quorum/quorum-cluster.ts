import { operationError } from "../../src/base/errors.ts";
import type { Logger } from "../../src/base/logger.ts";
import { nodeId } from "../../src/model/ids.ts";
import type { PeerAddress } from "../../src/model/peer-address.ts";
import { QuorumNode } from "../../src/quorum/quorum-node.ts";
import type { CommittedEntry, QuorumOptions, QuorumStateMachine } from "../../src/quorum/quorum-types.ts";
import type { Hello, RaftTransport } from "../../src/quorum/raft-transport.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimPlatform } from "../../src/sim/sim-platform.ts";

/* A few quorum nodes on simulated machines, over a network that is a table of endpoints. */

const DELAY_MS = 1;
export const TICK_MS = 10;
export const ELECTION_TICKS = 10;

/** Everything that was applied, as text, with its offset; a restored snapshot brings the list of the one who took it. */
export class Journal implements QuorumStateMachine {
  readonly entries: { offset: number; epoch: number; text: string }[] = [];
  restoredAt: number[] = [];
  /** Thrown by the next apply. */
  poison: Error | undefined;

  apply({ offset, epoch, data }: CommittedEntry): void {
    if (this.poison !== undefined) throw this.poison;
    this.entries.push({ offset, epoch, text: data.toString("latin1") });
  }

  snapshot(): Buffer {
    return Buffer.from(JSON.stringify(this.entries));
  }

  restore(content: Buffer, at: { readonly offset: number }): void {
    this.restoredAt.push(at.offset);
    this.entries.splice(0, Infinity, ...(JSON.parse(content.toString()) as Journal["entries"]));
  }

  get texts(): string[] {
    return this.entries.map(({ text }) => text);
  }
}

/** Keeps the lines of one node. */
export class Lines {
  readonly lines: { level: string; message: string; fields: Readonly<Record<string, unknown>> }[] = [];

  get logger(): Logger {
    const at =
      (level: string) =>
      (message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
        this.lines.push({ level, message, fields });
      };
    const logger: Logger = {
      debug: at("debug"),
      info: at("info"),
      warn: at("warn"),
      error: at("error"),
      child: () => logger,
    };
    return logger;
  }

  count(text: string): number {
    return this.lines.filter(({ message }) => message.includes(text)).length;
  }
}

export class Network {
  readonly scheduler: Scheduler;
  readonly members = new Map<string, Member>();
  /** Pairs of node ids, "from>to", between which nothing passes. */
  readonly cuts = new Set<string>();
  /** What becomes of the bytes of a message on its way. */
  tamper: (bytes: Buffer) => Buffer = (bytes) => bytes;

  constructor(scheduler: Scheduler) {
    this.scheduler = scheduler;
  }

  /** Nothing passes between this node and any other. */
  isolate(id: number, others: readonly number[]): void {
    for (const other of others) {
      this.cuts.add(`${id}>${other}`);
      this.cuts.add(`${other}>${id}`);
    }
  }

  transportOf(from: Member): RaftTransport {
    return {
      send: (to, message) => this.#send(from, to, message),
      hello: (endpoint, mine, signal) => this.#hello(from, endpoint, mine, signal),
      heardFrom: () => undefined,
      retain: (addresses) => {
        from.retained = addresses;
      },
    };
  }

  #send(from: Member, to: PeerAddress, message: readonly Uint8Array[]): void {
    const bytes = this.tamper(Buffer.concat(message));
    this.scheduler.schedule(DELAY_MS, () => {
      const target = this.members.get(to.endpoint);
      if (!from.isUp || target?.node === undefined || this.#isCut(from, target)) return;
      target.node.receive(bytes);
    });
  }

  async #hello(from: Member, endpoint: string, mine: Hello, signal: AbortSignal): Promise<Hello> {
    await new Promise<void>((resolve) => void this.scheduler.schedule(DELAY_MS, resolve));
    const target = this.members.get(endpoint);
    if (target !== undefined && this.#isCut(from, target)) {
      await new Promise<never>((_resolve, reject) => {
        const abort = (): void => reject(signal.reason as Error);
        if (signal.aborted) abort();
        else signal.addEventListener("abort", abort, { once: true });
      });
    }
    const node = target?.node;
    if (node === undefined) {
      throw operationError("CONNECTION_FAILED", `nobody listens at ${endpoint}`, {
        context: { isRefused: true },
      });
    }
    const answer = node.hello(mine);
    await new Promise<void>((resolve) => void this.scheduler.schedule(DELAY_MS, resolve));
    return answer;
  }

  #isCut(from: Member, to: Member): boolean {
    return this.cuts.has(`${from.id}>${to.id}`);
  }
}

/** One machine and the node on it; `start` after a `kill` or `crash` is the next process. */
export class Member {
  readonly id: number;
  readonly endpoint: string;
  readonly lines = new Lines();
  platform: SimPlatform;
  node: QuorumNode | undefined;
  journal = new Journal();
  /** What meta.properties would hold. */
  clusterId: string | undefined;
  retained: readonly PeerAddress[] = [];
  failure: Error | undefined;
  #isRemembering = false;
  readonly #network: Network;
  readonly #options: Partial<QuorumOptions>;

  constructor(network: Network, id: number, options: Partial<QuorumOptions> = {}, seed = id) {
    this.id = id;
    this.endpoint = `h${id}:1`;
    this.#network = network;
    this.#options = options;
    this.platform = SimPlatform.create({ seed: 100 + seed }, { scheduler: network.scheduler });
  }

  get isUp(): boolean {
    return this.node !== undefined;
  }

  /** The node, which is up. */
  get up(): QuorumNode {
    if (this.node === undefined) throw new Error(`node ${this.id} is down`);
    return this.node;
  }

  /** Takes its time, as a file does, and has one writer at a time, as a file must. */
  async #remember(clusterId: string): Promise<void> {
    if (this.#isRemembering) throw new Error("two writers of meta.properties at once");
    this.#isRemembering = true;
    await this.platform.clock.sleep(DELAY_MS * 5);
    this.#isRemembering = false;
    this.clusterId = clusterId;
  }

  async open(overrides: Partial<QuorumOptions> = {}): Promise<QuorumNode> {
    this.#isRemembering = false;
    this.journal = new Journal();
    // The data directory is there and will be after a power cut: its owner saw to that.
    await this.platform.disk.makeDir("/data");
    await this.platform.disk.syncDir("/");
    const options: QuorumOptions = {
      nodeId: nodeId(this.id),
      directory: "/data/quorum",
      endpoint: this.endpoint,
      clusterId: this.clusterId,
      configuredClusterId: undefined,
      foundingVoters: [],
      bootstrapServers: [],
      tickMs: TICK_MS,
      electionTicks: ELECTION_TICKS,
      heartbeatTicks: 2,
      ...this.#options,
      ...overrides,
    };
    const opened = await this.#network.scheduler.settle(
      QuorumNode.open(options, {
        platform: this.platform,
        logger: this.lines.logger,
        transport: this.#network.transportOf(this),
        stateMachine: this.journal,
        joinCluster: (clusterId) => this.#remember(clusterId),
      }),
      10_000,
    );
    void opened.failure.then((error) => {
      this.failure = error;
    });
    return opened;
  }

  async start(overrides: Partial<QuorumOptions> = {}): Promise<QuorumNode> {
    const node = await this.open(overrides);
    this.node = node;
    this.#network.members.set(this.endpoint, this);
    node.start();
    return node;
  }

  /** The process dies; what it wrote is there. */
  kill(): void {
    this.#die();
    this.platform = this.platform.kill();
  }

  /** Power cut. */
  crash(): void {
    this.#die();
    this.platform = this.platform.crash();
  }

  async stop(): Promise<void> {
    const node = this.up;
    this.#die();
    await this.#network.scheduler.settle(node.close(), 10_000);
  }

  /** Another, empty disk. */
  wipe(seed: number): void {
    this.platform = SimPlatform.create({ seed }, { scheduler: this.#network.scheduler });
    this.clusterId = undefined;
  }

  #die(): void {
    this.node = undefined;
    for (const other of this.#network.members.values()) other.node?.peerClosed(nodeId(this.id));
  }
}

/** `count` members that know one another as founding voters, ids from 1. */
export function foundersOf(
  count: number,
  options: Partial<QuorumOptions> = {},
): { scheduler: Scheduler; network: Network; members: Member[] } {
  const scheduler = new Scheduler();
  const network = new Network(scheduler);
  const foundingVoters = Array.from({ length: count }, (_, at) => ({
    nodeId: nodeId(at + 1),
    endpoint: `h${at + 1}:1`,
  }));
  const members = foundingVoters.map(
    ({ nodeId: id }) => new Member(network, id, { foundingVoters, ...options }),
  );
  return { scheduler, network, members };
}

/** The member that is the active leader, once there is one. */
export async function leaderOf(
  scheduler: Scheduler,
  members: readonly Member[],
  limitMs = 10_000,
): Promise<Member> {
  const find = (): Member | undefined => members.find(({ node }) => node?.role.isActive === true);
  await scheduler.runUntil(() => find() !== undefined, limitMs);
  const found = find();
  if (found === undefined) throw new Error("the leader is gone again");
  return found;
}

/** Proposes on the leader and lets it be committed there. */
export async function propose(scheduler: Scheduler, leader: Member, ...texts: string[]): Promise<number> {
  const proposals = texts.map((text) => leader.up.propose(Buffer.from(text)));
  for (const { committed } of proposals) await scheduler.settle(committed, 10_000);
  return proposals.at(-1)?.offset ?? 0;
}

export async function applied(
  scheduler: Scheduler,
  members: readonly Member[],
  offset: number,
): Promise<void> {
  await scheduler.runUntil(() => members.every(({ node }) => (node?.appliedOffset ?? 0) >= offset), 10_000);
}

/** What a promise comes to, a rejection as its error; watched from now on. */
export function outcome(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => value,
    (error: unknown) => error,
  );
}

export type Cluster = ReturnType<typeof foundersOf> & {
  readonly leader: Member;
  readonly followers: Member[];
};

/** Founders that have founded. */
export async function founded(count = 3, options: Partial<QuorumOptions> = {}): Promise<Cluster> {
  const cluster = foundersOf(count, options);
  for (const member of cluster.members) await member.start();
  const leader = await leaderOf(cluster.scheduler, cluster.members);
  return { ...cluster, leader, followers: cluster.members.filter((member) => member !== leader) };
}
