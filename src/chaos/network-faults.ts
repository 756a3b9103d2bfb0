import type { FaultKind, Planner, Strike } from "./fault.ts";
import type { Scene } from "./scene.ts";

const MIN_CUT_MS = 4000;
const MAX_CUT_MS = 12_000;
/** A follower that is cut off leaves the ISR only after `replica.lag.time.max.ms`, 4 s by default. */
const BRIDGE_MS = 14_000;
const HOLD_ANSWERS_MS = 300;
const LOST_ANSWER_ROUNDS = 5;

export type NetworkFault = Extract<
  FaultKind,
  "partition-one-way" | "partition-symmetric" | "partition-bridge" | "drop-answers"
>;

/** Faults of the links between brokers, and of those to the clients. */
export function networkFaults(scene: Scene): Readonly<Record<NetworkFault, Planner>> {
  const { cluster } = scene;
  const othersThan = (node: number): number[] => cluster.nodeIds.filter((nodeId) => nodeId !== node);
  return {
    "partition-one-way": () => {
      const node = scene.leader();
      const run = async (): Promise<string> => {
        for (const other of othersThan(node)) cluster.cutOneWay(node, other);
        await scene.sleep(scene.between(MIN_CUT_MS, MAX_CUT_MS));
        cluster.healAll();
        return "";
      };
      return { nodes: [node], run };
    },
    "partition-symmetric": () => {
      const node = scene.leader();
      return isolation(scene, node, othersThan(node), () => scene.between(MIN_CUT_MS, MAX_CUT_MS));
    },
    // The leader and one other do not reach each other, the third reaches both.
    "partition-bridge": () => {
      const node = scene.leader();
      return isolation(scene, node, [scene.any(othersThan(node))], () => BRIDGE_MS);
    },
    "drop-answers": () => ({ nodes: [], run: () => dropAnswers(scene) }),
  };
}

/** Nothing passes between `node` and the others, by the count of what passed. */
function isolation(scene: Scene, node: number, others: readonly number[], durationMs: () => number): Strike {
  const { cluster } = scene;
  const run = async (): Promise<string> => {
    for (const other of others) cluster.cutBoth(node, other);
    const before = cluster.passedBetween(node, others);
    await scene.sleep(durationMs());
    const after = cluster.passedBetween(node, others);
    cluster.healAll();
    const passed = after.passedBytes - before.passedBytes;
    const blocked = after.blockedConnections - before.blockedConnections;
    return `${passed} bytes passed, ${blocked} connections blocked`;
  };
  return { nodes: [node], run };
}

async function dropAnswers(scene: Scene): Promise<string> {
  const { clients } = scene;
  let lost = 0;
  for (let round = 0; round < LOST_ANSWER_ROUNDS; round++) {
    clients.holdAnswers();
    await scene.sleep(HOLD_ANSWERS_MS);
    lost += clients.loseAnswers();
    await scene.sleep(HOLD_ANSWERS_MS);
  }
  return lost === 0 ? "" : `${lost} connections lost with their answers`;
}
