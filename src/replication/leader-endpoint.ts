import type { LograftError } from "../base/errors.ts";
import type { PeerAddress } from "../model/peer-address.ts";

/** A follower's side of a replica stream. */
export interface ReplicaChannel {
  /** The chunks are one frame. False: over the high-water mark, stop until `onDrain` (it is accepted all the same). Dropped after the end. */
  send(chunks: readonly Uint8Array[]): boolean;
  /** Idempotent. `onEnd` is not called after it. */
  close(): void;
}

export interface ReplicaChannelHandlers {
  /** Frames of the leader, in order; each is the receiver's to keep. */
  onFrame(frame: Buffer): void;
  onDrain(): void;
  /** Once, when the stream ended without `close`. */
  onEnd(cause: Error): void;
}

/** How a follower reaches the brokers that lead what it follows. Frames are encoded by `replica-frames`. */
export interface LeaderEndpoint {
  /** A stream on a connection that carries nothing else. Opens in the background. */
  open(to: PeerAddress, handlers: ReplicaChannelHandlers): ReplicaChannel;
}

/** The leader's side of a replica stream. */
export interface AcceptedReplica {
  /** As `ReplicaChannel.send`. The chunks must not change any more. */
  send(chunks: readonly Uint8Array[]): boolean;
  /** Ends the stream, with an error that the follower is told. */
  close(error?: LograftError): void;
}

/** What the leader does with a stream that a follower opened. */
export interface ReplicaInput {
  /** What it throws ends the stream with that error. */
  onFrame(frame: Buffer): void;
  onDrain(): void;
  /** Once, when the stream ended otherwise than by `AcceptedReplica.close`. */
  onEnd(): void;
}
