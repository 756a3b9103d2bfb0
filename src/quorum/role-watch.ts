import type { Logger } from "../base/logger.ts";
import type { PeerAddress } from "../model/peer-address.ts";
import type { RaftStatus, ReplicaId, VoterSet } from "../raft/types.ts";
import type { AddressBook } from "./address-book.ts";
import type { Applier } from "./applier.ts";
import type { QuorumRole } from "./quorum-types.ts";

interface RoleWatchDeps {
  readonly id: ReplicaId;
  readonly logger: Logger;
  readonly book: AddressBook;
  readonly applier: Applier;
}

/** Sees from turn to turn what changed in the quorum, tells it to the log, one line for each change. */
export class RoleWatch {
  readonly #deps: RoleWatchDeps;
  #role: QuorumRole = { leader: undefined, epoch: 0, isActive: false };
  #leader: ReplicaId | undefined;
  #voters: VoterSet = [];

  constructor(deps: RoleWatchDeps) {
    this.#deps = deps;
  }

  get role(): QuorumRole {
    return this.#role;
  }

  /** Takes the new status in. `isStopped`: this node leads and follows nobody any more. True: the role is another now. */
  update(status: RaftStatus, isStopped: boolean): boolean {
    if (status.voters !== this.#voters) this.#setVoters(status);
    const leader = isStopped ? undefined : status.leader;
    const { applier, id } = this.#deps;
    const next: QuorumRole = {
      leader: leader === undefined ? undefined : this.#addressOf(leader),
      epoch: status.term,
      // The first entry of the own term is applied, and with it everything from before (H3).
      isActive: leader === id && status.role === "leader" && status.isSettled && applier.term === status.term,
    };
    const before = this.#role;
    if (leader !== this.#leader) this.#logLeader(leader, status.term);
    if (before.isActive && !next.isActive)
      this.#deps.logger.info("no longer the metadata leader", { epoch: before.epoch });
    if (!before.isActive && next.isActive) this.#deps.logger.info("metadata leader", { epoch: next.epoch });
    this.#leader = leader;
    this.#role = next;
    return (
      before.epoch !== next.epoch ||
      before.isActive !== next.isActive ||
      before.leader?.directoryId !== next.leader?.directoryId ||
      before.leader?.endpoint !== next.leader?.endpoint
    );
  }

  #setVoters(status: RaftStatus): void {
    const { logger, book } = this.#deps;
    const wasKnown = this.#voters.length > 0;
    this.#voters = status.voters;
    book.setVoters(status.voters);
    const voters = status.voters.map(({ id, endpoint }) => `${id} (${endpoint})`);
    if (wasKnown || voters.length > 0) logger.info("metadata voters", { voters, offset: status.votersIndex });
  }

  #logLeader(leader: ReplicaId | undefined, epoch: number): void {
    const { logger, id } = this.#deps;
    if (leader === undefined) logger.info("no metadata leader is known", { epoch });
    else if (leader === id) logger.info("elected as metadata leader", { epoch });
    else logger.info("following a metadata leader", { leader, epoch });
  }

  #addressOf(leader: ReplicaId): PeerAddress | undefined {
    return this.#deps.book.describe(leader);
  }
}
