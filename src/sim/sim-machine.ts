import { InvariantError } from "../base/assert.ts";
import { LograftError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Broker } from "../broker/broker.ts";
import type { MetadataNode } from "../broker/metadata-node.ts";
import { nodeId } from "../model/ids.ts";
import type { NodeId } from "../model/ids.ts";
import { dropAll, randomCrash } from "./crash-policy.ts";
import type { Scheduler } from "./scheduler.ts";
import { SimControllerChannel } from "./sim-controller-channel.ts";
import { randomBatchCrash } from "./sim-key-value.ts";
import { endpointOf } from "./sim-network.ts";
import type { SimNetwork } from "./sim-network.ts";
import { SimPlatform } from "./sim-platform.ts";
import type { SimPlatformOptions } from "./sim-platform.ts";
import { SimProcess } from "./sim-process.ts";
import { DATA_DIRECTORY } from "./sim-program.ts";
import type { RunningProgram, SimProgram } from "./sim-program.ts";
import { SimRaftTransport } from "./sim-raft-transport.ts";
import { SimulatedCrash } from "./simulated-crash.ts";

/** A machine with its disk, and the program that runs on it, runs again, or does not run. */
export interface SimMachineOptions {
  /** From 0; the node id is one more. */
  readonly index: number;
  readonly platform: SimPlatformOptions;
}

export interface SimMachineDeps {
  readonly scheduler: Scheduler;
  readonly network: SimNetwork<SimProcess>;
  readonly logger: Logger;
  /** Makes the program once, for the machine as it is new. */
  readonly program: (platform: SimPlatform) => SimProgram;
  readonly onStep: (host: SimProcess) => void;
  readonly onSend: (host: SimProcess, message: Buffer) => void;
  /** The store of this machine will not be found again. */
  readonly onStoreLost: () => void;
  /** A node came up on its store. */
  readonly onOpened: (node: MetadataNode) => void;
  /** The process ended by itself; undefined: by its clean shutdown. */
  readonly onExit: (error: Error | undefined) => void;
}

/**
 * How a process ends from outside: alone, or with its machine and what was not synced. In a power cut that may survive,
 * tear or be lost, in a "cleanCut" all of it is lost.
 */
export type CrashKind = "kill" | "powerCut" | "cleanCut";

/** What is lost: the log, the quorum's whole directory, or the disk and all that is on it. */
export type WipeKind = "store" | "quorum" | "disk";

export class SimMachine {
  readonly index: number;
  readonly nodeId: NodeId;
  readonly endpoint: string;
  readonly #options: SimMachineOptions;
  readonly #deps: SimMachineDeps;
  readonly #program: SimProgram;
  #platform: SimPlatform;
  #host: SimProcess | undefined;
  /** The process whose controlled shutdown was asked for last. */
  #stopping: SimProcess | undefined;
  #running: RunningProgram | undefined;
  #transport: SimRaftTransport | undefined;

  constructor(options: SimMachineOptions, deps: SimMachineDeps) {
    this.index = options.index;
    this.nodeId = nodeId(options.index + 1);
    this.endpoint = endpointOf(options.index);
    this.#options = options;
    this.#deps = deps;
    this.#platform = SimPlatform.create(options.platform, deps);
    this.#program = deps.program(this.#platform);
  }

  /** Of its data, once it was opened; another one after its disk was replaced. */
  get directoryId(): string | undefined {
    return this.#program.directoryId;
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
    return this.#host?.isAlive === true ? this.#running?.node : undefined;
  }

  /** The broker of a process that has opened its data directory, where whole brokers run. */
  get broker(): Broker | undefined {
    return this.#host?.isAlive === true ? this.#running?.broker : undefined;
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
      const policy = kind === "cleanCut" ? dropAll : randomCrash(random);
      this.#platform = this.#platform.crash(policy, (path, count) => {
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

  /** A controlled shutdown is under way. */
  get isStopping(): boolean {
    return this.#stopping !== undefined && this.#stopping === this.#host && this.#stopping.isAlive;
  }

  /** Controlled shutdown; `onExit` tells when it is over. */
  async stop(): Promise<void> {
    const [host, running] = [this.#host, this.#running];
    if (host?.isAlive !== true || running === undefined) return;
    this.#stopping = host;
    try {
      await running.stop();
    } catch (error: unknown) {
      this.#ended(host, asError(error));
      return;
    }
    if (host.isAlive) this.#ended(host, undefined);
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
      this.#program.diskReplaced(this.#platform);
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
    const platform = this.#platform;
    const transport = new SimRaftTransport({
      network,
      host,
      onSend: (message) => onSend(host, message),
    });
    await platform.disk.makeDir(DATA_DIRECTORY);
    await platform.disk.syncDir("/");
    const running = await this.#program.open({
      nodeId: this.nodeId,
      endpoint: this.endpoint,
      host,
      platform,
      network,
      logger,
      transport,
      channel: new SimControllerChannel({ network, host }),
    });
    if (!host.isAlive) return;
    this.#running = running;
    this.#transport = transport;
    host.peer = running.node;
    host.broker = running.broker;
    network.listen(this.endpoint, host);
    onOpened(running.node);
    running.run().catch((error: unknown) => this.#ended(host, asError(error)));
    throw await running.failure;
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
    this.#running = undefined;
    this.#transport = undefined;
    this.#deps.network.close(this.endpoint, host);
    host.die();
  }
}

/** Whether an error that ended a process is a bug, not something a disk or another node did to it. */
export function isBug(error: Error): boolean {
  return error instanceof InvariantError || !(error instanceof LograftError);
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
