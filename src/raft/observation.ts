import type { Raft } from "./raft.ts";
import type { ReplicaId } from "./types.ts";
import { findVoter } from "./voter-set.ts";

/** What an observer, or a voter that moved, tells the leader until it is heard (H8). */
export class Observation {
  readonly #leader: ReplicaId;
  readonly #endpoint: string;
  #elapsed = 0;

  /** `leader`: as discovery found it; the one this replica follows goes before it. */
  constructor(leader: ReplicaId, endpoint: string) {
    this.#leader = leader;
    this.#endpoint = endpoint;
  }

  /** Sends the request, when there is still something to say. */
  ask(raft: Raft): void {
    this.#elapsed = 0;
    const to = raft.leader ?? this.#leader;
    if (to === raft.id || this.#isSettled(raft)) return;
    raft.outbox.send({ type: "ObserveRequest", ...raft.envelope(to), endpoint: this.#endpoint });
  }

  /** Asks again after a heartbeat interval; an observer that is served says only now and then that it still follows. */
  tick(raft: Raft): void {
    this.#elapsed++;
    const isServed = raft.leader !== undefined && !raft.membership.isVoter(raft.id);
    const { electionTicks, heartbeatTicks } = raft.options;
    if (this.#elapsed >= (isServed ? electionTicks : heartbeatTicks)) this.ask(raft);
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
