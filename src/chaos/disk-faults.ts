import type { FaultKind, Planner } from "./fault.ts";
import type { Scene } from "./scene.ts";

const MIN_SYNC_DELAY_MS = 1000;
const MAX_SYNC_DELAY_MS = 5000;
/** Longer than `replica.lag.time.max.ms`, 4 s by default, after which a slow follower has to leave the ISR. */
const SLOW_MS = 15_000;
const FULL_MS = 10_000;

export type DiskFault = Extract<FaultKind, "slow-disk" | "full-disk">;

/** Faults of the disk of one broker. */
export function diskFaults(scene: Scene): Readonly<Record<DiskFault, Planner>> {
  return {
    "slow-disk": () => {
      const node = scene.leader();
      return { nodes: [node], run: () => slowDown(scene, node) };
    },
    "full-disk": () => {
      const node = scene.leader();
      return { nodes: [node], run: () => fillUp(scene, node) };
    },
  };
}

async function slowDown(scene: Scene, node: number): Promise<string> {
  const broker = scene.cluster.broker(node);
  const delayMs = scene.between(MIN_SYNC_DELAY_MS, MAX_SYNC_DELAY_MS);
  const before = broker.slowSyncs;
  broker.slowSync(delayMs);
  await scene.sleep(SLOW_MS);
  broker.slowSync(0);
  const count = broker.slowSyncs - before;
  return count === 0 ? "" : `${count} syncs took ${delayMs} ms longer`;
}

async function fillUp(scene: Scene, node: number): Promise<string> {
  const volume = scene.volumes?.of(node);
  if (volume === undefined) return "";
  const leftBytes = await volume.fill();
  await scene.sleep(FULL_MS);
  await volume.empty();
  return `${leftBytes} bytes were left`;
}
