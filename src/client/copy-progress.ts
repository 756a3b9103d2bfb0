import type { AdminCalls } from "./admin-calls.ts";
import type { AdminOptions } from "./admin-types.ts";
import type { PartitionReassignment, ReplicaCopy } from "./cluster-types.ts";
import { describedAt } from "./topic-details.ts";

/**
 * How far the new replicas of partitions on their way have come: each broker is asked for what it has itself. One that
 * does not answer is left out, and a leader's with all that copies from it. @throws what `AdminCalls.ask` throws.
 */
export async function measureCopies(
  calls: AdminCalls,
  reassignments: readonly PartitionReassignment[],
  options: AdminOptions,
): Promise<ReplicaCopy[]> {
  const growing = reassignments.filter(({ addingReplicas }) => addingReplicas.length > 0);
  const names = [...new Set(growing.map(({ topic }) => topic))];
  if (names.length === 0) return [];
  const nothing = { topics: [], allTopics: false, allowAutoCreate: false };
  const { brokers } = await calls.ask("Metadata", nothing, options);
  /** By broker and partition. */
  const sizes = new Map<string, number>();
  const leaders = new Map<string, number>();
  await Promise.all(
    brokers.map(async ({ nodeId, host, port }) => {
      for (const { name, partitions } of await describedAt(calls, `${host}:${port}`, names, options)) {
        for (const { partition, leaderId, sizeBytes, error } of partitions) {
          if (error !== undefined) continue;
          sizes.set(`${nodeId} ${name}-${partition}`, sizeBytes);
          if (leaderId === nodeId) leaders.set(`${name}-${partition}`, nodeId);
        }
      }
    }),
  );
  return growing.flatMap(({ topic, partition, addingReplicas }) => {
    const name = `${topic}-${partition}`;
    const leaderSizeBytes = sizes.get(`${leaders.get(name) ?? -1} ${name}`);
    if (leaderSizeBytes === undefined) return [];
    return addingReplicas.flatMap((nodeId) => {
      const sizeBytes = sizes.get(`${nodeId} ${name}`);
      return sizeBytes === undefined ? [] : [{ topic, partition, nodeId, sizeBytes, leaderSizeBytes }];
    });
  });
}
