import type { RaftStatus, ReplicaId, VoterSet } from "../../raft/types.ts";
import type { MarkerCounts } from "../markers.ts";
import type { DurableLog, DurableLogs } from "./durable-log.ts";
import type { CommittedEntry, Ledger } from "./ledger.ts";
import type { MessageWatch } from "./message-watch.ts";
import { mustHold } from "./violation.ts";

/** What was seen of one replica at its last look. */
interface Look {
  readonly role: RaftStatus["role"];
  readonly term: number;
  readonly commit: number;
  readonly votersIndex: number;
  readonly voters: VoterSet;
  /** Up to here its log was compared with the committed prefix. */
  readonly checked: number;
}

const FIRST_LOOK: Look = { role: "follower", term: 0, commit: 0, votersIndex: 0, voters: [], checked: 0 };

/** Looks at a replica's own view after each step it took and holds it against the disks of all. */
export class ReplicaWatch {
  readonly #logs: DurableLogs;
  readonly #ledger: Ledger;
  readonly #messages: MessageWatch;
  readonly #markers: MarkerCounts;
  readonly #onElected: (id: ReplicaId) => void;
  readonly #looks = new Map<ReplicaId, Look>();

  constructor(deps: {
    readonly logs: DurableLogs;
    readonly ledger: Ledger;
    readonly messages: MessageWatch;
    readonly markers: MarkerCounts;
    readonly onElected: (id: ReplicaId) => void;
  }) {
    this.#onElected = deps.onElected;
    this.#logs = deps.logs;
    this.#ledger = deps.ledger;
    this.#messages = deps.messages;
    this.#markers = deps.markers;
  }

  /** A process restarted: what only its memory held begins anew, what is on its disk does not. */
  restarted(id: ReplicaId): void {
    this.#looks.set(id, { ...FIRST_LOOK, term: this.#logs.of(id)?.term ?? 0 });
  }

  /** @returns what became known as committed, in order. */
  look(status: RaftStatus): CommittedEntry[] {
    const before = this.#looks.get(status.id) ?? FIRST_LOOK;
    const { id, role, term, commit } = status;
    const log = this.#logs.of(id);
    if (log === undefined) return [];
    mustHold(term >= before.term, "TermNeverGoesBack", "a replica's term went back", () => ({
      id,
      terms: [before.term, term],
    }));
    mustHold(commit >= before.commit, "CommitNeverGoesBack", "a replica's commit index went back", () => ({
      id,
      commits: [before.commit, commit],
    }));
    if (role === "leader") this.#checkLeader(status, before, log);
    if (log.snapshotIndex > before.checked) {
      this.#ledger.snapshot(id, log.snapshotIndex, log.termAt(log.snapshotIndex) ?? 0);
    }
    // Behind `durableIndex` the disk may still hold what the log in memory has replaced.
    const last = Math.min(commit, status.durableIndex, log.lastIndex);
    const added = this.#ledger.commit(log, before.checked + 1, last, term);
    const checked = Math.max(before.checked, last);
    const { votersIndex, voters } = status;
    this.#looks.set(id, { role, term, commit, votersIndex, voters, checked });
    return added;
  }

  #checkLeader(status: RaftStatus, before: Look, log: DurableLog): void {
    const { id, term, commit } = status;
    this.#messages.leads(id, term);
    const wasLeader = before.role === "leader" && before.term === term;
    mustHold(
      wasLeader || status.lastIndex >= this.#ledger.commitIndex || this.#isDeposed(term),
      "LeaderCompleteness",
      "a new leader's log ends before what is committed",
      () => ({ id, term, lastIndex: status.lastIndex, committed: this.#ledger.commitIndex }),
    );
    if (!wasLeader) this.#onElected(id);
    if (commit > before.commit && wasLeader) this.#checkCommit(status, before, log);
    if (wasLeader && status.votersIndex !== before.votersIndex) this.#checkVoters(status, before, log);
  }

  /** A leader may find out late: what was committed in a later term it need not have. */
  #isDeposed(term: number): boolean {
    return (this.#ledger.committed(this.#ledger.commitIndex)?.committedInTerm ?? 0) > term;
  }

  /** By the disks, not by what the leader was told (H2, H3). */
  #checkCommit(status: RaftStatus, before: Look, log: DurableLog): void {
    const { id, term, commit } = status;
    const entryTerm = (commit <= status.durableIndex ? log.termAt(commit) : undefined) ?? term;
    mustHold(
      entryTerm === term,
      "OwnTermCommits",
      "a leader counted replicas of an entry of an earlier term",
      () => ({ id, term, commit, entryTerm }),
    );
    if (before.commit > 0 && (log.termAt(before.commit + 1) ?? term) < term)
      this.#markers.hit("oldTermCommitted");
    const isHeld = (voters: VoterSet): boolean =>
      voters.filter((voter) => this.#logs.of(voter.id)?.has(commit, entryTerm) === true).length * 2 >
      voters.length;
    // A step may commit and then append a change: the voters before it are those that were counted.
    mustHold(
      isHeld(status.voters) || isHeld(before.voters),
      "CommittedIsDurable",
      "a leader committed what a majority of the disks does not have",
      () => ({
        id,
        term,
        commit,
        durable: status.voters.map((voter) => [voter.id, this.#logs.of(voter.id)?.lastIndex ?? null]),
      }),
    );
  }

  /** H7: one at a time, only after an entry of the own term, only when the one before is committed. */
  #checkVoters(status: RaftStatus, before: Look, log: DurableLog): void {
    const { id, term, commit } = status;
    const commitTerm = this.#ledger.committed(commit)?.term ?? log.termAt(commit);
    mustHold(
      commitTerm === undefined || commitTerm === term,
      "VotersAfterOwnTerm",
      "a leader changed the voters before an entry of its own term was committed",
      () => ({ id, term, commit, commitTerm }),
    );
    mustHold(
      before.votersIndex <= commit,
      "OneVoterChange",
      "a leader changed the voters while a change was not committed",
      () => ({ id, term, commit, indexes: [before.votersIndex, status.votersIndex] }),
    );
    const added = status.voters.filter((voter) => !before.voters.some((old) => old.id === voter.id));
    const removed = before.voters.filter((voter) => !status.voters.some((now) => now.id === voter.id));
    mustHold(
      added.length + removed.length <= 1,
      "OneVoterChange",
      "more than one voter changed at once",
      () => ({ id, term, added, removed }),
    );
    if (added.length > 0) this.#markers.hit("learnerPromoted");
    if (removed.length > 0) this.#markers.hit("voterRemoved");
    if (removed.some((voter) => voter.id === id)) this.#markers.hit("leaderRemovedItself");
  }
}
