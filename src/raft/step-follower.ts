import { assert } from "../base/assert.ts";
import type { Raft } from "./raft.ts";
import { standForElection, standForPreElection } from "./step-candidate.ts";
import type {
  AppendRequest,
  Entry,
  HeartbeatRequest,
  ReplicaId,
  SnapshotDescription,
  SnapshotRequest,
  TimeoutNowRequest,
} from "./types.ts";

/** A request that only the leader of its term sends. */
export type LeaderRequest = AppendRequest | HeartbeatRequest | SnapshotRequest | TimeoutNowRequest;

/** One tick of anybody but a leader: without news of one for the election timeout, a voter stands (§3.4). */
export function tickFollower(raft: Raft): void {
  if (!raft.tickElection()) return;
  if (raft.mayStand) standForPreElection(raft);
  else {
    // An observer does not stand; its driver looks for the new leader.
    raft.becomeFollower(raft.term, undefined);
    raft.resetElectionTimer();
  }
}

/** The leader's process is gone: stand soon, without waiting for the timeout (PreVote keeps a mistake harmless). */
export function onLeaderUnreachable(raft: Raft): void {
  if (raft.role !== "follower" || raft.leader === undefined) return;
  if (raft.forgetLeader() === 0) standForPreElection(raft);
}

/** A request of the leader of this term. */
export function stepFollower(raft: Raft, message: LeaderRequest): void {
  if (raft.role !== "follower" || raft.leader === undefined) raft.becomeFollower(raft.term, message.from);
  // A term has one leader; whoever else claims it is not believed.
  if (raft.leader !== message.from) return;
  raft.resetElectionTimer();
  switch (message.type) {
    case "AppendRequest":
      onAppendRequest(raft, message);
      break;
    case "HeartbeatRequest":
      onHeartbeatRequest(raft, message);
      break;
    case "SnapshotRequest":
      onSnapshotRequest(raft, message);
      break;
    case "TimeoutNowRequest":
      // Without PreVote: the others still hear the old leader and would refuse.
      standForElection(raft, true);
      break;
  }
}

/** A chunk of a snapshot is on the disk. */
export function onSnapshotChunkWritten(raft: Raft, request: SnapshotRequest): void {
  const receivedBytes = raft.intake.written(request);
  if (receivedBytes === undefined) return;
  answerSnapshot(raft, request.from, request.snapshot, receivedBytes);
}

/** The snapshot is in place of the log up to its index. */
export function onSnapshotInstalled(raft: Raft, index: number, term: number): void {
  const { intake } = raft;
  assert(intake.isInstalling, "a snapshot was installed that did not come from here", { index, term });
  const { snapshot, from } = intake.finish();
  assert(snapshot.index === index && snapshot.term === term, "another snapshot was installed", {
    index,
    term,
  });
  raft.install(snapshot);
  answerSnapshot(raft, from, snapshot, snapshot.sizeBytes);
}

/** The content of the snapshot was not what its description says: it has to come again from the start. */
export function onSnapshotDamaged(raft: Raft): void {
  const { intake } = raft;
  if (!intake.isInstalling) return;
  const { snapshot, from } = intake.finish();
  answerSnapshot(raft, from, snapshot, 0);
}

function onAppendRequest(raft: Raft, message: AppendRequest): void {
  // A snapshot is about to take the log's place; the leader sends this again.
  if (raft.intake.isInstalling) return;
  const { log } = raft;
  const { prevIndex, entries } = message;
  const lastIndex = prevIndex + entries.length;
  // What is committed is the same everywhere, so a request about nothing else is answered without looking (H4).
  if (lastIndex <= log.commit) {
    answerAppend(raft, log.commit);
    return;
  }
  if (prevIndex >= log.commit && log.termAt(prevIndex) !== message.prevTerm) {
    refuseAppend(raft, message);
    return;
  }
  takeEntries(raft, entries);
  // Only as far as this request proved that the logs agree, which may be less than all that is here (H4).
  raft.commitTo(Math.min(message.commit, lastIndex));
  answerAppend(raft, lastIndex);
}

/**
 * Adds what is new. Entries are cut off only where one contradicts the leader's: a late, short request cuts nothing. A
 * contradiction below the commit index is a broken promise of the group; the log refuses it by an InvariantError (H4).
 */
function takeEntries(raft: Raft, entries: readonly Entry[]): void {
  const { log } = raft;
  const first = entries.findIndex(({ index, term }) => {
    const known = log.termAt(index);
    return known === undefined ? index > log.commit : known !== term;
  });
  const firstNew = entries[first];
  if (firstNew === undefined) return;
  raft.truncate(firstNew.index - 1);
  raft.appendEntries(entries.slice(first));
}

function onHeartbeatRequest(raft: Raft, { from, commit, round }: HeartbeatRequest): void {
  const { log, outbox, intake } = raft;
  if (!intake.isInstalling) raft.commitTo(Math.min(commit, log.lastIndex));
  outbox.send({ type: "HeartbeatResponse", ...raft.envelope(from), round });
}

function onSnapshotRequest(raft: Raft, message: SnapshotRequest): void {
  const { log, intake } = raft;
  const { from, snapshot } = message;
  if (intake.isInstalling) return;
  // An older snapshot must not replace newer state (H9).
  if (snapshot.index <= log.commit) {
    answerAppend(raft, log.commit);
    return;
  }
  const answer = intake.receive(message);
  if (answer !== "later") answerSnapshot(raft, from, snapshot, answer.receivedBytes);
}

/** Everything up to `index` is the leader's; it says so when it is on the disk (H2). */
function answerAppend(raft: Raft, index: number): void {
  if (raft.leader === undefined) return;
  raft.outbox.sendAfterWrite({
    type: "AppendResponse",
    ...raft.envelope(raft.leader),
    accepted: true,
    index,
    hintIndex: 0,
    hintTerm: 0,
  });
}

function refuseAppend(raft: Raft, { from, prevIndex, prevTerm }: AppendRequest): void {
  const { log } = raft;
  // Nothing before the commit index needs to be compared.
  const hintIndex = Math.max(log.lastNotAfter(prevIndex, prevTerm), log.commit);
  raft.outbox.send({
    type: "AppendResponse",
    ...raft.envelope(from),
    accepted: false,
    index: prevIndex,
    hintIndex,
    hintTerm: log.termAt(hintIndex) ?? 0,
  });
}

function answerSnapshot(
  raft: Raft,
  to: ReplicaId,
  snapshot: SnapshotDescription,
  receivedBytes: number,
): void {
  raft.outbox.sendAfterWrite({
    type: "SnapshotResponse",
    ...raft.envelope(to),
    snapshotIndex: snapshot.index,
    receivedBytes,
  });
}
