import { throwIfAborted } from "../base/abort.ts";
import type { Logger } from "../base/logger.ts";
import type { NodeId } from "../model/ids.ts";
import type { PeerAddress } from "../model/peer-address.ts";
import type { Clock } from "../platform/clock.ts";
import type { Random } from "../platform/random.ts";
import type { Hello, RaftTransport } from "../quorum/raft-transport.ts";
import { HELLO_METHOD } from "../rpc/method-names.ts";
import { decodePayload, encodePayload } from "../rpc/payload-codec.ts";
import { peerMetadata, type PeerIdentity } from "../rpc/peer-headers.ts";
import { decodeNodeHello, encodeNodeHello } from "../rpc/peer-messages.ts";
import { callOnce } from "../rpc/stream/call-once.ts";
import { openPeerChannel } from "./peer-channel.ts";
import { PeerConnection } from "./peer-connection.ts";
import { peerError } from "./peer-error.ts";

export interface GrpcRaftTransportOptions {
  /** Who this node is; the cluster id is learned later. */
  readonly identity: () => PeerIdentity;
  /** Bytes that may wait for one peer. Default 8 MiB: twice what Raft has in flight to a follower. */
  readonly maxQueueBytes?: number;
}

const DEFAULT_MAX_QUEUE_BYTES = 8 * 1024 * 1024;
/** Connections at a time; beyond, the oldest is closed. A quorum has a handful of voters and some observers. */
const MAX_PEERS = 1000;
/** The end of a hello whose caller would wait longer. */
const HELLO_TIMEOUT_MS = 10_000;

/** Raft messages and hellos over gRPC: a stream to each peer, a connection of its own for each hello. */
export class GrpcRaftTransport implements RaftTransport {
  readonly #options: GrpcRaftTransportOptions;
  readonly #deps: { readonly clock: Clock; readonly random: Random; readonly logger: Logger };
  readonly #connections = new Map<string, PeerConnection>();
  /** Addresses that are no addresses, each told of once. Bounded as the connections are. */
  readonly #unusable = new Set<string>();
  #droppedBefore = 0;
  #isClosed = false;

  constructor(
    options: GrpcRaftTransportOptions,
    deps: { readonly clock: Clock; readonly random: Random; readonly logger: Logger },
  ) {
    this.#options = options;
    this.#deps = deps;
  }

  /** Messages dropped since the start because too much waited for their peer. */
  get droppedMessages(): number {
    let dropped = this.#droppedBefore;
    for (const connection of this.#connections.values()) dropped += connection.dropped;
    return dropped;
  }

  send(to: PeerAddress, message: readonly Uint8Array[]): void {
    if (!this.#isClosed) this.#connectionTo(to)?.send(message);
  }

  /** A connection of its own, so that an answer of "refused" is of this moment. */
  async hello(endpoint: string, mine: Hello, signal: AbortSignal): Promise<Hello> {
    throwIfAborted(signal);
    const channel = openPeerChannel(endpoint, { reconnectMs: 0 }, this.#deps);
    try {
      const answer = await callOnce(channel, HELLO_METHOD, encodePayload(encodeNodeHello(mine)), {
        metadata: peerMetadata(mine),
        timeoutMs: HELLO_TIMEOUT_MS,
        signal,
        errorOf: (status) => peerError(status, endpoint),
      });
      return decodeNodeHello(decodePayload(answer));
    } finally {
      channel.close();
    }
  }

  heardFrom(nodeId: NodeId): void {
    for (const connection of this.#connections.values()) {
      if (connection.nodeId === nodeId) connection.wake();
    }
  }

  retain(addresses: readonly PeerAddress[]): void {
    const kept = new Set(addresses.map(keyOf));
    for (const key of this.#connections.keys()) if (!kept.has(key)) this.#forget(key);
    this.#unusable.clear();
  }

  /** Ends all connections; what is sent later is dropped. Idempotent. */
  close(): void {
    this.#isClosed = true;
    for (const key of this.#connections.keys()) this.#forget(key);
  }

  #connectionTo(to: PeerAddress): PeerConnection | undefined {
    const key = keyOf(to);
    const known = this.#connections.get(key);
    if (known !== undefined || this.#unusable.has(key)) return known;
    const { identity, maxQueueBytes = DEFAULT_MAX_QUEUE_BYTES } = this.#options;
    try {
      const connection = new PeerConnection({ address: to, identity, maxQueueBytes }, this.#deps);
      const [oldest] = this.#connections.keys();
      if (oldest !== undefined && this.#connections.size >= MAX_PEERS) this.#forget(oldest);
      this.#connections.set(key, connection);
      return connection;
    } catch (error: unknown) {
      if (this.#unusable.size >= MAX_PEERS) this.#unusable.clear();
      this.#unusable.add(key);
      this.#deps.logger.warn("a peer has no usable address", {
        peerId: to.nodeId,
        err: error,
      });
      return undefined;
    }
  }

  #forget(key: string): void {
    const connection = this.#connections.get(key);
    if (connection === undefined) return;
    this.#connections.delete(key);
    this.#droppedBefore += connection.dropped;
    connection.close();
  }
}

/** Another store or another address is another connection: the headers of a stream name whom it is for. */
function keyOf(address: PeerAddress): string {
  return `${address.nodeId}@${address.directoryId}/${address.endpoint}`;
}
