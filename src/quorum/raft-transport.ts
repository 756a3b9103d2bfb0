import type { NodeId } from "../model/ids.ts";
import type { PeerAddress } from "../model/peer-address.ts";

/** What a node says of itself before it belongs to anything: how clusters are founded and found. */
export interface Hello {
  readonly nodeId: NodeId;
  readonly directoryId: string;
  readonly endpoint: string;
  /** Undefined: it has joined no cluster yet. */
  readonly clusterId: string | undefined;
  /** The founding voters its configuration lists, by node id; empty when it lists none. */
  readonly foundingVoters: readonly { readonly nodeId: NodeId; readonly endpoint: string }[];
  /** The voters of its log; empty when it has none. */
  readonly voters: readonly PeerAddress[];
  /** The leader it follows, or itself. */
  readonly leader: PeerAddress | undefined;
  readonly epoch: number;
  /** Its wall clock as it said this, in ms since 1970. Left out by releases up to 0.4.0. */
  readonly wallClockMs?: number;
}

/** How the quorum reaches other nodes. The other direction is `QuorumNode.receive` and `QuorumNode.hello`. */
export interface RaftTransport {
  /**
   * Sends one message, or drops it when there is no connection or too much waits: Raft sends again. Messages to one
   * address stay in order as long as the connection lives. The bytes must not change any more. Never throws.
   */
  send(to: PeerAddress, message: readonly Uint8Array[]): void;
  /**
   * Asks a node who it is, telling who asks. @throws LograftError CONNECTION_FAILED (with `context.isRefused` true when
   * nothing listens there), TIMEOUT, INCONSISTENT_CLUSTER_ID, the reason of `signal`.
   */
  hello(endpoint: string, mine: Hello, signal: AbortSignal): Promise<Hello>;
  /** This node was heard just now: a pause before the next attempt to reach it need not be waited out. */
  heardFrom(nodeId: NodeId): void;
  /** Connections to addresses not in the list may be closed. */
  retain(addresses: readonly PeerAddress[]): void;
}
