import type { TopicId } from "../../model/ids.ts";
import type { Effects } from "../shard.ts";
import type { TopicPartitions } from "./group-api.ts";

/** What a group has committed for a partition. */
export interface CommittedOffset {
  readonly offset: number;
  /** -1: not known. */
  readonly leaderEpoch: number;
  readonly metadata: string;
  /** Milliseconds since 1970. */
  readonly commitTimestampMs: number;
  /** Of the topic that was committed for; undefined where a release that did not note it wrote the record. */
  readonly topicId: TopicId | undefined;
}

/** A classic group between two rebalances. */
export interface ClassicGroupValue {
  readonly protocolType: string;
  readonly generation: number;
  /** Null in an empty group. */
  readonly protocol: string | null;
  readonly leader: string | null;
  /** Milliseconds since 1970 at which the group came into its state. */
  readonly currentStateTimestampMs: number;
  readonly members: readonly ClassicMemberValue[];
}

export interface ClassicMemberValue {
  readonly memberId: string;
  readonly groupInstanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly rebalanceTimeoutMs: number;
  readonly sessionTimeoutMs: number;
  /** Of the group's protocol. */
  readonly subscription: Buffer;
  readonly assignment: Buffer;
}

/** What a member of a consumer group has said of itself. */
export interface MemberValue {
  readonly instanceId: string | null;
  readonly rackId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  /** Sorted. */
  readonly subscribedTopicNames: readonly string[];
  /** Empty: none. */
  readonly subscribedTopicRegex: string;
  readonly rebalanceTimeoutMs: number;
  /** Empty: no wish. */
  readonly serverAssignor: string;
}

/** "unrevoked": must give up `pendingRevocation` first; "unreleased": waits for what others have not given up yet. */
export type MemberState = "stable" | "unrevoked" | "unreleased";

/** How far a member has come towards its target. */
export interface CurrentAssignmentValue {
  readonly memberEpoch: number;
  readonly previousMemberEpoch: number;
  readonly state: MemberState;
  readonly assigned: readonly TopicPartitions[];
  readonly pendingRevocation: readonly TopicPartitions[];
}

/**
 * The records of `__consumer_offsets`. A null value is a tombstone. Offsets and classic groups lie in the log as Kafka
 * writes them (key versions 1 and 2); the others have Kafka's key numbers (3, 5 to 8) and values of our own.
 */
export type GroupRecord =
  | {
      readonly type: "offset";
      readonly groupId: string;
      readonly topic: string;
      readonly partition: number;
      readonly value: CommittedOffset | null;
    }
  | { readonly type: "classicGroup"; readonly groupId: string; readonly value: ClassicGroupValue | null }
  /** The group epoch: raised whenever members, subscriptions or topics changed. */
  | {
      readonly type: "consumerGroup";
      readonly groupId: string;
      readonly value: { readonly epoch: number } | null;
    }
  | {
      readonly type: "member";
      readonly groupId: string;
      readonly memberId: string;
      readonly value: MemberValue | null;
    }
  /** The epoch that the target assignment was made for. */
  | {
      readonly type: "targetEpoch";
      readonly groupId: string;
      readonly value: { readonly assignmentEpoch: number } | null;
    }
  | {
      readonly type: "targetMember";
      readonly groupId: string;
      readonly memberId: string;
      readonly value: { readonly partitions: readonly TopicPartitions[] } | null;
    }
  | {
      readonly type: "currentMember";
      readonly groupId: string;
      readonly memberId: string;
      readonly value: CurrentAssignmentValue | null;
    };

/** What a decision about groups does. */
export type GroupEffects = Effects<GroupRecord>;
