import type { LeaderReplica, LeaderReplicas, ReplicaRefusal } from "./replica.ts";
import type { SentPartition } from "./sent-partition.ts";

export interface ReplicaLookupsDeps {
  readonly replicas: LeaderReplicas;
  /** Not called for one that has ended meanwhile. */
  readonly onFound: (sent: SentPartition, found: LeaderReplica | ReplicaRefusal) => void;
}

/** Logs being opened at a time for one stream: a follower that comes back asks for thousands at once. */
const MAX_RUNNING = 32;

/** Finds the partitions that a follower asks for, some at a time, in the order of its questions. */
export class ReplicaLookups {
  readonly #deps: ReplicaLookupsDeps;
  #waiting: SentPartition[] = [];
  #head = 0;
  #running = 0;

  constructor(deps: ReplicaLookupsDeps) {
    this.#deps = deps;
  }

  /** Those that have ended while they waited count until their turn comes. */
  get waitingCount(): number {
    return this.#waiting.length - this.#head;
  }

  push(sent: SentPartition): void {
    this.#waiting.push(sent);
    this.#next();
  }

  clear(): void {
    this.#waiting = [];
    this.#head = 0;
  }

  #next(): void {
    while (this.#running < MAX_RUNNING) {
      const sent = this.#waiting[this.#head];
      if (sent === undefined) break;
      this.#head += 1;
      if (sent.isEnded) continue;
      this.#running += 1;
      void this.#find(sent); // Never rejects, as `find` does not.
    }
    if (this.#head === this.#waiting.length) this.clear();
  }

  async #find(sent: SentPartition): Promise<void> {
    const found = await this.#deps.replicas.find(sent.item.topicId, sent.item.partition);
    this.#running -= 1;
    if (!sent.isEnded) this.#deps.onFound(sent, found);
    this.#next();
  }
}
