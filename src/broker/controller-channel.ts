import type { PeerAddress } from "../model/peer-address.ts";

/** Why a session ended: the process behind the address is gone, or only the connection. */
export type SessionEnd = "refused" | "closed";

/** The broker's side of a heartbeat stream. */
export interface SessionStream {
  /** Dropped when the stream has ended. */
  send(frame: Uint8Array): void;
  /** Idempotent. `onEnd` is not called after it. */
  close(): void;
}

export interface SessionHandlers {
  /** Frames of the controller, in order. */
  onFrame(frame: Buffer): void;
  /** Once, when the stream ended without `close`. */
  onEnd(reason: SessionEnd, cause: Error): void;
}

/** How a broker reaches the active controller. Frames and requests are encoded by `controller/`. */
export interface ControllerChannel {
  /**
   * One request, one answer. @throws LograftError: what the controller threw, CONNECTION_FAILED, TIMEOUT (the request may
   * have been carried out), the reason of `signal`.
   */
  call(to: PeerAddress, request: Uint8Array, signal: AbortSignal): Promise<Buffer>;
  /** A heartbeat stream, on a connection that carries nothing else (H29). Opens in the background. */
  openSession(to: PeerAddress, handlers: SessionHandlers): SessionStream;
}

/** The controller's side of a heartbeat stream. */
export interface AcceptedSession {
  send(frame: Uint8Array): void;
  close(): void;
}
