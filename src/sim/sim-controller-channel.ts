import { InvariantError } from "../base/assert.ts";
import type { ControllerChannel, SessionHandlers, SessionStream } from "../broker/controller-channel.ts";
import type { PeerAddress } from "../model/peer-address.ts";
import { connectionError, SimConnection } from "./sim-connection.ts";
import type { SimNetwork } from "./sim-network.ts";
import type { SimProcess } from "./sim-process.ts";
import { isMeant } from "./sim-raft-transport.ts";
import { request } from "./sim-request.ts";

/** Calls and heartbeat streams over simulated connections. */
export class SimControllerChannel implements ControllerChannel {
  readonly #network: SimNetwork<SimProcess>;
  readonly #host: SimProcess;

  constructor(deps: { readonly network: SimNetwork<SimProcess>; readonly host: SimProcess }) {
    this.#network = deps.network;
    this.#host = deps.host;
  }

  call(to: PeerAddress, bytes: Uint8Array, signal: AbortSignal): Promise<Buffer> {
    const question = Buffer.from(bytes);
    const serve = async ({ peer }: SimProcess, gone: AbortSignal): Promise<Buffer> => {
      if (peer === undefined || !isMeant(to, peer)) throw connectionError(to.endpoint, "refused");
      return peer.handleCall(question, gone);
    };
    return request(this.#network, this.#host, to.endpoint, serve, signal);
  }

  openSession(to: PeerAddress, handlers: SessionHandlers): SessionStream {
    const side = SimConnection.open<SimProcess, Buffer>(
      this.#network,
      this.#host,
      to.endpoint,
      {
        onFrame: (frame) => handlers.onFrame(frame),
        onEnd: (reason) => handlers.onEnd(reason, connectionError(to.endpoint, reason)),
      },
      ({ peer }, accepted) => {
        if (peer === undefined || !isMeant(to, peer)) {
          accepted.close();
          return { onFrame: () => undefined, onEnd: () => undefined };
        }
        const session = peer.acceptSession({
          send: (frame) => accepted.send(Buffer.from(frame)),
          close: () => accepted.close(),
        });
        return {
          onFrame: (frame) => {
            try {
              session.onFrame(frame);
            } catch (error: unknown) {
              // A broken invariant is a bug of the receiver; anything else was the sender's fault and ends the stream.
              if (error instanceof InvariantError) throw error;
              accepted.close();
              session.onEnd();
            }
          },
          onEnd: () => session.onEnd(),
        };
      },
    );
    return { send: (frame) => side.send(Buffer.from(frame)), close: () => side.close() };
  }
}
