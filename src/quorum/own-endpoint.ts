import type { RaftStatus, ReplicaId } from "../raft/types.ts";
import { findVoter } from "../raft/voter-set.ts";
import type { RaftDriver } from "./raft-driver.ts";

/** Sees to it that the voters in the log have this node's endpoint as it is now configured. */
export class OwnEndpoint {
  readonly #endpoint: string;
  readonly #everyTicks: number;
  readonly #id: ReplicaId;
  readonly #driver: RaftDriver;
  #ticks = 0;

  constructor(
    options: { readonly endpoint: string; readonly electionTicks: number },
    deps: { readonly id: ReplicaId; readonly driver: RaftDriver },
  ) {
    this.#endpoint = options.endpoint;
    this.#everyTicks = options.electionTicks;
    this.#id = deps.id;
    this.#driver = deps.driver;
  }

  /** Once in an election timeout. */
  tick(): void {
    if (this.#endpoint === "" || ++this.#ticks % this.#everyTicks !== 0) return;
    const { status } = this.#driver;
    const voter = findVoter(status.voters, this.#id);
    if (voter !== undefined && voter.endpoint !== this.#endpoint) this.#tell(status);
  }

  #tell({ leader, isSettled }: RaftStatus): void {
    const [id, endpoint] = [this.#id, this.#endpoint];
    if (leader !== undefined && leader !== id) this.#driver.input((raw) => raw.observe(leader, endpoint));
    // What stands against it now does not in a while.
    else if (isSettled) this.#driver.input((raw) => raw.changeVoters({ type: "move", id, endpoint }));
  }
}
