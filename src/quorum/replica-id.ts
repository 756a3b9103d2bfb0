import { nodeId } from "../model/ids.ts";
import type { NodeId } from "../model/ids.ts";
import type { ReplicaId } from "../raft/types.ts";

/** The two halves of a replica's name. */
export interface ReplicaIdentity {
  readonly nodeId: NodeId;
  /** Of the quorum's store: a random uuid made with it, so that a wiped disk is somebody else (H8). */
  readonly directoryId: string;
}

/** "<nodeId>@<directoryId>". */
export function replicaIdOf(node: NodeId, directoryId: string): ReplicaId {
  return `${node}@${directoryId}` as ReplicaId;
}

/** The halves of a replica's name, or undefined when the text is not one. */
export function parseReplicaId(id: string): ReplicaIdentity | undefined {
  const match = /^(0|[1-9]\d{0,9})@([A-Za-z0-9_-]{1,64})$/.exec(id);
  const node = Number(match?.[1]);
  const directoryId = match?.[2];
  if (directoryId === undefined || node > 0x7fffffff) return undefined;
  return { nodeId: nodeId(node), directoryId };
}
