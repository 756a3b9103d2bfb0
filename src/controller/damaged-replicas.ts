import type { MetadataImage, PartitionImage, TopicImage } from "../metadata/image.ts";
import type { MetadataRecord } from "../metadata/records.ts";
import type { NodeId, TopicId } from "../model/ids.ts";
import { leaderEpoch } from "../model/offsets.ts";
import { partitionRecord } from "./affected-partitions.ts";
import { advancePartition, changeOf, electMembers } from "./partition-change.ts";
import type { PartitionChange } from "./partition-change.ts";
import { partitionPolicyOf } from "./partition-rules.ts";
import type { PartitionPolicy, PartitionRules } from "./partition-rules.ts";
import { failure, SUCCESS } from "./result.ts";
import type { Decision, ItemOutcome } from "./result.ts";

/** A partition by the id of its topic. */
export interface ReplicaRef {
  readonly topicId: TopicId;
  readonly partition: number;
}

/** Replicas of the sender whose logs have lost something in the middle. */
export interface DamagedReplicasCommand {
  readonly nodeId: NodeId;
  readonly brokerEpoch: number;
  readonly partitions: readonly ReplicaRef[];
}

/** What became of one of them: with "NONE" it counts for nothing any more, with anything else it is as it was. */
export type DamagedReplica = ReplicaRef & ItemOutcome;

/**
 * Takes damaged replicas out of ISR and ELR, so that they may cut off what is damaged and follow their leaders again
 * (H42). Always with a new leader epoch: whatever the leader has heard from the replica before counts for nothing then,
 * so it cannot come back into the ISR as the one it was. A replica stays as it is while no other one that has all that
 * was confirmed is in service: what is left of it may be all that is left. One that counts for nothing because it ended
 * uncleanly has all, too, when the topic flushes before it confirms, which is more than the damaged one can say. The
 * sender's registration is the caller's to check.
 */
export function decideDamagedReplicas(
  image: MetadataImage,
  { nodeId, partitions }: DamagedReplicasCommand,
  rules: PartitionRules,
): Decision<readonly DamagedReplica[]> {
  const records: MetadataRecord[] = [];
  const policies = new Map<TopicId, PartitionPolicy>();
  const decided = new Set<string>();
  const change = withoutBroker(changeOf(image), nodeId);
  const response = partitions.map(({ topicId, partition }): DamagedReplica => {
    const topic = image.topicById(topicId);
    const before = topic?.partitions[partition];
    if (topic === undefined || before === undefined) {
      return { topicId, partition, ...unknownReplica({ topicId, partition }) };
    }
    const name = `${topic.name}-${partition}`;
    const policy = policyOf(policies, topic, rules);
    const refusal = decided.has(name) ? undefined : replicaRefusal(name, nodeId, before, change, policy);
    if (refusal !== undefined) return { topicId, partition, ...refusal };
    if (!decided.has(name)) {
      decided.add(name);
      const next = withoutReplica(before, change, policy);
      records.push(partitionRecord(topicId, partition, next));
    }
    return { topicId, partition, ...SUCCESS };
  });
  return { records, response };
}

/** For the partitions in question it may as well be away: it must not even be the last resort. */
function withoutBroker(change: PartitionChange, nodeId: NodeId): PartitionChange {
  return {
    ...change,
    isActive: (node) => node !== nodeId && change.isActive(node),
    isServing: (node) => node !== nodeId && change.isServing(node),
    lost: { nodeId, cause: "damaged" },
  };
}

function withoutReplica(
  before: PartitionImage,
  change: PartitionChange,
  policy: PartitionPolicy,
): PartitionImage {
  // Of others only one that is known to have all: that was asked before.
  const isUncleanElectionAllowed = !hasHeir([...before.isr, ...before.elr], change);
  const elected = electMembers(before, change, { ...policy, isUncleanElectionAllowed });
  const next = advancePartition(before, elected)?.next ?? before;
  if (next.leaderEpoch > before.leaderEpoch) return next;
  return {
    ...next,
    leaderEpoch: leaderEpoch(before.leaderEpoch + 1),
    partitionEpoch: before.partitionEpoch + 1,
  };
}

function replicaRefusal(
  name: string,
  nodeId: NodeId,
  { replicas, isr, elr, lastKnownElr }: PartitionImage,
  change: PartitionChange,
  { isFlushedOnAck }: PartitionPolicy,
): ItemOutcome | undefined {
  if (!replicas.includes(nodeId)) {
    return failure(
      "NOT_LEADER_OR_FOLLOWER",
      `broker ${nodeId} is no replica of partition ${name}; wait for the metadata`,
    );
  }
  if (hasHeir([...isr, ...elr, ...(isFlushedOnAck ? lastKnownElr : [])], change)) return undefined;
  return failure(
    "NOT_ENOUGH_REPLICAS",
    `no other replica of partition ${name} that has all confirmed records is in service; broker ${nodeId} keeps what it ` +
      "has until one is",
  );
}

/** Whether one of these is in service. */
function hasHeir(nodes: readonly NodeId[], { isActive }: PartitionChange): boolean {
  return nodes.some(isActive);
}

function policyOf(
  policies: Map<TopicId, PartitionPolicy>,
  topic: TopicImage,
  rules: PartitionRules,
): PartitionPolicy {
  const known = policies.get(topic.topicId);
  if (known !== undefined) return known;
  const policy = partitionPolicyOf(topic, rules);
  policies.set(topic.topicId, policy);
  return policy;
}

function unknownReplica({ topicId, partition }: ReplicaRef): ItemOutcome {
  return failure(
    "UNKNOWN_TOPIC_ID",
    `there is no partition ${partition} of a topic with id ${topicId}; wait for the metadata`,
  );
}
