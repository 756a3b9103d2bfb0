import { LograftError } from "../base/errors.ts";
import type { PeerEndpoint } from "../broker/peer-endpoint.ts";
import type { PeerAddress } from "../model/peer-address.ts";
import type { Hello, RaftTransport } from "../quorum/raft-transport.ts";
import { connectionError } from "./sim-connection.ts";
import type { SimNetwork } from "./sim-network.ts";
import type { SimProcess } from "./sim-process.ts";
import { request } from "./sim-request.ts";

export interface SimRaftTransportDeps {
  readonly network: SimNetwork<SimProcess>;
  /** Whose transport it is. */
  readonly host: SimProcess;
  /** Each message as it leaves. */
  readonly onSend: (message: Buffer) => void;
}

/** Raft messages as datagrams: lost, doubled, late and out of order as the network likes. */
export class SimRaftTransport implements RaftTransport {
  readonly #deps: SimRaftTransportDeps;
  /** Where messages went: when this process dies, those there see their connection end. */
  readonly #peers = new Set<string>();

  constructor(deps: SimRaftTransportDeps) {
    this.#deps = deps;
    deps.host.onDeath(() => this.disconnect());
  }

  send(to: PeerAddress, message: readonly Uint8Array[]): void {
    const { network, host, onSend } = this.#deps;
    if (!host.isAlive) return;
    const bytes = Buffer.concat(message);
    onSend(bytes);
    this.#peers.add(to.endpoint);
    network.datagram(host, to.endpoint, ({ peer }) => {
      if (peer !== undefined && isMeant(to, peer)) peer.receive(bytes);
    });
  }

  async hello(endpoint: string, mine: Hello, signal: AbortSignal): Promise<Hello> {
    const { network, host } = this.#deps;
    const serve = async ({ peer }: SimProcess): Promise<Hello> => {
      if (peer === undefined) throw connectionError(endpoint, "closed");
      const theirs = peer.clusterId;
      if (theirs !== undefined && mine.clusterId !== undefined && theirs !== mine.clusterId) {
        throw new LograftError("INCONSISTENT_CLUSTER_ID", `${endpoint} belongs to another cluster`);
      }
      return peer.hello(mine);
    };
    return request(network, host, endpoint, serve, signal);
  }

  /** A datagram needs no connection, so there is no pause. */
  heardFrom(): void {}

  retain(addresses: readonly PeerAddress[]): void {
    const kept = new Set(addresses.map(({ endpoint }) => endpoint));
    for (const endpoint of this.#peers) if (!kept.has(endpoint)) this.#peers.delete(endpoint);
  }

  /** All streams of this process end; unless it is dead it opens new ones with its next messages. */
  disconnect(): void {
    const { network, host } = this.#deps;
    for (const endpoint of this.#peers) {
      const target = network.hostAt(endpoint);
      if (target === undefined || network.isCut(host.machine, target.machine)) continue;
      network.scheduler.schedule(network.delayMs(host.machine, target.machine), () => {
        const id = host.peer?.nodeId;
        if (id !== undefined) target.deliver(() => target.peer?.peerClosed(id));
      });
    }
    this.#peers.clear();
  }
}

/** A server refuses what is addressed to another node, or to the store that this node had before. */
export function isMeant(to: PeerAddress, peer: PeerEndpoint): boolean {
  return to.nodeId === peer.nodeId && (to.directoryId === "" || to.directoryId === peer.directoryId);
}
