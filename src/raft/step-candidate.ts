import type { BallotOutcome } from "./majority.ts";
import type { Raft } from "./raft.ts";
import type { PreVoteResponse, VoteResponse } from "./types.ts";

/** Asks the voters whether they would vote for this replica; no term changes yet (§9.6). */
export function standForPreElection(raft: Raft): void {
  if (!raft.mayStand) return;
  raft.becomePreCandidate();
  const { lastIndex, lastTerm } = raft.log;
  const term = raft.term + 1;
  for (const { id } of raft.membership.voters) {
    if (id === raft.id) continue;
    raft.outbox.send({ type: "PreVoteRequest", ...raft.envelope(id), term, lastIndex, lastTerm });
  }
  concludePreElection(raft, raft.countBallot(raft.id, true));
}

/** Begins a term and asks the voters for it. `isTransfer`: the old leader wants it so (§3.10). */
export function standForElection(raft: Raft, isTransfer: boolean): void {
  if (!raft.mayStand) return;
  raft.becomeCandidate();
  const { lastIndex, lastTerm } = raft.log;
  for (const { id } of raft.membership.voters) {
    if (id === raft.id) continue;
    // Behind the write: a term that was forgotten could be led twice, with two logs (H1).
    raft.outbox.sendAfterWrite({
      type: "VoteRequest",
      ...raft.envelope(id),
      lastIndex,
      lastTerm,
      isTransfer,
    });
  }
}

/** The own term and vote are durable: only now is the own vote one. */
export function countOwnVote(raft: Raft): void {
  if (raft.role !== "candidate" || !raft.outbox.hasDurable(raft.term, raft.id)) return;
  concludeElection(raft, raft.countBallot(raft.id, true));
}

/** An answer to a pre-election; one to an earlier question is ignored (H5). */
export function onPreVoteResponse(raft: Raft, message: PreVoteResponse): void {
  if (raft.role !== "preCandidate" || message.requestTerm !== raft.term + 1) return;
  concludePreElection(raft, raft.countBallot(message.from, message.granted));
}

/** An answer to an election of this term. */
export function onVoteResponse(raft: Raft, message: VoteResponse): void {
  if (raft.role !== "candidate") return;
  concludeElection(raft, raft.countBallot(message.from, message.granted));
}

function concludePreElection(raft: Raft, outcome: BallotOutcome): void {
  if (outcome === "won") standForElection(raft, false);
  else if (outcome === "lost") raft.becomeFollower(raft.term, undefined);
}

function concludeElection(raft: Raft, outcome: BallotOutcome): void {
  if (outcome === "won") raft.becomeLeader();
  else if (outcome === "lost") raft.becomeFollower(raft.term, undefined);
}
