import { assert } from "../base/assert.ts";
import type { NodeId } from "../model/ids.ts";

/** Where the replicas of new partitions go. */
export interface PlacementRequest {
  /** First partition number to place, and the one after the last (exclusive). */
  readonly from: number;
  readonly to: number;
  readonly replicationFactor: number;
  /** Sorted by id, without repeats; at least `replicationFactor`. */
  readonly brokers: readonly NodeId[];
  /** Position in `brokers` of partition 0's leader; taken modulo their count. */
  readonly start: number;
}

/**
 * The replicas of each partition, the leader first. Partition i is led by broker (start + i) mod n; its followers are
 * the brokers after a gap that grows by one each time the leaders have gone round, so that the followers of one broker's
 * partitions are spread over all others and its death loads them evenly. Equal lists are one array.
 */
export function placeReplicas(request: PlacementRequest): readonly (readonly NodeId[])[] {
  const { from, to, replicationFactor, brokers, start } = request;
  const count = brokers.length;
  assert(replicationFactor >= 1 && replicationFactor <= count, "placement needs a broker for each replica", {
    replicationFactor,
    count,
  });
  const shared = new Map<number, readonly NodeId[]>();
  const placed: (readonly NodeId[])[] = [];
  for (let partition = from; partition < to; partition++) {
    const leader = (start + partition) % count;
    // With n brokers there are n-1 different gaps; after that the pattern repeats.
    const gap = count > 1 ? Math.floor(partition / count) % (count - 1) : 0;
    const key = leader * count + gap;
    let replicas = shared.get(key);
    if (replicas === undefined) {
      replicas = replicasOf(brokers, leader, gap, replicationFactor);
      shared.set(key, replicas);
    }
    placed.push(replicas);
  }
  return placed;
}

function replicasOf(
  brokers: readonly NodeId[],
  leader: number,
  gap: number,
  replicationFactor: number,
): NodeId[] {
  const count = brokers.length;
  const replicas = [brokerAt(brokers, leader)];
  for (let i = 0; i < replicationFactor - 1; i++) {
    // 1..count-1 steps behind the leader, each step once.
    const step = 1 + ((gap + i) % (count - 1));
    replicas.push(brokerAt(brokers, (leader + step) % count));
  }
  return replicas;
}

function brokerAt(brokers: readonly NodeId[], position: number): NodeId {
  const broker = brokers[position];
  assert(broker !== undefined, "a placement position is past the brokers", {
    position,
    count: brokers.length,
  });
  return broker;
}
