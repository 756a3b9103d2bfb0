import type { MetadataImage, PartitionImage, TopicImage } from "../metadata/image.ts";
import { isActive } from "../metadata/image.ts";
import type { MetadataRecord } from "../metadata/records.ts";
import { NO_BROKER_EPOCH } from "../model/ids.ts";
import type { NodeId, TopicId } from "../model/ids.ts";
import type { LeaderEpoch } from "../model/offsets.ts";
import { partitionRecord } from "./affected-partitions.ts";
import { advancePartition, changeOf, electMembers } from "./partition-change.ts";
import { partitionPolicyOf } from "./partition-rules.ts";
import type { PartitionPolicy, PartitionRules } from "./partition-rules.ts";
import { shrunk } from "./reassignment-phases.ts";
import { failure, SUCCESS } from "./result.ts";
import type { Decision, ItemOutcome } from "./result.ts";

/** A broker in a proposed ISR, by the registration that its leader has seen follow (KIP-903). */
export interface ProposedMember {
  readonly nodeId: NodeId;
  /** `NO_BROKER_EPOCH`: not known; only for those that are in the ISR already. */
  readonly brokerEpoch: number;
}

/** The ISR that a leader wants for a partition, if the partition still is in these epochs. */
export interface ProposedIsr {
  readonly topicId: TopicId;
  readonly partition: number;
  readonly leaderEpoch: LeaderEpoch;
  readonly partitionEpoch: number;
  /** The leader among them. */
  readonly isr: readonly ProposedMember[];
}

/** What a broker proposes for partitions that it leads. */
export interface AlterPartitionsCommand {
  readonly nodeId: NodeId;
  readonly brokerEpoch: number;
  readonly partitions: readonly ProposedIsr[];
}

/**
 * What became of one proposal: carried out with "NONE", whoever leads then, and never with anything else. A leader may
 * take what it added off its account only when that is sure (H36).
 */
export interface AlteredPartition extends ItemOutcome {
  readonly topicId: TopicId;
  readonly partition: number;
  /** As it is after the request, whether it was accepted or not; undefined when this controller does not know it. */
  readonly state: PartitionImage | undefined;
}

/**
 * Decides on the ISRs that a leader proposes: compare and set on leader epoch and partition epoch, from the present
 * leader alone, and nobody comes in who is fenced, on its way out, or another registration than the one that followed
 * (H22; KIP-497, KIP-841, KIP-903). Those that leave go to the ELR while the ISR lacks its minimum (H25, KIP-966).
 * An accepted proposal always moves the partition epoch, also when it changes nothing: a leader that does not know what
 * became of an earlier request makes sure in this way that it cannot take effect any more. The sender's registration is
 * the caller's to check.
 */
export function decideAlterPartitions(
  image: MetadataImage,
  { nodeId, partitions }: AlterPartitionsCommand,
  rules: PartitionRules,
): Decision<readonly AlteredPartition[]> {
  const records: MetadataRecord[] = [];
  const policies = new Map<TopicId, PartitionPolicy>();
  const decided = new Map<string, PartitionImage>();
  const response = partitions.map((proposed): AlteredPartition => {
    const { topicId, partition } = proposed;
    const topic = image.topicById(topicId);
    const before = topic?.partitions[partition];
    if (topic === undefined || before === undefined) {
      return { topicId, partition, ...unknownPartition(topic, proposed), state: undefined };
    }
    const name = `${topic.name}-${partition}`;
    if (isAhead(proposed, before)) return { topicId, partition, ...staleController(name), state: undefined };
    const earlier = decided.get(name);
    const refusal =
      earlier !== undefined
        ? failure("INVALID_REQUEST", `partition ${name} is named twice in one request; name it once`)
        : (epochRefusal(name, nodeId, proposed, before) ?? isrRefusal(image, name, proposed, before));
    if (refusal !== undefined) return { topicId, partition, ...refusal, state: earlier ?? before };
    let policy = policies.get(topicId);
    if (policy === undefined) policies.set(topicId, (policy = partitionPolicyOf(topic, rules)));
    const next = nextState(image, before, proposed, policy);
    decided.set(name, next);
    records.push(partitionRecord(topicId, partition, next));
    return { topicId, partition, ...SUCCESS, state: next };
  });
  return { records, response };
}

/**
 * The proposed ISR, less a leader that is on its way out and can now be followed. Who is proposed but was not a member is
 * one from here on, and who is a member but not proposed is as good as inactive: the rest are the rules of any change. An
 * ISR that holds all that a reassignment waits for completes it.
 */
function nextState(
  image: MetadataImage,
  before: PartitionImage,
  { isr }: ProposedIsr,
  policy: PartitionPolicy,
): PartitionImage {
  const proposed = new Set(isr.map(({ nodeId }) => nodeId));
  const change = {
    ...changeOf(image),
    isActive: (node: NodeId) => proposed.has(node) && isActive(image.broker(node)),
  };
  const members = {
    ...before,
    isr: before.replicas.filter((node) => before.isr.includes(node) || proposed.has(node)),
  };
  // A leader asks for this, so there is one: nobody needs an unclean election.
  const elected = electMembers(members, change, { ...policy, isUncleanElectionAllowed: false });
  const complete = shrunk(before, elected, change, policy);
  if (complete !== undefined) return complete;
  const outcome = advancePartition(before, elected);
  return outcome?.next ?? { ...before, partitionEpoch: before.partitionEpoch + 1 };
}

/** What the leader has seen was committed, so a state before that is an old controller's, which commits nothing any more. */
function isAhead(proposed: ProposedIsr, before: PartitionImage): boolean {
  return proposed.leaderEpoch > before.leaderEpoch || proposed.partitionEpoch > before.partitionEpoch;
}

function epochRefusal(
  name: string,
  sender: NodeId,
  proposed: ProposedIsr,
  { leader, leaderEpoch, partitionEpoch }: PartitionImage,
): ItemOutcome | undefined {
  if (proposed.leaderEpoch < leaderEpoch) {
    return failure(
      "FENCED_LEADER_EPOCH",
      `partition ${name} is in leader epoch ${leaderEpoch}, not ${proposed.leaderEpoch}; wait for the metadata`,
    );
  }
  if (sender !== leader) {
    return failure(
      "NOT_LEADER_OR_FOLLOWER",
      `partition ${name} is led by broker ${leader}, not by broker ${sender}; only its leader proposes an ISR`,
    );
  }
  if (proposed.partitionEpoch === partitionEpoch) return undefined;
  return failure(
    "INVALID_UPDATE_VERSION",
    `partition ${name} is in partition epoch ${partitionEpoch}, not ${proposed.partitionEpoch}; go on from the state ` +
      "that comes with this answer",
  );
}

function isrRefusal(
  image: MetadataImage,
  name: string,
  { isr }: ProposedIsr,
  { replicas, leader, isr: isrBefore }: PartitionImage,
): ItemOutcome | undefined {
  const nodes = new Set(isr.map(({ nodeId }) => nodeId));
  const isForeign = [...nodes].some((node) => !replicas.includes(node));
  if (isForeign || nodes.size !== isr.length || !nodes.has(leader)) {
    return failure(
      "INVALID_REQUEST",
      `[${isr.map(({ nodeId }) => nodeId).join(", ")}] cannot be the ISR of partition ${name}: it takes some of the ` +
        `replicas [${replicas.join(", ")}], each once, and the leader ${leader} among them`,
    );
  }
  for (const { nodeId, brokerEpoch } of isr) {
    const broker = image.broker(nodeId);
    const isMember = brokerEpoch === NO_BROKER_EPOCH && isrBefore.includes(nodeId);
    // The leader serves to its last moment, and helps others to take over.
    const isWelcome = isActive(broker) || nodeId === leader;
    if (isWelcome && (isMember || brokerEpoch === broker?.brokerEpoch)) continue;
    return failure(
      "INELIGIBLE_REPLICA",
      `broker ${nodeId} cannot be in the ISR of partition ${name} with broker epoch ${brokerEpoch}: it is fenced, on its ` +
        "way out, or has registered again since; propose it when it follows as the broker it is now",
    );
  }
  return undefined;
}

function unknownPartition(topic: TopicImage | undefined, { topicId, partition }: ProposedIsr): ItemOutcome {
  return topic === undefined
    ? failure("UNKNOWN_TOPIC_ID", `there is no topic with id ${topicId}; wait for the metadata`)
    : failure(
        "UNKNOWN_TOPIC_OR_PARTITION",
        `topic ${topic.name} has no partition ${partition}; wait for the metadata`,
      );
}

function staleController(name: string): ItemOutcome {
  return failure(
    "NOT_CONTROLLER",
    `partition ${name} has moved past what this node knows of it, so this is no longer the controller; ask the present one`,
  );
}
