import { NOBODY } from "../../model/balance-problem.ts";
import type { NamedPartitions } from "../../model/consumer-protocol.ts";
import type { PartitionGrid } from "./partition-grid.ts";

/** What a member says it had, and since when. */
export interface Claim {
  readonly partitions: readonly NamedPartitions[];
  /** -1: not known. */
  readonly generationId: number;
}

/**
 * Who had each partition. Of several claims the one of the latest generation counts; two of one generation cannot both be
 * true, and neither counts. A claim of what does not exist, or of a topic that the member no longer wants, is void.
 */
export function previousOwners(grid: PartitionGrid, claims: readonly Claim[]): Int32Array {
  const owners = new Int32Array(grid.partitionCount).fill(NOBODY);
  const generations = new Int32Array(grid.partitionCount).fill(-2);
  const topics = new Map(grid.topics.map((topic) => [topic.name, topic]));
  const subscribed = grid.members.map(({ subscription }) => new Set(subscription.topics));
  for (const [member, { partitions: claimed, generationId }] of claims.entries()) {
    for (const { topic: name, partitions } of claimed) {
      const topic = topics.get(name);
      if (topic === undefined || subscribed[member]?.has(name) !== true) continue;
      for (const number of partitions) {
        if (number >= topic.partitionCount) continue;
        const at = topic.first + number;
        const known = generations[at] ?? 0;
        if (generationId < known || owners[at] === member) continue;
        owners[at] = generationId === known ? NOBODY : member;
        generations[at] = generationId;
      }
    }
  }
  return owners;
}
