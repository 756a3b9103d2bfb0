import { LograftError } from "../base/errors.ts";
import { mustHold } from "./invariants/violation.ts";
import { ELECTION_TIMEOUT_MS } from "./metadata-cluster.ts";
import type { MetadataCluster } from "./metadata-cluster.ts";
import type { Nemesis } from "./nemesis.ts";
import { shuffled } from "./partition-shapes.ts";
import type { Links } from "./partition-shapes.ts";
import type { Workload } from "./workload.ts";

/** In which a healthy majority must be a working cluster again. */
const LIVENESS_LIMIT_MS = 10 * ELECTION_TIMEOUT_MS;
/** In which all must agree once everything is healed. */
const QUIET_LIMIT_MS = 20 * ELECTION_TIMEOUT_MS;
/** Chance that a machine which the quorum can do without stays broken. */
const BROKEN_SHARE = 0.5;
/** Between two looks for brokers that must be unregistered, ms. */
const CARE_INTERVAL_MS = 500;

/**
 * The faults stop among machines that are a majority whichever voters are in force; the others stay down, stand still or
 * are cut off. Those left must soon have a leader, commit, and have all of their brokers unfenced (R3).
 */
export async function checkLiveness(
  cluster: MetadataCluster,
  nemesis: Nemesis,
  workload: Workload,
): Promise<void> {
  workload.end();
  nemesis.end();
  const healthy = breakOthers(cluster);
  if (await isSoonWell(cluster, workload, healthy)) return;
  // A change of voters that was under way may come through now and count on machines that were left broken.
  const isExcused = !cluster.safety.isQuorum(healthy);
  mustHold(isExcused, "Liveness", `no working cluster within ${LIVENESS_LIMIT_MS} ms`, () =>
    stateOf(cluster, workload, healthy),
  );
  const all = new Set(cluster.machines.map(({ index }) => index));
  mendAll(cluster);
  mustHold(
    await isSoonWell(cluster, workload, all),
    "Liveness",
    "no working cluster though all is mended",
    () => stateOf(cluster, workload, all),
  );
}

/** Lets these machines run, asks each of them for a change, and tells whether they got well in time. */
async function isSoonWell(
  cluster: MetadataCluster,
  workload: Workload,
  healthy: ReadonlySet<number>,
): Promise<boolean> {
  cluster.trace.add("liveness", { note: `healthy: ${[...healthy].map((index) => index + 1).join(" ")}` });
  const caring = care(cluster, workload, healthy);
  const committedBefore = cluster.checker.model.offset;
  let isProbed = false;
  const isWell = (): boolean => {
    if (!isUnfenced(cluster, healthy)) return false;
    if (!isProbed) for (const index of healthy) workload.probe(cluster.machine(index));
    isProbed = true;
    return workload.pendingOn(healthy).length === 0 && cluster.checker.model.offset > committedBefore;
  };
  for (const index of healthy) cluster.release(index);
  const isInTime = await isWithin(cluster, LIVENESS_LIMIT_MS, isWell);
  caring.end();
  return isInTime;
}

/** Everything is healed; soon all nodes must have applied the same log and have the same image (R27). */
export async function checkQuiet(cluster: MetadataCluster, workload: Workload): Promise<void> {
  const all = new Set(cluster.machines.map(({ index }) => index));
  mendAll(cluster);
  cluster.trace.add("quiet");
  for (const index of all) cluster.release(index);
  const caring = care(cluster, workload, all);
  const { checker } = cluster;
  const isQuiet = (): boolean =>
    isUnfenced(cluster, all) &&
    workload.pendingOn(all).length === 0 &&
    cluster.nodes().every((node) => node.quorum.appliedOffset === checker.ledger.commitIndex);
  mustHold(
    await isWithin(cluster, QUIET_LIMIT_MS, isQuiet),
    "Convergence",
    `the nodes do not agree within ${QUIET_LIMIT_MS} ms though all is mended`,
    () => stateOf(cluster, workload, all),
  );
  caring.end();
  for (const node of cluster.nodes()) checker.model.compareLatest(node);
  checker.acknowledged.checkAll();
}

/** Leaves a random choice of machines broken, in one way each, and answers the others. */
function breakOthers(cluster: MetadataCluster): Set<number> {
  const { random, safety, machines } = cluster;
  const healthy = new Set(machines.map(({ index }) => index));
  for (const index of shuffled(machines.length, random)) {
    const rest = new Set([...healthy].filter((other) => other !== index));
    if (random.fraction() >= BROKEN_SHARE || !safety.isQuorum(rest)) continue;
    healthy.delete(index);
    const { host } = cluster.machine(index);
    const dice = random.below(3);
    if (dice === 0 || host === undefined) {
      cluster.holdDown(index);
      cluster.crash(index, "powerCut", 0);
    } else if (dice === 1) {
      host.pause();
    } else {
      cluster.network.cut(linksFrom(index, machines.length));
    }
  }
  return healthy;
}

function mendAll({ machines, network }: MetadataCluster): void {
  for (const { index, host } of machines) {
    if (host?.isPaused === true) host.resume();
    const cut = linksFrom(index, machines.length).filter(([from, to]) => network.isCut(from, to));
    while (cut.some(([from, to]) => network.isCut(from, to))) {
      network.mend(cut.filter(([from, to]) => network.isCut(from, to)));
    }
  }
}

function linksFrom(index: number, count: number): Links {
  const others = Array.from({ length: count }, (_, other) => other).filter((other) => other !== index);
  return others.flatMap((other) => [[index, other] as const, [other, index] as const]);
}

/** Until its end: whatever an operator would have to do. */
function care(cluster: MetadataCluster, workload: Workload, healthy: ReadonlySet<number>): { end(): void } {
  let isOver = false;
  const next = (): void => {
    if (isOver) return;
    const asked = cluster.machines.find(({ index, node }) => healthy.has(index) && node !== undefined);
    if (asked !== undefined) workload.forgetReplaced(asked);
    cluster.scheduler.schedule(CARE_INTERVAL_MS, next);
  };
  next();
  return {
    end: () => {
      isOver = true;
    },
  };
}

/** Whether one of them leads, settled, and each of them sees each of them unfenced. */
function isUnfenced(cluster: MetadataCluster, indexes: ReadonlySet<number>): boolean {
  const nodes = [...indexes].map((index) => cluster.machine(index).node);
  if (!nodes.some((node) => node?.quorum.role.isActive === true)) return false;
  return nodes.every(
    (node) =>
      node !== undefined &&
      nodes.every((other) => other !== undefined && node.image.broker(other.nodeId)?.isFenced === false),
  );
}

/** Whether the condition comes true in time. */
async function isWithin(
  cluster: MetadataCluster,
  limitMs: number,
  condition: () => boolean,
): Promise<boolean> {
  try {
    await cluster.scheduler.runUntil(condition, limitMs);
    return true;
  } catch (error: unknown) {
    if (error instanceof LograftError && error.code === "TIMEOUT") return false;
    throw error;
  }
}

/** What one needs to see why nothing goes on. */
function stateOf(
  cluster: MetadataCluster,
  workload: Workload,
  healthy: ReadonlySet<number>,
): Record<string, unknown> {
  const pending = workload.pendingOn(healthy);
  return {
    pending: pending.map(({ machine, name, sinceMs }) => ({ nodeId: machine.nodeId, name, sinceMs })),
    healthy: [...healthy].map((index) => index + 1),
    voters: cluster.safety.committedVoters.map(({ id }) => id),
    nodes: cluster.machines.map(({ nodeId, node, host }) => {
      if (node === undefined) return { nodeId, host: host === undefined ? "down" : "opening" };
      const { id, role, term, leader, commit, lastIndex, durableIndex, voters, isSettled } =
        node.quorum.status;
      return {
        id,
        role,
        term,
        leader,
        commit,
        lastIndex,
        durableIndex,
        voters: voters.length,
        isSettled,
        isPaused: host?.isPaused,
        applied: node.quorum.appliedOffset,
        unfenced: Array.from(node.image.brokers()).flatMap((broker) =>
          broker.isFenced ? [] : [broker.nodeId],
        ),
      };
    }),
  };
}
