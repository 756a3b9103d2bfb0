import type { GroupOutcome } from "./group-api.ts";
import { refuse, shownGroup } from "./group-rules.ts";

/** Another process holds the instance id: it came later, so this one is to stop (H60, KIP-345). */
export function fencedInstance(groupId: string, groupInstanceId: string): GroupOutcome {
  const text =
    `another process has joined ${shownGroup(groupId)} as the static member "${groupInstanceId}"; give each process a ` +
    "group.instance.id of its own, or stop one of the two";
  return refuse("FENCED_INSTANCE_ID", text);
}

/** What the caller has is of another generation. */
export function illegalGeneration(groupId: string, theirs: number, ours: number): GroupOutcome {
  const text = `${shownGroup(groupId)} is in generation ${ours}, not ${theirs}; join again`;
  return refuse("ILLEGAL_GENERATION", text);
}

/** The members are about to meet. */
export function rebalanceInProgress(groupId: string): GroupOutcome {
  return refuse("REBALANCE_IN_PROGRESS", `${shownGroup(groupId)} is being rebalanced; join again`);
}

/**
 * The answer to the older of two calls of one member that would both wait. Hardly anybody reads it; who does keeps its
 * member id and meets the others again, which UNKNOWN_MEMBER_ID would turn into one member more.
 */
export function superseded(groupId: string, memberId: string): GroupOutcome {
  const text = `a later call of member "${memberId}" of ${shownGroup(groupId)} has taken the place of this one; join again`;
  return refuse("REBALANCE_IN_PROGRESS", text);
}

/** The member was waited for, and a phase of the rebalance ended without it. */
export function tooLate(groupId: string, memberId: string): GroupOutcome {
  const text = `member "${memberId}" of ${shownGroup(groupId)} did not come within the rebalance timeout; join again`;
  return refuse("UNKNOWN_MEMBER_ID", text);
}

/** The generation does not fit into one record, and would be lost with everything that is written beside it. */
export function planTooLarge(groupId: string, sizeBytes: number, maxBytes: number): GroupOutcome {
  const text =
    `members and plan of ${shownGroup(groupId)} have ${sizeBytes} bytes, more than the ${maxBytes} that one record ` +
    "takes; use fewer members, fewer topics or less user data";
  return refuse("RECORD_LIST_TOO_LARGE", text);
}

/** Members that speak of different things. */
export function inconsistentProtocol(groupId: string, theirs: string, ours: string): GroupOutcome {
  const text =
    `${theirs} does not go with ${shownGroup(groupId)}, which has ${ours}; configure one protocol type and a common ` +
    "assignor in all members";
  return refuse("INCONSISTENT_GROUP_PROTOCOL", text);
}
