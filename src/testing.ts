import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RunningBroker, StartBrokerOptions } from "./node.ts";
import { startBroker as startNode } from "./node.ts";

export type { RunningBroker } from "./node.ts";

/**
 * Starts a real broker in this process, on a free port of 127.0.0.1 and, unless `dataDirectory` names one, on a
 * temporary directory that goes away with it. `await using` closes it.
 */
export async function startBroker(options: Partial<StartBrokerOptions> = {}): Promise<RunningBroker> {
  if (options.dataDirectory !== undefined) {
    return startNode({ port: 0, ...options, dataDirectory: options.dataDirectory });
  }
  const directory = await mkdtemp(join(tmpdir(), "lograft-"));
  try {
    const broker = await startNode({ port: 0, ...options, dataDirectory: directory });
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
