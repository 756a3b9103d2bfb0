import type { NodeId } from "../model/ids.ts";
import { encodeControllerFrame } from "./session-frames.ts";
import type { ControllerFrame, RefusedFrame } from "./session-frames.ts";

/** The controller's end of a broker's session stream. */
export interface SessionPeer {
  /** Dropped when the stream has ended. */
  send(frame: Uint8Array): void;
  /** Sends what is waiting, then ends the stream. Idempotent. */
  close(): void;
}

/** What a session stream is told. */
export interface SessionInput {
  onFrame(frame: Buffer): void;
  /** Once, when the stream ended otherwise than by `SessionPeer.close`. */
  onEnd(): void;
}

/** One stream, from its opening to its end. */
export class SessionStream {
  readonly id: number;
  /** Who registered on it; undefined: nobody yet. */
  owner: NodeId | undefined;
  readonly #peer: SessionPeer;
  #isClosed = false;

  constructor(id: number, peer: SessionPeer) {
    this.id = id;
    this.#peer = peer;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  send(frame: ControllerFrame): void {
    if (!this.#isClosed) this.#peer.send(encodeControllerFrame(frame));
  }

  /** Tells why, and ends the stream. */
  refuse(refusal: Omit<RefusedFrame, "type">): void {
    this.send({ type: "refused", ...refusal });
    this.close();
  }

  /** Ends the stream from here. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#peer.close();
  }

  /** The other side ended it. */
  markEnded(): void {
    this.#isClosed = true;
  }
}
