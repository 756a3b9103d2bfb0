import { operationError } from "./base/errors.ts";
import type { Logger } from "./base/logger.ts";
import { silentLogger } from "./base/logger.ts";
import { Broker } from "./broker/broker.ts";
import type { ParsedBrokerConfig } from "./model/configs.ts";
import { parseBrokerConfig } from "./model/configs.ts";
import { createNodePlatform } from "./platform/node/node-platform.ts";
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

/** The composition of a node: platform, broker, server. */
export async function startNode(
  parsed: ParsedBrokerConfig,
  options: { readonly logger: Logger; readonly isDirectOnly?: boolean },
): Promise<RunningBroker> {
  const { config } = parsed;
  const [listener] = config.listeners;
  const [dataDirectory] = config.logDirs;
  if (listener === undefined || dataDirectory === undefined) {
    throw operationError("CONFIG_INVALID", "listeners and log.dirs need one entry at least");
  }
  const platform = createNodePlatform();
  const advertised = advertisedAddress(config.advertisedListeners?.[0], listener);
  const broker = await Broker.start(
    { config: parsed, advertised, diskReserveBytes: DISK_RESERVE_BYTES },
    { platform, logger: options.logger },
  );
  let server: Server;
  try {
    server = await Server.start(
      { host: listener.host, port: listener.port, config, isDirectOnly: options.isDirectOnly ?? false },
      { broker, clock: platform.clock, logger: options.logger },
    );
  } catch (error) {
    await broker.close();
    throw error;
  }
  const port = advertised.port === 0 ? server.port : advertised.port;
  broker.advertise({ host: advertised.host, port });
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => (closing ??= closeInOrder(server, broker));
  return {
    address: `${advertised.host}:${port}`,
    nodeId: broker.nodeId,
    clusterId: broker.clusterId,
    dataDirectory,
    failure: broker.failure,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/**
 * Who is connected hears of it first; then the broker answers what it has taken and makes it durable; and only then are
 * connections closed, for which answers that are on their way get a moment.
 */
async function closeInOrder(server: Server, broker: Broker): Promise<void> {
  server.drain();
  try {
    await broker.close();
  } finally {
    await server.close({ graceMs: FAREWELL_MS });
  }
}

/** What clients are told: advertised.listeners, else the listener, whose "all interfaces" no client can connect to. */
function advertisedAddress(
  advertised: { readonly host: string; readonly port: number } | undefined,
  listener: { readonly host: string; readonly port: number },
): { readonly host: string; readonly port: number } {
  if (advertised !== undefined) return advertised;
  const isAll = listener.host === "" || listener.host === "0.0.0.0" || listener.host === "::";
  return { host: isAll ? "localhost" : listener.host, port: listener.port };
}
