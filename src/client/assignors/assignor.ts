import type { NamedPartitions, Subscription } from "../../model/consumer-protocol.ts";

/** A member as the leader of its group sees it. */
export interface AssignorMember {
  readonly memberId: string;
  /** Of a static member (KIP-345). */
  readonly groupInstanceId: string | undefined;
  readonly subscription: Subscription;
}

/** A topic that somebody subscribes to and that exists. */
export interface AssignorTopic {
  readonly name: string;
  readonly partitionCount: number;
  /** Racks of the replicas of each partition; absent where they are not known. */
  readonly replicaRacks?: readonly (readonly string[])[] | undefined;
}

/** What a member gets. */
export interface MemberPlan {
  readonly partitions: readonly NamedPartitions[];
  /** Handed to the assignor of that member. */
  readonly userData?: Uint8Array | undefined;
}

/** What a member can tell the leader about itself. */
export interface SubscriptionContext {
  readonly topics: readonly string[];
  /** What it got last, even when it has given it up since. */
  readonly lastAssigned: readonly NamedPartitions[];
  /** In which it got that; -1 before the first time. */
  readonly generationId: number;
}

/**
 * Deals the partitions of a classic group out to its members: the leader runs it for all. Members must agree: the group
 * uses an assignor that every member names. Calls must not throw, wait or change their input; a plan that gives a
 * partition away twice is refused.
 */
export interface ClientAssignor {
  /** What the group agrees on, such as "range". */
  readonly name: string;
  /**
   * "eager": members give everything up before they join again. "cooperative": members keep what they have and give up
   * only what a new plan takes from them; `assign` then must not hand over what another member still owns.
   */
  readonly protocol: "eager" | "cooperative";
  /** Bytes for `Subscription.userData`. */
  subscriptionUserData?(context: SubscriptionContext): Uint8Array | undefined;
  /** By member id; members that are left out get nothing. Topics are ascending by name. */
  assign(
    members: readonly AssignorMember[],
    topics: readonly AssignorTopic[],
  ): ReadonlyMap<string, MemberPlan>;
  /** Called on each member with what it got. */
  onAssignment?(plan: MemberPlan, generationId: number): void;
}
