import { majorityValue } from "./majority.ts";
import { Progress } from "./progress.ts";
import type { ProgressLimits } from "./progress.ts";
import { ReadIndex } from "./read-index.ts";
import type { ReplicaId, VoterSet } from "./types.ts";

/** Observers that a leader serves at the same time; more are not answered. */
const MAX_OBSERVERS = 1024;

/** Leadership is being handed to `target` (§3.10). */
export interface Transfer {
  readonly target: ReplicaId;
  readonly startTick: number;
  /** TimeoutNow is out. */
  readonly isAsked: boolean;
}

/** What a replica is and knows only while it leads, and only in that term. */
export class Leadership {
  readonly #self: ReplicaId;
  readonly #limits: ProgressLimits;
  /** Index of the entry that began the term here. Once it is committed, the leader is settled (H3). */
  readonly firstIndex: number;
  readonly reads = new ReadIndex();
  readonly #progress = new Map<ReplicaId, Progress>();
  #voters: VoterSet = [];
  #now = 0;
  #heartbeatElapsed = 0;
  transfer: Transfer | undefined;

  constructor(self: ReplicaId, firstIndex: number, limits: ProgressLimits) {
    this.#self = self;
    this.firstIndex = firstIndex;
    this.#limits = limits;
  }

  /** Ticks since the election. */
  get now(): number {
    return this.#now;
  }

  get limits(): ProgressLimits {
    return this.#limits;
  }

  /** Everybody that is replicated to: the other voters and the observers. */
  get followers(): IterableIterator<Progress> {
    return this.#progress.values();
  }

  follower(id: ReplicaId): Progress | undefined {
    return this.#progress.get(id);
  }

  /** Another set is in force. Who was removed goes on as an observer, so that it learns of it and disturbs nobody. */
  setVoters(voters: VoterSet, lastIndex: number): void {
    this.#voters = voters;
    for (const progress of this.#progress.values()) progress.isVoter = false;
    for (const { id, endpoint } of voters) {
      if (id === this.#self) continue;
      const known = this.#progress.get(id);
      if (known === undefined) this.#add(id, endpoint, true, lastIndex);
      else {
        known.isVoter = true;
        known.endpoint = endpoint;
      }
    }
    if (this.transfer !== undefined && !this.#isVoter(this.transfer.target)) this.transfer = undefined;
  }

  /** A replica that is no voter asks for the log. */
  observe(id: ReplicaId, endpoint: string, lastIndex: number): void {
    const known = this.#progress.get(id);
    if (known !== undefined) {
      known.endpoint = endpoint;
      known.heard(this.#now);
    } else if (this.#progress.size < this.#voters.length + MAX_OBSERVERS) {
      this.#add(id, endpoint, false, lastIndex);
    }
  }

  /** One tick: whether heartbeats are due, and whether a majority still answers (CheckQuorum, H6). */
  tick(): { readonly isHeartbeatDue: boolean; readonly isQuorumLost: boolean } {
    this.#now++;
    this.#dropSilentObservers();
    const { transfer } = this;
    const { electionTicks, heartbeatTicks } = this.#limits;
    // A transfer that did not come about in time is over; proposals are welcome again.
    if (transfer !== undefined && this.#now - transfer.startTick >= electionTicks) this.transfer = undefined;
    const isQuorumLost = this.#now - this.#heardByMajority() >= electionTicks;
    this.#heartbeatElapsed++;
    const isHeartbeatDue = this.#heartbeatElapsed >= heartbeatTicks;
    if (isHeartbeatDue) this.#heartbeatElapsed = 0;
    return { isHeartbeatDue, isQuorumLost };
  }

  /** The largest index that a majority of the voters has on disk; `own` is the leader's, who may be no voter. */
  matchedByMajority(own: number): number {
    return this.#majority(own, (progress) => progress.matchIndex);
  }

  /** The newest heartbeat round that a majority of the voters answered. */
  answeredByMajority(): number {
    return this.#majority(Infinity, (progress) => progress.answeredRound);
  }

  #heardByMajority(): number {
    return this.#majority(this.#now, (progress) => progress.heardTick);
  }

  #majority(own: number, valueOf: (progress: Progress) => number): number {
    return majorityValue(
      this.#voters.map(({ id }) => {
        const progress = this.#progress.get(id);
        return progress === undefined ? own : valueOf(progress);
      }),
    );
  }

  #isVoter(id: ReplicaId): boolean {
    return this.#progress.get(id)?.isVoter === true;
  }

  #add(id: ReplicaId, endpoint: string, isVoter: boolean, lastIndex: number): void {
    const options = { id, endpoint, isVoter, lastIndex, now: this.#now };
    this.#progress.set(id, new Progress(options, this.#limits));
  }

  #dropSilentObservers(): void {
    for (const [id, progress] of this.#progress) {
      if (progress.isVoter) continue;
      if (this.#now - progress.heardTick >= 2 * this.#limits.electionTicks) this.#progress.delete(id);
    }
  }
}
