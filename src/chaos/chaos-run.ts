import { join } from "node:path";
import { checkHistory } from "../history/checker.ts";
import type { HistoryReport } from "../history/checker.ts";
import type { ReplicaLine } from "../history/history-line.ts";
import { SeededRandom } from "../platform/random.ts";
import { ClusterProcess } from "./cluster-process.ts";
import { DataVolumes } from "./data-volumes.ts";
import { readFromDisk } from "./disk-pass.ts";
import type { FaultKind } from "./fault.ts";
import { runFinalPhase } from "./final-phase.ts";
import { runGroupEnd } from "./group-end.ts";
import { readHistory } from "./history-files.ts";
import { HistoryLog } from "./history-log.ts";
import type { Key } from "./keys.ts";
import { KeyTable } from "./keys.ts";
import { MEMBER_SESSION_MS } from "./member-faults.ts";
import { MemberPool } from "./member-pool.ts";
import { nowNs } from "./monotonic-time.ts";
import { Nemesis } from "./nemesis.ts";
import { Observer } from "./observer.ts";
import { RelayedClients } from "./relayed-clients.ts";
import { replicaDigest } from "./replica-digests.ts";
import { Scene } from "./scene.ts";
import { Workload } from "./workload.ts";

export interface ChaosOptions {
  /** The brokers' data and logs in it, and the history. */
  readonly directory: string;
  readonly seed: number;
  readonly durationMs: number;
  /** In rotation; none: load alone. */
  readonly faults: readonly FaultKind[];
  /** Topics, and partitions of each. */
  readonly topics: number;
  readonly partitionsEach: number;
  readonly replicationFactor: number;
  /** Records a second, of all producers together. */
  readonly perSecond: number;
  /** Members of a consumer group over all keys, each a process of its own; 0: no group. */
  readonly members: number;
  /** Acknowledged sends without which the run is void. */
  readonly minSends: number;
  /** Between two faults, once the cluster is whole. */
  readonly quietMs: number;
  /** "key=value", for every broker. */
  readonly settings: readonly string[];
}

export interface ChaosDeps {
  /** One line for each thing that happened. */
  readonly told: (text: string) => void;
  /** Ends the run early, with everything it started. */
  readonly signal: AbortSignal;
}

/** What a run showed. */
export interface ChaosResult {
  readonly report: HistoryReport;
  /** Where the history lies, to be judged again. */
  readonly historyDirectory: string;
  /** Faults that cannot be done here, with the reason. */
  readonly skipped: Readonly<Partial<Record<FaultKind, string>>>;
}

/** Load before the first fault, at most: what later quiet periods are compared with. */
const MAX_BASELINE_MS = 5000;
const MIN_BASELINE_MS = 2000;
const NODE_IDS = [1, 2, 3] as const;
/** Some seconds of load: whoever damages segments needs some to which nothing is appended any more. */
const SMALL_SEGMENT_BYTES = 64 * 1024;
/** Otherwise no more than a few are rolled in a run: each costs syncs that are not what is measured. */
const SEGMENT_BYTES = 4 * 1024 * 1024;
/** What the metadata store takes, and some air. */
const VOLUME_BASE_BYTES = 256 * 1024 * 1024;
/** A record with its share of a batch, and of the indexes. */
const RECORD_BYTES = 400;
/** Damage is to be found while the run lasts. */
const SCRUBBING = ["log.scrub.interval.ms=3000"];
const GROUP = "chaos-group";
/** A member that hangs is to be found out while the run lasts. */
const GROUP_TIMES = [
  `group.consumer.session.timeout.ms=${MEMBER_SESSION_MS}`,
  `group.consumer.heartbeat.interval.ms=${MEMBER_SESSION_MS / 4}`,
];
/** What no broker may ever log. */
const BROKEN = /InvariantError|unhandledRejection|uncaughtException/;

/**
 * A cluster of real processes under a checked workload while it is done harm; then the final phase, the comparison of
 * the replicas' bytes, and the judgement of the whole history as it was written. @throws the reason of `signal`.
 */
export async function runChaos(options: ChaosOptions, deps: ChaosDeps): Promise<ChaosResult> {
  const { directory } = options;
  const { told, signal } = deps;
  const historyDirectory = join(directory, "history");
  const table = new KeyTable(options);
  const needsVolumes = options.faults.includes("full-disk");
  const mounted = needsVolumes ? await mountVolumes(options) : undefined;
  const skipped: Partial<Record<FaultKind, string>> = {};
  if (mounted !== undefined && "missing" in mounted) {
    skipped["full-disk"] = mounted.missing;
    told(`*** SKIPPED: full-disk; no file system could be mounted here: ${mounted.missing}`);
  }
  const faults = options.faults.filter((kind) => skipped[kind] === undefined);
  if (faults.length === 0 && options.faults.length > 0) {
    throw new Error(
      `nothing is left to run: ${options.faults.join(", ")}; try it as root, or another scenario`,
    );
  }
  {
    await using volumes = mounted === undefined || "missing" in mounted ? undefined : mounted;
    await using log = await HistoryLog.create(historyDirectory);
    const run = `chaos-${options.seed}`;
    const { minSends } = options;
    log.note({ type: "run", run, profile: "idempotent", inFlight: 5, planned: faults, minSends });
    await using cluster = await ClusterProcess.start({
      directory: join(directory, "data"),
      logDirectory: join(directory, "logs"),
      dataDirectoryOf: (nodeId) =>
        volumes?.of(nodeId)?.dataDirectory ?? join(directory, "data", `node-${nodeId}`),
      nodes: NODE_IDS.length,
      settings: [
        ...(faults.includes("corrupt-segment") ? SCRUBBING : []),
        ...(options.members > 0 ? GROUP_TIMES : []),
        ...options.settings,
      ],
      hasRelays: true,
      hasSlowSync: faults.includes("slow-disk"),
    });
    // The second Ctrl-C ends this process at once, and the brokers with it: also one that is stopped by SIGSTOP.
    using _killing = onExit(() => cluster.killNow());
    signal.throwIfAborted();
    const segmentBytes = faults.includes("corrupt-segment") ? SMALL_SEGMENT_BYTES : SEGMENT_BYTES;
    await createTopics(cluster, table, { replicationFactor: options.replicationFactor, segmentBytes });
    const ends = await runLoad({ ...options, faults }, { ...deps, cluster, log, table, volumes });
    told("all brokers are stopped, and the bytes of their replicas compared");
    for (const nodeId of cluster.nodeIds) noteBroken(cluster, log, nodeId);
    await Promise.all(cluster.nodeIds.map((nodeId) => cluster.broker(nodeId).stop()));
    for (const key of table.keys) await compareReplicas(cluster, key, ends, log);
  }
  told("the history is judged");
  const { history } = await readHistory([historyDirectory], signal);
  return { report: checkHistory(history), historyDirectory, skipped };
}

interface LoadDeps extends ChaosDeps {
  readonly cluster: ClusterProcess;
  readonly log: HistoryLog;
  readonly table: KeyTable;
  readonly volumes: DataVolumes | undefined;
}

/** Load, faults and final phase; resolves with the end of each key. */
async function runLoad(options: ChaosOptions, deps: LoadDeps): Promise<ReadonlyMap<string, number>> {
  const { seed, perSecond, durationMs, faults, quietMs, members: memberCount } = options;
  const { cluster, log, table, told, signal, volumes } = deps;
  const { keys, topics } = table;
  await using clients = await RelayedClients.create(cluster);
  await using members = memberCount > 0 ? newPool(options, { cluster, clients, log, table }) : undefined;
  using _killing = onExit(() => members?.killNow());
  await members?.start(signal);
  await using observer = new Observer({ topics }, { cluster, log });
  const isEven = memberCount > 0;
  const load = { run: `chaos-${seed}`, seed, perSecond, keys, isEven };
  await using workload = new Workload(load, { clients, log });
  const startedAt = performance.now();
  workload.start();
  const random = new SeededRandom(seed);
  const scene = new Scene(
    { table, quietMs, signal },
    { cluster, observer, clients, random, volumes, members },
  );
  const nemesis = new Nemesis({ scene, log });
  const untilMs = startedAt + durationMs;
  const baselineMs = Math.min(MAX_BASELINE_MS, Math.max(MIN_BASELINE_MS, quietMs));
  await nemesis.run([], Math.min(untilMs, startedAt + baselineMs), told);
  await nemesis.run(faults, untilMs, told);
  await nemesis.heal();
  await workload.stop();
  observer.endOfLoad();
  if (members !== undefined) {
    const lag = await runGroupEnd({ cluster, pool: members, log, signal });
    told(`the load is over; the group is ${lag} records behind`);
    await members.stop();
  }
  told("the faults are over; everything is read from the start, twice");
  return await runFinalPhase({ cluster, observer, log, keys, signal });
}

function newPool(
  options: ChaosOptions,
  deps: {
    readonly cluster: ClusterProcess;
    readonly clients: RelayedClients;
    readonly log: HistoryLog;
    readonly table: KeyTable;
  },
): MemberPool {
  const { cluster, clients, log, table } = deps;
  const { topics, keys } = table;
  return new MemberPool(
    {
      group: GROUP,
      size: options.members,
      keys,
      topics,
      brokers: cluster.nodeIds.map((nodeId) => cluster.addressOf(nodeId)),
      // Through the relays only where answers are to be lost on them.
      ways: options.faults.includes("drop-answers") ? clients.ways : [],
      logDirectory: join(options.directory, "logs"),
    },
    { log },
  );
}

async function mountVolumes(options: ChaosOptions): Promise<DataVolumes | { readonly missing: string }> {
  const { directory, perSecond, durationMs } = options;
  // Each broker has all the data at worst; twice that, so that nothing but the fault fills it.
  const dataBytes = Math.ceil((perSecond * durationMs * RECORD_BYTES) / 1000) * 2;
  const sizeBytes = VOLUME_BASE_BYTES + dataBytes;
  return DataVolumes.mount({ directory: join(directory, "disks"), nodeIds: NODE_IDS, sizeBytes });
}

async function createTopics(
  cluster: ClusterProcess,
  table: KeyTable,
  how: { readonly replicationFactor: number; readonly segmentBytes: number },
): Promise<void> {
  const { replicationFactor, segmentBytes } = how;
  await using client = cluster.client();
  await client.admin().createTopics(
    table.topics.map((name) => ({
      name,
      partitions: table.partitionsEach,
      replicationFactor,
      configs: {
        // Absence has to mean loss: nothing is ever removed by right.
        "retention.ms": "-1",
        "segment.bytes": String(segmentBytes),
        "min.insync.replicas": replicationFactor >= 3 ? "2" : "1",
      },
    })),
  );
}

/** Notes a digest of every replica of a key, and reads one of them record by record: one of which there are most. */
async function compareReplicas(
  cluster: ClusterProcess,
  key: Key,
  ends: ReadonlyMap<string, number>,
  log: HistoryLog,
): Promise<void> {
  const end = ends.get(key.name) ?? 0;
  const lines: ReplicaLine[] = [];
  for (const nodeId of cluster.nodeIds) {
    const dataDirectory = cluster.dataDirectoryOf(nodeId);
    const line = await replicaDigest({ dataDirectory, node: nodeId, key, end });
    if (line === undefined) continue;
    log.note(line);
    lines.push(line);
  }
  const like = ({ digest }: ReplicaLine): number => lines.filter((line) => line.digest === digest).length;
  const [usual] = lines.toSorted((a, b) => like(b) - like(a));
  if (usual === undefined) return;
  const dataDirectory = cluster.dataDirectoryOf(usual.node);
  await readFromDisk({ dataDirectory, key, end }, { writer: log.newProcess() });
}

function noteBroken(cluster: ClusterProcess, log: HistoryLog, nodeId: number): void {
  const line = cluster
    .broker(nodeId)
    .log.split("\n")
    .find((text) => BROKEN.test(text));
  if (line === undefined) return;
  log.note({ type: "broken", t: nowNs(), what: line.slice(0, 500), node: nodeId });
}

/** Runs when this process ends, until it is disposed. */
function onExit(end: () => void): Disposable {
  process.once("exit", end);
  return { [Symbol.dispose]: () => void process.off("exit", end) };
}
