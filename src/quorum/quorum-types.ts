import type { Logger } from "../base/logger.ts";
import type { NodeId } from "../model/ids.ts";
import type { PeerAddress } from "../model/peer-address.ts";
import type { Platform } from "../platform/platform.ts";
import type { RaftSabotage } from "../raft/types.ts";
import type { RaftTransport } from "./raft-transport.ts";

/** One entry of the metadata log as those above the quorum see it; the quorum's own entries are left out. */
export interface CommittedEntry {
  /** From 1; gaps are entries of the quorum itself. */
  readonly offset: number;
  readonly epoch: number;
  /** Must not be written to. */
  readonly data: Buffer;
}

/** What the log is the log of. Synchronous and a function of the entries alone (H19). */
export interface QuorumStateMachine {
  /** Entries in order, each once. A throw stops the node: it goes to `failure`. */
  apply(entry: CommittedEntry): void;
  /** The whole state after the last `apply`, to be given to `restore` here or elsewhere. */
  snapshot(): Buffer;
  /** Replaces the whole state. @throws METADATA_CORRUPT when the content is not one of `snapshot`. */
  restore(content: Buffer, at: { readonly offset: number; readonly epoch: number }): void;
}

/** A founding voter as configured. */
export interface FoundingVoter {
  readonly nodeId: NodeId;
  /** "host:port" of its peer listener. */
  readonly endpoint: string;
}

export interface QuorumOptions {
  readonly nodeId: NodeId;
  /** "<data>/quorum": the store, the snapshots and the small files beside them. Made when missing. */
  readonly directory: string;
  /** Own peer endpoint; "": none, nobody else will ever come. */
  readonly endpoint: string;
  /** Known from before (meta.properties): then there must be a store. */
  readonly clusterId: string | undefined;
  /** What a new cluster is to be called; a node never joins another one. */
  readonly configuredClusterId: string | undefined;
  /** Empty: this node alone, unless `bootstrapServers` name others. */
  readonly foundingVoters: readonly FoundingVoter[];
  /** Endpoints to ask for an existing cluster; with one of them a cluster is never founded here. */
  readonly bootstrapServers: readonly string[];
  readonly tickMs: number;
  /** An election starts after this many to twice as many ticks of silence. */
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  /** A snapshot follows this many bytes of entries. Default 8 MiB. */
  readonly snapshotAfterBytes?: number;
  /** Entries kept in memory behind a snapshot, for followers that are a little late. Default 1000. */
  readonly keepEntries?: number;
  /** Proposals not yet committed; more are refused with BUFFER_EXHAUSTED. Default 4096. */
  readonly maxPending?: number;
  /** Room kept on the disk for what must be written when it is full; 0, the default, keeps none. */
  readonly reserveBytes?: number;
  /** Deliberate bugs, for tests only. */
  readonly sabotage?: RaftSabotage;
}

export interface QuorumDeps {
  readonly platform: Platform;
  readonly logger: Logger;
  /** Undefined: there are no other nodes. */
  readonly transport: RaftTransport | undefined;
  readonly stateMachine: QuorumStateMachine;
  /** Remembers the cluster beside the data (meta.properties); called when it is learned, and again while that fails. */
  readonly joinCluster: (clusterId: string) => Promise<void>;
}

export interface QuorumRole {
  readonly leader: PeerAddress | undefined;
  readonly epoch: number;
  /** This node is the leader and has applied everything from before its time: only now may it decide (H3). */
  readonly isActive: boolean;
}

/** A change of the voters as an operator names it. */
export interface VoterChange {
  readonly type: "add" | "remove";
  readonly nodeId: NodeId;
  /** Which of the replicas that ever had the node id. Default: the one there is. */
  readonly directoryId?: string;
}

/** What `propose` answers. */
export interface Proposal {
  readonly offset: number;
  readonly epoch: number;
  /** Resolves when the entry is committed and applied here; rejects NOT_CONTROLLER when that is not known any more. */
  readonly committed: Promise<void>;
}
