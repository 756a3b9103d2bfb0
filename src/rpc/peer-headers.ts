import type { NodeId } from "../model/ids.ts";
import { nodeId } from "../model/ids.ts";
import type { RpcMetadata } from "./stream/byte-stream.ts";

/** Who makes a call on a peer port. */
export interface PeerIdentity {
  readonly nodeId: NodeId;
  /** Of its quorum store. */
  readonly directoryId: string;
  /** Undefined while it belongs to no cluster. */
  readonly clusterId: string | undefined;
}

/** What the metadata of a call says: who asks, and whom it looks for. */
export interface PeerHeaders extends PeerIdentity {
  /** Undefined: whoever is at the address. */
  readonly toNodeId: NodeId | undefined;
  /** Empty: any store of that node. */
  readonly toDirectoryId: string;
}

const NODE_ID = "lograft-node-id";
const DIRECTORY_ID = "lograft-directory-id";
const CLUSTER_ID = "lograft-cluster-id";
const TO_NODE_ID = "lograft-to-node-id";
const TO_DIRECTORY_ID = "lograft-to-directory-id";

/** The metadata of a call; what is not known is left out. @param to who must answer. */
export function peerMetadata(
  from: PeerIdentity,
  to?: { readonly nodeId: NodeId; readonly directoryId: string },
): RpcMetadata {
  const metadata = new Map([
    [NODE_ID, String(from.nodeId)],
    [DIRECTORY_ID, from.directoryId],
  ]);
  if (from.clusterId !== undefined) metadata.set(CLUSTER_ID, from.clusterId);
  if (to === undefined) return metadata;
  metadata.set(TO_NODE_ID, String(to.nodeId));
  if (to.directoryId !== "") metadata.set(TO_DIRECTORY_ID, to.directoryId);
  return metadata;
}

/** The headers of a call, or the name of the one that is missing or malformed. */
export function readPeerHeaders(
  metadata: RpcMetadata,
): { readonly ok: true; readonly headers: PeerHeaders } | { readonly ok: false; readonly header: string } {
  const from = parseNodeId(metadata.get(NODE_ID));
  if (from === undefined) return { ok: false, header: NODE_ID };
  const directoryId = metadata.get(DIRECTORY_ID) ?? "";
  if (!isName(directoryId)) return { ok: false, header: DIRECTORY_ID };
  const clusterId = metadata.get(CLUSTER_ID);
  if (clusterId !== undefined && !isName(clusterId)) return { ok: false, header: CLUSTER_ID };
  const to = metadata.get(TO_NODE_ID);
  const toNodeId = parseNodeId(to);
  if (to !== undefined && toNodeId === undefined) return { ok: false, header: TO_NODE_ID };
  const toDirectoryId = metadata.get(TO_DIRECTORY_ID) ?? "";
  if (toDirectoryId !== "" && !isName(toDirectoryId)) return { ok: false, header: TO_DIRECTORY_ID };
  return { ok: true, headers: { nodeId: from, directoryId, clusterId, toNodeId, toDirectoryId } };
}

function parseNodeId(text: string | undefined): NodeId | undefined {
  if (text === undefined || !/^(?:0|[1-9]\d{0,9})$/.test(text)) return undefined;
  const value = Number(text);
  return value <= 0x7fff_ffff ? nodeId(value) : undefined;
}

/** What an id may look like. It comes back in texts and logs, so it is short and has no blanks. */
function isName(text: string): boolean {
  return /^[\w.-]{1,64}$/.test(text);
}
