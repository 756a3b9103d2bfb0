import type { TopicId } from "../../model/ids.ts";
import type { TopicPartitions } from "./group-api.ts";

/** A member as an assignor on the broker sees it. */
export interface MemberSubscription {
  readonly memberId: string;
  readonly instanceId: string | undefined;
  readonly rackId: string | undefined;
  /** Existing topics only, sorted by name. */
  readonly topicIds: readonly TopicId[];
  /** What it was to have before. */
  readonly previous: readonly TopicPartitions[];
}

/** Topics of an assignment. */
export interface AssignedTopics {
  /** Ascending by topic name. */
  readonly topicIds: readonly TopicId[];
  partitionCount(topicId: TopicId): number;
}

/** Computes who gets what on the broker (KIP-848). Pure: the same input gives the same plan. */
export interface ServerAssignor {
  /** "uniform" or "range". */
  readonly name: string;
  /** Every partition of every topic that somebody subscribes to goes to exactly one of its subscribers. By member id. */
  assign(
    members: readonly MemberSubscription[],
    topics: AssignedTopics,
  ): ReadonlyMap<string, readonly TopicPartitions[]>;
}
