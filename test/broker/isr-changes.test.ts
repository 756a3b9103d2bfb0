import { expect, test } from "vitest";
import { IsrChanges } from "../../src/broker/isr-changes.ts";
import type { PartitionImage, TopicImage } from "../../src/metadata/image.ts";
import { nodeId } from "../../src/model/ids.ts";
import type { TopicId } from "../../src/model/ids.ts";
import type { LeaderEpoch } from "../../src/model/offsets.ts";

function partition(leader: number, isr: readonly number[]): PartitionImage {
  return {
    replicas: [1, 2, 3].map((id) => nodeId(id)),
    addingReplicas: [],
    removingReplicas: [],
    isr: isr.map((id) => nodeId(id)),
    elr: [],
    lastKnownElr: [],
    leader: nodeId(leader),
    leaderEpoch: 1 as LeaderEpoch,
    partitionEpoch: 1,
  };
}

function topic(...partitions: readonly PartitionImage[]): TopicImage {
  return { name: "t", topicId: "AAAAAAAAAAAAAAAAAAAAAQ" as TopicId, partitions, configs: new Map() };
}

test("changes are counted by direction, of the partitions that this broker leads", () => {
  const changes = new IsrChanges(nodeId(1));
  const [all, two] = [partition(1, [1, 2, 3]), partition(1, [1, 2])];
  changes.note(topic(all, all, partition(2, [1, 2])), topic(two, all, partition(2, [2])));
  expect([changes.shrinks, changes.expands]).toEqual([1, 0]);
  changes.note(topic(two), topic(all));
  expect([changes.shrinks, changes.expands]).toEqual([1, 1]);
});

test("the loss of a leader is a shrink at the one that follows it, and a new partition is no change", () => {
  const changes = new IsrChanges(nodeId(1));
  changes.note(topic(partition(3, [1, 2, 3])), topic(partition(1, [1, 2]), partition(1, [1, 2, 3])));
  expect([changes.shrinks, changes.expands]).toEqual([1, 0]);
});
