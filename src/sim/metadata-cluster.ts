import { InvariantError } from "../base/assert.ts";
import { errorMessage } from "../base/errors.ts";
import type { LogFields, Logger } from "../base/logger.ts";
import type { MetadataNode } from "../broker/metadata-node.ts";
import { topicConfigRefusal } from "../controller/configs.ts";
import { nodeId } from "../model/ids.ts";
import type { NodeId } from "../model/ids.ts";
import type { Random } from "../platform/random.ts";
import { SeededRandom } from "../platform/random.ts";
import { parseReplicaId } from "../quorum/replica-id.ts";
import type { RaftMessage, RaftSabotage, ReplicaId } from "../raft/types.ts";
import { Checker } from "./invariants/checker.ts";
import { InvariantViolation } from "./invariants/violation.ts";
import type { MarkerCounts } from "./markers.ts";
import { MetadataProgram } from "./metadata-program.ts";
import { Scheduler } from "./scheduler.ts";
import { isBug, SimMachine } from "./sim-machine.ts";
import type { CrashKind } from "./sim-machine.ts";
import type { SimDiskOptions } from "./sim-disk.ts";
import { endpointOf, SimNetwork } from "./sim-network.ts";
import type { SimPlatform } from "./sim-platform.ts";
import type { SimProcess } from "./sim-process.ts";
import type { SimProgram } from "./sim-program.ts";
import { Trace } from "./trace.ts";
import { VoterSafety } from "./voter-safety.ts";

/** Shape of a simulated cluster. */
export interface MetadataClusterOptions {
  readonly seed: number;
  /** Machines 0..voterCount-1 found the cluster. */
  readonly voterCount: number;
  /** Machines behind them, which join it as observers. */
  readonly learnerCount: number;
  /** Events that the trace keeps as text. */
  readonly shownEvents: number;
  readonly sabotage?: RaftSabotage;
  /** Machines on the network behind those, on which no program runs. Default 0. */
  readonly clientCount?: number;
  readonly disk?: SimDiskOptions;
  /** What runs on the machines. Default: a metadata node. */
  readonly program?: (place: ProgramPlace) => SimProgram;
}

/** The machine that a program is for. */
export interface ProgramPlace {
  readonly index: number;
  readonly platform: SimPlatform;
  /** Those that found the cluster; empty when this one is none of them. */
  readonly founders: readonly Founder[];
  /** Where the founders are. */
  readonly bootstrapServers: readonly string[];
}

export interface Founder {
  readonly nodeId: NodeId;
  readonly endpoint: string;
}

/** Times of a simulated cluster, ms: those of a real one with coarser ticks, which cost less. */
export const TICK_MS = 100;
const ELECTION_TICKS = 10;
const HEARTBEAT_TICKS = 3;
export const ELECTION_TIMEOUT_MS = TICK_MS * ELECTION_TICKS;
/** In which a leader forgets a replica that it does not hear any more. */
const FORGET_MS = 3 * ELECTION_TIMEOUT_MS;
export const SESSION_TIMEOUT_MS = 3_000;
export const HEARTBEAT_INTERVAL_MS = 500;
/** Small, so that a short run has many snapshots. */
const SNAPSHOT_AFTER_BYTES = 2_000;
const KEEP_ENTRIES = 8;
const MAX_CLOCK_DRIFT = 0.05;

/** Several metadata nodes on simulated machines, with everything that watches them. */
export class MetadataCluster {
  readonly scheduler: Scheduler;
  readonly network: SimNetwork<SimProcess>;
  readonly machines: readonly SimMachine[];
  readonly checker: Checker;
  readonly trace: Trace;
  readonly markers: MarkerCounts;
  readonly safety: VoterSafety;
  readonly random: Random;
  /** By machine: how long a batch of its store takes at most. */
  readonly diskLatencyMs: number[];
  /** Told of each new leader before it could commit anything. */
  onElected: (machine: SimMachine) => void = () => undefined;
  /** Called after each event, when all of the first floor's invariants hold. */
  onStepped: () => void = () => undefined;
  readonly #stepped = new Set<SimProcess>();
  readonly #heldDown = new Set<number>();
  readonly #lostStores = new Set<number>();
  readonly #lostAtMs = new Map<number, number>();
  readonly #downSince = new Map<number, number>();
  readonly #machineOf = new Map<ReplicaId, number>();
  /** Machines that will crash at a write, and how long they stay down then. */
  readonly #crashDownMs = new Map<number, number>();
  #failure: Error | undefined;

  constructor(options: MetadataClusterOptions, deps: { readonly markers: MarkerCounts }) {
    const { seed, voterCount, learnerCount, shownEvents } = options;
    const machineCount = voterCount + learnerCount;
    this.markers = deps.markers;
    this.random = new SeededRandom(seed);
    this.scheduler = new Scheduler({ afterEvent: () => this.#afterStep(), maxEventsPerRun: 500_000 });
    this.trace = new Trace({ capacity: shownEvents }, { nowMs: () => this.scheduler.nowMs });
    this.checker = new Checker({
      markers: this.markers,
      onFenced: (node) => this.#fenced(node),
      onElected: (id) => this.onElected(this.machine(this.#machineOfReplica(id))),
    });
    const hostCount = machineCount + (options.clientCount ?? 0);
    this.network = new SimNetwork(
      { machineCount: hostCount },
      { scheduler: this.scheduler, random: this.random },
    );
    this.diskLatencyMs = Array.from({ length: machineCount }, () => 2);
    this.machines = Array.from({ length: machineCount }, (_, index) => this.#machine(index, options));
    this.safety = new VoterSafety({
      checker: this.checker,
      statuses: () => this.nodes().map((node) => node.quorum.status),
    });
  }

  /** Nodes of running processes. */
  nodes(): MetadataNode[] {
    return this.machines.flatMap(({ node }) => (node === undefined ? [] : [node]));
  }

  /** The machine whose node leads, by its own word, in the highest term. */
  leader(): SimMachine | undefined {
    let found: SimMachine | undefined;
    let foundTerm = -1;
    for (const machine of this.machines) {
      const status = machine.node?.quorum.status;
      if (status?.role !== "leader" || status.term <= foundTerm) continue;
      [found, foundTerm] = [machine, status.term];
    }
    return found;
  }

  /** Whether the machine lost its store so recently that others may still take it for what it was. */
  hasJustLostStore(index: number): boolean {
    const lostAtMs = this.#lostAtMs.get(index);
    return lostAtMs !== undefined && this.scheduler.nowMs - lostAtMs < FORGET_MS;
  }

  machine(index: number): SimMachine {
    const machine = this.machines[index];
    if (machine === undefined) throw new InvariantError("no such machine", { index });
    return machine;
  }

  start(): void {
    for (const machine of this.machines) {
      this.scheduler.schedule(this.random.fraction() * 200, () => machine.start());
    }
  }

  /** Ends the machine's process; it starts again after `downMs` unless it is held down. */
  crash(index: number, how: CrashKind, downMs: number): void {
    const machine = this.machine(index);
    if (machine.host === undefined) return;
    this.trace.add("crash", { from: index, note: how });
    this.#crashDownMs.delete(index);
    this.#downSince.set(index, this.scheduler.nowMs);
    if (machine.crash(how)) this.markers.hit("crashLostUnsynced");
    this.#startLater(index, downMs);
  }

  /** The process dies, as in a power cut, at the write after the next `operations` ones; unless that is called off. */
  crashAtWrite(index: number, operations: number, downMs: number): () => void {
    const { host, platform } = this.machine(index);
    if (host === undefined) return () => undefined;
    this.#crashDownMs.set(index, downMs);
    platform.crashAfter(operations);
    return () => platform.crashAfter(Number.POSITIVE_INFINITY);
  }

  /** From now on the machine stays down when it goes down. */
  holdDown(index: number): void {
    this.#heldDown.add(index);
  }

  /** The machine may run again, and does. */
  release(index: number): void {
    this.#heldDown.delete(index);
    this.machine(index).start();
  }

  /** Something threw where nobody could catch it. */
  fail(error: Error): void {
    this.#failure ??= error;
  }

  /** Everything stops; nothing of it is used again. */
  dispose(): void {
    for (const machine of this.machines) machine.crash("kill");
  }

  #startLater(index: number, delayMs: number): void {
    this.scheduler.schedule(delayMs, () => {
      if (this.#heldDown.has(index)) return;
      this.trace.add("start", { from: index });
      this.machine(index).start();
    });
  }

  #machine(index: number, options: MetadataClusterOptions): SimMachine {
    const { voterCount, sabotage, disk, program = metadataProgram(sabotage) } = options;
    const all = Array.from({ length: voterCount }, (_, founder) => ({
      nodeId: nodeId(founder + 1),
      endpoint: endpointOf(founder),
    }));
    const isFounder = index < voterCount;
    const drift = (this.random.fraction() * 2 - 1) * MAX_CLOCK_DRIFT;
    const latency = new SeededRandom(this.random.below(2 ** 32));
    return new SimMachine(
      {
        index,
        platform: {
          seed: this.random.below(2 ** 32),
          clock: { rate: 1 + drift },
          ...(disk === undefined ? {} : { disk }),
          keyValues: {
            nextLatencyMs: () => 0.2 + latency.fraction() * (this.diskLatencyMs[index] ?? 0),
            onDurable: (_path, operations) => this.#guarded(() => this.#durable(index, operations)),
          },
        },
      },
      {
        scheduler: this.scheduler,
        network: this.network,
        logger: this.#logger(index),
        program: (platform) =>
          program({
            index,
            platform,
            founders: isFounder ? all : [],
            bootstrapServers: isFounder ? [] : all.map(({ endpoint }) => endpoint),
          }),
        onStep: (host) => this.#stepped.add(host),
        onSend: (host, message) => this.#sent(host, message),
        onStoreLost: () => {
          this.checker.logs.lost(index);
          this.#lostAtMs.set(index, this.scheduler.nowMs);
          this.#lostStores.add(index);
        },
        onOpened: (node) => this.#opened(index, node),
        onExit: (error) => this.#exited(index, error),
      },
    );
  }

  #durable(index: number, operations: Parameters<Checker["durable"]>[1]): void {
    this.checker.durable(index, operations);
    const { host } = this.machine(index);
    if (host !== undefined) this.#stepped.add(host);
  }

  #sent(host: SimProcess, bytes: Buffer): void {
    this.#stepped.add(host);
    this.#guarded(() => {
      const message = this.checker.sent(bytes);
      const to = this.#machineOfReplica(message.to);
      const event = { from: host.machine, to, a: message.term, b: numberOf(message) };
      if (message.type.startsWith("Heartbeat")) this.trace.count(message.type, event);
      else this.trace.add(message.type, event);
    });
  }

  #opened(index: number, node: MetadataNode): void {
    this.checker.restarted(node.quorum.status.id);
    if (this.#lostStores.delete(index)) this.markers.hit("storeDamageToObserver");
    this.trace.add("open", { from: index, a: node.quorum.status.term, b: node.quorum.status.lastIndex });
  }

  #exited(index: number, error: Error | undefined): void {
    this.trace.add("exit", { from: index, note: error?.message ?? "clean shutdown" });
    this.#downSince.set(index, this.scheduler.nowMs);
    if (error !== undefined && isBug(error)) this.fail(error);
    this.#startLater(index, 100 + this.random.fraction() * 500);
  }

  #fenced(node: NodeId): void {
    const index = node - 1;
    const downSince = this.#downSince.get(index);
    const isDown = this.machine(index).host === undefined && downSince !== undefined;
    if (isDown && this.scheduler.nowMs - downSince < SESSION_TIMEOUT_MS * 0.8)
      this.markers.hit("fencedByRefusal");
    if (!isDown) this.markers.hit("fencedBySilence");
  }

  /** What a callback of the simulated code's own throws would be taken for a failure of its disk or network. */
  #guarded(check: () => void): void {
    try {
      check();
    } catch (error: unknown) {
      this.fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #afterStep(): void {
    for (const [index, downMs] of this.#crashDownMs) {
      if (this.machine(index).isCrashed) this.crash(index, "powerCut", downMs);
    }
    for (const host of this.#stepped) {
      const { node, host: current } = this.machine(host.machine);
      if (current === host && node !== undefined) this.checker.look(node);
    }
    this.#stepped.clear();
    if (this.#failure !== undefined) throw asViolation(this.#failure);
    this.checker.acknowledged.checkFresh();
    this.onStepped();
  }

  #machineOfReplica(id: ReplicaId): number {
    let machine = this.#machineOf.get(id);
    if (machine === undefined) {
      machine = (parseReplicaId(id)?.nodeId ?? 0) - 1;
      this.#machineOf.set(id, machine);
    }
    return machine;
  }

  #logger(index: number): Logger {
    const add = (message: string, fields?: LogFields): void =>
      this.trace.add("log", {
        from: index,
        note: `${message} ${JSON.stringify(shownFields(fields ?? {}))}`,
      });
    const logger: Logger = { debug: () => undefined, info: add, warn: add, error: add, child: () => logger };
    return logger;
  }
}

function metadataProgram(sabotage: RaftSabotage | undefined): (place: ProgramPlace) => SimProgram {
  return ({ platform, founders, bootstrapServers }) =>
    new MetadataProgram(
      {
        quorum: {
          directory: SimMachine.quorumDirectory,
          configuredClusterId: undefined,
          foundingVoters: founders,
          bootstrapServers,
          tickMs: TICK_MS,
          electionTicks: ELECTION_TICKS,
          heartbeatTicks: HEARTBEAT_TICKS,
          snapshotAfterBytes: SNAPSHOT_AFTER_BYTES,
          keepEntries: KEEP_ENTRIES,
          ...(sabotage === undefined ? {} : { sabotage }),
        },
        rules: {
          defaultPartitions: 1,
          defaultReplicationFactor: 1,
          maxTopicPartitions: 16,
          maxPartitions: 1_000,
          defaultMinInsyncReplicas: 2,
          defaultUncleanLeaderElection: false,
          defaultFlushPolicy: "ack",
          checkConfig: topicConfigRefusal,
        },
        sessionTimeoutMs: SESSION_TIMEOUT_MS,
        heartbeatIntervalMs: HEARTBEAT_INTERVAL_MS,
        leaderRebalanceIntervalMs: 4_000,
      },
      { platform },
    );
}

/** The one number that says most about a message. */
function numberOf(message: RaftMessage): number {
  switch (message.type) {
    case "AppendRequest":
      return message.prevIndex + message.entries.length;
    case "AppendResponse":
      return message.accepted ? message.index : -message.index;
    case "VoteResponse":
    case "PreVoteResponse":
      return message.granted ? 1 : 0;
    case "VoteRequest":
    case "PreVoteRequest":
      return message.lastIndex;
    case "HeartbeatRequest":
      return message.commit;
    case "HeartbeatResponse":
      return message.round;
    case "SnapshotRequest":
      return message.snapshot.index;
    case "SnapshotResponse":
      return message.snapshotIndex;
    case "TimeoutNowRequest":
    case "ObserveRequest":
      return 0;
  }
}

function asViolation(error: Error): Error {
  if (error instanceof InvariantViolation) return error;
  return new InvariantViolation("NoBug", error.stack ?? error.message);
}

/** An error has no fields of its own that JSON would show. */
function shownFields(fields: LogFields): LogFields {
  return "err" in fields ? { ...fields, err: errorMessage(fields["err"]) } : fields;
}
