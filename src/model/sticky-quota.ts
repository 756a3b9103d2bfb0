import { type BalanceProblem, NOBODY } from "./balance-problem.ts";

/** Counts on the way to a plan. */
interface Deal {
  readonly owners: Int32Array;
  readonly counts: Int32Array;
  readonly minCount: number;
  /** How many members may still get one more than `minCount`. */
  extras: number;
}

/**
 * The plan when all `members` may get everything: N partitions, M members, floor(N/M) each, and one more for N mod M of
 * them. Members that have more than that keep it first, so nothing moves that does not have to.
 */
export function quotaPlan(problem: BalanceProblem, members: readonly number[]): Int32Array {
  const owners = new Int32Array(problem.previous.length).fill(NOBODY);
  if (members.length === 0) return owners;
  const deal: Deal = {
    owners,
    counts: new Int32Array(problem.memberCount),
    minCount: Math.floor(owners.length / members.length),
    extras: owners.length % members.length,
  };
  keepOwned(problem, members, deal);
  if (problem.isNear !== undefined) dealNear(members, deal, problem.isNear);
  dealRest(members, deal);
  return owners;
}

/** Of what a member has too many of, low partition numbers stay, whatever their topic. */
function keepOwned(problem: BalanceProblem, members: readonly number[], deal: Deal): void {
  const held: number[][] = Array.from({ length: problem.memberCount }, () => []);
  for (const partition of byNumber(problem)) {
    const member = problem.previous[partition] ?? NOBODY;
    if (member !== NOBODY) held[member]?.push(partition);
  }
  for (const member of members) {
    const owned = held[member] ?? [];
    const mayHaveExtra = owned.length > deal.minCount && deal.extras > 0;
    if (mayHaveExtra) deal.extras--;
    const kept = Math.min(owned.length, deal.minCount + (mayHaveExtra ? 1 : 0));
    for (const partition of owned.slice(0, kept)) deal.owners[partition] = member;
    deal.counts[member] = kept;
  }
}

/** All partitions by their number within the topic, then by topic. */
function byNumber({ topics }: BalanceProblem): readonly number[] {
  const rows: number[][] = [];
  let partition = 0;
  for (const { partitionCount } of topics) {
    for (let number = 0; number < partitionCount; number++) {
      const row = rows[number];
      if (row === undefined) rows[number] = [partition];
      else row.push(partition);
      partition++;
    }
  }
  return rows.flat();
}

/** Partitions that are free go to members near them, as far as the quotas allow: those below the minimum first. */
function dealNear(
  members: readonly number[],
  deal: Deal,
  isNear: (partition: number, member: number) => boolean,
): void {
  for (const mayTakeExtra of [false, true]) {
    let turn = 0;
    for (const [partition, owner] of deal.owners.entries()) {
      if (owner !== NOBODY) continue;
      for (let step = 0; step < members.length; step++) {
        const at = (turn + step) % members.length;
        const member = members[at] ?? NOBODY;
        if (!hasRoom(deal, member, mayTakeExtra) || !isNear(partition, member)) continue;
        give(deal, partition, member);
        turn = at + 1;
        break;
      }
    }
  }
}

/** One each in turn until all have the minimum, then one each while extras are left. */
function dealRest(members: readonly number[], deal: Deal): void {
  const free: number[] = [];
  for (const [partition, owner] of deal.owners.entries()) if (owner === NOBODY) free.push(partition);
  let next = 0;
  for (const mayTakeExtra of [false, true]) {
    for (let hasDealt = true; hasDealt && next < free.length;) {
      hasDealt = false;
      for (const member of members) {
        const partition = free[next];
        if (partition === undefined) return;
        if (!hasRoom(deal, member, mayTakeExtra)) continue;
        give(deal, partition, member);
        next++;
        hasDealt = true;
      }
    }
  }
}

function hasRoom({ counts, minCount, extras }: Deal, member: number, mayTakeExtra: boolean): boolean {
  const count = counts[member] ?? 0;
  return count < minCount || (mayTakeExtra && count === minCount && extras > 0);
}

function give(deal: Deal, partition: number, member: number): void {
  const count = deal.counts[member] ?? 0;
  if (count === deal.minCount) deal.extras--;
  deal.counts[member] = count + 1;
  deal.owners[partition] = member;
}
