import type { Entry, RaftMessage, ReplicaId } from "../../src/raft/types.ts";
import { describeEntry } from "./replica.ts";
import type { SimReplica } from "./replica.ts";

/**
 * What must hold after every step, whatever happened (dissertation Fig. 3.2, Raft's TLA+ model): at most one leader in a
 * term, log matching, leader completeness, one committed prefix everywhere, nothing counted before a majority's disks
 * have it, one vote in a term, terms and match indexes that never go back. Throws at the first violation.
 */
export class Safety {
  readonly #leaders = new Map<number, ReplicaId>();
  readonly #votes = new Map<string, ReplicaId>();
  /** By index. */
  readonly #committed = new Map<number, string>();
  #lastCommitted = 0;
  /** By "index/term". */
  readonly #contents = new Map<string, { readonly entry: string; readonly before: string }>();
  readonly #terms = new Map<ReplicaId, number>();
  readonly #matches = new Map<string, number>();
  readonly #counted = new Map<string, number>();

  readonly #reads = new Map<number, number>();

  /** A read was asked for: it must show everything that anybody has applied by now (linearizability, H10). */
  readAsked(token: number): void {
    this.#reads.set(token, this.#lastCommitted);
  }

  readAnswered(token: number, index: number | undefined): void {
    const least = this.#reads.get(token) ?? 0;
    if (index !== undefined && index < least) throw new Error(`read ${token} sees ${index}, not ${least}`);
  }

  /** A message that left a replica. */
  sent(message: RaftMessage): void {
    if (message.type !== "VoteResponse" || !message.granted) return;
    const key = `${message.from} in term ${message.term}`;
    const before = this.#votes.get(key);
    if (before !== undefined && before !== message.to) {
      throw new Error(`two votes of ${key}: for ${before} and ${message.to}`);
    }
    this.#votes.set(key, message.to);
  }

  /** An entry that a replica applied. */
  applied(by: ReplicaId, entry: Entry): void {
    const text = describeEntry(entry);
    const before = this.#committed.get(entry.index);
    if (before !== undefined && before !== text)
      throw new Error(`${by} applied ${text}, another one ${before}`);
    this.#committed.set(entry.index, text);
    this.#lastCommitted = Math.max(this.#lastCommitted, entry.index);
  }

  /** After a step. */
  check(replicas: readonly SimReplica[]): void {
    for (const replica of replicas) {
      if (!replica.isUp) continue;
      const { id, role, term } = replica.status;
      const lastTerm = this.#terms.get(id) ?? 0;
      // The term may fall back to the disk's by a crash, never below what was written.
      if (replica.disk.hardState.term < lastTerm) throw new Error(`the term of ${id} went back`);
      this.#terms.set(id, replica.disk.hardState.term);
      this.#checkLog(replica);
      if (role === "leader") this.#checkLeader(replica, term, replicas);
    }
  }

  #checkLeader(leader: SimReplica, term: number, replicas: readonly SimReplica[]): void {
    const { id, commit, progress, voters } = leader.status;
    const known = this.#leaders.get(term);
    if (known !== undefined && known !== id)
      throw new Error(`two leaders in term ${term}: ${known} and ${id}`);
    if (known === undefined) {
      this.#leaders.set(term, id);
      this.#checkCompleteness(leader);
    }
    for (const { id: follower, matchIndex } of progress) {
      const key = `${id} ${term} ${follower}`;
      const before = this.#matches.get(key) ?? 0;
      // An observer that was dropped and came back starts anew.
      if (matchIndex !== 0 && matchIndex < before) throw new Error(`the match index of ${key} fell`);
      this.#matches.set(key, matchIndex);
    }
    const counted = `${id} ${term}`;
    if (commit > (this.#counted.get(counted) ?? 0)) {
      this.#counted.set(counted, commit);
      const copies = voters.filter((voter) => {
        const replica = replicas.find((one) => one.id === voter.id);
        return replica !== undefined && this.#hasDurable(replica, commit, term);
      });
      // At the election the commit index is what was known from before; its copies were counted then.
      if (known !== undefined && copies.length * 2 <= voters.length) {
        throw new Error(
          `${id} committed ${commit}, which only ${copies.length} of ${voters.length} disks have`,
        );
      }
    }
  }

  /** What a leader counts are copies of an entry of its own term (§3.6.2), on disks (§10.2.1). */
  #hasDurable({ disk }: SimReplica, index: number, term: number): boolean {
    if ((disk.snapshot?.description.index ?? 0) >= index) return true;
    return disk.entries.some((entry) => entry.index === index && entry.term === term);
  }

  /** Leader completeness: all that was ever applied anywhere is in the log or the state of a new leader. */
  #checkCompleteness(leader: SimReplica): void {
    const state = new Map(
      [...leader.applied, ...leader.log].map((entry) => [entry.index, describeEntry(entry)]),
    );
    for (let index = 1; index <= this.#lastCommitted; index++) {
      if (state.get(index) !== this.#committed.get(index)) {
        throw new Error(`leader ${leader.id} lacks ${this.#committed.get(index) ?? index}`);
      }
    }
  }

  /** Log matching: an index and term name one entry, with one predecessor. */
  #checkLog({ id, log }: SimReplica): void {
    for (const [at, entry] of log.entries()) {
      const previous = log[at - 1];
      const key = `${entry.index}/${entry.term}`;
      const text = describeEntry(entry);
      const before = previous === undefined ? "" : `${previous.index}/${previous.term}`;
      const known = this.#contents.get(key);
      if (known === undefined || known.before === "") this.#contents.set(key, { entry: text, before });
      else if (known.entry !== text || (before !== "" && known.before !== before)) {
        throw new Error(
          `${id} has ${text} behind ${before}; elsewhere it is ${known.entry} behind ${known.before}`,
        );
      }
    }
  }
}
