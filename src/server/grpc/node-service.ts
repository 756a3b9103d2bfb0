import type { UntypedServiceImplementation } from "@grpc/grpc-js";
import { LograftError } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import type { Broker } from "../../broker/broker.ts";
import type { BrokerConfig } from "../../model/configs.ts";
import type { Clock } from "../../platform/clock.ts";
import type { HostFacts } from "../../platform/host-facts.ts";
import type { DescribeNodeRequest, DescribeNodeResponse } from "../../rpc/node-messages.ts";
import { unary } from "./unary.ts";

/** What the node behind an `AdminService` says of itself. */
export interface NodeMethodsDeps {
  readonly broker: Broker;
  readonly config: BrokerConfig;
  readonly host: HostFacts;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The name of the listener that the calls come in on. */
  readonly listener: string;
}

/** The part of `AdminService` about the asked node alone. */
export function nodeMethods(deps: NodeMethodsDeps): UntypedServiceImplementation {
  return {
    DescribeNode: unary<DescribeNodeRequest, DescribeNodeResponse>(() => describeNode(deps), deps),
  };
}

async function describeNode(deps: NodeMethodsDeps): Promise<DescribeNodeResponse> {
  const { broker, config, host, clock, listener } = deps;
  const [dataDirectory = ""] = config.logDirs;
  const diskFreeBytes = await freeBytes(broker);
  const { userId = -1, openFiles = -1, openFilesLimit = -1, ...reading } = host.read();
  const self = broker.image.broker(broker.nodeId);
  const only = self === undefined ? [] : [{ name: listener, host: self.host, port: self.port }];
  const listeners = self === undefined || self.listeners.length === 0 ? only : self.listeners;
  return {
    ...reading,
    nodeId: broker.nodeId,
    userId,
    openFiles,
    openFilesLimit,
    dataDirectory,
    diskFreeBytes,
    httpPort: config.httpPort ?? -1,
    listener,
    listeners,
    // Last, so that nothing lies between it and the answer.
    wallClockMs: Math.max(0, Math.floor(clock.wallMs())),
  };
}

/** -1: the disk does not say, which is for others to tell. */
async function freeBytes(broker: Broker): Promise<number> {
  try {
    return await broker.freeDiskBytes();
  } catch (error: unknown) {
    if (error instanceof LograftError) return -1;
    throw error;
  }
}
