import { assert } from "../base/assert.ts";
import { findVoter, withoutVoter, withVoter } from "./voter-set.ts";
import type { ReplicaId, VoterChangeRefusal, VoterSet } from "./types.ts";

/** One change of the voters, one voter at a time (§4.1): any two neighbouring sets then share a majority's member. */
export type VoterChange =
  | { readonly type: "add"; readonly id: ReplicaId }
  | { readonly type: "remove"; readonly id: ReplicaId }
  | { readonly type: "move"; readonly id: ReplicaId; readonly endpoint: string };

interface Dated {
  readonly index: number;
  readonly voters: VoterSet;
}

/**
 * Who votes. The last set in the log is in force from the moment it is there, committed or not; when it is cut off, the
 * one before is in force again (§4.1, H7).
 */
export class Membership {
  /** Rising by index. The first is committed; it is what all truncation leaves. */
  #history: Dated[];

  /** `index`: of the snapshot that `voters` came with; 0 and an empty set for a log that begins at its start. */
  constructor(index: number, voters: VoterSet) {
    this.#history = [{ index, voters }];
  }

  get voters(): VoterSet {
    return this.#current.voters;
  }

  /** Index of the entry or snapshot that `voters` came from. */
  get votersIndex(): number {
    return this.#current.index;
  }

  isVoter(id: ReplicaId): boolean {
    return findVoter(this.voters, id) !== undefined;
  }

  /**
   * True for a voter, and for one whose removal is not known to be committed: its log may be the only one that has the
   * removal, and then nobody else can win until it stood and passed it on (§4.2.2, Fig. 4.6).
   */
  mayStand(id: ReplicaId): boolean {
    return this.#history.some(({ voters }) => findVoter(voters, id) !== undefined);
  }

  append(index: number, voters: VoterSet): void {
    assert(index > this.votersIndex, "voters out of order", { index, after: this.votersIndex });
    this.#history.push({ index, voters });
  }

  /** Entries behind `after` are gone. */
  truncate(after: number): void {
    while (this.#history.length > 1 && this.votersIndex > after) this.#history.pop();
  }

  /** Nothing up to `commit` will be cut off: sets that were replaced by then are never needed again. */
  commitTo(commit: number): void {
    while ((this.#history[1]?.index ?? Infinity) <= commit) this.#history.shift();
  }

  /** A snapshot took the place of everything up to `index`. Sets of entries behind it that stayed, stay. */
  install(index: number, voters: VoterSet): void {
    this.#history = [{ index, voters }, ...this.#history.filter((dated) => dated.index > index)];
  }

  /** A snapshot took the place of the whole log. */
  replace(index: number, voters: VoterSet): void {
    this.#history = [{ index, voters }];
  }

  get #current(): Dated {
    const current = this.#history.at(-1);
    assert(current !== undefined, "a membership without voters");
    return current;
  }
}

/**
 * The set that a change leads to, or why it does not. `observer`: the endpoint of the replica when the leader knows it
 * as one that is no voter, and whether it is caught up (§4.2.1, H8).
 */
export function changedVoters(
  voters: VoterSet,
  change: VoterChange,
  observer: { readonly endpoint: string; readonly isCaughtUp: boolean } | undefined,
): VoterSet | VoterChangeRefusal {
  const { id } = change;
  const voter = findVoter(voters, id);
  switch (change.type) {
    case "add":
      if (voter !== undefined) return "NO_CHANGE";
      if (observer === undefined) return "UNKNOWN_REPLICA";
      if (!observer.isCaughtUp) return "NOT_CAUGHT_UP";
      return withVoter(voters, { id, endpoint: observer.endpoint });
    case "remove":
      if (voter === undefined) return "UNKNOWN_REPLICA";
      if (voters.length === 1) return "LAST_VOTER";
      return withoutVoter(voters, id);
    case "move":
      if (voter === undefined) return "UNKNOWN_REPLICA";
      if (voter.endpoint === change.endpoint) return "NO_CHANGE";
      return withVoter(voters, { id, endpoint: change.endpoint });
  }
}
