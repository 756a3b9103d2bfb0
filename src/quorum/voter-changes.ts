import { ProtocolError } from "../model/error-code.ts";
import type { NodeId } from "../model/ids.ts";
import type { Clock } from "../platform/clock.ts";
import type { RawNode } from "../raft/raw-node.ts";
import type { RaftStatus, ReplicaId, VoterChangeRefusal } from "../raft/types.ts";
import { notControllerError } from "./quorum-error.ts";
import type { VoterChange } from "./quorum-types.ts";
import { parseReplicaId, replicaIdOf } from "./replica-id.ts";

interface VoterChangesDeps {
  readonly clock: Clock;
  readonly status: () => RaftStatus;
  readonly input: <T>(input: (raw: RawNode) => T) => T;
  /** Resolves when the entry is committed and applied here. @throws NOT_CONTROLLER, indefinite. */
  readonly committed: (entry: { readonly index: number; readonly term: number }) => Promise<void>;
}

type RawChange = Parameters<RawNode["changeVoters"]>[0];

/** Carries out changes of the voters as operators name them: by node id, one voter at a time, waiting where it must. */
export class VoterChanges {
  readonly #retryMs: number;
  readonly #deps: VoterChangesDeps;

  /** @param options.retryMs between two attempts while the leader cannot take a change. */
  constructor(options: { readonly retryMs: number }, deps: VoterChangesDeps) {
    this.#retryMs = options.retryMs;
    this.#deps = deps;
  }

  /** @throws ProtocolError NOT_CONTROLLER, VOTER_NOT_FOUND, DUPLICATE_VOTER, INVALID_VOTER_KEY; the reason of `signal`. */
  async change(change: VoterChange, signal: AbortSignal): Promise<void> {
    if (change.type === "remove") {
      await this.#apply({ type: "remove", id: this.#voterOf(change) }, signal);
      return;
    }
    const id = this.#observerOf(change);
    // The node lost its disk and came back as somebody else: who it was will never vote again. First out, then in, so
    // that the majority is never counted over a replica that is gone and one that is not caught up (H8).
    const old = this.#votersOf(change.nodeId).filter((voter) => voter !== id);
    for (const gone of old) await this.#apply({ type: "remove", id: gone }, signal);
    await this.#apply({ type: "add", id }, signal);
  }

  async #apply(change: RawChange, signal: AbortSignal): Promise<void> {
    for (;;) {
      const outcome = this.#deps.input((raw) => raw.changeVoters(change));
      if (typeof outcome !== "string") {
        await this.#deps.committed(outcome);
        return;
      }
      this.#throwIfFinal(outcome, change.id);
      await this.#deps.clock.sleep(this.#retryMs, signal);
    }
  }

  #throwIfFinal(refusal: VoterChangeRefusal, id: ReplicaId): void {
    switch (refusal) {
      case "NOT_LEADER":
        throw notControllerError(this.#deps.status().leader);
      case "LAST_VOTER":
        throw new ProtocolError(
          "INVALID_REQUEST",
          `${id} is the only voter: the quorum would have none; add another voter first`,
        );
      case "NO_CHANGE":
        throw new ProtocolError("DUPLICATE_VOTER", `${id} is a voter already`);
      case "UNKNOWN_REPLICA":
        throw new ProtocolError(
          "VOTER_NOT_FOUND",
          `${id} is not known to the controller any more; see: lograft cluster quorum`,
        );
      case "NOT_SETTLED":
      case "CHANGE_IN_PROGRESS":
      case "NOT_CAUGHT_UP":
        // It comes by itself; how long to wait is the caller's to say.
        return;
    }
  }

  #votersOf(node: NodeId): ReplicaId[] {
    const voters = this.#deps.status().voters.map(({ id }) => id);
    return voters.filter((id) => parseReplicaId(id)?.nodeId === node);
  }

  #voterOf({ nodeId, directoryId }: VoterChange): ReplicaId {
    const [id] = this.#votersOf(nodeId);
    if (id === undefined) {
      throw new ProtocolError(
        "VOTER_NOT_FOUND",
        `node ${nodeId} is not a voter; see: lograft cluster quorum`,
      );
    }
    if (directoryId !== undefined && id !== replicaIdOf(nodeId, directoryId)) {
      throw new ProtocolError(
        "INVALID_VOTER_KEY",
        `the voter of node ${nodeId} is ${id}, not directory ${directoryId}; see: lograft cluster quorum`,
      );
    }
    return id;
  }

  #observerOf({ nodeId, directoryId }: VoterChange): ReplicaId {
    const status = this.#deps.status();
    if (status.role !== "leader") throw notControllerError(status.leader);
    const observers = status.progress.filter(
      ({ id, isVoter }) => !isVoter && parseReplicaId(id)?.nodeId === nodeId,
    );
    const wanted = directoryId === undefined ? undefined : replicaIdOf(nodeId, directoryId);
    const candidates = wanted === undefined ? observers : observers.filter(({ id }) => id === wanted);
    // After a disk was lost, what the node was before is remembered for a while. A voter that is dead from the start may
    // cost the quorum its majority, so nothing is guessed (H8).
    if (candidates.length > 1) {
      const names = candidates.map(({ id }) => id).join(" and ");
      throw new ProtocolError(
        "INVALID_VOTER_KEY",
        `node ${nodeId} follows the controller with more than one store (${names}), of which only one can be there still; ` +
          "try again in a few seconds, or name the directory",
      );
    }
    const [found] = candidates;
    if (found !== undefined) return found.id;
    const voters = this.#votersOf(nodeId);
    if (voters.length > 0 && (wanted === undefined || voters.includes(wanted))) {
      throw new ProtocolError("DUPLICATE_VOTER", `node ${nodeId} is a voter already`);
    }
    throw new ProtocolError(
      "INVALID_VOTER_KEY",
      `node ${nodeId}${directoryId === undefined ? "" : ` with directory ${directoryId}`} does not follow the controller; ` +
        "start it with controller.quorum.bootstrap.servers and try again when it appears in: lograft cluster quorum",
    );
  }
}
