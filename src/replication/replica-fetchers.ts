import type { NodeId, TopicId } from "../model/ids.ts";
import type { PeerAddress } from "../model/peer-address.ts";
import { Fetcher } from "./fetcher.ts";
import type { FetcherDeps, FetcherOptions } from "./fetcher.ts";
import type { FollowerReplica } from "./replica.ts";

interface Followed {
  readonly fetcher: Fetcher;
  readonly leader: NodeId;
  readonly replica: FollowerReplica;
}

/** Everything that this broker follows: one fetcher, with one stream, for each broker that leads some of it. */
export class ReplicaFetchers {
  readonly #options: FetcherOptions;
  readonly #deps: FetcherDeps;
  readonly #fetchers = new Map<NodeId, Fetcher>();
  readonly #followed = new Map<string, Followed>();
  /** What is still under way in logs that are not followed any more. */
  readonly #ending = new Map<string, Promise<void>>();
  #isClosed = false;

  constructor(options: FetcherOptions, deps: FetcherDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** Streams that are open or being opened. */
  get leaderCount(): number {
    return this.#fetchers.size;
  }

  /** Follows the partition at `leader` as `replica` says, instead of whatever it followed before. */
  setFollowed(leader: PeerAddress, replica: FollowerReplica): void {
    if (this.#isClosed) return;
    const key = keyOf(replica.topicId, replica.partition);
    const current = this.#followed.get(key);
    if (current?.replica === replica && current.leader === leader.nodeId) {
      current.fetcher.setLeader(leader);
      return;
    }
    // Appends and cuts of the epoch before go on in the same log: the position is told when they have ended.
    const before = current?.fetcher.remove(key) ?? this.#ending.get(key) ?? Promise.resolve();
    const fetcher = this.#fetcherOf(leader);
    fetcher.add(key, replica, before);
    this.#followed.set(key, { fetcher, leader: leader.nodeId, replica });
    if (current !== undefined) this.#closeIfIdle(current);
  }

  /** Another role, or the partition is gone. Nothing is appended from the call on; a cut under way still ends. */
  forget(topicId: TopicId, partition: number): void {
    const key = keyOf(topicId, partition);
    const current = this.#followed.get(key);
    if (current === undefined) return;
    this.#followed.delete(key);
    // Never rejects.
    const work = current.fetcher.remove(key);
    this.#ending.set(key, work);
    void work.then(() => {
      if (this.#ending.get(key) === work) this.#ending.delete(key);
    });
    this.#closeIfIdle(current);
  }

  /** This broker has another registration: leaders are to know it, or they would not count what it follows (H22). */
  reopen(): void {
    for (const fetcher of this.#fetchers.values()) fetcher.reopen();
  }

  /** Ends all streams. Idempotent. */
  close(): void {
    this.#isClosed = true;
    for (const fetcher of this.#fetchers.values()) fetcher.close();
    this.#fetchers.clear();
    this.#followed.clear();
  }

  #fetcherOf(leader: PeerAddress): Fetcher {
    const known = this.#fetchers.get(leader.nodeId);
    if (known !== undefined) {
      known.setLeader(leader);
      return known;
    }
    const fetcher = new Fetcher(leader, this.#options, this.#deps);
    this.#fetchers.set(leader.nodeId, fetcher);
    return fetcher;
  }

  #closeIfIdle({ fetcher, leader }: Followed): void {
    if (fetcher.partitionCount > 0) return;
    fetcher.close();
    this.#fetchers.delete(leader);
  }
}

function keyOf(topicId: TopicId, partition: number): string {
  return `${topicId}-${partition}`;
}
