import { type BalanceProblem, type BalanceTopic, isSubscriber, NOBODY } from "./balance-problem.ts";
import { type ChainPlan, moveByChain } from "./sticky-chains.ts";

/**
 * The plan when subscriptions differ. What members have stays; free partitions go to the emptiest subscriber; then
 * partitions move from fuller to emptier members, at last by way of others, while that brings counts nearer to each
 * other; then what moved in vain goes back. The sum of the squared counts falls with every move of the third step and
 * never grows in the fourth, which lowers the number of displaced partitions: so the steps end, however often they follow
 * one another.
 */
export function movesPlan(problem: BalanceProblem): Int32Array {
  const plan = new MovesPlan(problem);
  plan.dealFree();
  do plan.balance();
  while (plan.restore());
  return plan.owners;
}

/** A topic and the number of its first partition. */
interface NumberedTopic extends BalanceTopic {
  readonly first: number;
}

class MovesPlan {
  readonly owners: Int32Array;
  readonly #previous: Int32Array;
  readonly #counts: Int32Array;
  readonly #topics: readonly NumberedTopic[];
  /** Index of the topic of each partition. */
  readonly #topicOf: Int32Array;
  readonly #chainPlan: ChainPlan;

  constructor(problem: BalanceProblem) {
    this.#previous = problem.previous;
    this.owners = problem.previous.slice();
    this.#counts = new Int32Array(problem.memberCount);
    for (const owner of this.owners) if (owner !== NOBODY) this.#add(owner, 1);
    this.#topicOf = new Int32Array(problem.previous.length);
    let first = 0;
    this.#topics = problem.topics.map((topic, index) => {
      const numbered = { ...topic, first };
      this.#topicOf.fill(index, first, first + topic.partitionCount);
      first += topic.partitionCount;
      return numbered;
    });
    this.#chainPlan = {
      owners: this.owners,
      counts: this.#counts,
      previous: this.#previous,
      topicOf: this.#topicOf,
      topics: this.#topics,
    };
  }

  /** Topics that few can take come first: the others find room later. */
  dealFree(): void {
    const byChoice = this.#topics.toSorted((a, b) => a.subscribers.length - b.subscribers.length);
    for (const { first, partitionCount, subscribers } of byChoice) {
      if (subscribers.length === 0) continue;
      const sorted = subscribers.toSorted((a, b) => this.#count(a) - this.#count(b) || a - b);
      // The counts in `sorted` never fall from left to right, so the emptiest is at `at` or, a level higher, at 0.
      let at = 0;
      for (let partition = first; partition < first + partitionCount; partition++) {
        if (this.owners[partition] !== NOBODY) continue;
        const member = sorted[at] ?? 0;
        this.owners[partition] = member;
        this.#add(member, 1);
        at++;
        const next = sorted[at];
        if (next === undefined || this.#count(next) >= this.#count(member)) at = 0;
      }
    }
  }

  /** Moves until the sum of the squared counts is the least possible. */
  balance(): void {
    do {
      // Direct moves first: they are many and cheap to find.
      let hasMoved = true;
      while (hasMoved) {
        hasMoved = false;
        for (const topic of this.#topics) hasMoved = this.#balanceTopic(topic) || hasMoved;
      }
    } while (moveByChain(this.#chainPlan));
  }

  #balanceTopic({ first, partitionCount, subscribers }: NumberedTopic): boolean {
    if (partitionCount === 0 || subscribers.length < 2) return false;
    const holdings = new Map<number, Holding>();
    for (let partition = first; partition < first + partitionCount; partition++) {
      const owner = this.owners[partition] ?? NOBODY;
      this.#hold(holdings, owner, partition);
    }
    for (let moves = 0; ; moves++) {
      let emptiest = subscribers[0] ?? NOBODY;
      for (const member of subscribers) if (this.#count(member) < this.#count(emptiest)) emptiest = member;
      let fullest = emptiest;
      for (const member of holdings.keys()) {
        if (this.#count(member) > this.#count(fullest)) fullest = member;
      }
      if (this.#count(fullest) < this.#count(emptiest) + 2) return moves > 0;
      const holding = holdings.get(fullest);
      // What is only borrowed goes first; its member loses nothing.
      const partition = holding?.borrowed.pop() ?? holding?.own.pop() ?? NOBODY;
      if (holding?.borrowed.length === 0 && holding.own.length === 0) holdings.delete(fullest);
      this.#move(partition, emptiest);
      this.#hold(holdings, emptiest, partition);
    }
  }

  #hold(holdings: Map<number, Holding>, owner: number, partition: number): void {
    let holding = holdings.get(owner);
    if (holding === undefined) {
      holding = { own: [], borrowed: [] };
      holdings.set(owner, holding);
    }
    (this.#previous[partition] === owner ? holding.own : holding.borrowed).push(partition);
  }

  /**
   * Gives displaced partitions back: for nothing where the one who has it has more, else in exchange for one that its
   * former owner only borrows. True when something moved, which may have made room for another move of balance.
   */
  restore(): boolean {
    const borrowed = this.#borrowed();
    let hasMoved = false;
    for (const [partition, previous] of this.#previous.entries()) {
      const owner = this.owners[partition] ?? NOBODY;
      if (previous === NOBODY || owner === previous) continue;
      if (this.#count(owner) <= this.#count(previous)) {
        const inExchange = borrowed.get(previous)?.find((other) => this.#isExchange(other, previous, owner));
        if (inExchange === undefined) continue;
        this.#move(inExchange, owner);
        if (this.#previous[inExchange] !== owner) borrowed.get(owner)?.push(inExchange);
      }
      this.#move(partition, previous);
      hasMoved = true;
    }
    return hasMoved;
  }

  /** By member: partitions it has and did not have. Entries that moved on meanwhile are recognised by their owner. */
  #borrowed(): Map<number, number[]> {
    const borrowed = new Map<number, number[]>();
    for (const [partition, owner] of this.owners.entries()) {
      if (owner === NOBODY || this.#previous[partition] === owner) continue;
      const list = borrowed.get(owner);
      if (list === undefined) borrowed.set(owner, [partition]);
      else list.push(partition);
    }
    return borrowed;
  }

  #isExchange(partition: number, from: number, to: number): boolean {
    if (this.owners[partition] !== from) return false;
    const topic = this.#topics[this.#topicOf[partition] ?? NOBODY];
    return topic !== undefined && isSubscriber(topic, to);
  }

  #move(partition: number, to: number): void {
    const from = this.owners[partition] ?? NOBODY;
    if (from !== NOBODY) this.#add(from, -1);
    this.#add(to, 1);
    this.owners[partition] = to;
  }

  #count(member: number): number {
    return this.#counts[member] ?? 0;
  }

  #add(member: number, delta: number): void {
    this.#counts[member] = this.#count(member) + delta;
  }
}

/** Partitions of one topic that a member has: those it had, and others. */
interface Holding {
  readonly own: number[];
  readonly borrowed: number[];
}
