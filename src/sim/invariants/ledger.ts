import type { Entry, ReplicaId } from "../../raft/types.ts";
import { contentHash } from "./durable-log.ts";
import type { DurableEntry, DurableLog } from "./durable-log.ts";
import { mustHold } from "./violation.ts";

/** A committed entry, and the oldest term whose leader is known to have committed it. */
export interface CommittedEntry extends DurableEntry {
  readonly committedInTerm: number;
}

interface KnownEntry {
  readonly previousTerm: number;
  readonly hash: number;
}

/** Terms of one run stay far below it. */
const TERMS = 2 ** 20;

/**
 * The one history: every entry that was ever seen, on a disk or in a message, by (index, term), and the committed
 * prefix. Log matching, one committed prefix and leader completeness are checked as entries come (dissertation Fig. 3.2).
 */
export class Ledger {
  readonly #known = new Map<number, KnownEntry>();
  readonly #committed: CommittedEntry[] = [];

  /** Index of the last committed entry. */
  get commitIndex(): number {
    return this.#committed.length;
  }

  committed(index: number): CommittedEntry | undefined {
    return this.#committed[index - 1];
  }

  /** An entry stands in some log behind one of `previousTerm`; undefined when only a snapshot is there. */
  observe(who: ReplicaId, entry: Entry | DurableEntry, previousTerm: number | undefined): void {
    const { index, term } = entry;
    const hash = "hash" in entry ? entry.hash : contentHash(entry.kind, entry.data);
    const key = index * TERMS + term;
    const known = this.#known.get(key);
    if (known === undefined) {
      if (previousTerm !== undefined) this.#known.set(key, { previousTerm, hash });
      return;
    }
    mustHold(known.hash === hash, "LogMatching", "two entries of one index and term differ", () => ({
      who,
      index,
      term,
    }));
    mustHold(
      previousTerm === undefined || known.previousTerm === previousTerm,
      "LogMatching",
      "logs that share an entry differ before it",
      () => ({ who, index, term, previousTerms: [known.previousTerm, previousTerm] }),
    );
  }

  /** A leader of `messageTerm` sends the entry: it must not contradict what was committed before its time. */
  sentByLeader(who: ReplicaId, entry: Entry, messageTerm: number): void {
    const committed = this.committed(entry.index);
    if (committed === undefined || committed.committedInTerm > messageTerm) return;
    mustHold(committed.term === entry.term, "LeaderCompleteness", "a leader lacks a committed entry", () => ({
      who,
      messageTerm,
      index: entry.index,
      terms: { committed: committed.term, sent: entry.term },
    }));
  }

  /**
   * A replica holds everything up to `last` for committed and has it on its disk.
   * @param from the first index that was not checked for this replica yet.
   * @returns what was not known as committed before, in order.
   */
  commit(log: DurableLog, from: number, last: number, term: number): CommittedEntry[] {
    const added: CommittedEntry[] = [];
    for (let index = Math.max(from, log.snapshotIndex + 1); index <= last; index++) {
      const entry = log.entry(index);
      mustHold(entry !== undefined, "DurableLogIsWhole", "an entry is missing", () => ({
        replica: log.id,
        index,
      }));
      const committed = this.committed(index);
      if (committed !== undefined) {
        mustHold(
          committed.term === entry.term && committed.hash === entry.hash,
          "OneCommittedPrefix",
          "two replicas hold different entries for committed",
          () => ({ who: log.id, index, terms: [committed.term, entry.term] }),
        );
      } else {
        mustHold(index === this.commitIndex + 1, "OneCommittedPrefix", "a gap in what is committed", () => ({
          who: log.id,
          index,
          known: this.commitIndex,
        }));
        const now = { ...entry, committedInTerm: term };
        this.#committed.push(now);
        added.push(now);
      }
    }
    return added;
  }

  /** A snapshot stands for a committed prefix or for nothing. */
  snapshot(who: ReplicaId, index: number, term: number): void {
    if (index === 0) return;
    const committed = this.committed(index);
    mustHold(committed !== undefined, "SnapshotIsCommitted", "a snapshot of what is not committed", () => ({
      who,
      index,
      known: this.commitIndex,
    }));
    mustHold(committed.term === term, "SnapshotIsCommitted", "a snapshot of another history", () => ({
      who,
      index,
      terms: [committed.term, term],
    }));
  }
}
