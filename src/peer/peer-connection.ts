import { Backoff } from "../base/backoff.ts";
import { errorMessage } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { NodeId } from "../model/ids.ts";
import type { PeerAddress } from "../model/peer-address.ts";
import type { Clock, Timer } from "../platform/clock.ts";
import type { Random } from "../platform/random.ts";
import { RAFT_METHOD } from "../rpc/method-names.ts";
import { encodePayload } from "../rpc/payload-codec.ts";
import { peerMetadata, type PeerIdentity } from "../rpc/peer-headers.ts";
import { PEER_MAX_MESSAGE_BYTES } from "../rpc/peer-limits.ts";
import type { RpcStatus } from "../rpc/status.ts";
import type { ByteStream, StreamChannel } from "../rpc/stream/byte-stream.ts";
import { chunksByteLength } from "../rpc/stream/message-framing.ts";
import { openPeerChannel } from "./peer-channel.ts";
import { peerError } from "./peer-error.ts";

export interface PeerConnectionOptions {
  readonly address: PeerAddress;
  /** Asked anew for each stream: the cluster is joined only after the first ones. */
  readonly identity: () => PeerIdentity;
  /** Bytes that may wait for the peer; what comes beyond is dropped. */
  readonly maxQueueBytes: number;
}

/** Room for the tag and length of a payload. */
const ENVELOPE_BYTES = 16;
/** With the jitter at most a second: a peer that is back is found within that. */
const BACKOFF = { initialMs: 20, maxMs: 800 } as const;
/** Between two lines about one peer that cannot be reached, or about messages dropped for it. */
const LOG_EVERY_MS = 10_000;

/**
 * The Raft stream to one peer: opened when there is something to send, and again after a loss with growing pauses. What
 * was given to a stream that broke is gone; what comes in a pause waits for the next attempt, which is at most a second
 * away, so no old message reaches a peer that was gone for long.
 */
export class PeerConnection {
  readonly #options: PeerConnectionOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #channel: StreamChannel;
  readonly #backoff: Backoff;
  readonly #waiting: (readonly Uint8Array[])[] = [];
  #waitingBytes = 0;
  #stream: ByteStream | undefined;
  #pause: Timer | undefined;
  #isAccepted = false;
  #isClosed = false;
  #dropped = 0;
  #droppedLogMs = -Infinity;
  #failureLogMs = -Infinity;

  /** @throws LograftError INVALID_ARGUMENT when the endpoint of the address is not "host:port". */
  constructor(
    options: PeerConnectionOptions,
    deps: { readonly clock: Clock; readonly random: Random; readonly logger: Logger },
  ) {
    this.#options = options;
    this.#clock = deps.clock;
    this.#logger = deps.logger.child({ peerId: options.address.nodeId, peer: options.address.endpoint });
    this.#backoff = new Backoff(BACKOFF, deps);
    this.#channel = openPeerChannel(options.address.endpoint, { reconnectMs: 0 }, deps);
  }

  get nodeId(): NodeId {
    return this.#options.address.nodeId;
  }

  /** Messages that were dropped because too much waited, or because they were too large. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Sends, keeps for the next attempt, or drops. */
  send(message: readonly Uint8Array[]): void {
    if (this.#isClosed) return;
    const size = chunksByteLength(message) + ENVELOPE_BYTES;
    if (size > PEER_MAX_MESSAGE_BYTES) {
      this.#drop("it is larger than the peer port takes", size);
      return;
    }
    const waitingBytes = this.#stream?.bufferedBytes ?? this.#waitingBytes;
    if (waitingBytes + size > this.#options.maxQueueBytes) {
      this.#drop("too much waits for the peer", size);
      return;
    }
    if (this.#stream !== undefined) {
      this.#stream.send(encodePayload(message));
      return;
    }
    this.#waiting.push(message);
    this.#waitingBytes += size;
    if (this.#pause === undefined) this.#open();
  }

  /** The peer is there: the next attempt is made now, or with the next message. */
  wake(): void {
    this.#backoff.reset();
    if (this.#pause === undefined || this.#isClosed) return;
    this.#pause.cancel();
    this.#pause = undefined;
    if (this.#waiting.length > 0) this.#open();
  }

  /** Ends the connection. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#pause?.cancel();
    this.#waiting.length = 0;
    this.#channel.close();
  }

  #open(): void {
    const { address, identity } = this.#options;
    let stream: ByteStream;
    try {
      stream = this.#channel.openStream(RAFT_METHOD, { metadata: peerMetadata(identity(), address) });
    } catch (error: unknown) {
      // Ids that cannot be sent as metadata: they come from a log, so nothing is sent and nothing ends.
      this.#logFailure(errorMessage(error));
      this.#clearWaiting();
      this.#rest();
      return;
    }
    this.#stream = stream;
    this.#isAccepted = false;
    // The one RaftAck: only now it is known that the peer takes us.
    stream.onMessage(() => {
      this.#isAccepted = true;
      this.#backoff.reset();
      this.#failureLogMs = -Infinity;
    });
    stream.onClose((status) => this.#onClose(status));
    for (const message of this.#waiting) stream.send(encodePayload(message));
    this.#clearWaiting();
  }

  #onClose(status: RpcStatus): void {
    this.#stream = undefined;
    if (this.#isClosed) return;
    const reason = peerError(status, this.#options.address.endpoint).message;
    if (this.#isAccepted) this.#logger.info("the Raft stream to a peer ended", { reason });
    else this.#logFailure(reason);
    this.#rest();
  }

  /** Pauses; then opens a stream if something waits by then, else with the next message. */
  #rest(): void {
    this.#pause = this.#clock.setTimer(this.#backoff.nextMs(), () => {
      this.#pause = undefined;
      if (this.#waiting.length > 0) this.#open();
    });
  }

  #clearWaiting(): void {
    this.#waiting.length = 0;
    this.#waitingBytes = 0;
  }

  #drop(reason: string, sizeBytes: number): void {
    this.#dropped += 1;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#droppedLogMs < LOG_EVERY_MS) return;
    this.#droppedLogMs = nowMs;
    this.#logger.warn("Raft messages are dropped", { reason, sizeBytes, dropped: this.#dropped });
  }

  #logFailure(reason: string): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#failureLogMs < LOG_EVERY_MS) return;
    this.#failureLogMs = nowMs;
    this.#logger.warn("a peer cannot be reached", { reason });
  }
}
