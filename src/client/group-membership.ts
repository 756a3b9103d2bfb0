import type { LograftError } from "../base/errors.ts";
import type { ClientContext } from "./client-context.ts";
import type { TopicPartitionRef } from "./consumer-types.ts";
import type { CoordinatorCalls } from "./coordinator-calls.ts";

/** Who a member is at the moment: what its commits carry, so that an older self is refused (H60). */
export interface GroupIdentity {
  readonly groupId: string;
  readonly memberId: string;
  /** The generation of a classic group, the member epoch of the others (KIP-848). */
  readonly generationIdOrMemberEpoch: number;
  readonly groupInstanceId?: string;
}

/** What a group is asked to share out: topics by name, by pattern, or both. */
export interface GroupSubscription {
  readonly topics: readonly string[];
  /** Matched against whole topic names. */
  readonly pattern?: RegExp;
}

/**
 * Where a membership stands. "joining": not a member (yet, or again); "rebalancing": partitions are being given up or are
 * still to come; "stable": it has all that it is to have.
 */
export type MembershipState = "joining" | "rebalancing" | "stable" | "closed";

/**
 * Who hears of a membership's changes. Calls never overlap: the next one comes when a promise of the last is settled. Only
 * `onLost` may come before that, for what is being given up as well.
 */
export interface MembershipListener {
  /**
   * Give these up: finish what is being handled, commit, then resolve. The membership waits for it, but not beyond the
   * rebalance timeout, because the coordinator gives them to others then: what is left of them is lost. `onGivenUp` tells of
   * those that are done before the others. Never rejects.
   */
  onRevoke(
    partitions: readonly TopicPartitionRef[],
    onGivenUp?: (partitions: readonly TopicPartitionRef[]) => void,
  ): Promise<void>;
  /** Start reading these, besides what there is. Called after every join, then also with none. */
  onAssign(partitions: readonly TopicPartitionRef[]): void;
  /** Lost with the membership (fenced, session over), or given up too late: stop at once, commit nothing. */
  onLost(partitions: readonly TopicPartitionRef[]): void;
  /** Failed and tried again. */
  onRetriedError(error: LograftError): void;
  /** The membership cannot go on; it has ended. */
  onFatal(error: LograftError): void;
}

/** What a consumer needs of a membership, whichever protocol of the group keeps it. */
export interface GroupMembership {
  /** Undefined while it is not a member. */
  readonly identity: GroupIdentity | undefined;
  readonly state: MembershipState;
  /** Monotonic time of the coordinator's last good answer; undefined before the first. */
  readonly lastHeartbeatMs: number | undefined;
  /** Joins, and joins again whenever that is lost, until it is closed. Idempotent. */
  start(): void;
  /** Other names or another pattern. */
  subscribe(subscription: GroupSubscription): void;
  /**
   * Leaves after `onRevoke` of all partitions; a static member (KIP-345) leaves only for a while. Never rejects: what
   * could not be said within `timeoutMs` the coordinator finds out by itself. Idempotent; no timer is left.
   */
  close(options: { readonly timeoutMs: number }): Promise<void>;
}

/** What both kinds of members are told. */
export interface MembershipOptions {
  readonly groupId: string;
  /** Of a static member (KIP-345). */
  readonly instanceId?: string;
  /** So long the others wait for this member to give up partitions. */
  readonly rebalanceTimeoutMs: number;
  readonly subscription: GroupSubscription;
}

/** What both kinds of members work with. */
export interface MembershipDeps {
  readonly context: ClientContext;
  /** Of the same group. */
  readonly calls: CoordinatorCalls;
  readonly listener: MembershipListener;
}
