import { LograftError } from "../base/errors.ts";
import { MetadataNode } from "../broker/metadata-node.ts";
import type { MetadataNodeOptions } from "../broker/metadata-node.ts";
import { randomClusterId } from "../model/ids.ts";
import type { SimPlatform } from "./sim-platform.ts";
import type { ProgramPorts, RunningProgram, SimProgram } from "./sim-program.ts";

/** Without what is known per machine: node id, endpoint, cluster id. */
export type MetadataProgramOptions = Omit<MetadataNodeOptions, "quorum"> & {
  readonly quorum: Omit<MetadataNodeOptions["quorum"], "nodeId" | "endpoint" | "clusterId">;
};

/** Between two tries of a broker to join, ms. */
const JOIN_RETRY_MS = 300;
const LEAVE_TIMEOUT_MS = 2_000;

/** A metadata node alone, with what a whole broker would remember for it in its data directory. */
export class MetadataProgram implements SimProgram {
  readonly #options: MetadataProgramOptions;
  #clusterId: string | undefined;
  #directoryId: string;
  #previousBrokerEpoch: number | undefined;
  #wasCleanShutdown = false;

  constructor(options: MetadataProgramOptions, deps: { readonly platform: SimPlatform }) {
    this.#options = options;
    this.#directoryId = newId(deps.platform);
  }

  get directoryId(): string {
    return this.#directoryId;
  }

  diskReplaced(platform: SimPlatform): void {
    this.#directoryId = newId(platform);
    this.#clusterId = undefined;
    this.#previousBrokerEpoch = undefined;
  }

  async open(ports: ProgramPorts): Promise<RunningProgram> {
    const { host, platform, logger, transport, channel, nodeId, endpoint } = ports;
    const clean = this.#wasCleanShutdown;
    this.#wasCleanShutdown = false;
    const quorum = { ...this.#options.quorum, nodeId, endpoint, clusterId: this.#clusterId };
    const node = await MetadataNode.open(
      { ...this.#options, quorum },
      {
        platform,
        logger,
        transport,
        channel,
        joinCluster: async (clusterId) => {
          if (host.isAlive) this.#clusterId = clusterId;
        },
        onChange: () => undefined,
        health: { loopAgeMs: () => 0, diskAgeMs: () => 0 },
      },
    );
    return {
      node,
      broker: undefined,
      failure: node.failure,
      run: () => {
        node.start();
        return this.#join(ports, node, clean);
      },
      stop: async () => {
        await node.leave(LEAVE_TIMEOUT_MS);
        await node.close();
        if (host.isAlive) this.#wasCleanShutdown = true;
      },
    };
  }

  /** What goes wrong for good ends the node, through its `failure`. */
  async #join({ host, platform, logger }: ProgramPorts, node: MetadataNode, clean: boolean): Promise<void> {
    const incarnationId = newId(platform);
    const never = new AbortController();
    while (host.isAlive) {
      try {
        const { brokerEpoch } = await node.join(
          {
            incarnationId,
            directoryId: this.#directoryId,
            previousBrokerEpoch: this.#previousBrokerEpoch,
            wasCleanShutdown: clean,
            host: `host${host.machine}`,
            port: 9092,
            listeners: [],
            rack: null,
            brokerHost: null,
          },
          never.signal,
        );
        this.#previousBrokerEpoch = brokerEpoch;
        return;
      } catch (error: unknown) {
        if (!(error instanceof LograftError)) throw error;
        logger.warn("the broker could not join", { node: node.nodeId, err: error });
        await platform.clock.sleep(JOIN_RETRY_MS);
      }
    }
  }
}

function newId(platform: SimPlatform): string {
  return randomClusterId(platform.random.bytes(16));
}
