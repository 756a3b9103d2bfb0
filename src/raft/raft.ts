import { assert } from "../base/assert.ts";
import { Leadership } from "./leadership.ts";
import { Ballot } from "./majority.ts";
import type { BallotOutcome } from "./majority.ts";
import { Membership } from "./membership.ts";
import { Outbox } from "./outbox.ts";
import { RaftLog } from "./raft-log.ts";
import { SnapshotIntake } from "./snapshot-intake.ts";
import type {
  Entry,
  EntryKind,
  HardState,
  RaftRole,
  RaftSabotage,
  ReplicaId,
  SnapshotDescription,
  SnapshotMeta,
} from "./types.ts";
import { decodeVoters } from "./voter-set.ts";

/** The options of a `RawNode`, complete. */
export interface RaftOptions {
  readonly id: ReplicaId;
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  readonly maxAppendBytes: number;
  readonly maxInflightAppends: number;
  readonly maxUncommittedBytes: number;
  readonly snapshotChunkBytes: number;
  readonly sabotage: RaftSabotage | undefined;
}

/** What survived the last stop of a replica. */
export interface RaftState {
  readonly hardState: HardState;
  readonly snapshot: SnapshotMeta;
  readonly entries: readonly Entry[];
}

/**
 * One replica: its term and vote, its role, its log and who votes. The transitions between roles are here; what a role
 * does with messages and ticks is in `step-follower`, `step-candidate` and `step-leader`.
 */
export class Raft {
  readonly options: RaftOptions;
  readonly log: RaftLog;
  readonly membership: Membership;
  readonly outbox: Outbox;
  readonly intake = new SnapshotIntake();
  readonly #random: (maxExclusive: number) => number;
  #term: number;
  #vote: ReplicaId | undefined;
  #role: RaftRole = "follower";
  #leader: ReplicaId | undefined;
  #electionElapsed = 0;
  #electionTimeout = 0;
  /** Of a (pre-)candidate. */
  #ballot: Ballot | undefined;
  /** Of a leader. */
  #leadership: Leadership | undefined;
  /** The newest snapshot with what is needed to send it; undefined when only its position is known. */
  #snapshot: SnapshotDescription | undefined;

  constructor(options: RaftOptions, state: RaftState, random: (maxExclusive: number) => number) {
    const { hardState, snapshot, entries } = state;
    this.options = options;
    this.#random = random;
    this.log = new RaftLog(snapshot, entries, hardState.commit);
    this.membership = new Membership(snapshot.index, snapshot.voters);
    this.#learnVoters(entries);
    this.membership.commitTo(this.log.commit);
    this.outbox = new Outbox(hardState, options.sabotage === "acknowledgeBeforeWrite");
    this.#term = hardState.term;
    this.#vote = hardState.vote;
    this.resetElectionTimer();
  }

  get id(): ReplicaId {
    return this.options.id;
  }

  get term(): number {
    return this.#term;
  }

  get vote(): ReplicaId | undefined {
    return this.#vote;
  }

  get role(): RaftRole {
    return this.#role;
  }

  /** Of this term, as far as this replica knows. */
  get leader(): ReplicaId | undefined {
    return this.#leader;
  }

  get leadership(): Leadership | undefined {
    return this.#leadership;
  }

  /** The newest snapshot, once it may be sent. */
  get snapshot(): SnapshotDescription | undefined {
    return this.#snapshot;
  }

  /** True while a live leader is heard: then nobody else gets a vote here (§4.2.3, H6). */
  get isLeaderHeard(): boolean {
    if (this.#role === "leader") return true;
    return this.#leader !== undefined && this.#electionElapsed < this.options.electionTicks;
  }

  /** Nobody stands while a snapshot is about to replace its log. */
  get mayStand(): boolean {
    return this.membership.mayStand(this.id) && !this.intake.isInstalling;
  }

  /** A leader whose first entry is committed, and with it everything before (H3). */
  get isSettled(): boolean {
    return this.#leadership !== undefined && this.log.commit >= this.#leadership.firstIndex;
  }

  /** The fields that every message of this replica begins with. */
  envelope(to: ReplicaId): { readonly from: ReplicaId; readonly to: ReplicaId; readonly term: number } {
    return { from: this.id, to, term: this.#term };
  }

  /** Counts a tick against the election timeout; true when it is over. */
  tickElection(): boolean {
    this.#electionElapsed++;
    return this.#electionElapsed >= this.#electionTimeout;
  }

  /** Chosen anew each time, so that two replicas that stood at the same time do not do so again (§3.4). */
  resetElectionTimer(): void {
    this.#electionElapsed = 0;
    this.#electionTimeout = this.options.electionTicks + this.#random(this.options.electionTicks);
  }

  /** The leader is gone: no vote is refused for its sake, and this replica stands after 0, 1 or 2 ticks; answers them. */
  forgetLeader(): number {
    const ticks = this.#random(3);
    this.#leader = undefined;
    this.#electionTimeout = this.#electionElapsed + ticks;
    return ticks;
  }

  /** Follows `leader` in `term`, which may be a new one; undefined: nobody yet. */
  becomeFollower(term: number, leader: ReplicaId | undefined): void {
    assert(term >= this.#term, "the term goes back", { term, from: this.#term });
    // Of a higher term alone nothing follows about a live leader: the clock runs on for who was a follower without one.
    if (this.#role !== "follower" || this.#leader !== leader) this.resetElectionTimer();
    this.#leaveRole();
    if (term > this.#term) {
      this.#term = term;
      this.#vote = undefined;
    }
    this.#role = "follower";
    this.#leader = leader;
  }

  /** Asks who would vote for it, before it disturbs anybody with a new term (§9.6). */
  becomePreCandidate(): void {
    this.#stand("preCandidate");
  }

  /** Begins a term and votes for itself in it. The vote counts when it is on the disk. */
  becomeCandidate(): void {
    this.#stand("candidate");
    this.#term++;
    this.#vote = this.id;
  }

  /** Won. The first entry of the term tells, once committed, what was committed before it (§3.6.2, H3). */
  becomeLeader(): void {
    assert(this.#role === "candidate", "only a candidate becomes leader", { role: this.#role });
    this.#leaveRole();
    this.#role = "leader";
    this.#leader = this.id;
    const { electionTicks, heartbeatTicks, maxInflightAppends } = this.options;
    const limits = { electionTicks, heartbeatTicks, maxInflightAppends };
    const lastIndex = this.log.lastIndex;
    this.#leadership = new Leadership(this.id, lastIndex + 1, limits);
    this.#leadership.setVoters(this.membership.voters, lastIndex);
    this.appendOwn("noop", Buffer.alloc(0));
  }

  /** Votes for `candidate` in this term. */
  voteFor(candidate: ReplicaId): void {
    this.#vote = candidate;
    this.resetElectionTimer();
  }

  /** Counts an answer to the election or pre-election that this replica stands in. */
  countBallot(from: ReplicaId, isGranted: boolean): BallotOutcome {
    assert(this.#ballot !== undefined, "an answer without an election", { role: this.#role });
    return this.#ballot.record(from, isGranted);
  }

  /** Appends an entry of a leader's own. */
  appendOwn(kind: EntryKind, data: Buffer): { readonly index: number; readonly term: number } {
    const entry = { index: this.log.lastIndex + 1, term: this.#term, kind, data };
    this.appendEntries([entry]);
    return { index: entry.index, term: entry.term };
  }

  /** Adds entries to the log; a set of voters among them is in force at once (§4.1). */
  appendEntries(entries: readonly Entry[]): void {
    this.log.append(entries);
    this.#learnVoters(entries);
  }

  /** Cuts entries off that contradict the leader's; the voters before them are in force again (H7). */
  truncate(after: number): void {
    this.log.truncate(after);
    this.membership.truncate(after);
  }

  commitTo(index: number): void {
    this.log.commitTo(index);
    this.membership.commitTo(this.log.commit);
    // Entries came faster than the snapshot.
    if ((this.intake.index ?? Infinity) <= this.log.commit) this.intake.abandon();
  }

  /** A snapshot from the leader is in place. */
  install(snapshot: SnapshotDescription): void {
    const isLogKept = this.log.install(snapshot);
    if (isLogKept) this.membership.install(snapshot.index, snapshot.voters);
    else this.membership.replace(snapshot.index, snapshot.voters);
    this.#snapshot = snapshot;
  }

  /** A snapshot of this replica's own is durable, or was found at the start. */
  snapshotCreated(snapshot: SnapshotDescription, keepEntries: number): void {
    if (snapshot.index < this.log.snapshot.index) return;
    this.log.compact(snapshot, keepEntries);
    this.#snapshot = snapshot;
  }

  #stand(role: "preCandidate" | "candidate"): void {
    assert(this.mayStand, "who is no voter stands", { id: this.id });
    this.#leaveRole();
    this.#role = role;
    this.#leader = undefined;
    this.#ballot = new Ballot(this.membership.voters);
    // Entries of its own will not come from a snapshot any more; a half one would only be in the way.
    this.intake.abandon();
    this.resetElectionTimer();
  }

  #leaveRole(): void {
    if (this.#leadership !== undefined) this.outbox.answerReads(this.#leadership.reads.abandon());
    this.#leadership = undefined;
    this.#ballot = undefined;
  }

  #learnVoters(entries: readonly Entry[]): void {
    let isChanged = false;
    for (const { index, kind, data } of entries) {
      if (kind !== "voters") continue;
      this.membership.append(index, decodeVoters(data));
      isChanged = true;
    }
    if (isChanged) this.#leadership?.setVoters(this.membership.voters, this.log.lastIndex);
  }
}
