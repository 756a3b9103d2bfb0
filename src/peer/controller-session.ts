import { operationError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { SessionEnd, SessionHandlers, SessionStream } from "../broker/controller-channel.ts";
import type { PeerAddress } from "../model/peer-address.ts";
import type { Clock } from "../platform/clock.ts";
import { SESSION_METHOD } from "../rpc/method-names.ts";
import { decodePayload, encodePayload } from "../rpc/payload-codec.ts";
import { peerMetadata, type PeerIdentity } from "../rpc/peer-headers.ts";
import { PEER_MAX_WAITING_BYTES } from "../rpc/peer-limits.ts";
import { probePort } from "../rpc/probe-port.ts";
import { rpcStatus, type RpcStatus } from "../rpc/status.ts";
import type { ByteStream, StreamChannel } from "../rpc/stream/byte-stream.ts";
import { openPeerChannel, targetOf } from "./peer-channel.ts";
import { peerError } from "./peer-error.ts";

/** How long the question may take whether a lost process is gone; a living machine answers it in one round trip. */
const PROBE_TIMEOUT_MS = 500;
/** How long what was sent before `close` may take to leave. */
const CLOSE_TIMEOUT_MS = 1000;

export interface ControllerSessionOptions {
  readonly address: PeerAddress;
  readonly identity: PeerIdentity;
}

/** One heartbeat stream on a connection of its own (H29). It is not opened again: who lost it decides where to go. */
export class ControllerSession implements SessionStream {
  readonly #options: ControllerSessionOptions;
  readonly #clock: Clock;
  readonly #handlers: SessionHandlers;
  readonly #channel: StreamChannel;
  readonly #stream: ByteStream;
  #isClosed = false;

  /** @throws LograftError INVALID_ARGUMENT for an address or ids that cannot be used. */
  constructor(
    options: ControllerSessionOptions,
    deps: { readonly clock: Clock; readonly logger: Logger; readonly handlers: SessionHandlers },
  ) {
    const { address, identity } = options;
    this.#options = options;
    this.#clock = deps.clock;
    this.#handlers = deps.handlers;
    this.#channel = openPeerChannel(address.endpoint, { reconnectMs: 0 }, deps);
    this.#stream = this.#channel.openStream(SESSION_METHOD, { metadata: peerMetadata(identity, address) });
    this.#stream.onMessage((message) => this.#onMessage(message));
    this.#stream.onEnd(() => this.#stream.end());
    this.#stream.onClose((status) => this.#onClose(status));
  }

  send(frame: Uint8Array): void {
    if (this.#isClosed) return;
    if (this.#stream.bufferedBytes + frame.byteLength > PEER_MAX_WAITING_BYTES) {
      this.#stream.cancel(rpcStatus("RESOURCE_EXHAUSTED", "the controller does not read its session"));
      return;
    }
    this.#stream.send(encodePayload([frame]));
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#stream.end();
    // Already closed: the channel is closed too, and this does nothing.
    const timer = this.#clock.setTimer(CLOSE_TIMEOUT_MS, () => this.#channel.close());
    this.#stream.signal.addEventListener("abort", () => timer.cancel(), { once: true });
  }

  #onMessage(message: Buffer): void {
    if (!this.#isClosed) this.#handlers.onFrame(decodePayload(message));
  }

  #onClose(status: RpcStatus): void {
    this.#channel.close();
    if (this.#isClosed) return;
    const { endpoint } = this.#options.address;
    const cause = peerError(status, endpoint);
    if (status.connection !== "lost") {
      this.#finish(status.connection === "refused" ? "refused" : "closed", cause);
      return;
    }
    // The connection of a process that died breaks as one that was cut does; only the next one tells them apart.
    probePort({ ...targetOf(endpoint), timeoutMs: PROBE_TIMEOUT_MS }, { clock: this.#clock }).then(
      (state) => this.#finish(state === "refused" ? "refused" : "closed", cause),
      (error: unknown) =>
        this.#finish("closed", operationError("CONNECTION_FAILED", cause.message, { cause: error })),
    );
  }

  #finish(reason: SessionEnd, cause: Error): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#handlers.onEnd(reason, cause);
  }
}
