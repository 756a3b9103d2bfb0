import { parseReplicaId } from "../../quorum/replica-id.ts";
import type { MetadataNode } from "../metadata-node.ts";
import type { BrokerExposition } from "./broker-exposition.ts";

/** This broker's part in the metadata quorum. */
export function addRaftMetrics(
  to: BrokerExposition,
  { quorum, electionCount }: Pick<MetadataNode, "quorum" | "electionCount">,
): void {
  const { status, role } = quorum;
  to.add("lograft_controller_leader", {}, role.isActive ? 1 : 0);
  to.add("lograft_raft_term", {}, status.term);
  to.add("lograft_raft_elections_total", {}, electionCount);
  to.add("lograft_raft_commit_index", {}, status.commit);
  to.add("lograft_raft_applied_index", {}, quorum.appliedOffset);
  to.addHistogram("lograft_raft_append_duration_seconds", {}, quorum.writeDurations.read());
  const others = status.progress.filter(({ id }) => id !== status.id);
  for (const [follower, lag] of lags(others, status.lastIndex)) {
    to.add("lograft_raft_follower_lag_entries", { follower }, lag);
  }
}

/** By node id. A broker that came back with an empty directory counts by its newest replica, the one that moves. */
function lags(
  others: readonly { readonly id: string; readonly matchIndex: number }[],
  lastIndex: number,
): ReadonlyMap<number, number> {
  const byNode = new Map<number, number>();
  for (const { id, matchIndex } of others) {
    const nodeId = parseReplicaId(id)?.nodeId;
    if (nodeId === undefined) continue;
    const lag = Math.max(0, lastIndex - matchIndex);
    byNode.set(nodeId, Math.min(lag, byNode.get(nodeId) ?? Infinity));
  }
  return byNode;
}
