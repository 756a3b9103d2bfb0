import type { UntypedServiceImplementation } from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";
import type { Socket } from "node:net";
import type { ByteBudget } from "../../base/byte-budget.ts";
import type { Logger } from "../../base/logger.ts";
import type { Broker } from "../../broker/broker.ts";
import type { BrokerConfig } from "../../model/configs.ts";
import type { Clock } from "../../platform/clock.ts";
import type { HostFacts } from "../../platform/host-facts.ts";
import { loadProto, protoService, withPassThrough } from "../../rpc/load-proto.ts";
import { RequestIds } from "../../rpc/request-id.ts";
import type { StreamHandler } from "../../rpc/stream/byte-stream.ts";
import { grpcJsServerOptions } from "../../rpc/stream/grpc-js-options.ts";
import { grpcJsBidiHandler } from "../../rpc/stream/grpc-js-server.ts";
import { adminMethods } from "./admin-service.ts";
import { clientUnaryMethods } from "./client-service.ts";
import type { LogLevelControl } from "../log-level-control.ts";
import type { Draining } from "./draining.ts";
import { groupUnaryMethods } from "./group-service.ts";
import { InjectedServer } from "./injected-server.ts";
import { addLazyReflection } from "./lazy-reflection.ts";
import { metered } from "./metered.ts";
import { withRequestIds } from "./named-requests.ts";
import { plainRecordMethods } from "./plain-records.ts";

const CLIENT_SERVICE = "lograft.v1.ClientService";
const ADMIN_SERVICE = "lograft.v1.AdminService";
const GROUP_SERVICE = "lograft.v1.GroupService";
/** The broker counts their appends itself, whichever way they come. */
const COUNTED_AS_PRODUCE: ReadonlySet<string> = new Set(["ProduceUnary", "PublishUnary"]);

export interface GrpcServerOptions {
  /** The name of the listener that the connections come from: clients are told the addresses of that one. */
  readonly listener: string;
  readonly maxMessageBytes: number;
  readonly config: BrokerConfig;
  readonly produce: StreamHandler;
  readonly fetch: StreamHandler;
  readonly membership: StreamHandler;
  readonly budget: ByteBudget;
  readonly draining: Draining;
}

/** Every service on @grpc/grpc-js, with health and reflection, for one listener. It never listens: connections are given to it. */
export class GrpcServer {
  readonly #server: InjectedServer;
  readonly #health = new HealthImplementation({
    "": "SERVING",
    [CLIENT_SERVICE]: "SERVING",
    [ADMIN_SERVICE]: "SERVING",
    [GROUP_SERVICE]: "SERVING",
  });

  constructor(
    options: GrpcServerOptions,
    deps: {
      readonly broker: Broker;
      readonly host: HostFacts;
      readonly clock: Clock;
      readonly logger: Logger;
      readonly logLevels: LogLevelControl;
    },
  ) {
    this.#server = new InjectedServer(
      {
        ...grpcJsServerOptions(options),
        "grpc.max_concurrent_streams": options.config.grpcMaxConcurrentStreams,
        "grpc.max_connection_idle_ms": options.config.connectionsMaxIdleMs,
      },
      deps,
    );
    const { listener } = options;
    const streamOptions = { maxMessageBytes: options.maxMessageBytes };
    const ids = RequestIds.ofServer(deps.clock);
    const meter = { requests: deps.broker.requests, clock: deps.clock };
    const clientMethods: UntypedServiceImplementation = {
      ...metered(
        {
          ...clientUnaryMethods({ ...deps, listener, maxFetchBytes: options.maxMessageBytes / 2 }),
          ...plainRecordMethods({ ...deps, draining: options.draining }),
        },
        meter,
        COUNTED_AS_PRODUCE,
      ),
      Produce: grpcJsBidiHandler(options.produce, { ...streamOptions, budget: options.budget }, deps),
      Fetch: grpcJsBidiHandler(options.fetch, streamOptions, deps),
    };
    this.#server.addService(
      withPassThrough(protoService(CLIENT_SERVICE), ["Produce", "Fetch"]),
      withRequestIds(clientMethods, ids),
    );
    const { config } = options;
    this.#server.addService(
      protoService(ADMIN_SERVICE),
      withRequestIds(metered(adminMethods({ ...deps, config, listener }), meter), ids),
    );
    const groupMethods: UntypedServiceImplementation = {
      ...metered(groupUnaryMethods({ ...deps, listener }), meter),
      Membership: grpcJsBidiHandler(options.membership, streamOptions, deps),
    };
    this.#server.addService(
      withPassThrough(protoService(GROUP_SERVICE), ["Membership"]),
      withRequestIds(groupMethods, ids),
    );
    this.#health.addToServer(this.#server.server);
    if (options.config.grpcReflection) addLazyReflection(this.#server.server, loadProto);
  }

  /** Takes a connection over, with what was read of it put back. */
  accept(socket: Socket): void {
    this.#server.accept(socket);
  }

  /** Tells health watchers that this broker is about to go. */
  setNotServing(): void {
    for (const service of ["", CLIENT_SERVICE, ADMIN_SERVICE, GROUP_SERVICE])
      this.#health.setStatus(service, "NOT_SERVING");
  }

  /** The open calls may end within `graceMs`, then they are cut. Idempotent. */
  close(options: { readonly graceMs: number }): Promise<void> {
    return this.#server.close(options);
  }
}
