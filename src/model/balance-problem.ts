import { lowerBound } from "../base/binary-search.ts";

/** A topic whose partitions are dealt out. */
export interface BalanceTopic {
  readonly partitionCount: number;
  /** Indices of the members that may get them, ascending. */
  readonly subscribers: readonly number[];
}

/**
 * Who is to get what. Members are indices in an order of the caller's, which breaks ties. Partitions of all topics are
 * numbered through: topic by topic, partition by partition.
 */
export interface BalanceProblem {
  readonly memberCount: number;
  readonly topics: readonly BalanceTopic[];
  /** Who had each partition; `NOBODY`, or a subscriber of its topic. */
  readonly previous: Int32Array;
  /** True when the member is near a replica of the partition; absent: places are not known. */
  readonly isNear?: ((partition: number, member: number) => boolean) | undefined;
}

/** In place of a member. */
export const NOBODY = -1;

/** Whether the member may get partitions of the topic. */
export function isSubscriber({ subscribers }: Pick<BalanceTopic, "subscribers">, member: number): boolean {
  const at = lowerBound(subscribers.length, (index) => subscribers[index] ?? 0, member);
  return subscribers[at] === member;
}
