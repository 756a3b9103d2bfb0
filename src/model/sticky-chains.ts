import { type BalanceTopic, NOBODY } from "./balance-problem.ts";

/** A plan in the making; both arrays are changed in place. */
export interface ChainPlan {
  /** By partition. */
  readonly owners: Int32Array;
  /** By member. */
  readonly counts: Int32Array;
  /** By partition. */
  readonly previous: Int32Array;
  /** Index of the topic, by partition. */
  readonly topicOf: Int32Array;
  readonly topics: readonly Pick<BalanceTopic, "subscribers">[];
}

/**
 * Moves one partition from a member to another that has at least two less, by way of any number of others: each on the way
 * takes one and hands on one. False when there is no such way: then the sum of the squared counts is the least possible
 * (a semi-matching without a cost-reducing path is optimal: Harvey, Ladner, Lovász and Tamir, 2003).
 */
export function moveByChain(plan: ChainPlan): boolean {
  const search = new ChainSearch(plan);
  const fullestFirst = [...plan.counts.keys()].sort(
    (a, b) => (plan.counts[b] ?? 0) - (plan.counts[a] ?? 0) || a - b,
  );
  return fullestFirst.some((member) => search.moveFrom(member));
}

class ChainSearch {
  readonly #plan: ChainPlan;
  /** By member. What is only borrowed comes first: it is better moved. */
  readonly #held: number[][];
  /** Searches begin with the fullest member, so one that fails has shown for all that it saw that nothing is to be had. */
  readonly #isSeen: Uint8Array;
  readonly #isTopicSeen: Uint8Array;
  /** The partition by which the search came to a member. */
  readonly #via: Int32Array;

  constructor(plan: ChainPlan) {
    const { counts, owners, previous, topics } = plan;
    this.#plan = plan;
    this.#isSeen = new Uint8Array(counts.length);
    this.#isTopicSeen = new Uint8Array(topics.length);
    this.#via = new Int32Array(counts.length).fill(NOBODY);
    this.#held = Array.from({ length: counts.length }, () => []);
    for (const isOwn of [false, true]) {
      for (const [partition, owner] of owners.entries()) {
        if (owner === NOBODY || (owner === previous[partition]) !== isOwn) continue;
        this.#held[owner]?.push(partition);
      }
    }
  }

  moveFrom(start: number): boolean {
    if (this.#isSeen[start] === 1) return false;
    const { counts, topicOf, topics } = this.#plan;
    const wantedCount = (counts[start] ?? 0) - 2;
    const queue = [start];
    this.#isSeen[start] = 1;
    // The queue grows while it is walked: breadth first, so the way is the shortest.
    for (const member of queue) {
      for (const partition of this.#held[member] ?? []) {
        const topic = topicOf[partition] ?? NOBODY;
        if (this.#isTopicSeen[topic] === 1) continue;
        this.#isTopicSeen[topic] = 1;
        for (const next of topics[topic]?.subscribers ?? []) {
          if (this.#isSeen[next] === 1) continue;
          this.#isSeen[next] = 1;
          this.#via[next] = partition;
          if ((counts[next] ?? 0) <= wantedCount) {
            this.#carryOut(start, next);
            return true;
          }
          queue.push(next);
        }
      }
    }
    return false;
  }

  #carryOut(start: number, end: number): void {
    const { owners, counts } = this.#plan;
    let member = end;
    while (member !== start) {
      const partition = this.#via[member] ?? NOBODY;
      const from = owners[partition] ?? NOBODY;
      owners[partition] = member;
      member = from;
    }
    counts[start] = (counts[start] ?? 0) - 1;
    counts[end] = (counts[end] ?? 0) + 1;
  }
}
