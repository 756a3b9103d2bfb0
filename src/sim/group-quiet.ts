import type { History } from "../history/history.ts";
import type { GroupWorkload } from "./group-workload.ts";
import { mustHold } from "./invariants/violation.ts";
import type { MetadataCluster } from "./metadata-cluster.ts";
import type { DataKey } from "./sim-client.ts";

/** In which a group must have come to the end of everything, once all is healed and nothing more is sent. */
const QUIET_LIMIT_MS = 60_000;
const LOOK_INTERVAL_MS = 100;

export interface QuietGroup {
  readonly group: GroupWorkload;
  readonly history: History;
  /** Where a partition ends (exclusive); undefined when nobody says. */
  readonly endOf: (key: DataKey) => Promise<number | undefined>;
}

/**
 * Waits until the group is stable with all its members and has committed the end of every partition, and notes those ends:
 * all that was acknowledged below them must have been handled.
 */
export async function checkGroup(cluster: MetadataCluster, quiet: QuietGroup): Promise<void> {
  const { group, history } = quiet;
  const { scheduler } = cluster;
  const ends = new Map<string, number>();
  let committed: ReadonlyMap<string, number> | undefined;
  let isWhole = false;
  const look = async (): Promise<boolean> => {
    for (const key of group.keys) {
      const end = await quiet.endOf(key);
      if (end === undefined) return false;
      ends.set(key.name, end);
    }
    committed = await group.committed();
    isWhole = await group.isWhole();
    return isWhole && isAtEnd(group, ends, committed);
  };
  const endMs = scheduler.nowMs + QUIET_LIMIT_MS;
  for (;;) {
    const isDone = await scheduler.settle(look(), QUIET_LIMIT_MS);
    if (isDone) break;
    mustHold(
      scheduler.nowMs < endMs,
      "GroupComesToTheEnd",
      `a group is not at the end of its partitions within ${QUIET_LIMIT_MS} ms though all is mended`,
      () => ({
        group: group.groupId,
        isWhole,
        ends: Object.fromEntries(ends),
        committed: Object.fromEntries(committed ?? []),
        members: group.statuses,
      }),
    );
    await scheduler.advance(LOOK_INTERVAL_MS);
  }
  const t = Math.round(scheduler.nowMs * 1e6);
  for (const [k, end] of ends) history.add({ type: "groupEnd", t, group: group.groupId, k, end });
}

function isAtEnd(
  group: GroupWorkload,
  ends: ReadonlyMap<string, number>,
  committed: ReadonlyMap<string, number> | undefined,
): boolean {
  if (committed === undefined) return false;
  // What is empty nobody has to commit.
  return group.keys.every(({ name }) => Math.max(0, committed.get(name) ?? -1) === ends.get(name));
}
