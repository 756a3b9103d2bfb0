import type { Logger } from "../base/logger.ts";
import type { Broker } from "../broker/broker.ts";
import type { MetadataNode } from "../broker/metadata-node.ts";
import type { NodeId } from "../model/ids.ts";
import type { SimControllerChannel } from "./sim-controller-channel.ts";
import type { SimNetwork } from "./sim-network.ts";
import type { SimPlatform } from "./sim-platform.ts";
import type { SimProcess } from "./sim-process.ts";
import type { SimRaftTransport } from "./sim-raft-transport.ts";

/** Made by whoever sets a broker up, and durable before anything is in it. */
export const DATA_DIRECTORY = "/data";

/** What a program has of the machine that it runs on. */
export interface ProgramPorts {
  readonly nodeId: NodeId;
  /** Where its peers reach it. */
  readonly endpoint: string;
  readonly host: SimProcess;
  readonly platform: SimPlatform;
  readonly network: SimNetwork<SimProcess>;
  readonly logger: Logger;
  readonly transport: SimRaftTransport;
  readonly channel: SimControllerChannel;
}

/** A program that has opened its store. */
export interface RunningProgram {
  readonly node: MetadataNode;
  /** What clients call; none: it keeps metadata only. */
  readonly broker: Broker | undefined;
  /** Resolves with the error after which it must not go on. */
  readonly failure: Promise<Error>;
  /** Takes part in the quorum and joins the cluster. Rejects only with what must end it. */
  run(): Promise<void>;
  /** Controlled shutdown. */
  stop(): Promise<void>;
}

/** What runs on a machine, again and again. */
export interface SimProgram {
  /** Of its data directory; undefined before it made one. */
  readonly directoryId: string | undefined;
  open(ports: ProgramPorts): Promise<RunningProgram>;
  /** The disk under it was replaced: whatever it knew is gone. */
  diskReplaced(platform: SimPlatform): void;
}
