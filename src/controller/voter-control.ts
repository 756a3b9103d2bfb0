import type { NodeId } from "../model/ids.ts";
import type { PeerAddress } from "../model/peer-address.ts";
import type { VoterChange } from "../quorum/quorum-types.ts";

/** One replica of the metadata log, as far as the leader knows it. */
export interface QuorumReplica {
  readonly nodeId: NodeId;
  /** Of the quorum's store there. */
  readonly directoryId: string;
  /** "host:port" of its peer listener; empty for a broker alone. */
  readonly endpoint: string;
  readonly isVoter: boolean;
  /** Exclusive: everything before is durable there. */
  readonly logEndOffset: number;
  /** Heard from within the last election timeout. */
  readonly isActive: boolean;
  /** Close enough behind the leader to be made a voter. */
  readonly isCaughtUp: boolean;
}

/** The quorum as its leader sees it. */
export interface QuorumView {
  readonly leaderId: NodeId;
  readonly epoch: number;
  /** Last offset that a majority has; 0: none. */
  readonly commitOffset: number;
  /** Voters first, then observers, each sorted by node id. */
  readonly replicas: readonly QuorumReplica[];
}

/** What the controller asks of the quorum beside its log. */
export interface VoterControl {
  /** Whom this node follows, or itself. */
  readonly leader: PeerAddress | undefined;
  /** The leader's view. Only asked for while this node leads. */
  describe(): QuorumView;
  /**
   * Resolves when the change is committed. @throws ProtocolError INVALID_VOTER_KEY, DUPLICATE_VOTER, VOTER_NOT_FOUND,
   * REASSIGNMENT_IN_PROGRESS, NOT_CONTROLLER; the reason of `signal`, and then the change may still take effect.
   */
  changeVoters(change: VoterChange, signal: AbortSignal): Promise<void>;
  /**
   * Resolves when this node was the leader after the call and has applied everything committed before it, with the
   * offset of that (H10). @throws ProtocolError NOT_CONTROLLER, the reason of `signal`.
   */
  readBarrier(signal: AbortSignal): Promise<number>;
}
