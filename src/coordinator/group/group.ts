import type { CoordinatorSabotage } from "../coordinator-sabotage.ts";
import type { DecisionContext } from "../shard.ts";
import type {
  DescribeGroupResponse,
  GroupOutcome,
  GroupState,
  GroupType,
  LeaveGroupRequest,
  LeaveGroupResponse,
  OffsetCommitRequest,
} from "./group-api.ts";
import type { GroupEffects } from "./group-records.ts";

/** Bounds and times that all groups of a broker share (Kafka's configuration keys in brackets). */
export interface GroupOptions {
  /** [group.min.session.timeout.ms] Default 6,000. */
  readonly minSessionTimeoutMs: number;
  /** [group.max.session.timeout.ms] Default 1,800,000. */
  readonly maxSessionTimeoutMs: number;
  /** [group.initial.rebalance.delay.ms] Default 3,000. */
  readonly initialRebalanceDelayMs: number;
  /** [group.consumer.session.timeout.ms] Default 45,000. */
  readonly consumerSessionTimeoutMs: number;
  /** [group.consumer.heartbeat.interval.ms] Default 5,000. */
  readonly consumerHeartbeatIntervalMs: number;
  /** From the loss of a member's connection until it is taken for dead. Default 500. */
  readonly reconnectGraceMs: number;
  /** [group.max.size] Members of one group. Default 10,000. */
  readonly maxSize: number;
  /** Groups of one partition of the offsets topic. Default 20,000. */
  readonly maxGroups: number;
  /** Subscriptions and other texts of one member, in bytes (H62). Default 256 KiB. */
  readonly maxMemberBytes: number;
  /** [offset.metadata.max.bytes] Default 4,096. */
  readonly offsetMetadataMaxBytes: number;
  /** [offsets.retention.minutes], in ms: after a group is empty for so long its offsets go. Default 7 days. */
  readonly offsetsRetentionMs: number;
  readonly sabotage?: CoordinatorSabotage | undefined;
  /** A new member id, unguessable. */
  readonly newId: () => string;
}

/**
 * One group, of either protocol, as the shard sees it beside the requests of its own protocol. `GroupShard` owns the maps
 * and routes; a group knows nothing of other groups.
 */
export interface Group {
  readonly groupId: string;
  readonly type: GroupType;
  readonly state: GroupState;
  readonly protocolType: string;
  /** Nobody is in it, and nobody is about to be. */
  readonly isEmpty: boolean;
  /** Milliseconds since 1970 when it became empty; undefined while it has members. */
  readonly emptySinceMs: number | undefined;
  /** Of the monotonic clock; Infinity for never. */
  readonly nextDeadlineMs: number;
  expire(context: DecisionContext, effects: GroupEffects): void;
  onLoaded(context: DecisionContext, effects: GroupEffects): void;
  onMetadata(context: DecisionContext, effects: GroupEffects): void;
  /** Whether this caller may commit; an accepted commit also renews the session of a classic member. Changes no record. */
  checkCommit(request: OffsetCommitRequest, context: DecisionContext): GroupOutcome | undefined;
  /** Why the caller may not commit for this partition; undefined when it may. */
  checkOwned(
    request: OffsetCommitRequest,
    partition: { readonly topic: string; readonly partition: number },
    context: DecisionContext,
  ): GroupOutcome | undefined;
  /** For fetches that name a member. */
  checkFetch(memberId: string, memberEpoch: number): GroupOutcome | undefined;
  isSubscribedTo(topic: string, context: DecisionContext): boolean;
  /** Members leave, or are removed by an operator. */
  leave(request: LeaveGroupRequest, context: DecisionContext, effects: GroupEffects): LeaveGroupResponse;
  describe(context: DecisionContext): DescribeGroupResponse;
  /** Tombstones of all that `replay` keeps of the group, offsets excepted. For an empty group. */
  remove(effects: GroupEffects): void;
}

/** No outcome to complain of. */
export const GROUP_SUCCESS: GroupOutcome = { error: "NONE", errorMessage: "" };
