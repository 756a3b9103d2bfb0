import type { MetadataImage, PartitionImage, TopicImage } from "../metadata/image.ts";
import type { MetadataRecord, PartitionRecord } from "../metadata/records.ts";
import { NO_NODE } from "../model/ids.ts";
import type { NodeId, TopicId } from "../model/ids.ts";
import { advancePartition, electMembers } from "./partition-change.ts";
import type { PartitionChange, PartitionElection, PartitionMembers } from "./partition-change.ts";
import { partitionPolicyOf } from "./partition-rules.ts";
import type { PartitionPolicy, PartitionRules } from "./partition-rules.ts";

/** An election of a replica that may lack confirmed records; always told to whoever caused it (H25). */
export interface UncleanElection {
  readonly topic: string;
  readonly partition: number;
  readonly leader: NodeId;
}

/** What a decision did to partitions. */
export interface PartitionEffects {
  readonly changedPartitions: number;
  /** Those that had a leader before it and have none after. */
  readonly newlyLeaderless: number;
  readonly uncleanElections: readonly UncleanElection[];
}

/** Collects the next states of partitions, as records. */
export class PartitionChanges {
  readonly #rules: PartitionRules;
  readonly #change: PartitionChange;
  readonly #records: MetadataRecord[];
  readonly #uncleanElections: UncleanElection[] = [];
  /** The latest election for each list of replicas: thousands of partitions are in the same state. */
  readonly #latest = new Map<readonly NodeId[], KnownElection>();
  #changed = 0;
  #leaderless = 0;

  /** @param records what is decided is appended to it. */
  constructor(rules: PartitionRules, change: PartitionChange, records: MetadataRecord[]) {
    this.#rules = rules;
    this.#change = change;
    this.#records = records;
  }

  get effects(): PartitionEffects {
    return {
      changedPartitions: this.#changed,
      newlyLeaderless: this.#leaderless,
      uncleanElections: this.#uncleanElections,
    };
  }

  /** All partitions that the state of one of these brokers makes a difference to. */
  addThoseOf(image: MetadataImage, nodeIds: readonly NodeId[]): void {
    const topics = new Set(nodeIds.flatMap((nodeId) => [...image.topicsOn(nodeId)]));
    for (const topic of topics) this.addTopic(topic, (state) => isAffected(state, nodeIds));
  }

  /** The partitions of one topic that `isWanted` picks. */
  addTopic(topic: TopicImage, isWanted: (state: PartitionImage) => boolean): void {
    const policy = partitionPolicyOf(topic, this.#rules);
    for (const [partition, before] of topic.partitions.entries()) {
      if (!isWanted(before)) continue;
      const outcome = advancePartition(before, this.#elect(before, policy));
      if (outcome === undefined) continue;
      const { next, isUncleanElection } = outcome;
      this.#records.push(partitionRecord(topic.topicId, partition, next));
      this.#changed++;
      if (next.leader === NO_NODE && before.leader !== NO_NODE) this.#leaderless++;
      if (isUncleanElection)
        this.#uncleanElections.push({ topic: topic.name, partition, leader: next.leader });
    }
  }

  #elect(members: PartitionMembers, policy: PartitionPolicy): PartitionElection {
    const latest = this.#latest.get(members.replicas);
    if (latest !== undefined && isSameCase(latest, members, policy)) return latest.election;
    const election = electMembers(members, this.#change, policy);
    this.#latest.set(members.replicas, { members, policy, election });
    return election;
  }
}

interface KnownElection {
  readonly members: PartitionMembers;
  readonly policy: PartitionPolicy;
  readonly election: PartitionElection;
}

/** By identity of the lists: the image shares equal ones. */
function isSameCase(
  { members: known, policy: knownPolicy }: KnownElection,
  members: PartitionMembers,
  policy: PartitionPolicy,
): boolean {
  return (
    known.addingReplicas === members.addingReplicas &&
    known.isr === members.isr &&
    known.elr === members.elr &&
    known.lastKnownElr === members.lastKnownElr &&
    known.leader === members.leader &&
    knownPolicy.minInsyncReplicas === policy.minInsyncReplicas &&
    knownPolicy.isUncleanElectionAllowed === policy.isUncleanElectionAllowed &&
    knownPolicy.isFlushedOnAck === policy.isFlushedOnAck
  );
}

/** The record that gives a partition this state. */
export function partitionRecord(topicId: TopicId, partition: number, state: PartitionImage): PartitionRecord {
  return { type: "Partition", topicId, partition, ...state };
}

/** A broker that counts for nothing here can still be the last resort of a partition without a leader. */
function isAffected(state: PartitionImage, nodeIds: readonly NodeId[]): boolean {
  const { replicas, isr, elr, lastKnownElr, leader } = state;
  return nodeIds.some((node) =>
    leader === NO_NODE
      ? replicas.includes(node)
      : isr.includes(node) || elr.includes(node) || lastKnownElr.includes(node),
  );
}
