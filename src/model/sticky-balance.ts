import type { BalanceProblem } from "./balance-problem.ts";
import { movesPlan } from "./sticky-moves.ts";
import { quotaPlan } from "./sticky-quota.ts";

/**
 * The owner of each partition: a subscriber, or `NOBODY` where there is none. Counts are as even as the subscriptions
 * allow (the sum of their squares is the least possible), and what can stay stays. The same problem has the same answer.
 * Members of one subscription get floor(N/M) or ceil(N/M) each.
 */
export function stickyBalance(problem: BalanceProblem): Int32Array {
  const { topics, memberCount } = problem;
  const isSubscribed = new Uint8Array(memberCount);
  let subscriberCount = 0;
  for (const { partitionCount, subscribers } of topics) {
    if (partitionCount === 0) continue;
    for (const member of subscribers) {
      if (isSubscribed[member] === 1) continue;
      isSubscribed[member] = 1;
      subscriberCount++;
    }
  }
  // Each topic is subscribed to by all who subscribe to anything: then all subscriptions are the same.
  const isUniform = topics.every(
    ({ partitionCount, subscribers }) => partitionCount === 0 || subscribers.length === subscriberCount,
  );
  if (!isUniform) return movesPlan(problem);
  return quotaPlan(problem, topics.find(({ partitionCount }) => partitionCount > 0)?.subscribers ?? []);
}
