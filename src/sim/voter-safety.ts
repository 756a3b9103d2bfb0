import { parseReplicaId } from "../quorum/replica-id.ts";
import { decodeVoters } from "../raft/voter-set.ts";
import type { RaftStatus, ReplicaId, VoterSet } from "../raft/types.ts";
import type { Checker } from "./invariants/checker.ts";

/** A change of the voters that somebody asked for and whose outcome is open. */
export interface OpenVoterChange {
  readonly type: "add" | "remove";
  readonly nodeId: number;
}

/**
 * Keeps the faults within what a quorum can bear: a majority of every set of voters that may be in force, now or once
 * what is under way is done, keeps its memory.
 */
export class VoterSafety {
  readonly #checker: Checker;
  readonly #statuses: () => Iterable<RaftStatus>;
  readonly #open = new Set<OpenVoterChange>();
  #scannedTo = 0;
  #committed: VoterSet = [];

  constructor(deps: { readonly checker: Checker; readonly statuses: () => Iterable<RaftStatus> }) {
    this.#checker = deps.checker;
    this.#statuses = deps.statuses;
  }

  /** The last committed set; empty before the first. */
  get committedVoters(): VoterSet {
    const { ledger } = this.#checker;
    for (; this.#scannedTo < ledger.commitIndex; this.#scannedTo++) {
      const entry = ledger.committed(this.#scannedTo + 1);
      if (entry?.kind === "voters") this.#committed = decodeVoters(entry.data);
    }
    return this.#committed;
  }

  /** A change is asked for; call the answered function when it can no longer take effect. */
  begin(change: OpenVoterChange): () => void {
    this.#open.add(change);
    return () => this.#open.delete(change);
  }

  get hasOpenChange(): boolean {
    return this.#open.size > 0;
  }

  /** Whether the machine's store may be lost: only once there is a cluster, and if the others carry it. */
  mayLose(machine: number): boolean {
    if (this.committedVoters.length === 0) return false;
    return this.#possible().every((voters) => this.#carries(voters, (other) => other !== machine));
  }

  /** Whether this voter may be taken out. */
  mayRemove(id: ReplicaId): boolean {
    return this.#possible().every((voters) =>
      this.#carries(
        voters.filter((voter) => voter.id !== id),
        () => true,
      ),
    );
  }

  /** Whether the voters on these machines are a majority, whichever set is in force. */
  isQuorum(machines: ReadonlySet<number>): boolean {
    return (
      this.committedVoters.length > 0 &&
      this.#possible().every((voters) => this.#carries(voters, (machine) => machines.has(machine)))
    );
  }

  #carries(voters: VoterSet, counts: (machine: number) => boolean): boolean {
    const intact = voters.filter(({ id }) => {
      const log = this.#checker.logs.of(id);
      return log !== undefined && !log.isLost && counts(log.machine);
    });
    return intact.length * 2 > voters.length;
  }

  /** The committed set, those in any log behind it, and each of them with what is under way. */
  #possible(): VoterSet[] {
    const sets = [this.committedVoters];
    for (const status of this.#statuses()) if (status.voters.length > 0) sets.push(status.voters);
    for (const log of this.#checker.logs.all()) {
      for (let index = this.#checker.ledger.commitIndex + 1; index <= log.lastIndex; index++) {
        const entry = log.entry(index);
        if (!log.isLost && entry?.kind === "voters") sets.push(decodeVoters(entry.data));
      }
    }
    return sets.flatMap((voters) => [
      voters,
      ...[...this.#open].map((change) => this.#changed(voters, change)),
    ]);
  }

  #changed(voters: VoterSet, { type, nodeId }: OpenVoterChange): VoterSet {
    const others = voters.filter(({ id }) => parseReplicaId(id)?.nodeId !== nodeId);
    const id = type === "add" ? this.#checker.logs.onMachine(nodeId - 1)?.id : undefined;
    return id === undefined ? others : [...others, { id, endpoint: "" }];
  }
}
