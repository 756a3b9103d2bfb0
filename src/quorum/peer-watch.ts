import { deadlineSignal } from "../base/abort.ts";
import { LograftError } from "../base/errors.ts";
import type { NodeId } from "../model/ids.ts";
import type { PeerAddress } from "../model/peer-address.ts";
import type { Platform } from "../platform/platform.ts";
import type { RaftStatus, ReplicaId } from "../raft/types.ts";
import type { AddressBook } from "./address-book.ts";
import type { RaftDriver } from "./raft-driver.ts";
import type { Hello, RaftTransport } from "./raft-transport.ts";

interface PeerWatchDeps {
  readonly id: ReplicaId;
  /** How long a leader may take to answer before it is left to the election timeout. */
  readonly answerMs: number;
  readonly platform: Platform;
  readonly transport: RaftTransport | undefined;
  readonly book: AddressBook;
  readonly driver: RaftDriver;
  readonly selfHello: () => Hello;
}

/** Keeps the transport to the peers that count, and notices a leader whose process is gone before its silence does. */
export class PeerWatch {
  readonly #deps: PeerWatchDeps;
  readonly #stopping = new AbortController();
  #probing: Promise<void> | undefined;
  #retained = "";

  constructor(deps: PeerWatchDeps) {
    this.#deps = deps;
  }

  /** After each turn: connections to who is neither voter nor observer nor leader may go. */
  update(status: RaftStatus): void {
    const { transport, book, id } = this.#deps;
    if (transport === undefined) return;
    const ids = new Set(status.voters.map((voter) => voter.id));
    for (const follower of status.progress) ids.add(follower.id);
    if (status.leader !== undefined) ids.add(status.leader);
    ids.delete(id);
    const addresses = [...ids].sort().flatMap((peer): PeerAddress[] => {
      const address = book.find(peer);
      return address === undefined ? [] : [address];
    });
    const text = addresses.map(({ directoryId, endpoint }) => `${directoryId} ${endpoint}`).join();
    if (text === this.#retained) return;
    this.#retained = text;
    transport.retain(addresses);
  }

  /** The connection on which this node sent to us ended. One question at a time. */
  closed(nodeId: NodeId): void {
    const { leader } = this.#deps.driver.status;
    if (leader === undefined || leader === this.#deps.id || this.#probing !== undefined) return;
    const address = this.#deps.book.find(leader);
    if (address?.nodeId !== nodeId || this.#deps.driver.isStopped) return;
    this.#probing = this.#probe(leader, address.endpoint).finally(() => {
      this.#probing = undefined;
    });
  }

  /** Ends the question in progress. Idempotent. */
  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#probing;
  }

  /** Never rejects: what cannot be asked is left to the election timeout. */
  async #probe(leader: ReplicaId, endpoint: string): Promise<void> {
    const { transport, platform, driver, selfHello, answerMs } = this.#deps;
    if (transport === undefined) return;
    using deadline = deadlineSignal(platform.clock, answerMs, this.#stopping.signal);
    try {
      await transport.hello(endpoint, selfHello(), deadline.signal);
    } catch (error: unknown) {
      const isRefused = error instanceof LograftError && error.context["isRefused"] === true;
      // Another leader may have come while it was asked.
      if (!isRefused || driver.isStopped || driver.status.leader !== leader) return;
      driver.input((raw) => raw.leaderUnreachable());
    }
  }
}
