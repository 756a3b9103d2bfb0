import { ByteBudget } from "../base/byte-budget.ts";
import type { Logger } from "../base/logger.ts";
import type { Broker } from "../broker/broker.ts";
import type { BrokerConfig } from "../model/configs.ts";
import type { Clock } from "../platform/clock.ts";
import { FETCH_METHOD, PRODUCE_METHOD } from "../rpc/method-names.ts";
import { DirectServer } from "../rpc/stream/direct-server.ts";
import { Draining } from "./grpc/draining.ts";
import { fetchStreamHandler } from "./grpc/fetch-stream.ts";
import { GrpcServer } from "./grpc/grpc-server.ts";
import { membershipStreamHandler } from "./grpc/membership-stream.ts";
import { produceStreamHandler } from "./grpc/produce-stream.ts";
import { Listener } from "./listener.ts";

/** Room beside the records in a message: names, offsets, the other fields. */
const ENVELOPE_BYTES = 1024 * 1024;
/** Unanswered request bytes of one Produce stream: some ten round trips of the largest default batches. */
const PRODUCE_WINDOW_BYTES = 8 * 1024 * 1024;

export interface ServerOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly config: BrokerConfig;
  /** Every connection goes to the direct lane: for the tests that hold it against foreign gRPC clients. */
  readonly isDirectOnly?: boolean;
}

/** The inbound side of a broker: one port, two lanes, the gRPC services. */
export class Server {
  readonly #listener: Listener;
  readonly #direct: DirectServer;
  readonly #grpc: GrpcServer;
  readonly #draining: Draining;

  private constructor(listener: Listener, direct: DirectServer, grpc: GrpcServer, draining: Draining) {
    this.#listener = listener;
    this.#direct = direct;
    this.#grpc = grpc;
    this.#draining = draining;
  }

  /** Listens. @throws LograftError ADDRESS_IN_USE. */
  static async start(
    options: ServerOptions,
    deps: { readonly broker: Broker; readonly clock: Clock; readonly logger: Logger },
  ): Promise<Server> {
    const { config } = options;
    const maxMessageBytes = config.messageMaxBytes + ENVELOPE_BYTES;
    const draining = new Draining();
    const budget = new ByteBudget(config.serverMaxInflightBytes);
    const produce = produceStreamHandler(
      { windowBytes: PRODUCE_WINDOW_BYTES },
      { ...deps, budget, draining },
    );
    const fetch = fetchStreamHandler({ ...deps });
    const membership = membershipStreamHandler({ ...deps, draining });
    const direct = new DirectServer(
      {
        maxMessageBytes,
        maxConcurrentStreams: config.grpcMaxConcurrentStreams,
        idleTimeoutMs: config.connectionsMaxIdleMs,
      },
      deps,
    );
    direct.handle(PRODUCE_METHOD, produce, { budget });
    direct.handle(FETCH_METHOD, fetch);
    const grpc = new GrpcServer(
      { maxMessageBytes, config, produce, fetch, membership, budget, draining },
      deps,
    );
    const listener = new Listener(
      {
        host: options.host,
        port: options.port,
        maxConnections: config.maxConnections,
        maxConnectionsPerAddress: config.maxConnectionsPerIp,
      },
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
    return new Server(listener, direct, grpc, draining);
  }

  get port(): number {
    return this.#listener.address().port;
  }

  /** Open connections, of all protocols. */
  get connectionCount(): number {
    return this.#listener.connectionCount;
  }

  /** Tells health watchers and open streams that the broker is about to go. What they sent before is still answered. Idempotent. */
  drain(): void {
    if (this.#draining.isDraining) return;
    this.#grpc.setNotServing();
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
