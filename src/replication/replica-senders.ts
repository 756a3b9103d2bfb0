import { operationError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { ProtocolError } from "../model/error-code.ts";
import type { NodeId } from "../model/ids.ts";
import type { Clock } from "../platform/clock.ts";
import type { AcceptedReplica, ReplicaInput } from "./leader-endpoint.ts";
import { ReplicaSender } from "./replica-sender.ts";
import type { ReplicaSenderOptions } from "./replica-sender.ts";
import type { FollowerIdentity, LeaderReplicas } from "./replica.ts";

export interface ReplicaSendersDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly replicas: LeaderReplicas;
}

/**
 * All replica streams that followers have opened to this broker: at most one for each. A newer one ends the one before,
 * so that the late end of an old connection cannot detach a follower that is there again.
 */
export class ReplicaSenders {
  readonly #options: ReplicaSenderOptions;
  readonly #deps: ReplicaSendersDeps;
  readonly #senders = new Set<ReplicaSender>();
  readonly #byFollower = new Map<NodeId, ReplicaSender>();
  #isClosed = false;

  constructor(options: ReplicaSenderOptions, deps: ReplicaSendersDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** Serves a stream that a follower opened. */
  accept(stream: AcceptedReplica): ReplicaInput {
    const sender = new ReplicaSender(this.#options, {
      ...this.#deps,
      stream,
      onOpen: (opened, follower) => this.#opened(opened, follower),
      onClose: (closed) => this.#closed(closed),
    });
    this.#senders.add(sender);
    if (this.#isClosed) sender.close(stopping());
    return sender;
  }

  /** Ends all streams; later ones are ended at once. Idempotent. */
  close(): void {
    this.#isClosed = true;
    for (const sender of this.#senders) sender.close(stopping());
  }

  #opened(sender: ReplicaSender, follower: FollowerIdentity): void {
    const before = this.#byFollower.get(follower.nodeId);
    const known = before?.follower;
    if (known !== undefined && known.brokerEpoch > follower.brokerEpoch) {
      throw new ProtocolError(
        "STALE_BROKER_EPOCH",
        `broker ${follower.nodeId} follows in broker epoch ${follower.brokerEpoch}, but has been seen in ${known.brokerEpoch}`,
      );
    }
    this.#byFollower.set(follower.nodeId, sender);
    const text = `broker ${follower.nodeId} has opened another replica stream, which takes the place of this one`;
    before?.close(operationError("CLOSED", text));
  }

  #closed(sender: ReplicaSender): void {
    this.#senders.delete(sender);
    const nodeId = sender.follower?.nodeId;
    if (nodeId !== undefined && this.#byFollower.get(nodeId) === sender) this.#byFollower.delete(nodeId);
  }
}

function stopping(): ReturnType<typeof operationError> {
  return operationError("CLOSED", "this broker is stopping; follow the next leader", { retriable: true });
}
