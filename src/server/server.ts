import type { Socket } from "node:net";
import { ByteBudget } from "../base/byte-budget.ts";
import type { Logger } from "../base/logger.ts";
import type { Broker } from "../broker/broker.ts";
import type { BrokerConfig } from "../model/configs.ts";
import type { Clock } from "../platform/clock.ts";
import type { HostFacts } from "../platform/host-facts.ts";
import { FETCH_METHOD, PRODUCE_METHOD } from "../rpc/method-names.ts";
import { DirectServer } from "../rpc/stream/direct-server.ts";
import { Draining } from "./grpc/draining.ts";
import { fetchStreamHandler } from "./grpc/fetch-stream.ts";
import { GrpcServer } from "./grpc/grpc-server.ts";
import { membershipStreamHandler } from "./grpc/membership-stream.ts";
import { produceStreamHandler } from "./grpc/produce-stream.ts";
import { ConnectionLimits } from "./connection-limits.ts";
import { Listener, LISTENER_DEFAULTS } from "./listener.ts";
import type { LogLevelControl } from "./log-level-control.ts";

/** Room beside the records in a message: names, offsets, the other fields. */
const ENVELOPE_BYTES = 1024 * 1024;
/** Unanswered request bytes of one Produce stream: some ten round trips of the largest default batches. */
const PRODUCE_WINDOW_BYTES = 8 * 1024 * 1024;

/** Where clients are listened for. */
export interface ServerListener {
  /** Clients that come in on it are told the addresses of the listeners of this name. */
  readonly name: string;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

export interface ServerOptions {
  /** One at least. */
  readonly listeners: readonly ServerListener[];
  readonly config: BrokerConfig;
  /** Every connection goes to the direct lane: for the tests that hold it against foreign gRPC clients. */
  readonly isDirectOnly?: boolean;
}

/** A port, and the gRPC services for those who come in on it. */
interface Door {
  readonly listener: Listener;
  readonly grpc: GrpcServer;
}

/**
 * The inbound side of a broker: for each listener a port with two lanes and the gRPC services. The direct lane says nothing
 * of where brokers are, so it is one for all; so are the limits.
 */
export class Server {
  readonly #doors: readonly Door[];
  readonly #direct: DirectServer;
  readonly #limits: ConnectionLimits;
  readonly #draining: Draining;

  private constructor(
    doors: readonly Door[],
    parts: { readonly direct: DirectServer; readonly limits: ConnectionLimits; readonly draining: Draining },
  ) {
    this.#doors = doors;
    this.#direct = parts.direct;
    this.#limits = parts.limits;
    this.#draining = parts.draining;
  }

  /** Listens on all of them, or on none. @throws LograftError ADDRESS_IN_USE. */
  static async start(
    options: ServerOptions,
    deps: {
      readonly broker: Broker;
      readonly host: HostFacts;
      readonly clock: Clock;
      readonly logger: Logger;
      readonly logLevels: LogLevelControl;
    },
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
    const bounds = {
      maxConnections: config.maxConnections,
      maxConnectionsPerAddress: config.maxConnectionsPerIp,
    };
    const limits = new ConnectionLimits({ ...LISTENER_DEFAULTS, ...bounds });
    const doors = options.listeners.map(({ name, host, port }): Door => {
      const grpc = new GrpcServer(
        { listener: name, maxMessageBytes, config, produce, fetch, membership, budget, draining },
        deps,
      );
      const targets = {
        direct: (socket: Socket) => direct.accept(socket),
        grpc: (socket: Socket) =>
          options.isDirectOnly === true ? direct.accept(socket) : grpc.accept(socket),
      };
      const { clock, logger } = deps;
      return { grpc, listener: new Listener({ host, port, ...bounds }, { clock, logger, targets, limits }) };
    });
    const server = new Server(doors, { direct, limits, draining });
    try {
      for (const { listener } of doors) await listener.listen();
    } catch (error: unknown) {
      await server.close({ graceMs: 0 });
      throw error;
    }
    return server;
  }

  /** Open connections of clients, of all protocols and listeners. */
  get connectionCount(): number {
    return this.#limits.openCount;
  }

  /** The real port of each listener, in their order. */
  get ports(): readonly number[] {
    return this.#doors.map(({ listener }) => listener.address().port);
  }

  /** Tells health watchers and open streams that the broker is about to go. What they sent before is still answered. Idempotent. */
  drain(): void {
    if (this.#draining.isDraining) return;
    for (const { grpc } of this.#doors) grpc.setNotServing();
    this.#draining.begin();
  }

  /** No new connections; the open calls may end within `graceMs`, then they are cut. Idempotent. */
  async close(options: { readonly graceMs: number }): Promise<void> {
    this.drain();
    const listeners = this.#doors.map(({ listener }) => listener.close(options));
    await Promise.all([this.#direct.close(options), ...this.#doors.map(({ grpc }) => grpc.close(options))]);
    await Promise.all(listeners);
  }
}
