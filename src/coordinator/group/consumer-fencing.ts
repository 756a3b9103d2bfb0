import type { MetadataImage } from "../../metadata/image.ts";
import { shownTopic } from "../../model/topic-partition.ts";
import type { ConsumerGroupHeartbeatRequest, GroupOutcome, OffsetCommitRequest } from "./group-api.ts";
import { isSubset, partitionSet, selectPartitions } from "./consumer-partitions.ts";
import { AWAY_EPOCH } from "./consumer-reconciliation.ts";
import { LEAVE_EPOCH, LEAVE_FOR_A_WHILE_EPOCH } from "./consumer-request.ts";
import { heldBy } from "./consumer-state.ts";
import type { ConsumerState } from "./consumer-state.ts";
import { refuse, shownGroup, unknownMember } from "./group-rules.ts";

/** Whether a heartbeat is of a member as the group knows it. For everything but a join (H60). */
export function checkIdentity(
  groupId: string,
  state: ConsumerState,
  { memberId, instanceId }: Pick<ConsumerGroupHeartbeatRequest, "memberId" | "instanceId">,
): GroupOutcome | undefined {
  const holder = instanceId === undefined ? memberId : state.instance(instanceId);
  if (holder !== undefined && holder !== memberId && instanceId !== undefined) {
    return refuse(
      "FENCED_INSTANCE_ID",
      `${shownInstance(groupId, instanceId)} is another member now; stop this one`,
    );
  }
  return holder !== undefined && state.members.has(memberId) ? undefined : unknownMember(groupId, memberId);
}

/** Whether there is room for a member that joins, and its instance id is free or its own. */
export function checkJoining(
  groupId: string,
  state: ConsumerState,
  { memberId, instanceId }: ConsumerGroupHeartbeatRequest,
  maxSize: number,
): GroupOutcome | undefined {
  const holder = instanceId === undefined ? undefined : state.instance(instanceId);
  const known = state.members.get(memberId);
  if (known !== undefined && known.instanceId !== (instanceId ?? null)) {
    const text = `member ${shownMember(memberId)} of ${shownGroup(groupId)} joined with another instance id; leave first, or use a new member id`;
    return refuse("INVALID_REQUEST", text);
  }
  if (holder !== undefined && instanceId !== undefined && holder !== memberId) {
    if (state.current(holder).memberEpoch === AWAY_EPOCH) return undefined;
    const text = `${shownInstance(groupId, instanceId)} is still there; stop it first, or wait for its session to end`;
    return refuse("UNRELEASED_INSTANCE_ID", text);
  }
  if (known !== undefined || state.members.size < maxSize) return undefined;
  const text = `${shownGroup(groupId)} has ${state.members.size} members, which is all it may have; stop some, or raise group.max.size`;
  return refuse("GROUP_MAX_SIZE_REACHED", text);
}

/**
 * Refuses epochs that the member does not have. The one before is taken when the member owns nothing but what it has by
 * the group's books: then only the answer that raised it was lost (KIP-848).
 */
export function checkEpoch(
  groupId: string,
  state: ConsumerState,
  request: ConsumerGroupHeartbeatRequest,
  image: MetadataImage,
): GroupOutcome | undefined {
  const { memberId, memberEpoch, topicPartitions } = request;
  if (memberEpoch === LEAVE_EPOCH || memberEpoch === LEAVE_FOR_A_WHILE_EPOCH) return undefined;
  const current = state.current(memberId);
  if (memberEpoch === current.memberEpoch) return undefined;
  if (memberEpoch === current.previousMemberEpoch && topicPartitions !== undefined) {
    const owned = selectPartitions(partitionSet(topicPartitions), (id) => image.topicById(id) !== undefined);
    if (isSubset(owned, heldBy(current))) return undefined;
  }
  return fenced(groupId, memberId, memberEpoch, current.memberEpoch);
}

/** Whether a member with this epoch may commit or fetch offsets. */
export function checkOffsetsEpoch(
  groupId: string,
  state: ConsumerState,
  memberId: string,
  memberEpoch: number,
): GroupOutcome | undefined {
  if (!state.members.has(memberId)) return unknownMember(groupId, memberId);
  const current = state.current(memberId).memberEpoch;
  if (memberEpoch === current) return undefined;
  if (memberEpoch > current) return fenced(groupId, memberId, memberEpoch, current);
  const text = `member ${shownMember(memberId)} of ${shownGroup(groupId)} is at epoch ${current} and sent ${memberEpoch}; send it again with the epoch of the next heartbeat's answer`;
  return refuse("STALE_MEMBER_EPOCH", text);
}

/** Whether a partition is the committing member's by the group's books, given up or not. */
export function checkOwner(
  groupId: string,
  state: ConsumerState,
  { memberId }: Pick<OffsetCommitRequest, "memberId">,
  { topic, partition }: { readonly topic: string; readonly partition: number },
  image: MetadataImage,
): GroupOutcome | undefined {
  const topicId = image.topic(topic)?.topicId;
  const owner = topicId === undefined ? undefined : state.holders.owner(topicId, partition);
  if (owner === memberId) return undefined;
  const has = owner === undefined ? "nobody" : `member ${shownMember(owner)}`;
  const text = `${shownTopic(topic)}-${partition} belongs to ${has} in ${shownGroup(groupId)}, not to member ${shownMember(memberId)}; commit only what is assigned to it`;
  return refuse("INVALID_REQUEST", text);
}

function fenced(groupId: string, memberId: string, sent: number, current: number): GroupOutcome {
  const text = `member ${shownMember(memberId)} of ${shownGroup(groupId)} is at epoch ${current} and sent ${sent}; give up its partitions and join with epoch 0`;
  return refuse("FENCED_MEMBER_EPOCH", text);
}

function shownInstance(groupId: string, instanceId: string): string {
  return `instance ${JSON.stringify(instanceId.slice(0, 80))} of ${shownGroup(groupId)}`;
}

function shownMember(memberId: string): string {
  return JSON.stringify(memberId.slice(0, 80));
}
