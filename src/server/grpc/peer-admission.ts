import { operationError, type LograftError } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import type { PeerEndpoint } from "../../broker/peer-endpoint.ts";
import { ProtocolError } from "../../model/error-code.ts";
import type { Clock } from "../../platform/clock.ts";
import { statusOnStream } from "../../rpc/error-details.ts";
import { readPeerHeaders, type PeerHeaders } from "../../rpc/peer-headers.ts";
import { requestIdOf } from "../../rpc/request-id.ts";
import type { ByteStream } from "../../rpc/stream/byte-stream.ts";
import { stoppingError, type Draining } from "./draining.ts";

/** Between two lines about one peer. */
const LOG_EVERY_MS = 10_000;
/** Refused peers that are remembered; while there are more, the others are refused without a line. */
const MAX_REMEMBERED = 256;

/**
 * Decides by its metadata whether a call on the peer port is from a peer and for this node. A broker of another cluster,
 * or one that takes this one for somebody else, is told what to look at, and heard no further.
 */
export class PeerAdmission {
  readonly #endpoint: PeerEndpoint;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #draining: Draining;
  /** When each refused peer was logged. */
  readonly #loggedMs = new Map<string, number>();

  constructor(deps: {
    readonly endpoint: PeerEndpoint;
    readonly clock: Clock;
    readonly logger: Logger;
    readonly draining: Draining;
  }) {
    this.#endpoint = deps.endpoint;
    this.#clock = deps.clock;
    this.#logger = deps.logger;
    this.#draining = deps.draining;
  }

  /** Who calls; or undefined, when the call was refused and ended. */
  admit(stream: ByteStream): PeerHeaders | undefined {
    if (this.#draining.isDraining) {
      stream.cancel(statusOnStream(stoppingError(), stream));
      return undefined;
    }
    const read = readPeerHeaders(stream.metadata);
    const error = read.ok
      ? this.#refusalOf(read.headers)
      : operationError(
          "INVALID_ARGUMENT",
          `the call has no valid ${read.header}: this port is for the brokers of one cluster; clients use the CLIENT listener`,
        );
    if (error !== undefined) {
      this.#log(stream, read.ok ? read.headers.nodeId : undefined, error);
      stream.cancel(statusOnStream(error, stream));
      return undefined;
    }
    return read.ok ? read.headers : undefined;
  }

  #refusalOf(from: PeerHeaders): LograftError | undefined {
    const { nodeId, directoryId, clusterId } = this.#endpoint;
    if (clusterId !== undefined && from.clusterId !== undefined && from.clusterId !== clusterId) {
      return new ProtocolError(
        "INCONSISTENT_CLUSTER_ID",
        `this is node ${nodeId} of cluster ${clusterId}; the caller belongs to cluster ${from.clusterId}. ` +
          `Check controller.quorum.voters / --bootstrap of node ${from.nodeId}`,
        { context: { nodeId, clusterId } },
      );
    }
    if (from.toNodeId !== undefined && from.toNodeId !== nodeId) {
      return new ProtocolError(
        "INVALID_VOTER_KEY",
        `this is node ${nodeId}; the caller looks for node ${from.toNodeId} here. ` +
          `Check the address of node ${from.toNodeId} in controller.quorum.voters of node ${from.nodeId}`,
        { context: { nodeId } },
      );
    }
    if (from.nodeId === nodeId && from.directoryId !== directoryId) {
      return new ProtocolError(
        "INVALID_VOTER_KEY",
        `this is node ${nodeId}, and the caller says that it is node ${nodeId} too. ` +
          "Give one of the two another node.id",
        { context: { nodeId, directoryId } },
      );
    }
    if (from.toDirectoryId !== "" && from.toDirectoryId !== directoryId) {
      return new ProtocolError(
        "INVALID_VOTER_KEY",
        `this is node ${nodeId} with the quorum store ${directoryId}; the caller looks for its store ${from.toDirectoryId}. ` +
          `If the disk of node ${nodeId} was replaced, remove the voter with the old store and add node ${nodeId} again`,
        { context: { nodeId, directoryId } },
      );
    }
    return undefined;
  }

  #log(stream: ByteStream, nodeId: number | undefined, error: LograftError): void {
    const host = stream.peer.replace(/:\d+$/, "");
    const key = `${host} ${nodeId ?? ""}`;
    const nowMs = this.#clock.monotonicMs();
    const lastMs = this.#loggedMs.get(key);
    if (lastMs !== undefined && nowMs - lastMs < LOG_EVERY_MS) return;
    if (lastMs === undefined && this.#loggedMs.size >= MAX_REMEMBERED) {
      for (const [other, atMs] of this.#loggedMs) {
        if (nowMs - atMs >= LOG_EVERY_MS) this.#loggedMs.delete(other);
      }
      if (this.#loggedMs.size >= MAX_REMEMBERED) return;
    }
    this.#loggedMs.set(key, nowMs);
    this.#logger.warn("a peer was refused", {
      peer: stream.peer,
      peerId: nodeId,
      method: stream.method,
      requestId: requestIdOf(stream),
      err: error,
    });
  }
}
