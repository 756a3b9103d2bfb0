import { isWellFormed } from "./message-check.ts";
import type { Raft } from "./raft.ts";
import { onPreVoteResponse, onVoteResponse } from "./step-candidate.ts";
import { stepFollower } from "./step-follower.ts";
import { onObserveRequest, stepLeader } from "./step-leader.ts";
import type {
  AppendResponse,
  HeartbeatResponse,
  PreVoteRequest,
  PreVoteResponse,
  RaftMessage,
  SnapshotResponse,
  VoteRequest,
  VoteResponse,
} from "./types.ts";
import { findVoter } from "./voter-set.ts";

type Response = PreVoteResponse | VoteResponse | AppendResponse | HeartbeatResponse | SnapshotResponse;

/**
 * Takes one message: first the rules about terms that hold for every role (§3.3), then what the role makes of it.
 * Whatever the message says, nothing is thrown; what makes no sense is dropped.
 */
export function step(raft: Raft, message: RaftMessage): void {
  if (message.to !== raft.id || message.from === raft.id || !isWellFormed(message)) return;
  if (message.type === "ObserveRequest") {
    if (raft.leadership !== undefined) onObserveRequest(raft, raft.leadership, message);
    return;
  }
  if (message.type === "PreVoteRequest") {
    answerPreVote(raft, message);
    return;
  }
  if (isResponse(message) && !isAsked(raft, message)) return;
  // While a live leader is heard a candidate's term is not even looked at: it could only disturb (§4.2.3, H6).
  if (message.type === "VoteRequest" && !message.isTransfer && raft.isLeaderHeard) return;
  // The answer to a pre-vote may come from a replica that is behind in terms; its question's term ties it to this one.
  if (message.term < raft.term && message.type !== "PreVoteResponse") {
    answerOldTerm(raft, message);
    return;
  }
  if (message.term > raft.term) raft.becomeFollower(message.term, undefined);
  switch (message.type) {
    case "AppendRequest":
    case "HeartbeatRequest":
    case "SnapshotRequest":
    case "TimeoutNowRequest":
      if (raft.role !== "leader") stepFollower(raft, message);
      break;
    case "VoteRequest":
      answerVote(raft, message);
      break;
    case "PreVoteResponse":
      onPreVoteResponse(raft, message);
      break;
    case "VoteResponse":
      onVoteResponse(raft, message);
      break;
    case "AppendResponse":
    case "HeartbeatResponse":
    case "SnapshotResponse":
      if (raft.leadership !== undefined) stepLeader(raft, raft.leadership, message);
      break;
  }
}

function isResponse(message: RaftMessage): message is Response {
  return message.type.endsWith("Response");
}

/** True when this replica may have asked the sender: a stranger's answer must not end a term. */
function isAsked(raft: Raft, { from }: Response): boolean {
  return (
    findVoter(raft.membership.voters, from) !== undefined || raft.leadership?.follower(from) !== undefined
  );
}

/**
 * An answer that changes nothing here: neither term nor vote nor clock. Only a term of which this replica has not heard
 * can be won; who lags behind in terms learns it from the answer (§9.6, H6).
 */
function answerPreVote(raft: Raft, { from, term, lastIndex, lastTerm }: PreVoteRequest): void {
  const { log } = raft;
  // Two that ask each other at the same moment, as after a connection broke for both, would split the vote. With equal
  // logs the lower id goes first; only while it stands itself, so nobody is held up for longer.
  const isFirst =
    raft.role === "preCandidate" &&
    raft.id < from &&
    lastIndex === log.lastIndex &&
    lastTerm === log.lastTerm;
  const granted = term > raft.term && !raft.isLeaderHeard && !isFirst && log.isCoveredBy(lastIndex, lastTerm);
  const response = {
    type: "PreVoteResponse",
    ...raft.envelope(from),
    granted,
    requestTerm: term,
  } as const;
  // A term that a crash may still take back is not told.
  if (raft.outbox.isTermDurable(raft.term)) raft.outbox.send(response);
  else raft.outbox.sendAfterWrite(response);
}

/** One vote in a term, for a log that is at least as complete (§3.4, §3.6.1). It leaves when it is durable (H1). */
function answerVote(raft: Raft, { from, lastIndex, lastTerm }: VoteRequest): void {
  const isFree = raft.vote === from || (raft.vote === undefined && raft.leader === undefined);
  const granted = isFree && raft.log.isCoveredBy(lastIndex, lastTerm);
  if (granted) raft.voteFor(from);
  raft.outbox.sendAfterWrite({ type: "VoteResponse", ...raft.envelope(from), granted });
}

/**
 * A message of a term that is over. Its sender is told the term, and a leader of the past steps down: without that, a
 * replica that is ahead in terms could neither follow nor, because of PreVote, win (H6).
 */
function answerOldTerm(raft: Raft, message: RaftMessage): void {
  switch (message.type) {
    case "AppendRequest":
    case "HeartbeatRequest":
    case "SnapshotRequest":
      raft.outbox.send({
        type: "AppendResponse",
        ...raft.envelope(message.from),
        accepted: false,
        index: message.type === "AppendRequest" ? message.prevIndex : 0,
        hintIndex: 0,
        hintTerm: 0,
      });
      break;
    case "VoteRequest":
      raft.outbox.sendAfterWrite({ type: "VoteResponse", ...raft.envelope(message.from), granted: false });
      break;
    default:
      break;
  }
}
