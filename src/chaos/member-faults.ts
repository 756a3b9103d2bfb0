import type { FaultKind, Planner, Strike } from "./fault.ts";
import type { MemberPool } from "./member-pool.ts";
import type { MemberProcess } from "./member-process.ts";
import { killAndRestart } from "./process-faults.ts";
import type { Scene } from "./scene.ts";

/** Of consumer groups in runs with members; several times the interval of heartbeats. */
export const MEMBER_SESSION_MS = 6000;

const TAKEOVER_TIMEOUT_MS = 30_000;
const JOIN_TIMEOUT_MS = 60_000;
const MIN_AWAY_MS = 1500;
const LONG_PAUSE_MS = MEMBER_SESSION_MS + 4000;
/** Less than a session, and more than an interval of heartbeats. */
const SHORT_PAUSE_MS = MEMBER_SESSION_MS / 3;

export type MemberFault = Extract<
  FaultKind,
  "kill-member" | "pause-member" | "leave-member" | "kill-coordinator"
>;

/** Faults of a consumer group: of its members, and of the broker that coordinates it. */
export function memberFaults(scene: Scene): Readonly<Record<MemberFault, Planner>> {
  const isPauseLong = alternating();
  return {
    "kill-member": () => {
      const { pool, member } = victim(scene);
      return strike(member.held, async () => {
        await member.kill();
        return replace(scene, pool, member, member.held);
      });
    },
    "leave-member": () => {
      const { pool, member } = victim(scene);
      return strike(member.held, async () => {
        const { held } = member;
        const hasLeft = await pool.leave(member);
        const effect = await replace(scene, pool, member, held);
        return hasLeft ? effect : "";
      });
    },
    "pause-member": () => {
      const { pool, member } = victim(scene);
      // Who comes back within its session loses nothing: there is nothing to be taken over.
      return isPauseLong()
        ? strike(member.held, () => pauseLong(scene, pool, member))
        : strike([], () => pauseShort(scene, member));
    },
    "kill-coordinator": async () => {
      const pool = poolOf(scene);
      const node = await coordinatorOf(scene, pool.group);
      const run = async (): Promise<string> => {
        await killAndRestart(scene, [node]);
        return `node ${node} coordinated, now node ${await coordinatorOf(scene, pool.group)}`;
      };
      return { nodes: [node], groups: [pool.group], run };
    },
  };
}

function strike(held: readonly string[], run: () => Promise<string>): Strike {
  return { nodes: [], held, run };
}

/** A member that has something to lose. */
function victim(scene: Scene): { readonly pool: MemberPool; readonly member: MemberProcess } {
  const pool = poolOf(scene);
  return { pool, member: scene.any(pool.busy) };
}

function poolOf({ members }: Scene): MemberPool {
  if (members !== undefined) return members;
  throw new Error("there is no consumer group in this run; give it members");
}

/** Waits until the others have what one had that is gone; then a new one comes in its place. */
async function replace(
  scene: Scene,
  pool: MemberPool,
  { number }: MemberProcess,
  held: readonly string[],
): Promise<string> {
  const isTaken = await scene.until(() => pool.hasAll(held), TAKEOVER_TIMEOUT_MS);
  await scene.sleep(scene.between(MIN_AWAY_MS, MIN_AWAY_MS + scene.options.quietMs));
  pool.fill();
  const isWhole = await scene.until(() => pool.isWhole, JOIN_TIMEOUT_MS);
  if (!isTaken) return "";
  return `member ${number} gone, its ${held.length} keys with others${isWhole ? ", a new one there" : ""}`;
}

/** Longer than a session: the others take its keys, and it has to notice when it wakes up. */
async function pauseLong(scene: Scene, pool: MemberPool, member: MemberProcess): Promise<string> {
  const { held, newsCount } = member;
  member.pause();
  await scene.sleep(LONG_PAUSE_MS);
  const isTaken = pool.hasAll(held, member);
  member.resume();
  await scene.until(() => pool.isWhole && member.newsCount > newsCount, JOIN_TIMEOUT_MS);
  return isTaken ? `member ${member.number} stopped, its ${held.length} keys with others` : "";
}

async function pauseShort(scene: Scene, member: MemberProcess): Promise<string> {
  const { held } = member;
  member.pause();
  await scene.sleep(SHORT_PAUSE_MS);
  member.resume();
  // A heartbeat later it knows what has become of it.
  await scene.sleep(SHORT_PAUSE_MS);
  const kept = held.filter((key) => member.held.includes(key)).length;
  return `member ${member.number} stopped and kept ${kept} of ${held.length} keys`;
}

async function coordinatorOf({ cluster }: Scene, group: string): Promise<number> {
  await using client = cluster.client();
  return await cluster.until(`group ${group} has a coordinator`, async () => {
    const [found] = await client.admin().findCoordinators([group], { throwOnError: false });
    return found === undefined || found.error !== undefined ? undefined : found.nodeId;
  });
}

/** True, false, true, ... */
function alternating(): () => boolean {
  let isTrue = false;
  return () => {
    isTrue = !isTrue;
    return isTrue;
  };
}
