import { LograftError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { ControllerChannel, SessionHandlers, SessionStream } from "../broker/controller-channel.ts";
import type { PeerAddress } from "../model/peer-address.ts";
import type { Clock } from "../platform/clock.ts";
import { CONTROL_METHOD } from "../rpc/method-names.ts";
import { decodePayload, encodePayload } from "../rpc/payload-codec.ts";
import { peerMetadata, type PeerIdentity } from "../rpc/peer-headers.ts";
import type { StreamChannel } from "../rpc/stream/byte-stream.ts";
import { callOnce } from "../rpc/stream/call-once.ts";
import { ControllerSession } from "./controller-session.ts";
import { openPeerChannel } from "./peer-channel.ts";
import { peerError } from "./peer-error.ts";

export interface GrpcControllerChannelOptions {
  /** Who this node is; the cluster id is learned later. */
  readonly identity: () => PeerIdentity;
}

/** The end of a call whose caller would wait longer. */
const CALL_TIMEOUT_MS = 60_000;
/** First pause after a failed connection: a controller that comes back is found within 200 ms. */
const RECONNECT_MS = 20;
/** Connections at a time; beyond, the one unused for longest is closed. Any voter may become the controller. */
const MAX_CHANNELS = 100;

/** The way to the active controller over gRPC: one connection for the calls to each address, one for each session. */
export class GrpcControllerChannel implements ControllerChannel {
  readonly #options: GrpcControllerChannelOptions;
  readonly #deps: { readonly clock: Clock; readonly logger: Logger };
  /** By endpoint, least recently used first. */
  readonly #channels = new Map<string, StreamChannel>();

  constructor(
    options: GrpcControllerChannelOptions,
    deps: { readonly clock: Clock; readonly logger: Logger },
  ) {
    this.#options = options;
    this.#deps = deps;
  }

  async call(to: PeerAddress, request: Uint8Array, signal: AbortSignal): Promise<Buffer> {
    const answer = await callOnce(this.#channelTo(to.endpoint), CONTROL_METHOD, encodePayload([request]), {
      metadata: peerMetadata(this.#options.identity(), to),
      timeoutMs: CALL_TIMEOUT_MS,
      signal,
      errorOf: (status) => peerError(status, to.endpoint),
    });
    return decodePayload(answer);
  }

  openSession(to: PeerAddress, handlers: SessionHandlers): SessionStream {
    const identity = this.#options.identity();
    try {
      return new ControllerSession({ address: to, identity }, { ...this.#deps, handlers });
    } catch (error: unknown) {
      if (!(error instanceof LograftError)) throw error;
      return this.#endedSession(handlers, error);
    }
  }

  /** Ends the connections of all calls; those under way fail. Sessions end by their own `close`. Idempotent. */
  close(): void {
    for (const channel of this.#channels.values()) channel.close();
    this.#channels.clear();
  }

  #channelTo(endpoint: string): StreamChannel {
    const known = this.#channels.get(endpoint);
    const channel = known ?? openPeerChannel(endpoint, { reconnectMs: RECONNECT_MS }, this.#deps);
    this.#channels.delete(endpoint);
    this.#channels.set(endpoint, channel);
    const [oldest] = this.#channels.keys();
    if (oldest !== undefined && this.#channels.size > MAX_CHANNELS) {
      this.#channels.get(oldest)?.close();
      this.#channels.delete(oldest);
    }
    return channel;
  }

  /** An address that cannot be used is a session that ends, as one that cannot be reached is. */
  #endedSession(handlers: SessionHandlers, cause: Error): SessionStream {
    let isClosed = false;
    this.#deps.clock.defer(() => {
      if (!isClosed) handlers.onEnd("closed", cause);
    });
    return {
      send: () => undefined,
      close: () => {
        isClosed = true;
      },
    };
  }
}
