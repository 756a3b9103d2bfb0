import { compareText } from "../../metadata/image.ts";
import type { TopicId } from "../../model/ids.ts";
import type { TopicPartitions } from "./group-api.ts";

/*
 * Sets of partitions as the records carry them. Every function here takes and gives the one form of a set: ascending by
 * topic id, partitions ascending, nothing twice, no topic without partitions; so equal sets look equal.
 */

/** A set of partitions in its one form. */
export type PartitionSet = readonly TopicPartitions[];

export const NO_PARTITIONS: PartitionSet = [];

/** The one form of a list that may be in any order and name things twice. */
export function partitionSet(topics: readonly TopicPartitions[]): PartitionSet {
  const byTopic = new Map<TopicId, Set<number>>();
  for (const { topicId, partitions } of topics) {
    if (partitions.length === 0) continue;
    const known = byTopic.get(topicId);
    if (known === undefined) byTopic.set(topicId, new Set(partitions));
    else for (const partition of partitions) known.add(partition);
  }
  return [...byTopic]
    .sort(([a], [b]) => compareText(a, b))
    .map(([topicId, partitions]) => ({ topicId, partitions: [...partitions].sort((a, b) => a - b) }));
}

export function isSameSet(a: PartitionSet, b: PartitionSet): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (const [index, { topicId, partitions }] of a.entries()) {
    const other = b[index];
    if (other?.topicId !== topicId || other.partitions.length !== partitions.length) return false;
    for (const [at, partition] of partitions.entries()) if (other.partitions[at] !== partition) return false;
  }
  return true;
}

/** Those that `keep` says yes to. */
export function selectPartitions(
  set: PartitionSet,
  keep: (topicId: TopicId, partition: number) => boolean,
): PartitionSet {
  const selected: TopicPartitions[] = [];
  for (const { topicId, partitions } of set) {
    const kept = partitions.filter((partition) => keep(topicId, partition));
    if (kept.length > 0) selected.push({ topicId, partitions: kept });
  }
  return selected;
}

/** What is in both. */
export function intersection(a: PartitionSet, b: PartitionSet): PartitionSet {
  return selectPartitions(a, membership(b));
}

/** What is in `a` alone. */
export function difference(a: PartitionSet, b: PartitionSet): PartitionSet {
  const isInB = membership(b);
  return selectPartitions(a, (topicId, partition) => !isInB(topicId, partition));
}

export function union(a: PartitionSet, b: PartitionSet): PartitionSet {
  if (a.length === 0) return b;
  return b.length === 0 ? a : partitionSet([...a, ...b]);
}

/** True when all of `a` is in `b`. */
export function isSubset(a: PartitionSet, b: PartitionSet): boolean {
  return difference(a, b).length === 0;
}

function membership(set: PartitionSet): (topicId: TopicId, partition: number) => boolean {
  const byTopic = new Map(set.map(({ topicId, partitions }) => [topicId, new Set(partitions)]));
  return (topicId, partition) => byTopic.get(topicId)?.has(partition) ?? false;
}
