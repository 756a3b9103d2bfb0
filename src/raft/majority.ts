import { assert } from "../base/assert.ts";
import { findVoter } from "./voter-set.ts";
import type { ReplicaId, VoterSet } from "./types.ts";

/** How many of `count` voters decide: two such groups always share one voter. */
export function majorityOf(count: number): number {
  return Math.floor(count / 2) + 1;
}

/** The largest number that a majority of `values` (one for each voter, in any order) has reached. */
export function majorityValue(values: readonly number[]): number {
  const value = values.toSorted((a, b) => b - a)[majorityOf(values.length) - 1];
  assert(value !== undefined, "a majority of no voters");
  return value;
}

/** "open": neither side has a majority yet. */
export type BallotOutcome = "won" | "lost" | "open";

/** The answers to one (pre-)election. */
export class Ballot {
  readonly #voters: VoterSet;
  readonly #answers = new Map<ReplicaId, boolean>();

  /** `voters`: those in force when the candidate stands; they stay so while it is one. */
  constructor(voters: VoterSet) {
    this.#voters = voters;
  }

  /** Counts the first answer of a voter; a repeated one, or one of somebody else, changes nothing. */
  record(from: ReplicaId, isGranted: boolean): BallotOutcome {
    if (findVoter(this.#voters, from) !== undefined && !this.#answers.has(from)) {
      this.#answers.set(from, isGranted);
    }
    let granted = 0;
    for (const answer of this.#answers.values()) if (answer) granted++;
    const needed = majorityOf(this.#voters.length);
    if (granted >= needed) return "won";
    // Lost as soon as those who have not refused are too few.
    return this.#voters.length - (this.#answers.size - granted) < needed ? "lost" : "open";
  }
}
