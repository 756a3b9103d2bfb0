import { operationError } from "./base/errors.ts";
import { LeveledLogger } from "./base/leveled-logger.ts";
import { LogLevels } from "./base/log-levels.ts";
import type { LogLevelOptions } from "./base/log-levels.ts";
import type { Logger } from "./base/logger.ts";
import { componentLogger, silentLogger } from "./base/logger.ts";
import { Broker } from "./broker/broker.ts";
import type { ClientAddress } from "./broker/broker.ts";
import { peerEndpointOf, reachableAddress } from "./broker/metadata-options.ts";
import type { PeerEndpoint } from "./broker/peer-endpoint.ts";
import type { ClientListener } from "./metadata/records.ts";
import type { Endpoint } from "./model/config-values.ts";
import { parseBrokerConfig, PEER_LISTENER } from "./model/configs.ts";
import type { BrokerConfig, ParsedBrokerConfig } from "./model/configs.ts";
import { GrpcControllerChannel } from "./peer/grpc-controller-channel.ts";
import { GrpcLeaderEndpoint } from "./peer/grpc-leader-endpoint.ts";
import { GrpcRaftTransport } from "./peer/grpc-raft-transport.ts";
import { NodeHostFacts } from "./platform/node/node-host-facts.ts";
import { createNodePlatform } from "./platform/node/node-platform.ts";
import { NodeProcessStats } from "./platform/node/node-process-stats.ts";
import { packageVersion } from "./platform/node/package-version.ts";
import type { Platform } from "./platform/platform.ts";
import { NodeHealth } from "./server/http/node-health.ts";
import { LogLevelControl } from "./server/log-level-control.ts";
import { PeerServer } from "./server/peer-server.ts";
import { Server } from "./server/server.ts";

/** How an embedded broker is started. */
export interface StartBrokerOptions {
  /** Made when missing. One process at a time. */
  readonly dataDirectory: string;
  /** Default 9092; 0 takes any free one. */
  readonly port?: number;
  /** Where to listen. Default 127.0.0.1. */
  readonly host?: string;
  /** Settings as in server.properties, such as `{"log.flush.policy": "os"}`. */
  readonly config?: Readonly<Record<string, string>>;
  /** Gets the lines that `log.level` and `log.levels` let through. Default: nothing is logged. */
  readonly logger?: Logger;
  /** @internal Every connection goes to the direct lane. */
  readonly isDirectOnly?: boolean;
}

/** A broker that serves. */
export interface RunningBroker extends AsyncDisposable {
  /** "host:port" for clients. */
  readonly address: string;
  readonly nodeId: number;
  readonly clusterId: string;
  readonly dataDirectory: string;
  /** Resolves if a disk fails so that the broker must not go on: close it and end the process. */
  readonly failure: Promise<Error>;
  /** Finishes what is in flight, flushes, leaves the mark of a clean stop. Idempotent. */
  close(): Promise<void>;
}

/** A broker that serves, as its own process sees it. */
export interface StartedNode extends RunningBroker {
  /** The active controller when this broker became ready; -1: it knows of none. */
  readonly controllerId: number;
  /** The port of health and metrics; undefined: there is none. */
  readonly httpPort: number | undefined;
}

const DEFAULT_PORT = 9092;
/** LevelDB may write its table of 4 MiB and a log beside it as it opens. */
const DISK_RESERVE_BYTES = 8 * 1024 * 1024;
/** From the last answer until connections are cut whose other side does not end them. */
const FAREWELL_MS = 1000;

/**
 * Starts a broker in this process. @throws LograftError CONFIG_INVALID, DATA_DIR_LOCKED, DATA_DIR_VERSION,
 * METADATA_CORRUPT, ADDRESS_IN_USE; each names the cause and the next step.
 */
export async function startBroker(options: StartBrokerOptions): Promise<RunningBroker> {
  const parsed = parseBrokerConfig({
    ...options.config,
    "log.dirs": options.dataDirectory,
    listeners: `CLIENT://${options.host ?? "127.0.0.1"}:${options.port ?? DEFAULT_PORT}`,
  });
  if (!parsed.ok) {
    throw operationError("CONFIG_INVALID", parsed.errors.map((error) => error.message).join("\n"));
  }
  return startNode(parsed, {
    logger: options.logger ?? silentLogger,
    isDirectOnly: options.isDirectOnly ?? false,
  });
}

/** How `startNode` is to run what the configuration says. */
export interface StartNodeOptions {
  readonly logger: Logger;
  /** What of it is written. Default: as the configuration says. */
  readonly levels?: LogLevels;
  readonly isDirectOnly?: boolean;
  /** Gives up a start that waits for the rest of its cluster. */
  readonly signal?: AbortSignal;
}

/**
 * The composition of a node: platform, broker, and its servers for peers and clients. Resolves when the cluster counts on
 * it, which takes a majority of the voters. @throws as `startBroker`; ABORTED with `signal`.
 */
export async function startNode(parsed: ParsedBrokerConfig, options: StartNodeOptions): Promise<StartedNode> {
  const { config } = parsed;
  const levels = options.levels ?? new LogLevels(configuredLevels(config));
  const fields = { nodeId: config.nodeId };
  const logger = new LeveledLogger({ component: "broker", fields }, { sink: options.logger, levels });
  const listeners = config.listeners.filter(({ name }) => name !== PEER_LISTENER);
  const peerListener = config.listeners.find(({ name }) => name === PEER_LISTENER);
  const [dataDirectory] = config.logDirs;
  if (listeners.length === 0 || dataDirectory === undefined) {
    throw operationError("CONFIG_INVALID", "listeners and log.dirs need one entry at least");
  }
  const platform = createNodePlatform();
  const isDirectOnly = options.isDirectOnly ?? false;
  await using opened = new OpenParts();
  const health = new NodeHealth();
  const connections: Record<string, () => number> = {};
  // First, and closed last: probes are to see a node that recovers, and one that stops.
  const http = await openHttp(config, {
    platform,
    logger: componentLogger(logger, "http"),
    health,
    connections,
  });
  if (http !== undefined) opened.add(() => http.close());
  const outbound =
    peerListener === undefined
      ? undefined
      : connectPeers(platform, componentLogger(logger, "peer"), () => broker.peer);
  if (outbound !== undefined) opened.add(() => outbound.close());
  const broker = await Broker.open(
    {
      config: parsed,
      peerEndpoint: peerEndpointOf(config),
      diskReserveBytes: DISK_RESERVE_BYTES,
      checksClock: true,
    },
    { platform, logger, ...outbound?.ports },
  );
  opened.add(() => broker.close());
  let peerServer: PeerServer | undefined;
  if (peerListener !== undefined) {
    const { host, port } = peerListener;
    peerServer = await PeerServer.start(
      { host, port, isDirectOnly },
      { endpoint: broker.peer, clock: platform.clock, logger: componentLogger(logger, "peer") },
    );
    opened.add(() => peerServer?.close({ graceMs: FAREWELL_MS }));
    connections["peer"] = () => peerServer?.connectionCount ?? 0;
  }
  const logLevels = new LogLevelControl({ levels, logger });
  const server = await Server.start(
    { listeners, config, isDirectOnly },
    {
      broker,
      host: new NodeHostFacts(),
      clock: platform.clock,
      logger: componentLogger(logger, "server"),
      logLevels,
    },
  );
  opened.add(() => server.close({ graceMs: FAREWELL_MS }));
  connections["client"] = () => server.connectionCount;
  broker.takePart();
  health.started(broker);
  const advertised = advertisedAddress(config, listeners, server.ports);
  await broker.join(advertised, options.signal ?? new AbortController().signal);
  opened.keep();
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    health.stopping();
    return (closing ??= closeInOrder({ server, broker, peerServer, outbound, http }));
  };
  return {
    address: `${advertised.host}:${advertised.port}`,
    nodeId: broker.nodeId,
    clusterId: broker.clusterId,
    controllerId: broker.cluster.describeCluster().controllerId,
    httpPort: http?.port,
    dataDirectory,
    failure: broker.failure,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** The levels that a broker starts with. */
export function configuredLevels({ logLevel: level, logLevels }: BrokerConfig): LogLevelOptions {
  return { level, levels: logLevels ?? new Map() };
}

interface OpenHttp {
  readonly port: number;
  close(): Promise<void>;
}

/** The port of health and metrics, if there is to be one. Who has none does not load it either. */
async function openHttp(
  config: BrokerConfig,
  deps: {
    readonly platform: Platform;
    readonly logger: Logger;
    readonly health: NodeHealth;
    readonly connections: Readonly<Record<string, () => number>>;
  },
): Promise<OpenHttp | undefined> {
  const { httpPort: port, httpHost: host = "", nodeId } = config;
  if (port === undefined) return undefined;
  const { logger, health, connections } = deps;
  const { clock } = deps.platform;
  const { HttpServer } = await import("./server/http/http-server.ts");
  const { HttpPages } = await import("./server/http/http-pages.ts");
  const processStats = new NodeProcessStats();
  const counts = (): Record<string, number> =>
    Object.fromEntries(Object.entries(connections).map(([name, count]) => [name, count()]));
  const pages = new HttpPages(
    { nodeId, version: packageVersion() },
    { health, processStats, clock, logger, connections: counts },
  );
  try {
    const server = await HttpServer.start({ host, port }, { pages, clock, logger });
    return {
      port: server.port,
      close: async () => {
        await server.close({ graceMs: FAREWELL_MS });
        processStats.close();
      },
    };
  } catch (error: unknown) {
    processStats.close();
    throw error;
  }
}

interface OutboundPeers {
  readonly ports: {
    readonly transport: GrpcRaftTransport;
    readonly channel: GrpcControllerChannel;
    readonly leaderEndpoint: GrpcLeaderEndpoint;
  };
  close(): void;
}

/** The ways from this broker to the others. `self` is asked only once messages flow: its cluster is learned late. */
function connectPeers(platform: Platform, logger: Logger, self: () => PeerEndpoint): OutboundPeers {
  const identity = (): PeerEndpoint => self();
  const deps = { clock: platform.clock, random: platform.random, logger };
  const transport = new GrpcRaftTransport({ identity }, { ...deps, logger: componentLogger(logger, "raft") });
  const channel = new GrpcControllerChannel({ identity }, deps);
  const leaderEndpoint = new GrpcLeaderEndpoint({ identity }, deps);
  return {
    ports: { transport, channel, leaderEndpoint },
    close: () => {
      transport.close();
      channel.close();
    },
  };
}

/** What was opened, to be closed in the opposite order when the start fails. */
class OpenParts implements AsyncDisposable {
  #closers: (() => Promise<void> | void | undefined)[] = [];

  add(close: () => Promise<void> | void | undefined): void {
    this.#closers.push(close);
  }

  /** The start went well: somebody else closes them. */
  keep(): void {
    this.#closers = [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const close of this.#closers.reverse()) await close();
  }
}

/**
 * Who is connected hears of it first; then the broker gives away what it leads, answers what it has taken and makes it
 * durable; and only then are connections closed, for which answers that are on their way get a moment.
 */
async function closeInOrder(parts: {
  readonly server: Server;
  readonly broker: Broker;
  readonly peerServer: PeerServer | undefined;
  readonly outbound: OutboundPeers | undefined;
  readonly http: OpenHttp | undefined;
}): Promise<void> {
  const { server, broker, peerServer, outbound, http } = parts;
  server.drain();
  try {
    await broker.close();
  } finally {
    await Promise.all([server.close({ graceMs: FAREWELL_MS }), peerServer?.close({ graceMs: FAREWELL_MS })]);
    outbound?.close();
    await http?.close();
  }
}

/**
 * What clients are told of each listener: advertised.listeners, else where it listens, whose "all interfaces" no client can
 * connect to. `boundPorts`: the real ones, in the order of the listeners, of which there is one at least.
 */
function advertisedAddress(
  config: BrokerConfig,
  listeners: readonly Endpoint[],
  boundPorts: readonly number[],
): ClientAddress {
  const addresses = listeners.map((listener, at): ClientListener => {
    const advertised = config.advertisedListeners?.find(({ name }) => name === listener.name);
    return advertised ?? { ...listener, host: reachableAddress(listener).host, port: boundPorts[at] ?? 0 };
  });
  const { host, port } = addresses[0] ?? { host: "localhost", port: 0 };
  return addresses.length > 1 ? { host, port, listeners: addresses } : { host, port };
}
