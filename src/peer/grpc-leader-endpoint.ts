import { LograftError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { PeerAddress } from "../model/peer-address.ts";
import type { Clock } from "../platform/clock.ts";
import type {
  LeaderEndpoint,
  ReplicaChannel,
  ReplicaChannelHandlers,
} from "../replication/leader-endpoint.ts";
import type { PeerIdentity } from "../rpc/peer-headers.ts";
import { openPeerChannel } from "./peer-channel.ts";
import { ReplicaConnection } from "./replica-connection.ts";

export interface GrpcLeaderEndpointOptions {
  /** Who this node is; the cluster id is learned later. */
  readonly identity: () => PeerIdentity;
}

/** The way to the leaders of what this broker follows, over gRPC's direct lane. Each channel ends by its own `close`. */
export class GrpcLeaderEndpoint implements LeaderEndpoint {
  readonly #options: GrpcLeaderEndpointOptions;
  readonly #deps: { readonly clock: Clock; readonly logger: Logger };

  constructor(options: GrpcLeaderEndpointOptions, deps: { readonly clock: Clock; readonly logger: Logger }) {
    this.#options = options;
    this.#deps = deps;
  }

  open(to: PeerAddress, handlers: ReplicaChannelHandlers): ReplicaChannel {
    const identity = this.#options.identity();
    try {
      const channel = openPeerChannel(to.endpoint, { reconnectMs: 0 }, this.#deps);
      return new ReplicaConnection({ address: to, identity }, { channel, handlers });
    } catch (error: unknown) {
      if (!(error instanceof LograftError)) throw error;
      return this.#endedChannel(handlers, error);
    }
  }

  /** An address that cannot be used is a stream that ends, as one to an address that cannot be reached. */
  #endedChannel(handlers: ReplicaChannelHandlers, cause: Error): ReplicaChannel {
    let isClosed = false;
    this.#deps.clock.defer(() => {
      if (!isClosed) handlers.onEnd(cause);
    });
    return {
      send: () => false,
      close: () => {
        isClosed = true;
      },
    };
  }
}
