import type { Leadership } from "./leadership.ts";
import { changedVoters } from "./membership.ts";
import type { VoterChange } from "./membership.ts";
import type { Progress } from "./progress.ts";
import type { Raft } from "./raft.ts";
import { replicate, resend, sendChunk, sendHeartbeats } from "./replication.ts";
import type {
  AppendResponse,
  HeartbeatResponse,
  ObserveRequest,
  ReplicaId,
  SnapshotResponse,
  VoterChangeRefusal,
} from "./types.ts";
import { encodeVoters, findVoter } from "./voter-set.ts";

/** Where a proposal went in the log. It is decided once an entry with this index and term is committed. */
export interface Proposed {
  readonly index: number;
  readonly term: number;
}

/** One tick of a leader. */
export function tickLeader(raft: Raft, leadership: Leadership): void {
  const { isHeartbeatDue, isQuorumLost } = leadership.tick();
  if (isQuorumLost) {
    // Perhaps the others have long elected somebody else; clients should look for that one (CheckQuorum, H6).
    raft.becomeFollower(raft.term, undefined);
  } else if (isHeartbeatDue) sendHeartbeats(raft, leadership);
}

/** An answer of a follower in this term. */
export function stepLeader(
  raft: Raft,
  leadership: Leadership,
  message: AppendResponse | HeartbeatResponse | SnapshotResponse,
): void {
  const progress = leadership.follower(message.from);
  if (progress === undefined) return;
  progress.heard(leadership.now);
  switch (message.type) {
    case "AppendResponse":
      onAppendResponse(raft, leadership, progress, message);
      break;
    case "HeartbeatResponse":
      if (message.round <= leadership.reads.round) progress.answered(message.round);
      confirmReads(raft, leadership);
      resend(raft, leadership, progress);
      break;
    case "SnapshotResponse":
      onSnapshotResponse(raft, leadership, progress, message);
      break;
  }
}

/** Proposes an entry of the user's. */
export function propose(raft: Raft, data: Buffer): Proposed | "NOT_LEADER" | "TRANSFERRING" | "BUSY" {
  const { leadership, log, options } = raft;
  if (leadership === undefined) return "NOT_LEADER";
  if (leadership.transfer !== undefined) return "TRANSFERRING";
  const isRoom = log.uncommittedBytes + data.length <= options.maxUncommittedBytes;
  // One entry always fits, or a large one could never be proposed.
  if (!isRoom && log.uncommittedBytes > 0) return "BUSY";
  return raft.appendOwn("data", data);
}

/** Appends a changed set of voters (§4.1). */
export function changeVoters(raft: Raft, change: VoterChange): Proposed | VoterChangeRefusal {
  const { leadership, membership, log } = raft;
  if (leadership === undefined) return "NOT_LEADER";
  // Two leaders in a row that each change the set of the one before could make two majorities that share nobody. An
  // entry of the own term, once committed, shows that the set before is settled (H7; raft-dev, July 2015).
  if (!raft.isSettled && raft.options.sabotage !== "votersWithoutOwnTerm") return "NOT_SETTLED";
  if (membership.votersIndex > log.commit || leadership.transfer !== undefined) return "CHANGE_IN_PROGRESS";
  const progress = leadership.follower(change.id);
  const observer = progress && {
    endpoint: progress.endpoint,
    isCaughtUp: progress.isCaughtUp(leadership.now),
  };
  const voters = changedVoters(membership.voters, change, observer);
  return typeof voters === "string" ? voters : raft.appendOwn("voters", encodeVoters(voters));
}

/** Asks for a linearizable read point (§6.4). False when this replica cannot give one. */
export function readIndex(raft: Raft, token: number): boolean {
  const { leadership } = raft;
  if (leadership === undefined || !raft.isSettled || !leadership.reads.add(token, raft.log.commit))
    return false;
  // The only voter needs nobody's answer.
  confirmReads(raft, leadership);
  return true;
}

/** Hands leadership to `target` (§3.10). False when that cannot begin. */
export function transferLeadership(raft: Raft, target: ReplicaId): boolean {
  const { leadership } = raft;
  const progress = leadership?.follower(target);
  if (leadership === undefined || progress?.isVoter !== true) return false;
  const { transfer, now } = leadership;
  if (transfer !== undefined) return transfer.target === target;
  if (!progress.isActive(now)) return false;
  leadership.transfer = { target, startTick: now, isAsked: false };
  askToStand(raft, leadership, progress);
  return true;
}

/** A replica asks for the log, or tells where it is now. */
export function onObserveRequest(raft: Raft, leadership: Leadership, message: ObserveRequest): void {
  const { from, endpoint } = message;
  const voter = findVoter(raft.membership.voters, from);
  if (voter === undefined) leadership.observe(from, endpoint, raft.log.lastIndex);
  // Refused while another change is under way; the voter asks again until its address is in the set.
  else if (voter.endpoint !== endpoint) changeVoters(raft, { type: "move", id: from, endpoint });
}

/**
 * Commits what a majority has on disk. §3.6.2: an entry of an older term commits only under one of ours, so counting its
 * copies is not enough: a later leader may still overwrite it (H3). The own copy counts when it is durable (H2).
 */
export function commitByCounting(raft: Raft, leadership: Leadership): void {
  const { log, membership } = raft;
  const index = Math.min(leadership.matchedByMajority(log.durableIndex), log.lastIndex);
  const isOwnTerm = log.termAt(index) === raft.term || raft.options.sabotage === "commitOldTerm";
  if (index <= log.commit || !isOwnTerm) return;
  raft.commitTo(index);
  if (!membership.isVoter(raft.id) && membership.votersIndex <= log.commit) retire(raft, leadership);
}

function onAppendResponse(
  raft: Raft,
  leadership: Leadership,
  progress: Progress,
  message: AppendResponse,
): void {
  const { log } = raft;
  const { now } = leadership;
  // Nobody can have more of this term's log than its leader.
  if (message.index > log.lastIndex) return;
  if (!message.accepted) {
    // Skips whole terms that the follower cannot have (§3.5).
    progress.refused(message.index, log.lastNotAfter(message.hintIndex, message.hintTerm), now);
    return;
  }
  const isServed = (index: number): boolean => log.termAt(index) !== undefined;
  if (progress.accepted(message.index, log.lastIndex, now, isServed)) commitByCounting(raft, leadership);
  if (raft.leadership === leadership) askToStand(raft, leadership, progress);
}

function onSnapshotResponse(
  raft: Raft,
  leadership: Leadership,
  progress: Progress,
  message: SnapshotResponse,
): void {
  const { transfer } = progress;
  if (transfer === undefined) return;
  const { snapshotIndex, receivedBytes } = message;
  switch (transfer.answered(snapshotIndex, receivedBytes, leadership.now)) {
    case "next":
      sendChunk(raft, leadership, progress, transfer);
      break;
    case "done":
      if (progress.snapshotDone(snapshotIndex, raft.log.lastIndex, leadership.now))
        commitByCounting(raft, leadership);
      break;
    case "ignored":
      break;
  }
}

/** Tells the target of a transfer to stand, once it has the whole log and will win (§3.10). */
function askToStand(raft: Raft, leadership: Leadership, progress: Progress): void {
  const { transfer } = leadership;
  if (transfer?.target !== progress.id || transfer.isAsked || progress.matchIndex < raft.log.lastIndex)
    return;
  leadership.transfer = { ...transfer, isAsked: true };
  raft.outbox.send({ type: "TimeoutNowRequest", ...raft.envelope(progress.id) });
}

function confirmReads(raft: Raft, leadership: Leadership): void {
  raft.outbox.answerReads(leadership.reads.confirm(leadership.answeredByMajority()));
}

/** The leader's own removal is committed: it tells the others so, and who should be next (§4.2.2). */
function retire(raft: Raft, leadership: Leadership): void {
  replicate(raft, leadership);
  let successor: Progress | undefined;
  for (const progress of leadership.followers) {
    if (progress.isVoter && progress.matchIndex > (successor?.matchIndex ?? -1)) successor = progress;
  }
  if (successor !== undefined) {
    raft.outbox.send({ type: "TimeoutNowRequest", ...raft.envelope(successor.id) });
  }
  raft.becomeFollower(raft.term, undefined);
}
