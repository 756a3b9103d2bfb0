import type { ProgramCall } from "./owned-process.ts";

/** A system that can be measured. */
export interface Peer {
  readonly name: string;
  /** Fetches and builds what is not there yet. @throws with the cause when it cannot be had. */
  install(cacheDirectory: string): Promise<InstalledPeer>;
}

/** A system that is there. */
export interface InstalledPeer {
  readonly version: string;
  /** Why a row makes no sense for it; undefined when it does. */
  lacks(row: string): string | undefined;
  /** Prepares the nodes of a cluster in an empty directory. */
  prepare(directory: string, nodes: number): Promise<ClusterPlan>;
  /** Its client, which is told the addresses. */
  client(servers: readonly string[]): ProgramCall;
}

/** What a cluster consists of; it can be started and stopped again and again. */
export interface ClusterPlan {
  /** What clients are told. */
  readonly servers: readonly string[];
  /** In the order in which they are started; the first have the node ids 1 to `nodes`. */
  readonly programs: readonly ProgramCall[];
}
