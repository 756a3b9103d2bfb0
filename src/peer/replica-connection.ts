import { LograftError } from "../base/errors.ts";
import type { PeerAddress } from "../model/peer-address.ts";
import type { ReplicaChannel, ReplicaChannelHandlers } from "../replication/leader-endpoint.ts";
import { statusFromError } from "../rpc/error-details.ts";
import { REPLICATE_METHOD } from "../rpc/method-names.ts";
import { decodePayload, encodePayload } from "../rpc/payload-codec.ts";
import { peerMetadata, type PeerIdentity } from "../rpc/peer-headers.ts";
import { PEER_MAX_WAITING_BYTES } from "../rpc/peer-limits.ts";
import { rpcStatus, type RpcStatus } from "../rpc/status.ts";
import type { ByteStream, StreamChannel } from "../rpc/stream/byte-stream.ts";
import { peerError } from "./peer-error.ts";

export interface ReplicaConnectionOptions {
  readonly address: PeerAddress;
  readonly identity: PeerIdentity;
}

/** One replica stream on a connection of its own. It is not opened again: who lost it decides when to try. */
export class ReplicaConnection implements ReplicaChannel {
  readonly #endpoint: string;
  readonly #handlers: ReplicaChannelHandlers;
  readonly #channel: StreamChannel;
  readonly #stream: ByteStream;
  #isClosed = false;

  /**
   * @param deps.channel carries this stream and no other, and is closed with it.
   * @throws LograftError INVALID_ARGUMENT for ids that cannot be sent.
   */
  constructor(
    options: ReplicaConnectionOptions,
    deps: { readonly channel: StreamChannel; readonly handlers: ReplicaChannelHandlers },
  ) {
    const { address, identity } = options;
    this.#endpoint = address.endpoint;
    this.#handlers = deps.handlers;
    this.#channel = deps.channel;
    const stream = deps.channel.openStream(REPLICATE_METHOD, { metadata: peerMetadata(identity, address) });
    this.#stream = stream;
    stream.onMessage((message) => this.#onMessage(message));
    stream.onDrain(() => this.#onDrain());
    stream.onEnd(() => stream.end());
    stream.onClose((status) => this.#onClose(status));
  }

  send(chunks: readonly Uint8Array[]): boolean {
    if (this.#isClosed) return false;
    if (this.#stream.bufferedBytes <= PEER_MAX_WAITING_BYTES) return this.#stream.send(encodePayload(chunks));
    this.#stream.cancel(rpcStatus("RESOURCE_EXHAUSTED", "the leader does not read its replica stream"));
    return false;
  }

  /** What is on its way, in either direction, is for nobody any more: the stream is cut, not ended. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#channel.close();
  }

  #onMessage(message: Buffer): void {
    if (this.#isClosed) return;
    try {
      this.#handlers.onFrame(decodePayload(message));
    } catch (error: unknown) {
      // Bytes that are no frame: the stream ends with that error, which `onEnd` tells.
      if (!(error instanceof LograftError)) throw error;
      this.#stream.cancel(statusFromError(error));
    }
  }

  #onDrain(): void {
    if (!this.#isClosed) this.#handlers.onDrain();
  }

  #onClose(status: RpcStatus): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#channel.close();
    this.#handlers.onEnd(peerError(status, this.#endpoint));
  }
}
