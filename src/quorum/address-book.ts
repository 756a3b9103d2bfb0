import type { PeerAddress } from "../model/peer-address.ts";
import type { ReplicaId, VoterSet } from "../raft/types.ts";
import { parseReplicaId } from "./replica-id.ts";
import type { FoundingVoter } from "./quorum-types.ts";

/** Replicas outside the voter set whose endpoints are remembered; the one learned longest ago goes first. */
const MAX_LEARNED = 1024;

/**
 * Where replicas are. What is configured for a node id wins: an operator who moves a node says it there, while the
 * voters in the log may still have its old place. Then the voter set, then what the replica last said of itself.
 */
export class AddressBook {
  readonly #configured: ReadonlyMap<number, string>;
  readonly #learned = new Map<ReplicaId, string>();
  #voters: ReadonlyMap<ReplicaId, string> = new Map();

  constructor(foundingVoters: readonly FoundingVoter[]) {
    this.#configured = new Map(foundingVoters.map(({ nodeId, endpoint }) => [nodeId, endpoint]));
  }

  setVoters(voters: VoterSet): void {
    this.#voters = new Map(voters.map(({ id, endpoint }) => [id, endpoint]));
  }

  /** What a replica said of itself, or the leader of it. */
  learn(id: ReplicaId, endpoint: string): void {
    if (endpoint === "") return;
    this.#learned.delete(id);
    this.#learned.set(id, endpoint);
    if (this.#learned.size <= MAX_LEARNED) return;
    const [oldest] = this.#learned.keys();
    if (oldest !== undefined) this.#learned.delete(oldest);
  }

  /** Undefined: nobody said where it is. */
  find(id: ReplicaId): PeerAddress | undefined {
    const identity = parseReplicaId(id);
    if (identity === undefined) return undefined;
    const said = this.#voters.get(id);
    const endpoint =
      this.#configured.get(identity.nodeId) ?? (said === "" ? undefined : said) ?? this.#learned.get(id);
    return endpoint === undefined ? undefined : { ...identity, endpoint };
  }

  /** As `find`, with an empty endpoint where none is known. @param id a replica's. */
  describe(id: ReplicaId): PeerAddress | undefined {
    const identity = parseReplicaId(id);
    return this.find(id) ?? (identity === undefined ? undefined : { ...identity, endpoint: "" });
  }
}
