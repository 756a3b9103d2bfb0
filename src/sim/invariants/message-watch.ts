import type { RaftMessage, ReplicaId } from "../../raft/types.ts";
import type { MarkerCounts } from "../markers.ts";
import type { DurableLogs } from "./durable-log.ts";
import type { Ledger } from "./ledger.ts";
import { mustHold } from "./violation.ts";

/**
 * Looks at each Raft message as it leaves its sender: who speaks as the leader of a term, who voted for whom, and whether
 * the sender's disk holds what the message promises.
 */
export class MessageWatch {
  readonly #logs: DurableLogs;
  readonly #ledger: Ledger;
  readonly #markers: MarkerCounts;
  readonly #leaders = new Map<number, ReplicaId>();
  readonly #votes = new Map<string, ReplicaId>();
  readonly #installed = new Set<string>();

  constructor(deps: { readonly logs: DurableLogs; readonly ledger: Ledger; readonly markers: MarkerCounts }) {
    this.#logs = deps.logs;
    this.#ledger = deps.ledger;
    this.#markers = deps.markers;
  }

  /** Terms that had a leader. */
  get leaderCount(): number {
    return this.#leaders.size;
  }

  sent(message: RaftMessage): void {
    switch (message.type) {
      case "AppendRequest": {
        this.leads(message.from, message.term);
        let previousTerm = message.prevTerm;
        for (const entry of message.entries) {
          this.#ledger.observe(message.from, entry, previousTerm);
          this.#ledger.sentByLeader(message.from, entry, message.term);
          previousTerm = entry.term;
        }
        break;
      }
      case "HeartbeatRequest":
        this.leads(message.from, message.term);
        break;
      case "TimeoutNowRequest":
        this.leads(message.from, message.term);
        this.#markers.hit("leadershipTransferred");
        break;
      case "SnapshotRequest":
        this.leads(message.from, message.term);
        this.#ledger.snapshot(message.from, message.snapshot.index, message.snapshot.term);
        break;
      case "SnapshotResponse":
        this.#checkSnapshotResponse(message.from, message.snapshotIndex);
        break;
      case "VoteRequest":
        this.#checkVote(message.from, message.from, message.term);
        break;
      case "VoteResponse":
        if (message.granted) this.#checkVote(message.from, message.to, message.term);
        else this.#markers.hit("voteRefused");
        break;
      case "AppendResponse":
        if (message.accepted) this.#checkAcknowledged(message.from, message.term, message.index);
        break;
      case "PreVoteResponse":
        if (!message.granted) this.#markers.hit("preVoteRefused");
        break;
      case "PreVoteRequest":
      case "HeartbeatResponse":
      case "ObserveRequest":
        break;
    }
  }

  /** A replica acts as the leader of a term. */
  leads(who: ReplicaId, term: number): void {
    const known = this.#leaders.get(term);
    if (known === undefined) {
      this.#leaders.set(term, who);
      if (this.#leaders.size > 1) this.#markers.hit("leaderChanged");
      return;
    }
    mustHold(known === who, "OneLeaderPerTerm", "two leaders in one term", () => ({
      term,
      leaders: [known, who],
    }));
  }

  #checkVote(voter: ReplicaId, candidate: ReplicaId, term: number): void {
    const key = `${voter} ${term}`;
    const before = this.#votes.get(key);
    mustHold(before === undefined || before === candidate, "OneVotePerTerm", "a replica voted twice", () => ({
      voter,
      term,
      candidates: [before, candidate],
    }));
    this.#votes.set(key, candidate);
    const log = this.#logs.of(voter);
    mustHold(
      log !== undefined && (log.term > term || (log.term === term && log.vote === candidate)),
      "VoteIsDurable",
      "a vote left before the disk had it",
      () => ({ voter, term, candidate, disk: { term: log?.term, vote: log?.vote } }),
    );
  }

  #checkAcknowledged(follower: ReplicaId, term: number, index: number): void {
    const log = this.#logs.of(follower);
    mustHold(
      index === 0 || (log !== undefined && (log.lastIndex >= index || log.term > term)),
      "AcknowledgedIsDurable",
      "a follower acknowledged what its disk does not have",
      () => ({ follower, term, index, durable: log?.lastIndex }),
    );
  }

  #checkSnapshotResponse(follower: ReplicaId, index: number): void {
    const log = this.#logs.of(follower);
    if (log === undefined || log.snapshotIndex < index) return;
    const key = `${follower} ${index}`;
    if (this.#installed.has(key)) return;
    this.#installed.add(key);
    this.#markers.hit("snapshotInstalled");
  }
}
