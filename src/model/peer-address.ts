import type { NodeId } from "./ids.ts";

/** Where another broker's peer port is, and who must answer there. */
export interface PeerAddress {
  readonly nodeId: NodeId;
  /** Of the quorum's store on that broker: a wiped disk has another. Empty: not known yet, anybody with the node id. */
  readonly directoryId: string;
  /** "host:port" of the peer listener. */
  readonly endpoint: string;
}
