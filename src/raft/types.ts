import type { Brand } from "../base/brand.ts";

/**
 * One member of the group: a process on one disk. The text is opaque here; a wiped disk must give another one, because
 * who lost its memory must not vote under the old name (H8, KIP-853).
 */
export type ReplicaId = Brand<string, "ReplicaId">;

/** A replica that counts for majorities, and where others reach it ("host:port"; opaque here). */
export interface Voter {
  readonly id: ReplicaId;
  readonly endpoint: string;
}

/** The voters, sorted by id, without repeats. The latest set in the log holds, committed or not (dissertation §4.1). */
export type VoterSet = readonly Voter[];

/** "noop": what a new leader appends first (H3). "voters": `data` is an encoded `VoterSet`. "data": the user's own. */
export type EntryKind = "noop" | "data" | "voters";

/** One position of the log. Never changes. */
export interface Entry {
  /** From 1, without gaps. */
  readonly index: number;
  readonly term: number;
  readonly kind: EntryKind;
  /** Must not be written to by anybody. */
  readonly data: Buffer;
}

/** What must survive a crash beside the log (dissertation Fig. 3.1). */
export interface HardState {
  /** 0: none yet. Never goes back. */
  readonly term: number;
  /** Whom this replica voted for in `term`. */
  readonly vote: ReplicaId | undefined;
  /** A known lower bound of the commit index; may lag, is never ahead. */
  readonly commit: number;
}

export const INITIAL_HARD_STATE: HardState = { term: 0, vote: undefined, commit: 0 };

/** What a snapshot stands for: all entries up to `index`, and the voters there. */
export interface SnapshotMeta {
  /** 0: the empty snapshot before the first entry. */
  readonly index: number;
  readonly term: number;
  readonly voters: VoterSet;
}

/** A snapshot to be sent in chunks. */
export interface SnapshotDescription extends SnapshotMeta {
  readonly sizeBytes: number;
  /** CRC-32C of the whole content; checked before it is installed (H9). */
  readonly checksum: number;
}

interface Addressed {
  readonly from: ReplicaId;
  readonly to: ReplicaId;
  /** The sender's term; in a PreVoteRequest the term it would stand in. */
  readonly term: number;
}

/** Asks whether a vote would be given; nobody's term changes (dissertation §9.6). */
export interface PreVoteRequest extends Addressed {
  readonly type: "PreVoteRequest";
  readonly lastIndex: number;
  readonly lastTerm: number;
}

export interface PreVoteResponse extends Addressed {
  readonly type: "PreVoteResponse";
  readonly granted: boolean;
  /** The term that was asked for: ties the answer to its question. */
  readonly requestTerm: number;
}

export interface VoteRequest extends Addressed {
  readonly type: "VoteRequest";
  readonly lastIndex: number;
  readonly lastTerm: number;
  /** The old leader asked for this election, so voters do not refuse for its sake (§3.10). */
  readonly isTransfer: boolean;
}

export interface VoteResponse extends Addressed {
  readonly type: "VoteResponse";
  readonly granted: boolean;
}

export interface AppendRequest extends Addressed {
  readonly type: "AppendRequest";
  readonly prevIndex: number;
  readonly prevTerm: number;
  /** Empty: a probe. */
  readonly entries: readonly Entry[];
  readonly commit: number;
}

export interface AppendResponse extends Addressed {
  readonly type: "AppendResponse";
  readonly accepted: boolean;
  /** Accepted: everything up to here is on the follower's disk and matches. Refused: `prevIndex` of the request. */
  readonly index: number;
  /** Refused: the follower's guess where the logs still agree (largest index, with its term, not after `index`). */
  readonly hintIndex: number;
  readonly hintTerm: number;
}

/** Leadership, the commit index as far as the follower is known to match, and a round to answer (ReadIndex, CheckQuorum). */
export interface HeartbeatRequest extends Addressed {
  readonly type: "HeartbeatRequest";
  readonly commit: number;
  readonly round: number;
}

export interface HeartbeatResponse extends Addressed {
  readonly type: "HeartbeatResponse";
  readonly round: number;
}

/** One chunk of a snapshot. */
export interface SnapshotRequest extends Addressed {
  readonly type: "SnapshotRequest";
  readonly snapshot: SnapshotDescription;
  /** Position of `data` in the content. */
  readonly position: number;
  readonly data: Buffer;
}

export interface SnapshotResponse extends Addressed {
  readonly type: "SnapshotResponse";
  readonly snapshotIndex: number;
  /** Bytes the follower has on disk; the next chunk begins there. `sizeBytes`: complete and installed. */
  readonly receivedBytes: number;
}

/** The leader hands over: stand for election now (§3.10). */
export interface TimeoutNowRequest extends Addressed {
  readonly type: "TimeoutNowRequest";
}

/**
 * A replica that is no voter asks the leader for the log; repeated while it follows. Also sent by a voter whose endpoint
 * is not the one in the voter set. Its term is not compared: an observer may have none yet.
 */
export interface ObserveRequest extends Addressed {
  readonly type: "ObserveRequest";
  readonly endpoint: string;
}

export type RaftMessage =
  | PreVoteRequest
  | PreVoteResponse
  | VoteRequest
  | VoteResponse
  | AppendRequest
  | AppendResponse
  | HeartbeatRequest
  | HeartbeatResponse
  | SnapshotRequest
  | SnapshotResponse
  | TimeoutNowRequest
  | ObserveRequest;

/**
 * What has to be durable, in one synced batch: entries behind `truncateAfter` that are there already go, `entries` come,
 * the hard state is replaced. At most one is outstanding; `RawNode.written` ends it.
 */
export interface LogWrite {
  readonly hardState: HardState;
  /** Index of the last entry on the disk that stays; undefined: none goes. */
  readonly truncateAfter: number | undefined;
  readonly entries: readonly Entry[];
}

/** A chunk the leader owes a follower: read it and send it as a SnapshotRequest with these fields. */
export interface SnapshotRead {
  readonly request: Omit<SnapshotRequest, "data">;
  readonly maxBytes: number;
}

/** A received chunk to be written; `RawNode.snapshotChunkWritten` or `snapshotInstalled` answers. */
export interface SnapshotWrite {
  readonly request: SnapshotRequest;
  /** The last chunk: verify the whole, install, then `snapshotInstalled`. */
  readonly isLast: boolean;
}

/** A linearizable read may be answered once everything up to `index` is applied (§6.4). */
export interface ReadState {
  readonly token: number;
  /** Undefined: leadership was lost; ask the new leader. */
  readonly index: number | undefined;
}

/** What the driver has to do, in any order unless said otherwise. */
export interface Ready {
  /** May leave at once. */
  readonly messages: readonly RaftMessage[];
  /** Write it, then call `written`; what depended on it then comes with a later `Ready`. */
  readonly write: LogWrite | undefined;
  /** Committed and on this replica's disk: apply in order. Each entry comes once. */
  readonly committed: readonly Entry[];
  readonly snapshotReads: readonly SnapshotRead[];
  readonly snapshotWrite: SnapshotWrite | undefined;
  readonly readStates: readonly ReadState[];
}

export type RaftRole = "follower" | "preCandidate" | "candidate" | "leader";

/** How far a leader knows another replica to be. */
export interface ReplicaProgress {
  readonly id: ReplicaId;
  readonly endpoint: string;
  readonly isVoter: boolean;
  readonly matchIndex: number;
  /** Heard from within the last election timeout. */
  readonly isActive: boolean;
  /** Caught up within the last round (dissertation §4.2.1): may become a voter. */
  readonly isCaughtUp: boolean;
}

export interface RaftStatus {
  readonly id: ReplicaId;
  readonly role: RaftRole;
  readonly term: number;
  readonly leader: ReplicaId | undefined;
  readonly commit: number;
  readonly lastIndex: number;
  readonly durableIndex: number;
  readonly snapshotIndex: number;
  /** In force: the last in the log. */
  readonly voters: VoterSet;
  /** Index of the entry that `voters` came from. */
  readonly votersIndex: number;
  /** Of a leader; empty otherwise. Includes the observers. */
  readonly progress: readonly ReplicaProgress[];
  /** A leader whose first own entry is committed: only now may it decide and read (H3). */
  readonly isSettled: boolean;
  readonly transferTarget: ReplicaId | undefined;
}

/** Why the leader does not take a change of the voters now; each is retriable except the last two. */
export type VoterChangeRefusal =
  | "NOT_LEADER"
  | "NOT_SETTLED"
  | "CHANGE_IN_PROGRESS"
  | "NOT_CAUGHT_UP"
  | "UNKNOWN_REPLICA"
  | "LAST_VOTER"
  | "NO_CHANGE";

/**
 * Deliberate bugs, for the tests that prove the simulator finds them. Never set in production: `forgetVote` does not
 * write the vote; `commitOldTerm` commits entries of earlier terms by counting; `acknowledgeBeforeWrite` sends answers
 * before the disk has what they promise; `votersWithoutOwnTerm` allows a change before an entry of the own term.
 */
export type RaftSabotage = "forgetVote" | "commitOldTerm" | "acknowledgeBeforeWrite" | "votersWithoutOwnTerm";
