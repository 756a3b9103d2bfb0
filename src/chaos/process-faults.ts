import type { FaultKind, Planner } from "./fault.ts";
import type { Scene } from "./scene.ts";

const MIN_DOWN_MS = 1000;
/** A paused broker is paused longer than its session lasts, so that it is fenced. */
const PAUSE_MS = 12_000;

export type ProcessFault = Extract<
  FaultKind,
  "kill-leader" | "kill-random" | "kill-all" | "rolling-restart" | "pause"
>;

/** Faults that end or stop processes. */
export function processFaults(scene: Scene): Readonly<Record<ProcessFault, Planner>> {
  const { cluster, observer } = scene;
  const kill = (nodes: readonly number[]) => ({ nodes, run: () => killAndRestart(scene, nodes) });
  return {
    // Every key is to lose its leader some time.
    "kill-leader": () => kill([observer.calmestLeader ?? scene.leader()]),
    "kill-random": () => kill([scene.any(cluster.nodeIds)]),
    "kill-all": () => kill(cluster.nodeIds),
    "rolling-restart": () => ({ nodes: cluster.nodeIds, run: () => restartInTurn(scene) }),
    pause: () => {
      const node = scene.leader();
      return { nodes: [node], run: () => pause(scene, node) };
    },
  };
}

/** SIGKILL to these, and all of them started again after a while. */
export async function killAndRestart(scene: Scene, nodes: readonly number[]): Promise<string> {
  const { cluster, observer } = scene;
  for (const node of nodes) observer.expectDown(node);
  await Promise.all(nodes.map((node) => cluster.broker(node).kill()));
  await scene.sleep(scene.between(MIN_DOWN_MS, MIN_DOWN_MS + scene.options.quietMs));
  await cluster.startAll();
  for (const node of nodes) observer.expectUp(node);
  return `${nodes.length} restarted`;
}

async function restartInTurn(scene: Scene): Promise<string> {
  const { cluster, observer } = scene;
  for (const node of cluster.nodeIds) {
    observer.expectDown(node);
    await cluster.broker(node).stop();
    await cluster.start(node);
    observer.expectUp(node);
    await scene.isWholeInTime();
  }
  return `${cluster.nodeIds.length} restarted in turn`;
}

async function pause(scene: Scene, node: number): Promise<string> {
  const { cluster } = scene;
  cluster.broker(node).pause();
  await scene.sleep(PAUSE_MS);
  cluster.broker(node).resume();
  return "";
}
