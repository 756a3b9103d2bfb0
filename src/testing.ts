import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deadlineSignal } from "./base/abort.ts";
import { operationError } from "./base/errors.ts";
import type { Logger } from "./base/logger.ts";
import { silentLogger } from "./base/logger.ts";
import { parseBrokerConfig } from "./model/configs.ts";
import type { RunningBroker, StartBrokerOptions } from "./node.ts";
import { startBroker as startStandalone, startNode } from "./node.ts";
import { createNodePlatform } from "./platform/node/node-platform.ts";

export type { RunningBroker } from "./node.ts";

/**
 * Starts a real broker in this process, on a free port of 127.0.0.1 and, unless `dataDirectory` names one, on a
 * temporary directory that goes away with it. `await using` closes it.
 */
export async function startBroker(options: Partial<StartBrokerOptions> = {}): Promise<RunningBroker> {
  if (options.dataDirectory !== undefined) {
    return startStandalone({ port: 0, ...options, dataDirectory: options.dataDirectory });
  }
  const directory = await mkdtemp(join(tmpdir(), "lograft-"));
  try {
    const broker = await startStandalone({ port: 0, ...options, dataDirectory: directory });
    return withCleanup(broker, directory);
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

function withCleanup(broker: RunningBroker, directory: string): RunningBroker {
  const close = async (): Promise<void> => {
    try {
      await broker.close();
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  };
  return {
    address: broker.address,
    nodeId: broker.nodeId,
    clusterId: broker.clusterId,
    dataDirectory: broker.dataDirectory,
    failure: broker.failure,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** How a cluster inside a test is started. */
export interface StartClusterOptions {
  /** Default 3. */
  readonly brokers?: number;
  /** Settings of all brokers, as in server.properties. */
  readonly config?: Readonly<Record<string, string>>;
  /** `broker.rack` of each broker, in the order of their ids. Default: none has one. */
  readonly racks?: readonly string[];
  readonly logger?: Logger;
}

/** Brokers of one cluster in this process. */
export interface RunningCluster extends AsyncDisposable {
  /** By node id, from 1. One may be closed while the others go on. */
  readonly brokers: readonly RunningBroker[];
  /** "host:port" of each, for clients. */
  readonly addresses: readonly string[];
  /** Stops all and removes their directories. Idempotent. */
  close(): Promise<void>;
}

/**
 * Starts a real cluster in this process: brokers that elect a controller among them and talk over 127.0.0.1, on temporary
 * directories that go away with it. `await using` closes it.
 */
export async function startCluster(options: StartClusterOptions = {}): Promise<RunningCluster> {
  const count = options.brokers ?? 3;
  const directory = await mkdtemp(join(tmpdir(), "lograft-cluster-"));
  const ports = await freePorts(count);
  const voters = ports.map((port, index) => `${index + 1}@127.0.0.1:${port}`).join(",");
  const started = await Promise.allSettled(
    ports.map((port, index) =>
      startMember(index + 1, port, voters, join(directory, `node-${index + 1}`), options),
    ),
  );
  const brokers = started.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  const close = async (): Promise<void> => {
    await Promise.all(brokers.map((broker) => broker.close()));
    await rm(directory, { recursive: true, force: true });
  };
  const failed = started.find((one) => one.status === "rejected");
  if (failed !== undefined) {
    await close();
    throw failed.reason;
  }
  return {
    brokers,
    addresses: brokers.map(({ address }) => address),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Longer than any start: a broker that cannot join would wait for ever. */
const JOIN_TIMEOUT_MS = 30_000;

async function startMember(
  nodeId: number,
  peerPort: number,
  voters: string,
  dataDirectory: string,
  options: StartClusterOptions,
): Promise<RunningBroker> {
  const rack = options.racks?.[nodeId - 1];
  const parsed = parseBrokerConfig({
    ...options.config,
    ...(rack === undefined ? {} : { "broker.rack": rack }),
    "node.id": String(nodeId),
    "log.dirs": dataDirectory,
    listeners: `CLIENT://127.0.0.1:0,PEER://127.0.0.1:${peerPort}`,
    "controller.quorum.voters": voters,
  });
  if (!parsed.ok) {
    throw operationError("CONFIG_INVALID", parsed.errors.map((error) => error.message).join("\n"));
  }
  const logger = options.logger ?? silentLogger;
  using deadline = deadlineSignal(createNodePlatform().clock, JOIN_TIMEOUT_MS);
  return await startNode(parsed, { logger, signal: deadline.signal });
}

/** Ports that were free a moment ago: the brokers must know each other's before they listen. */
async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  const ports: number[] = [];
  for (const server of servers) {
    if (!server.listening) await once(server, "listening");
    const address = server.address();
    if (address !== null && typeof address === "object") ports.push(address.port);
  }
  for (const server of servers) {
    server.close();
    await once(server, "close");
  }
  return ports;
}
