import { assert } from "../base/assert.ts";
import type { VoterChange } from "./membership.ts";
import { Observation } from "./observation.ts";
import { Raft } from "./raft.ts";
import { replicate } from "./replication.ts";
import { countOwnVote, standForPreElection } from "./step-candidate.ts";
import {
  onLeaderUnreachable,
  onSnapshotChunkWritten,
  onSnapshotDamaged,
  onSnapshotInstalled,
  tickFollower,
} from "./step-follower.ts";
import {
  changeVoters,
  commitByCounting,
  propose,
  readIndex,
  tickLeader,
  transferLeadership,
} from "./step-leader.ts";
import type { Proposed } from "./step-leader.ts";
import { step } from "./step.ts";
import type {
  Entry,
  HardState,
  LogWrite,
  RaftMessage,
  RaftSabotage,
  RaftStatus,
  Ready,
  ReplicaId,
  SnapshotDescription,
  SnapshotMeta,
  SnapshotRequest,
  VoterChangeRefusal,
} from "./types.ts";

export interface RawNodeOptions {
  readonly id: ReplicaId;
  /** An election starts after a random electionTicks..2*electionTicks-1 ticks without a leader. */
  readonly electionTicks: number;
  /** Below `electionTicks`. */
  readonly heartbeatTicks: number;
  /** Entries in one AppendRequest, default 256 KiB; one entry always fits. */
  readonly maxAppendBytes?: number;
  /** Unanswered AppendRequests for each follower, default 16. */
  readonly maxInflightAppends?: number;
  /** Default 32 MiB; proposals beyond are refused BUSY. */
  readonly maxUncommittedBytes?: number;
  /** Default 256 KiB. */
  readonly snapshotChunkBytes?: number;
  readonly sabotage?: RaftSabotage;
}

/** What the disk had at the start. */
export interface RawNodeState {
  readonly hardState: HardState;
  /** Index 0 without voters: none yet. To send it, the driver names it once by `snapshotCreated`. */
  readonly snapshot: SnapshotMeta;
  /** Behind the snapshot, without gaps, all durable. */
  readonly entries: readonly Entry[];
}

/**
 * One replica of a Raft group (Ongaro, "Consensus: Bridging Theory and Practice") as a pure machine: ticks, messages and
 * completions go in, `ready` tells what is to be done. After each input the driver calls `ready` until it has nothing
 * more. Randomness comes from `deps`; time is what `tick` counts.
 */
export class RawNode {
  readonly #raft: Raft;
  #observation: Observation | undefined;

  /** `random`: a whole number in [0, maxExclusive). */
  constructor(
    options: RawNodeOptions,
    state: RawNodeState,
    deps: { readonly random: (maxExclusive: number) => number },
  ) {
    const { electionTicks, heartbeatTicks } = options;
    assert(
      heartbeatTicks >= 1 && heartbeatTicks < electionTicks,
      "heartbeats must be faster than elections",
      {
        electionTicks,
        heartbeatTicks,
      },
    );
    const complete = {
      id: options.id,
      electionTicks,
      heartbeatTicks,
      maxAppendBytes: options.maxAppendBytes ?? 256 * 1024,
      maxInflightAppends: options.maxInflightAppends ?? 16,
      maxUncommittedBytes: options.maxUncommittedBytes ?? 32 * 1024 * 1024,
      snapshotChunkBytes: options.snapshotChunkBytes ?? 256 * 1024,
      sabotage: options.sabotage,
    };
    this.#raft = new Raft(complete, state, deps.random);
  }

  /** One tick of the clock. */
  tick(): void {
    const raft = this.#raft;
    if (raft.leadership !== undefined) {
      tickLeader(raft, raft.leadership);
      return;
    }
    tickFollower(raft);
    this.#observation?.tick(raft);
  }

  /** A message from the wire. One for another replica, or one that makes no sense, is dropped; nothing is thrown. */
  step(message: RaftMessage): void {
    step(this.#raft, message);
  }

  /** Appends an entry. It is decided when an entry of this index is committed: this one, if the term is the same. */
  propose(data: Buffer): Proposed | "NOT_LEADER" | "TRANSFERRING" | "BUSY" {
    return propose(this.#raft, data);
  }

  /** Changes the voters by one. In force at once, decided like a proposal; or why not now. */
  changeVoters(change: VoterChange): Proposed | VoterChangeRefusal {
    return changeVoters(this.#raft, change);
  }

  /** A `ReadState` with this token will follow. False: not a settled leader, or thousands of reads wait already. */
  readIndex(token: number): boolean {
    return readIndex(this.#raft, token);
  }

  /** Hands over to `to`; proposals are refused meanwhile, for one election timeout at most. False: it cannot begin. */
  transferLeadership(to: ReplicaId): boolean {
    return transferLeadership(this.#raft, to);
  }

  /** The connection to the leader broke and a new one is refused: stand after 0-2 ticks. A hint, safe when wrong. */
  leaderUnreachable(): void {
    onLeaderUnreachable(this.#raft);
  }

  /** Stand for election at once, with PreVote. Does nothing on a leader or on one that is no voter. */
  campaign(): void {
    if (this.#raft.role !== "leader") standForPreElection(this.#raft);
  }

  /**
   * Ask the leader (as discovery found it) for the log, or tell it that this voter's endpoint is another one now; sent
   * again every heartbeat interval until it answers, then every election timeout.
   */
  observe(leader: ReplicaId, endpoint: string): void {
    this.#observation = new Observation(this.#raft, leader, endpoint);
    if (this.#raft.role !== "leader") this.#observation.ask(this.#raft);
  }

  /** What is to be done now, each thing once; undefined: nothing. */
  ready(): Ready | undefined {
    const raft = this.#raft;
    const { outbox, intake, log } = raft;
    if (raft.leadership !== undefined) replicate(raft, raft.leadership);
    const committed = intake.isInstalling ? [] : log.takeCommitted();
    // The snapshot takes the place of state and log: it comes when nothing else is being written or applied (H9).
    const snapshotWrite = intake.take(committed.length === 0 && !outbox.isWriting);
    const write = this.#beginWrite();
    const ready = {
      messages: outbox.takeMessages(),
      write,
      committed,
      snapshotReads: outbox.takeSnapshotReads(),
      snapshotWrite,
      readStates: outbox.takeReadStates(),
    };
    const isEmpty =
      write === undefined &&
      snapshotWrite === undefined &&
      ready.messages.length + committed.length + ready.snapshotReads.length + ready.readStates.length === 0;
    return isEmpty ? undefined : ready;
  }

  /** The outstanding `LogWrite` is durable. */
  written(): void {
    const raft = this.#raft;
    raft.log.finishWrite();
    raft.outbox.finishWrite(raft.term);
    countOwnVote(raft);
    if (raft.leadership !== undefined) commitByCounting(raft, raft.leadership);
  }

  /** This chunk (not the last one) is durable. */
  snapshotChunkWritten(request: SnapshotRequest): void {
    onSnapshotChunkWritten(this.#raft, request);
  }

  /**
   * The snapshot whose last chunk was handed out is verified, durable and in place; the log begins behind it. Entries
   * behind it stay when the log has its last entry, else none does: the next `LogWrite` cuts the disk accordingly.
   */
  snapshotInstalled(meta: SnapshotMeta): void {
    onSnapshotInstalled(this.#raft, meta.index, meta.term);
  }

  /** The snapshot whose last chunk was handed out fails its checksum and is thrown away; the leader sends it again. */
  snapshotDamaged(): void {
    onSnapshotDamaged(this.#raft);
  }

  /**
   * A snapshot of this replica's own state is durable: it may be sent, and entries up to `meta.index - keepEntries` go
   * from memory. Also called once after a start, for the snapshot that was found. An older one may still be asked for by
   * `snapshotReads`; a read that cannot be served is left out, and after an election timeout the newest is sent instead.
   */
  snapshotCreated(description: SnapshotDescription, keepEntries: number): void {
    this.#raft.snapshotCreated(description, keepEntries);
  }

  status(): RaftStatus {
    const raft = this.#raft;
    const { log, membership, leadership } = raft;
    const progress = leadership === undefined ? [] : Array.from(leadership.followers);
    return {
      id: raft.id,
      role: raft.role,
      term: raft.term,
      leader: raft.leader,
      commit: log.commit,
      lastIndex: log.lastIndex,
      durableIndex: log.durableIndex,
      snapshotIndex: log.snapshot.index,
      voters: membership.voters,
      votersIndex: membership.votersIndex,
      progress: progress
        .map((follower) => follower.describe(leadership?.now ?? 0))
        .sort((a, b) => (a.id < b.id ? -1 : 1)),
      isSettled: raft.isSettled,
      transferTarget: leadership?.transfer?.target,
    };
  }

  /** The next write, when there is something to write and nothing else is with the disk. */
  #beginWrite(): LogWrite | undefined {
    const { log, outbox, intake, term, vote, options } = this.#raft;
    if (!log.isUnwritten && !outbox.isUnwritten(term, vote)) {
      outbox.settle(term);
      return undefined;
    }
    if (outbox.isWriting || intake.isInstalling) return undefined;
    const hardState = { term, vote, commit: log.commit };
    return outbox.beginWrite(hardState, log.beginWrite(), options.sabotage === "forgetVote");
  }
}
