import { setTimeout as sleep } from "node:timers/promises";
import type { ClusterDetails, PartitionState } from "../client/index.ts";
import { LograftClient } from "../client/index.ts";
import type { ClusterProcess } from "./cluster-process.ts";
import type { HistoryLog } from "./history-log.ts";
import { keyName } from "./keys.ts";
import { RelayedTransport } from "./relayed-clients.ts";
import { nowNs } from "./monotonic-time.ts";

const POLL_MS = 100;
/** A broker that is paused must not hold up the news of the others. */
const ASK_TIMEOUT_MS = 400;
/** The event loop of the clients is asked so often whether it still turns. */
const HEARTBEAT_MS = 50;

/** What changed since some moment. */
export interface ChangeCounts {
  readonly leaderChanges: number;
  readonly isrChanges: number;
  readonly fencings: number;
}

/**
 * Watches leaders, epochs, ISRs and fenced brokers, ten times a second, and notes each change in the history; and the
 * harness itself, whose standstills would be taken for those of the cluster.
 */
export class Observer implements AsyncDisposable {
  readonly #cluster: ClusterProcess;
  /** One for each broker, that asks nobody else. */
  readonly #clients: readonly LograftClient[];
  readonly #log: HistoryLog;
  readonly #topics: readonly string[];
  readonly #states = new Map<string, PartitionState>();
  readonly #leaderChangesOf = new Map<string, number>();
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;
  readonly #heartbeat: NodeJS.Timeout;
  readonly #expectedDown = new Set<number>();
  readonly #reportedDown = new Set<number>();
  #fenced = "unknown";
  #metadataOffset = -1;
  #counts = { leaderChanges: 0, isrChanges: 0, fencings: 0 };
  #beatAt = performance.now();

  constructor(
    options: { readonly topics: readonly string[] },
    deps: { readonly cluster: ClusterProcess; readonly log: HistoryLog },
  ) {
    this.#topics = options.topics;
    this.#cluster = deps.cluster;
    this.#clients = deps.cluster.nodeIds.map((nodeId) => clientOf(deps.cluster, nodeId));
    this.#log = deps.log;
    this.#heartbeat = setInterval(() => this.#beat(), HEARTBEAT_MS);
    this.#running = this.#run();
  }

  /** Counts of changes so far; the difference of two of them is what happened between. */
  get counts(): ChangeCounts {
    return { ...this.#counts };
  }

  /** By key name. */
  get states(): ReadonlyMap<string, PartitionState> {
    return this.#states;
  }

  /** Keys that one of these nodes leads, as far as is known. */
  keysLedBy(nodeIds: readonly number[]): string[] {
    return [...this.#states].filter(([, { leaderId }]) => nodeIds.includes(leaderId)).map(([name]) => name);
  }

  /** The node that leads the key whose leader changed least so far; undefined: no key has a leader. */
  get calmestLeader(): number | undefined {
    const led = [...this.#states].filter(([, { leaderId }]) => leaderId >= 0);
    const changes = (name: string): number => this.#leaderChangesOf.get(name) ?? 0;
    const [calmest] = led.toSorted(([a], [b]) => changes(a) - changes(b));
    return calmest?.[1].leaderId;
  }

  /** Every key has a leader and a full ISR, and no broker is fenced. */
  get isWhole(): boolean {
    const states = [...this.#states.values()];
    return (
      this.#fenced === "" &&
      states.length > 0 &&
      states.every(({ leaderId, isr, replicas }) => leaderId >= 0 && isr.length === replicas.length)
    );
  }

  /** The end of this node's process is meant. */
  expectDown(nodeId: number): void {
    this.#expectedDown.add(nodeId);
  }

  expectUp(nodeId: number): void {
    this.#expectedDown.delete(nodeId);
  }

  /** The clients have nothing to do any more for which their time would count. */
  endOfLoad(): void {
    clearInterval(this.#heartbeat);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    this.endOfLoad();
    await this.#running;
    await Promise.all(this.#clients.map((client) => client.close()));
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      this.#lookForEnds();
      // A cluster without a quorum does not answer; that is told by what it says afterwards.
      await this.#look().catch(() => undefined);
      await sleep(POLL_MS);
    }
  }

  #lookForEnds(): void {
    const running = new Set(this.#cluster.runningIds);
    for (const nodeId of this.#cluster.nodeIds) {
      if (running.has(nodeId) || this.#expectedDown.has(nodeId)) this.#reportedDown.delete(nodeId);
      else if (!this.#reportedDown.has(nodeId)) {
        this.#reportedDown.add(nodeId);
        this.#log.note({
          type: "broken",
          t: nowNs(),
          what: "the process ended by itself",
          node: nodeId,
        });
      }
    }
  }

  async #look(): Promise<void> {
    const answers = await Promise.allSettled(this.#clients.map((client) => ask(client, this.#topics)));
    const views = answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : []));
    // Brokers that are cut off tell old stories: only the one that knows most is believed, and only if it knows more.
    const [newest] = views.toSorted((a, b) => offsetOf(b) - offsetOf(a));
    if (newest === undefined || offsetOf(newest) < this.#metadataOffset) return;
    this.#metadataOffset = offsetOf(newest);
    for (const state of newest.states) this.#note(state);
    const { cluster } = newest;
    const fenced = cluster.brokers.filter(({ isFenced }) => isFenced).map(({ nodeId }) => nodeId);
    if (fenced.join() === this.#fenced) return;
    if (fenced.length > this.#fenced.split(",").filter((name) => name !== "").length) this.#counts.fencings++;
    this.#fenced = fenced.join();
    this.#log.note({ type: "brokers", t: nowNs(), fenced });
  }

  #note(state: PartitionState): void {
    const name = keyName(state);
    const known = this.#states.get(name);
    const { leaderId, leaderEpoch, isr, replicas } = state;
    if (known !== undefined) {
      // Brokers that are asked in turn may be behind one another.
      if (leaderEpoch < known.leaderEpoch) return;
      const isOtherLeader = leaderEpoch > known.leaderEpoch || leaderId !== known.leaderId;
      const isOtherIsr = isr.join() !== known.isr.join();
      if (!isOtherLeader && !isOtherIsr) return;
      if (isOtherLeader) {
        this.#counts.leaderChanges++;
        this.#leaderChangesOf.set(name, (this.#leaderChangesOf.get(name) ?? 0) + 1);
      }
      if (isOtherIsr) this.#counts.isrChanges++;
    }
    this.#states.set(name, state);
    const t = nowNs();
    this.#log.note({ type: "observe", t, k: name, leader: leaderId, le: leaderEpoch, isr, replicas });
  }

  #beat(): void {
    const now = performance.now();
    const lateMs = now - this.#beatAt - HEARTBEAT_MS;
    this.#beatAt = now;
    if (lateMs > HEARTBEAT_MS) this.#log.note({ type: "stall", t: nowNs(), ms: Math.round(lateMs) });
  }
}

/** What one broker says. */
interface View {
  readonly states: readonly PartitionState[];
  readonly cluster: ClusterDetails;
}

async function ask(client: LograftClient, topics: readonly string[]): Promise<View> {
  const admin = client.admin();
  const options = { timeoutMs: ASK_TIMEOUT_MS };
  // In this order the partitions are at least as new as the offset says.
  const cluster = await admin.describeCluster(options);
  return { cluster, states: await admin.listPartitions({ topics, ...options }) };
}

function offsetOf({ cluster }: View): number {
  return cluster.answeredBy.metadataOffset;
}

function clientOf(cluster: ClusterProcess, nodeId: number): LograftClient {
  const address = cluster.addressOf(nodeId);
  const ways = new Map(cluster.nodeIds.map((other) => [cluster.addressOf(other), address]));
  const clientId = `chaos-observer-${nodeId}`;
  return new LograftClient({
    brokers: [address],
    clientId,
    retry: { initialMs: 20, maxMs: 100, jitter: 0.2 },
    transport: new RelayedTransport(clientId, ways),
  });
}
