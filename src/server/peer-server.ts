import type { Logger } from "../base/logger.ts";
import type { PeerEndpoint } from "../broker/peer-endpoint.ts";
import type { Clock } from "../platform/clock.ts";
import { PEER_KEEPALIVE, PEER_MAX_MESSAGE_BYTES, PEER_SEND_HIGH_WATER_BYTES } from "../rpc/peer-limits.ts";
import { DirectServer } from "../rpc/stream/direct-server.ts";
import { Draining } from "./grpc/draining.ts";
import type { InjectedServer } from "./grpc/injected-server.ts";
import { peerGrpcServer } from "./grpc/peer-grpc-server.ts";
import { peerHandlers } from "./grpc/peer-service.ts";
import { Listener } from "./listener.ts";

/**
 * Bounds of the peer port. A broker keeps four connections to another: the Raft stream, the calls to the controller, the
 * session, and the replica stream; each has a stream or a few.
 */
const LIMITS = {
  maxConnections: 4000,
  maxConnectionsPerAddress: 1000,
  maxUndecided: 200,
  maxUndecidedPerAddress: 100,
  /** Peers say at once what they speak. */
  decisionTimeoutMs: 5000,
  /** Of one connection. */
  maxConcurrentStreams: 64,
  firstRequestTimeoutMs: 5000,
  idleTimeoutMs: 60_000,
} as const;

export interface PeerServerOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Every connection goes to the direct lane: for the tests that hold it against foreign gRPC clients. */
  readonly isDirectOnly?: boolean;
}

/** The inbound side of a broker towards the other brokers: the port of the PEER listener, on both lanes. */
export class PeerServer {
  readonly #listener: Listener;
  readonly #direct: DirectServer;
  readonly #grpc: InjectedServer;
  readonly #draining: Draining;

  private constructor(listener: Listener, direct: DirectServer, grpc: InjectedServer, draining: Draining) {
    this.#listener = listener;
    this.#direct = direct;
    this.#grpc = grpc;
    this.#draining = draining;
  }

  /** Listens. @throws LograftError ADDRESS_IN_USE, CONFIG_INVALID. */
  static async start(
    options: PeerServerOptions,
    deps: { readonly endpoint: PeerEndpoint; readonly clock: Clock; readonly logger: Logger },
  ): Promise<PeerServer> {
    const draining = new Draining();
    const handlers = peerHandlers({ ...deps, draining });
    const direct = new DirectServer(
      {
        ...LIMITS,
        maxMessageBytes: PEER_MAX_MESSAGE_BYTES,
        sendHighWaterBytes: PEER_SEND_HIGH_WATER_BYTES,
        keepalive: PEER_KEEPALIVE,
      },
      deps,
    );
    for (const [method, handler] of handlers) direct.handle(method, handler);
    const grpc = peerGrpcServer({ ...LIMITS, handlers }, deps);
    const listener = new Listener(
      { ...LIMITS, host: options.host, port: options.port, portName: "peer port" },
      {
        clock: deps.clock,
        logger: deps.logger,
        targets: {
          direct: (socket) => direct.accept(socket),
          grpc: (socket) => (options.isDirectOnly === true ? direct.accept(socket) : grpc.accept(socket)),
        },
      },
    );
    await listener.listen();
    return new PeerServer(listener, direct, grpc, draining);
  }

  get port(): number {
    return this.#listener.address().port;
  }

  /** Open connections. */
  get connectionCount(): number {
    return this.#listener.connectionCount;
  }

  /** Ends the Raft streams, the sessions and the replica streams and takes no new calls; those under way go on. Idempotent. */
  drain(): void {
    this.#draining.begin();
  }

  /** No new connections; the open calls may end within `graceMs`, then they are cut. Idempotent. */
  async close(options: { readonly graceMs: number }): Promise<void> {
    this.drain();
    const listener = this.#listener.close(options);
    await Promise.all([this.#direct.close(options), this.#grpc.close(options)]);
    await listener;
  }
}
