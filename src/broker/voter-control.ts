import type { QuorumReplica, QuorumView, VoterControl } from "../controller/voter-control.ts";
import { NO_NODE } from "../model/ids.ts";
import { parseReplicaId } from "../quorum/replica-id.ts";
import type { QuorumNode } from "../quorum/quorum-node.ts";

/** The quorum as the controller asks of it. */
export function voterControlOf(quorum: QuorumNode): VoterControl {
  return {
    get leader() {
      return quorum.role.leader;
    },
    describe: () => viewOf(quorum),
    changeVoters: (change, signal) => quorum.changeVoters(change, signal),
    readBarrier: (signal) => quorum.readBarrier(signal),
  };
}

function viewOf({ status, role }: QuorumNode): QuorumView {
  const self = status.voters.find(({ id }) => id === status.id);
  const own = replicaOf({
    id: status.id,
    endpoint: self?.endpoint ?? "",
    isVoter: self !== undefined,
    matchIndex: status.durableIndex,
    isActive: true,
    isCaughtUp: true,
  });
  const replicas = [own, ...status.progress.filter(({ id }) => id !== status.id).map(replicaOf)];
  return {
    leaderId: role.leader?.nodeId ?? NO_NODE,
    epoch: status.term,
    commitOffset: status.commit,
    replicas: replicas.sort((a, b) => Number(b.isVoter) - Number(a.isVoter) || a.nodeId - b.nodeId),
  };
}

function replicaOf(progress: QuorumNode["status"]["progress"][number]): QuorumReplica {
  const { id, endpoint, isVoter, matchIndex, isActive, isCaughtUp } = progress;
  const identity = parseReplicaId(id) ?? { nodeId: NO_NODE, directoryId: "" };
  return { ...identity, endpoint, isVoter, logEndOffset: matchIndex + 1, isActive, isCaughtUp };
}
