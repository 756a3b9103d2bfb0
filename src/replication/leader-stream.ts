import { Backoff } from "../base/backoff.ts";
import type { Logger } from "../base/logger.ts";
import type { PeerAddress } from "../model/peer-address.ts";
import type { Clock, Timer } from "../platform/clock.ts";
import type { Random } from "../platform/random.ts";
import type { LeaderEndpoint, ReplicaChannel } from "./leader-endpoint.ts";
import { encodeFollowerFrame } from "./replica-frames.ts";
import type { FollowerPart } from "./replica-frames.ts";
import type { FollowerIdentity } from "./replica.ts";

export interface LeaderStreamOptions {
  /** Batch bytes that a leader may have sent and that are not done with here. */
  readonly windowBytes: number;
}

export interface LeaderStreamDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly endpoint: LeaderEndpoint;
  readonly identity: () => FollowerIdentity | undefined;
  /** A frame of the present stream. */
  readonly onFrame: (frame: Buffer) => void;
  /** There is something to send, or room for it again. */
  readonly onWritable: () => void;
  /** Nothing that was told on the stream before counts any more. */
  readonly onLost: () => void;
}

/** Delays between attempts to reach a leader, and between questions that it refuses. */
export const LEADER_BACKOFF = { initialMs: 20, maxMs: 1000 };
/** A stream that held so long was a good one: the next begins without the delays that came before it. */
const GOOD_STREAM_MS = 1000;

/**
 * The connection of a fetcher to one leader: opened again with growing delays whenever it breaks, while somebody wants
 * it. Keeps the credit: of the window's bytes none is granted twice, through all streams.
 */
export class LeaderStream {
  readonly #windowBytes: number;
  readonly #deps: LeaderStreamDeps;
  readonly #backoff: Backoff;
  #leader: PeerAddress;
  #channel: ReplicaChannel | undefined;
  /** Tells the events of this stream from late ones of those before. */
  #round = 0;
  #openedMs = 0;
  /** Came on any stream and is not done with yet. */
  #heldBytes = 0;
  #owedBytes = 0;
  #timer: Timer | undefined;
  #isBlocked = false;
  #isClosed = false;

  constructor(leader: PeerAddress, options: LeaderStreamOptions, deps: LeaderStreamDeps) {
    this.#leader = leader;
    this.#windowBytes = options.windowBytes;
    this.#deps = deps;
    this.#backoff = new Backoff(LEADER_BACKOFF, { random: deps.random });
  }

  get leader(): PeerAddress {
    return this.#leader;
  }

  get isOpen(): boolean {
    return this.#channel !== undefined;
  }

  /** Over the high-water mark: `onWritable` follows. */
  get isBlocked(): boolean {
    return this.#isBlocked;
  }

  /** Opens it unless it is open, or an attempt is due. */
  open(): void {
    if (this.#isClosed || this.#channel !== undefined || this.#timer !== undefined) return;
    const { clock, endpoint, identity } = this.#deps;
    const self = identity();
    if (self === undefined) {
      this.#openLater();
      return;
    }
    const round = ++this.#round;
    this.#isBlocked = false;
    this.#openedMs = clock.monotonicMs();
    this.#channel = endpoint.open(this.#leader, {
      onFrame: (frame) => {
        if (round === this.#round) this.#deps.onFrame(frame);
      },
      onDrain: () => {
        if (round !== this.#round) return;
        this.#isBlocked = false;
        this.#deps.onWritable();
      },
      onEnd: (cause) => {
        if (round === this.#round) this.fail(cause);
      },
    });
    // What earlier streams brought and the disk has not taken yet counts against the window.
    const bytes = this.#windowBytes - this.#heldBytes;
    this.#owedBytes = Math.min(bytes, 0);
    this.send([
      { type: "open", ...self },
      { type: "credit", bytes: Math.max(bytes, 0) },
    ]);
    this.#deps.onWritable();
  }

  /** Ends this stream, for the other side broke it or the rules of it, and opens another a little later. */
  fail(cause: Error): void {
    const { clock, logger } = this.#deps;
    if (clock.monotonicMs() - this.#openedMs >= GOOD_STREAM_MS) this.#backoff.reset();
    // One line for an outage, not one for each attempt.
    if (this.#backoff.attempts === 0) {
      const { nodeId, endpoint } = this.#leader;
      logger.warn("a replica stream has ended and will be opened again", {
        leader: nodeId,
        endpoint,
        err: cause,
      });
    }
    this.#leave();
    if (!this.#isClosed) this.#openLater();
  }

  /** Begins a new stream at once, at `leader` from now on. */
  reopen(leader: PeerAddress = this.#leader): void {
    this.#leader = leader;
    this.#backoff.reset();
    this.#leave();
    this.open();
  }

  /** For good. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#leave();
  }

  send(parts: readonly FollowerPart[]): void {
    if (this.#channel?.send([encodeFollowerFrame(parts)]) === false) this.#isBlocked = true;
  }

  /** Batches of so many bytes are being appended. */
  hold(bytes: number): void {
    this.#heldBytes += bytes;
  }

  /** They are durable, or lost: there is room for others. */
  release(bytes: number): void {
    this.#heldBytes -= bytes;
    this.drop(bytes);
  }

  /** Batches of so many bytes came and were not taken. */
  drop(bytes: number): void {
    this.#owedBytes += bytes;
    this.#deps.onWritable();
  }

  /** What may be granted now; it counts as granted. */
  takeCredit(): number {
    const bytes = Math.max(this.#owedBytes, 0);
    this.#owedBytes -= bytes;
    return bytes;
  }

  #openLater(): void {
    this.#timer ??= this.#deps.clock.setTimer(this.#backoff.nextMs(), () => {
      this.#timer = undefined;
      this.open();
    });
  }

  #leave(): void {
    this.#round += 1;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#isBlocked = false;
    const channel = this.#channel;
    this.#channel = undefined;
    channel?.close();
    this.#deps.onLost();
  }
}
