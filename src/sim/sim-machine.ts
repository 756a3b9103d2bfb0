import { InvariantError } from "../base/assert.ts";
import { errorMessage, LograftError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { MetadataNode } from "../broker/metadata-node.ts";
import type { MetadataNodeOptions } from "../broker/metadata-node.ts";
import { nodeId, randomClusterId } from "../model/ids.ts";
import type { NodeId } from "../model/ids.ts";
import { randomCrash } from "./crash-policy.ts";
import type { Scheduler } from "./scheduler.ts";
import { SimControllerChannel } from "./sim-controller-channel.ts";
import { randomBatchCrash } from "./sim-key-value.ts";
import { endpointOf } from "./sim-network.ts";
import type { SimNetwork } from "./sim-network.ts";
import { SimPlatform } from "./sim-platform.ts";
import type { SimPlatformOptions } from "./sim-platform.ts";
import { SimProcess } from "./sim-process.ts";
import { SimRaftTransport } from "./sim-raft-transport.ts";
import { SimulatedCrash } from "./simulated-crash.ts";

/** A machine with its disk, and the metadata node that runs on it, runs again, or does not run. */
export interface SimMachineOptions {
  /** From 0; the node id is one more. */
  readonly index: number;
  readonly platform: SimPlatformOptions;
  /** Without what the machine itself remembers: node id, endpoint, cluster id. */
  readonly node: Omit<MetadataNodeOptions, "quorum"> & {
    readonly quorum: Omit<MetadataNodeOptions["quorum"], "nodeId" | "endpoint" | "clusterId">;
  };
}

export interface SimMachineDeps {
  readonly scheduler: Scheduler;
  readonly network: SimNetwork<SimProcess>;
  readonly logger: Logger;
  readonly onStep: (host: SimProcess) => void;
  readonly onSend: (host: SimProcess, message: Buffer) => void;
  /** The store of this machine will not be found again. */
  readonly onStoreLost: () => void;
  /** A node came up on its store. */
  readonly onOpened: (node: MetadataNode) => void;
  /** The process ended by itself; undefined: by its clean shutdown. */
  readonly onExit: (error: Error | undefined) => void;
}

/** How a process ends from outside: alone, or with its machine and what was not synced. */
export type CrashKind = "kill" | "powerCut";

/** What is lost: the log, the quorum's whole directory, or the disk and all that is on it. */
export type WipeKind = "store" | "quorum" | "disk";

/** Made by whoever sets a broker up, and durable before anything is in it. */
const DATA_DIRECTORY = "/data";
/** Between two tries of a broker to join, ms. */
const JOIN_RETRY_MS = 300;
const LEAVE_TIMEOUT_MS = 2_000;

export class SimMachine {
  readonly index: number;
  readonly nodeId: NodeId;
  readonly endpoint: string;
  readonly #options: SimMachineOptions;
  readonly #deps: SimMachineDeps;
  #platform: SimPlatform;
  #host: SimProcess | undefined;
  #node: MetadataNode | undefined;
  #transport: SimRaftTransport | undefined;
  #clusterId: string | undefined;
  #directoryId: string;
  #previousBrokerEpoch: number | undefined;
  #wasCleanShutdown = false;

  constructor(options: SimMachineOptions, deps: SimMachineDeps) {
    this.index = options.index;
    this.nodeId = nodeId(options.index + 1);
    this.endpoint = endpointOf(options.index);
    this.#options = options;
    this.#deps = deps;
    this.#platform = SimPlatform.create(options.platform, deps);
    this.#directoryId = this.#newId();
  }

  /** Of its data; another one after its disk was replaced. */
  get directoryId(): string {
    return this.#directoryId;
  }

  get platform(): SimPlatform {
    return this.#platform;
  }

  /** The process that runs, paused or not. */
  get host(): SimProcess | undefined {
    return this.#host;
  }

  /** The node of a process that has opened its store. */
  get node(): MetadataNode | undefined {
    return this.#host?.isAlive === true ? this.#node : undefined;
  }

  /** Where the quorum's store is on each machine. */
  static readonly quorumDirectory = `${DATA_DIRECTORY}/quorum`;

  /** Starts the program; does nothing when it runs. */
  start(): void {
    if (this.#host !== undefined) return;
    const { scheduler, onStep } = this.#deps;
    const host = new SimProcess({ machine: this.index }, { platform: this.#platform, scheduler, onStep });
    this.#host = host;
    this.#run(host).catch((error: unknown) => this.#ended(host, asError(error)));
  }

  /** Ends the process from outside. True when a power cut took writes that had not been synced. */
  crash(kind: CrashKind): boolean {
    const host = this.#host;
    if (host === undefined) return false;
    this.#bury(host);
    const { random } = this.#platform;
    let lostCount = 0;
    if (kind === "kill") {
      this.#platform = this.#platform.kill();
    } else {
      const batches = randomBatchCrash(random);
      this.#platform = this.#platform.crash(randomCrash(random), (path, count) => {
        const keptCount = batches(path, count);
        lostCount += count - keptCount;
        return keptCount;
      });
    }
    return lostCount > 0;
  }

  /** Whether the process has died at the operation that `crashAfter` named. */
  get isCrashed(): boolean {
    return this.#host !== undefined && this.#platform.isCrashed;
  }

  /** Controlled shutdown; `onExit` tells when it is over. */
  async stop(): Promise<void> {
    const [host, node] = [this.#host, this.node];
    if (host === undefined || node === undefined) return;
    await node.leave(LEAVE_TIMEOUT_MS);
    await node.close();
    if (!host.isAlive) return;
    this.#wasCleanShutdown = true;
    this.#ended(host, undefined);
  }

  /** All streams of the node to others break. */
  disconnect(): void {
    this.#transport?.disconnect();
  }

  /** Between two processes: what was on the disk is gone. */
  wipe(kind: WipeKind): void {
    this.#deps.onStoreLost();
    if (kind === "disk") {
      // Another seed, or the new disk would be given the very ids of the old one.
      const seed = this.#platform.random.below(2 ** 32);
      this.#platform = SimPlatform.create({ ...this.#options.platform, seed }, this.#deps);
      this.#directoryId = this.#newId();
      this.#clusterId = undefined;
      this.#previousBrokerEpoch = undefined;
    }
    this.#platform.keyValues.wipe(SimMachine.quorumDirectory);
    // The disk has no latency of its own, so this is done before anything else happens.
    if (kind === "quorum") void this.#platform.disk.removeDir(SimMachine.quorumDirectory);
  }

  /** Between two processes: a record of the store has vanished (H13). */
  damage(key: Uint8Array): void {
    this.#deps.onStoreLost();
    this.#platform.keyValues.loseRecord(`${SimMachine.quorumDirectory}/store`, key);
  }

  async #run(host: SimProcess): Promise<void> {
    const { network, logger, onSend, onOpened } = this.#deps;
    const { node: options } = this.#options;
    const transport = new SimRaftTransport({
      network,
      host,
      onSend: (message) => onSend(host, message),
    });
    await this.#platform.disk.makeDir(DATA_DIRECTORY);
    await this.#platform.disk.syncDir("/");
    const clean = this.#wasCleanShutdown;
    this.#wasCleanShutdown = false;
    const node = await MetadataNode.open(
      {
        ...options,
        quorum: {
          ...options.quorum,
          nodeId: this.nodeId,
          endpoint: this.endpoint,
          clusterId: this.#clusterId,
        },
      },
      {
        platform: this.#platform,
        logger,
        transport,
        channel: new SimControllerChannel({ network, host }),
        joinCluster: async (clusterId) => {
          if (host.isAlive) this.#clusterId = clusterId;
        },
        onChange: () => undefined,
        health: { loopAgeMs: () => 0, diskAgeMs: () => 0 },
      },
    );
    if (!host.isAlive) return;
    this.#node = node;
    this.#transport = transport;
    host.peer = node;
    network.listen(this.endpoint, host);
    onOpened(node);
    node.start();
    void this.#join(host, node, clean);
    throw await node.failure;
  }

  /** Never rejects: what goes wrong for good ends the node, through its `failure`. */
  async #join(host: SimProcess, node: MetadataNode, clean: boolean): Promise<void> {
    const incarnationId = this.#newId();
    const never = new AbortController();
    while (host.isAlive) {
      try {
        const { brokerEpoch } = await node.join(
          {
            incarnationId,
            directoryId: this.#directoryId,
            previousBrokerEpoch: this.#previousBrokerEpoch,
            wasCleanShutdown: clean,
            host: `host${this.index}`,
            port: 9092,
            rack: null,
            brokerHost: null,
          },
          never.signal,
        );
        this.#previousBrokerEpoch = brokerEpoch;
        return;
      } catch (error: unknown) {
        if (!(error instanceof LograftError)) throw error;
        this.#deps.logger.warn("the broker could not join", {
          node: this.nodeId,
          cause: errorMessage(error),
        });
        await this.#platform.clock.sleep(JOIN_RETRY_MS);
      }
    }
  }

  #ended(host: SimProcess, error: Error | undefined): void {
    // What a dead process still says, its own death included, is not heard.
    if (!host.isAlive || error instanceof SimulatedCrash) return;
    this.#bury(host);
    this.#platform = this.#platform.kill();
    this.#deps.onExit(error);
  }

  #bury(host: SimProcess): void {
    this.#host = undefined;
    this.#node = undefined;
    this.#transport = undefined;
    this.#deps.network.close(this.endpoint, host);
    host.die();
  }

  #newId(): string {
    return randomClusterId(this.#platform.random.bytes(16));
  }
}

/** Whether an error that ended a process is a bug, not something a disk or another node did to it. */
export function isBug(error: Error): boolean {
  return error instanceof InvariantError || !(error instanceof LograftError);
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
