import { setTimeout as sleep } from "node:timers/promises";
import type { ClusterProcess, NodeView } from "../../src/chaos/cluster-process.ts";
import type { TopicStream } from "./topic-stream.ts";

/** What happened after the controller was killed. */
export interface ControllerKill {
  readonly killed: number;
  /** Until every other node named another active controller. */
  readonly electedMs: number;
  /** Until a change that began after the kill was acknowledged. */
  readonly changedMs: number;
  /** Until the killed node was ready again after its start. */
  readonly restartedMs: number;
  /** How far the controller epoch went up: 1 for one election. */
  readonly epochs: number;
}

/** Kills the active controller with SIGKILL under a stream of changes, waits for the next one, and starts the node again. */
export async function killController(cluster: ClusterProcess, stream: TopicStream): Promise<ControllerKill> {
  const before = await cluster.agreedController();
  const killed = before.nodeId;
  await cluster.broker(killed).kill();
  const killedAt = performance.now();
  const changed = stream.nextChange();
  const after = await nextController(cluster, before);
  const electedMs = performance.now() - killedAt;
  const changedMs = (await changed) - killedAt;
  const restartedMs = await cluster.start(killed);
  return {
    killed,
    electedMs,
    changedMs,
    restartedMs,
    epochs: after.controllerEpoch - before.controllerEpoch,
  };
}

/** Two election timeouts of the default configuration: who wants to stand has stood by then. */
export const SETTLE_MS = 2000;

/** What happened while the controller was stopped, and after it went on. */
export interface ControllerPause {
  readonly paused: number;
  readonly electedMs: number;
  /** From before the stop until all had agreed again after it. */
  readonly epochs: number;
}

/**
 * Stops the active controller with SIGSTOP while changes go on, and lets it go on. That it committed nothing of its own
 * after that is shown by the state hashes and by the stream's book.
 */
export async function pauseController(
  cluster: ClusterProcess,
  options: { readonly pauseMs: number; readonly settleMs: number },
): Promise<ControllerPause> {
  const before = await cluster.agreedController();
  const { nodeId } = before;
  cluster.broker(nodeId).pause();
  const pausedAt = performance.now();
  await nextController(cluster, before);
  const electedMs = performance.now() - pausedAt;
  await sleep(Math.max(0, options.pauseMs - electedMs));
  cluster.broker(nodeId).resume();
  const epochs = await settledEpochs(cluster, before, options.settleMs);
  return { paused: nodeId, electedMs, epochs };
}

/** A way to cut the links of three nodes, by what it leaves: `leader` and the two others. */
export const CUTS = {
  /** The leader hears, and nobody hears it. */
  "leader is not heard": (cluster, leader, [one, other]) => {
    cluster.cutOneWay(leader, one);
    cluster.cutOneWay(leader, other);
  },
  /** The leader is heard, and hears nobody. */
  "leader hears nobody": (cluster, leader, [one, other]) => {
    cluster.cutOneWay(one, leader);
    cluster.cutOneWay(other, leader);
  },
  /** The leader and one other do not reach each other; the third is the bridge. */
  "bridge beside the leader": (cluster, leader, [one]) => cluster.cutBoth(leader, one),
  /** One way of one link only. */
  "one follower does not hear the leader": (cluster, leader, [one]) => cluster.cutOneWay(leader, one),
  /** The followers reach only the leader. */
  "bridge is the leader": (cluster, _leader, [one, other]) => cluster.cutBoth(one, other),
  "leader alone": (cluster, leader, [one, other]) => {
    cluster.cutBoth(leader, one);
    cluster.cutBoth(leader, other);
  },
} as const satisfies Record<
  string,
  (cluster: ClusterProcess, leader: number, others: readonly [number, number]) => void
>;

export type CutName = keyof typeof CUTS;

/** Elections that one fault may cost at most. */
export const MAX_ELECTIONS = 3;

/** What a cut did. */
export interface CutResult {
  readonly cut: CutName;
  /** From before the cut until all had agreed after it was healed. */
  readonly epochs: number;
  /** Until a change that began after the cut was acknowledged; a majority is always connected. */
  readonly changedMs: number;
}

/** Cuts links around the leader of three nodes for a time, under a stream of changes, and heals them. */
export async function cutLinks(
  cluster: ClusterProcess,
  stream: TopicStream,
  options: { readonly cut: CutName; readonly forMs: number; readonly settleMs: number },
): Promise<CutResult> {
  const before = await cluster.agreedController();
  const [one, other] = cluster.nodeIds.filter((nodeId) => nodeId !== before.nodeId);
  if (one === undefined || other === undefined) throw new Error("a cut takes three nodes");
  CUTS[options.cut](cluster, before.nodeId, [one, other]);
  const cutAt = performance.now();
  const changed = stream.nextChange();
  await sleep(options.forMs);
  cluster.healAll();
  const epochs = await settledEpochs(cluster, before, options.settleMs);
  return { cut: options.cut, epochs, changedMs: (await changed) - cutAt };
}

/** Kills all brokers at the same moment, starts them again, and compares what they have with what they had. */
export async function restartAll(
  cluster: ClusterProcess,
  topicCount: number,
): Promise<{ readonly readyMs: number; readonly faults: readonly string[] }> {
  await cluster.killAll();
  const readyMs = await cluster.startAll();
  const faults: string[] = [];
  for (const nodeId of cluster.nodeIds) {
    await using client = cluster.client([nodeId]);
    const found = (await client.admin().listTopics()).length;
    if (found !== topicCount) faults.push(`node ${nodeId} has ${found} topics of ${topicCount}`);
  }
  // Throws when two brokers at one offset differ.
  await cluster.agreedState();
  return { readyMs, faults };
}

async function nextController(cluster: ClusterProcess, before: NodeView): Promise<NodeView> {
  const others = cluster.runningIds.filter((nodeId) => nodeId !== before.nodeId);
  return cluster.until("the others name another controller", async () => {
    const views = await Promise.all(others.map((nodeId) => cluster.viewOf(nodeId)));
    const [first] = views;
    const isNext = (view: NodeView | undefined): boolean =>
      view !== undefined &&
      view.controllerEpoch > before.controllerEpoch &&
      view.controllerEpoch === first?.controllerEpoch &&
      others.includes(view.controllerId);
    return views.every(isNext) ? first : undefined;
  });
}

/** How many epochs went by until all nodes named one controller that has stayed for so long. */
async function settledEpochs(cluster: ClusterProcess, before: NodeView, settleMs: number): Promise<number> {
  const settled = await cluster.until("the controller stays", async () => {
    const found = await cluster.agreedController();
    await sleep(settleMs);
    const still = await cluster.agreedController();
    return still.controllerEpoch === found.controllerEpoch ? still : undefined;
  });
  return settled.controllerEpoch - before.controllerEpoch;
}
