import { InvariantError } from "../base/assert.ts";
import { errorMessage } from "../base/errors.ts";
import type { PeerAddress } from "../model/peer-address.ts";
import type {
  AcceptedReplica,
  LeaderEndpoint,
  ReplicaChannel,
  ReplicaChannelHandlers,
  ReplicaInput,
} from "../replication/leader-endpoint.ts";
import { connectionError, SimConnection } from "./sim-connection.ts";
import type { ConnectionSide } from "./sim-connection.ts";
import type { SimNetwork } from "./sim-network.ts";
import type { SimProcess } from "./sim-process.ts";
import { isMeant } from "./sim-raft-transport.ts";

/** A frame, the news of bytes that the other side has taken, or why the leader ended the stream. */
type Parcel =
  | { readonly type: "frame"; readonly bytes: Buffer }
  | { readonly type: "taken"; readonly sizeBytes: number }
  | { readonly type: "end"; readonly cause: Error };

/** Bytes on their way at which a sender is told to stop: few, so that streams do block. */
const HIGH_WATER_BYTES = 4 * 1024;

export interface SimLeaderEndpointDeps {
  readonly network: SimNetwork<SimProcess>;
  /** Whose followers use it. */
  readonly host: SimProcess;
}

/** Replica streams over simulated connections, with the back-pressure of a socket. */
export class SimLeaderEndpoint implements LeaderEndpoint {
  readonly #network: SimNetwork<SimProcess>;
  readonly #host: SimProcess;

  constructor(deps: SimLeaderEndpointDeps) {
    this.#network = deps.network;
    this.#host = deps.host;
  }

  open(to: PeerAddress, handlers: ReplicaChannelHandlers): ReplicaChannel {
    let isEnded = false;
    const end = (cause: Error): void => {
      if (isEnded) return;
      isEnded = true;
      handlers.onEnd(cause);
    };
    const side = SimConnection.open<SimProcess, Parcel>(
      this.#network,
      this.#host,
      to.endpoint,
      {
        onFrame: (parcel) => {
          if (isEnded) return;
          if (parcel.type === "end") end(parcel.cause);
          else buffer.take(parcel, handlers);
        },
        onEnd: (reason) => end(connectionError(to.endpoint, reason)),
      },
      (host, accepted) => serve(host, accepted, to),
    );
    const buffer = new SendBuffer(side);
    return {
      send: (chunks) => isEnded || buffer.send(chunks),
      close: () => {
        isEnded = true;
        side.close();
      },
    };
  }
}

/** The leader's side. */
function serve(
  { peer }: SimProcess,
  side: ConnectionSide<Parcel>,
  to: PeerAddress,
): { onFrame(parcel: Parcel): void; onEnd(): void } {
  let isEnded = false;
  const close = (cause?: Error): void => {
    if (isEnded) return;
    isEnded = true;
    if (cause !== undefined) side.send({ type: "end", cause });
    side.close();
  };
  const nothing = { onFrame: () => undefined, onEnd: () => undefined };
  if (peer === undefined || !isMeant(to, peer)) {
    close(connectionError(to.endpoint, "refused"));
    return nothing;
  }
  const buffer = new SendBuffer(side);
  const stream: AcceptedReplica = {
    send: (chunks) => isEnded || buffer.send(chunks),
    close: (error) => close(error),
  };
  let input: ReplicaInput;
  try {
    input = peer.acceptReplica(stream);
  } catch (error: unknown) {
    close(asFault(error));
    return nothing;
  }
  return {
    onFrame: (parcel) => {
      if (isEnded) return;
      try {
        buffer.take(parcel, input);
      } catch (error: unknown) {
        close(asFault(error));
        input.onEnd();
      }
    },
    onEnd: () => {
      if (isEnded) return;
      isEnded = true;
      input.onEnd();
    },
  };
}

/** What one side has sent and the other has not taken yet. */
class SendBuffer {
  readonly #side: ConnectionSide<Parcel>;
  #pendingBytes = 0;
  #isBlocked = false;

  constructor(side: ConnectionSide<Parcel>) {
    this.#side = side;
  }

  send(chunks: readonly Uint8Array[]): boolean {
    // A copy: what the sender does with its buffers afterwards must not be seen by the other machine.
    const bytes = Buffer.concat(chunks);
    this.#pendingBytes += bytes.length;
    this.#side.send({ type: "frame", bytes });
    if (this.#pendingBytes >= HIGH_WATER_BYTES) this.#isBlocked = true;
    return !this.#isBlocked;
  }

  take(parcel: Parcel, input: { onFrame(frame: Buffer): void; onDrain(): void }): void {
    if (parcel.type === "frame") {
      this.#side.send({ type: "taken", sizeBytes: parcel.bytes.length });
      input.onFrame(parcel.bytes);
    } else if (parcel.type === "taken") {
      this.#pendingBytes -= parcel.sizeBytes;
      if (!this.#isBlocked || this.#pendingBytes >= HIGH_WATER_BYTES) return;
      this.#isBlocked = false;
      input.onDrain();
    }
  }
}

/** A broken invariant is a bug of this side; anything else is told to the other one. */
function asFault(error: unknown): Error {
  if (error instanceof InvariantError) throw error;
  return error instanceof Error ? error : new Error(errorMessage(error));
}
