import { EPOCH_STEP, NOTHING_ASSIGNED } from "./consumer-reconciliation.ts";
import { PartitionOwners } from "./consumer-owners.ts";
import { isSameSet, NO_PARTITIONS, union } from "./consumer-partitions.ts";
import type { PartitionSet } from "./consumer-partitions.ts";
import type { CurrentAssignmentValue, GroupRecord, MemberValue } from "./group-records.ts";

/** The records that a consumer group consists of. */
export type ConsumerGroupRecord = Extract<
  GroupRecord,
  { type: "consumerGroup" | "member" | "targetEpoch" | "targetMember" | "currentMember" }
>;

/**
 * The replicated state of a consumer group; only `replay` changes it. The three things known of a member are kept apart,
 * because compaction may leave their records in any order.
 */
export class ConsumerState {
  #epoch = 0;
  #targetEpoch = 0;
  #members = new Map<string, MemberValue>();
  #targets = new Map<string, PartitionSet>();
  #currents = new Map<string, CurrentAssignmentValue>();
  /** Instance id to member id. */
  #instances = new Map<string, string>();
  #holders = new PartitionOwners();
  #targetOwners = new PartitionOwners();
  #unsettled = new Set<string>();
  #touched = new Set<string>();

  /** Of the group; 0 before the first member. */
  get epoch(): number {
    return this.#epoch;
  }

  /** The group epoch that the targets were made for. */
  get targetEpoch(): number {
    return this.#targetEpoch;
  }

  /** By member id. */
  get members(): ReadonlyMap<string, MemberValue> {
    return this.#members;
  }

  /** Who holds each partition, also while it is about to give it up: nobody else may get it. */
  get holders(): Pick<PartitionOwners, "owner"> {
    return this.#holders;
  }

  /** Who is to have each partition. */
  get targetOwners(): Pick<PartitionOwners, "owner" | "count" | "topicCount"> {
    return this.#targetOwners;
  }

  /** Every member has what it is to have. */
  get isSettled(): boolean {
    return this.#unsettled.size === 0;
  }

  /** The group epoch after the next raise. */
  get nextEpoch(): number {
    return this.#epoch + EPOCH_STEP;
  }

  target(memberId: string): PartitionSet {
    return this.#targets.get(memberId) ?? NO_PARTITIONS;
  }

  current(memberId: string): CurrentAssignmentValue {
    return this.#currents.get(memberId) ?? NOTHING_ASSIGNED;
  }

  /** The member of that instance id. */
  instance(instanceId: string): string | undefined {
    return this.#instances.get(instanceId);
  }

  /** Members for whom something may have changed since the last call; also those that went. */
  takeTouched(): ReadonlySet<string> {
    const touched = this.#touched;
    if (touched.size > 0) this.#touched = new Set<string>();
    return touched;
  }

  replay(record: ConsumerGroupRecord): void {
    switch (record.type) {
      case "consumerGroup":
        this.#epoch = record.value?.epoch ?? 0;
        return;
      case "targetEpoch":
        this.#targetEpoch = record.value?.assignmentEpoch ?? 0;
        return;
      case "member":
        this.#replayMember(record.memberId, record.value);
        return;
      case "targetMember":
        this.#replayTarget(record.memberId, record.value?.partitions ?? null);
        return;
      case "currentMember":
        this.#replayCurrent(record.memberId, record.value);
        return;
    }
  }

  #replayMember(memberId: string, value: MemberValue | null): void {
    const old = this.#members.get(memberId)?.instanceId ?? null;
    if (old !== null && this.#instances.get(old) === memberId) this.#instances.delete(old);
    if (value === null) this.#members.delete(memberId);
    else this.#members.set(memberId, value);
    if (value !== null && value.instanceId !== null) this.#instances.set(value.instanceId, memberId);
    this.#touched.add(memberId);
  }

  #replayTarget(memberId: string, partitions: PartitionSet | null): void {
    this.#targetOwners.release(memberId, this.target(memberId));
    this.#targetOwners.claim(memberId, partitions ?? NO_PARTITIONS);
    if (partitions === null) this.#targets.delete(memberId);
    else this.#targets.set(memberId, partitions);
    this.#compare(memberId);
    this.#touched.add(memberId);
  }

  #replayCurrent(memberId: string, value: CurrentAssignmentValue | null): void {
    const old = heldBy(this.current(memberId));
    this.#holders.release(memberId, old);
    if (value === null) this.#currents.delete(memberId);
    else this.#currents.set(memberId, value);
    this.#holders.claim(memberId, heldBy(this.current(memberId)));
    this.#touchWaiting(old);
    this.#compare(memberId);
  }

  /** Those that are to have what nobody holds any more. */
  #touchWaiting(released: PartitionSet): void {
    for (const { topicId, partitions } of released) {
      for (const partition of partitions) {
        if (this.#holders.owner(topicId, partition) !== undefined) continue;
        const waiting = this.#targetOwners.owner(topicId, partition);
        if (waiting !== undefined) this.#touched.add(waiting);
      }
    }
  }

  #compare(memberId: string): void {
    const { assigned, state } = this.current(memberId);
    const isSettled = state === "stable" && isSameSet(assigned, this.target(memberId));
    if (isSettled) this.#unsettled.delete(memberId);
    else this.#unsettled.add(memberId);
  }
}

/** What the member may still be consuming: what it has, and what it has not given up yet. */
export function heldBy({ assigned, pendingRevocation }: CurrentAssignmentValue): PartitionSet {
  return union(assigned, pendingRevocation);
}
