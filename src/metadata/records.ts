import type { NodeId, TopicId } from "../model/ids.ts";
import type { LeaderEpoch } from "../model/offsets.ts";

/**
 * A broker (re)joined. `clean` false: its last run did not end with a clean shutdown, so records that it had exposed may
 * be gone; replay then raises the leader epoch of everything it leads.
 */
export interface BrokerRegistrationRecord {
  readonly type: "BrokerRegistration";
  readonly nodeId: NodeId;
  /** Differs at each start of the process. A uuid of 22 characters. */
  readonly incarnationId: string;
  /** Belongs to the data directory, so an emptied disk shows as another broker. A uuid of 22 characters. */
  readonly directoryId: string;
  readonly clean: boolean;
}

export interface TopicRecord {
  readonly type: "Topic";
  readonly name: string;
  readonly topicId: TopicId;
}

/** The whole state of a partition; a later record replaces an earlier one. */
export interface PartitionRecord {
  readonly type: "Partition";
  readonly topicId: TopicId;
  readonly partition: number;
  readonly replicas: readonly NodeId[];
  readonly isr: readonly NodeId[];
  readonly leader: NodeId;
  readonly leaderEpoch: LeaderEpoch;
  /** Grows with every change of the partition. */
  readonly partitionEpoch: number;
}

/** One configuration key of a topic; `value` null goes back to the broker's default. */
export interface TopicConfigRecord {
  readonly type: "TopicConfig";
  readonly topicId: TopicId;
  readonly key: string;
  readonly value: string | null;
}

/** The topic is gone; the only thing that ever allows its data to be deleted (H28). */
export interface RemoveTopicRecord {
  readonly type: "RemoveTopic";
  readonly topicId: TopicId;
}

/** Producer ids below `nextProducerId` may be in use from now on. */
export interface ProducerIdsRecord {
  readonly type: "ProducerIds";
  readonly nextProducerId: number;
}

/** One change of the cluster's metadata. Times and random ids were chosen before; replay only copies them (H19). */
export type MetadataRecord =
  | BrokerRegistrationRecord
  | TopicRecord
  | PartitionRecord
  | TopicConfigRecord
  | RemoveTopicRecord
  | ProducerIdsRecord;
