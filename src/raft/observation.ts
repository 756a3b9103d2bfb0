import type { Raft } from "./raft.ts";
import type { ReplicaId } from "./types.ts";
import { findVoter } from "./voter-set.ts";

/** What an observer, or a voter that moved, tells the leader until it is heard (H8). */
export class Observation {
  readonly #leader: ReplicaId;
  readonly #endpoint: string;
  /** Whom this replica followed before; discovery knows better. */
  readonly #former: ReplicaId | undefined;
  #elapsed = 0;

  /** `leader`: as discovery found it, until another shows by itself. */
  constructor(raft: Raft, leader: ReplicaId, endpoint: string) {
    this.#leader = leader;
    this.#endpoint = endpoint;
    this.#former = raft.leader;
  }

  /** Sends the request, when there is still something to say. */
  ask(raft: Raft): void {
    this.#elapsed = 0;
    const to = this.#target(raft);
    if (to === raft.id || this.#isSettled(raft)) return;
    raft.outbox.send({ type: "ObserveRequest", ...raft.envelope(to), endpoint: this.#endpoint });
  }

  /** Asks again after a heartbeat interval; an observer that is served says only now and then that it still follows. */
  tick(raft: Raft): void {
    this.#elapsed++;
    const isServed = raft.leader === this.#target(raft) && !raft.membership.isVoter(raft.id);
    const { electionTicks, heartbeatTicks } = raft.options;
    if (this.#elapsed >= (isServed ? electionTicks : heartbeatTicks)) this.ask(raft);
  }

  #target(raft: Raft): ReplicaId {
    return raft.leader === undefined || raft.leader === this.#former ? this.#leader : raft.leader;
  }

  /**
   * A voter that the others know at its address. Without a leader a replica asks although it believes itself a voter:
   * it may have been removed meanwhile.
   */
  #isSettled(raft: Raft): boolean {
    if (raft.leader === undefined) return false;
    return findVoter(raft.membership.voters, raft.id)?.endpoint === this.#endpoint;
  }
}
