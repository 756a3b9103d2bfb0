import type { RpcStatus } from "../status.ts";

/** Call metadata: lower-case names, text values (binary headers end in "-bin" and hold base64). */
export type RpcMetadata = ReadonlyMap<string, string>;

/**
 * One bidirectional gRPC stream, seen from either side, over either lane (D16): handlers do not know which one carries
 * them. Messages are the serialized protobuf bytes, without gRPC's 5-byte prefix. No promise and no object is made for
 * a message.
 *
 * Life: open -> (half-closed by one side) -> closed. `onClose` is called exactly once, with the status the call ended
 * with, and nothing is called after it. Handlers must be set in the turn in which the stream was got; messages wait
 * until then.
 */
export interface ByteStream {
  /** Full method, "/lograft.v1.ClientService/Produce". */
  readonly method: string;
  /** "host:port" of the other side, for logs. */
  readonly peer: string;
  /** What the client sent along. */
  readonly metadata: RpcMetadata;
  /** Aborted when the stream closed, for whatever waits on its behalf. */
  readonly signal: AbortSignal;
  /** Bytes accepted by `send` that the transport has not yet taken. */
  readonly bufferedBytes: number;

  /** The message is the receiver's to keep: one contiguous buffer that no other code writes to. */
  onMessage(handler: (message: Buffer) => void): void;
  /** The other side will send no more messages (half-close). */
  onEnd(handler: () => void): void;
  onClose(handler: (status: RpcStatus) => void): void;
  /** The transport took what was buffered, after a `send` that answered false. */
  onDrain(handler: () => void): void;

  /**
   * Sends one message, given as chunks that together are its bytes; they must not change until taken. False: over the
   * high-water mark, so stop until `onDrain` (the message is accepted all the same). After the close: dropped, false.
   */
  send(chunks: readonly Uint8Array[]): boolean;
  /** Stops `onMessage`; what the other side sends then waits in the transport's window. */
  pause(): void;
  resume(): void;
  /** Server: ends the call with this status, after what was sent. Client: half-closes (status is ignored). */
  end(status?: RpcStatus): void;
  /** Ends the call at once; what is not sent is dropped. The other side sees CANCELLED, or the status from a server. */
  cancel(status?: RpcStatus): void;
}

/** Serves one method. Throwing ends the call with INTERNAL and is logged; it never ends the process. */
export type StreamHandler = (stream: ByteStream) => void;

/** What a caller may say about a call. */
export interface CallOptions {
  readonly metadata?: RpcMetadata;
  /** From now; the call ends with DEADLINE_EXCEEDED after it. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** The client side of a lane: one connection to one broker, re-made on demand. */
export interface StreamChannel {
  /** Opens at once; a connection that cannot be made shows as a close with UNAVAILABLE. */
  openStream(method: string, options?: CallOptions): ByteStream;
  /** Ends the connection; open streams close with CANCELLED. Idempotent. */
  close(): void;
}
