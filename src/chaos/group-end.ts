import { setTimeout as sleep } from "node:timers/promises";
import { isLograftError } from "../client/index.ts";
import type { Admin, GroupOffset } from "../client/index.ts";
import type { ClusterProcess } from "./cluster-process.ts";
import type { HistoryLog } from "./history-log.ts";
import { keyName } from "./keys.ts";
import type { MemberPool } from "./member-pool.ts";
import { nowNs } from "./monotonic-time.ts";

/** Nothing is in the way any more: a group that commits nothing for so long stands still. */
const STANDSTILL_MS = 90_000;
/** Slow members may have much to catch up with; not more than this. */
const CATCH_UP_TIMEOUT_MS = 900_000;
const ASK_TIMEOUT_MS = 10_000;
const POLL_MS = 100;

/**
 * The producers have ended: gives the group time to process and commit all there is, and notes what it was given time
 * for, and what is committed in the end. Answers the records that it is behind.
 */
export async function runGroupEnd(deps: {
  readonly cluster: ClusterProcess;
  readonly pool: MemberPool;
  readonly log: HistoryLog;
  readonly signal: AbortSignal;
}): Promise<number> {
  const { cluster, pool, log, signal } = deps;
  const { group, keys } = pool;
  await using client = cluster.client();
  const admin = client.admin();
  const latest = performance.now() + CATCH_UP_TIMEOUT_MS;
  let deadline = performance.now() + STANDSTILL_MS;
  const ends = await tried(deadline, signal, () =>
    admin.listOffsets(keys, "end", { timeoutMs: ASK_TIMEOUT_MS }),
  );
  const endOf = new Map(ends.map((one) => [keyName(one), one.offset]));
  let lag = Infinity;
  for (;;) {
    const offsets = await tried(deadline, signal, () => askCommitted(admin, pool));
    const before = lag;
    lag = offsets.reduce((sum, one) => sum + (endOf.get(keyName(one)) ?? 0) - Math.max(0, one.offset), 0);
    if (lag < before) deadline = Math.min(latest, performance.now() + STANDSTILL_MS);
    if (lag === 0 || performance.now() > deadline) break;
    await sleep(POLL_MS, undefined, { signal });
  }
  const writer = log.newProcess();
  const open = writer.invoke("fetchOffset");
  const offsets = await tried(performance.now() + ASK_TIMEOUT_MS, signal, () => askCommitted(admin, pool));
  writer.complete(open, "ok", {
    mops: offsets.map((one) => ["committed", group, keyName(one), one.offset, one.metadata] as const),
  });
  for (const [k, end] of endOf) log.note({ type: "groupEnd", t: nowNs(), group, k, end });
  return lag;
}

function askCommitted(admin: Admin, { group, keys }: MemberPool): Promise<GroupOffset[]> {
  return admin.fetchGroupOffsets(group, { partitions: keys, timeoutMs: ASK_TIMEOUT_MS });
}

/** Asks again after an error that passes, until the deadline. @throws the last one. */
async function tried<T>(deadlineMs: number, signal: AbortSignal, ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error: unknown) {
      if (!isLograftError(error) || !error.retriable || performance.now() > deadlineMs) throw error;
    }
    await sleep(POLL_MS, undefined, { signal });
  }
}
