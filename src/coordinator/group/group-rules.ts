import type { ErrorName } from "../../model/error-code.ts";
import type {
  ConsumerGroupHeartbeatRequest,
  ConsumerGroupHeartbeatResponse,
  DescribeGroupResponse,
  GroupOutcome,
  JoinGroupRequest,
  JoinGroupResponse,
  LeaveGroupRequest,
  LeaveGroupResponse,
  OffsetCommitRequest,
  SyncGroupResponse,
} from "./group-api.ts";
import { GROUP_SUCCESS } from "./group.ts";

/** A group id is as long as a topic name may be. */
export const MAX_GROUP_ID_LENGTH = 249;
/**
 * Of member ids, instance ids, client names and the like, in characters: what passes fits every record, where text has at
 * most 32,767 bytes (H62).
 */
export const MAX_TEXT_LENGTH = 4_096;

const NOTHING = Buffer.alloc(0);

/** An outcome that says no. */
export function refuse(error: ErrorName, errorMessage: string): GroupOutcome {
  return { error, errorMessage };
}

/** The group for a message. */
export function shownGroup(groupId: string): string {
  return `group ${JSON.stringify(groupId)}`;
}

/** Refuses ids that are empty, longer than 249 characters, or hold control characters, before they reach anything (H75). */
export function checkGroupId(groupId: string): GroupOutcome | undefined {
  if (groupId === "") {
    return refuse("INVALID_GROUP_ID", "the group id is empty; give the group a name");
  }
  if (groupId.length > MAX_GROUP_ID_LENGTH) {
    const text = `a group id has at most ${MAX_GROUP_ID_LENGTH} characters, this one has ${groupId.length}; choose a shorter name`;
    return refuse("INVALID_GROUP_ID", text);
  }
  if (/\p{Cc}/u.test(groupId)) {
    const text = `${shownGroup(groupId)} has a control character in its id; choose a name without`;
    return refuse("INVALID_GROUP_ID", text);
  }
  return undefined;
}

/** Refuses a join with names beyond all measure. */
export function checkJoinTexts(request: JoinGroupRequest): GroupOutcome | undefined {
  const texts = [request.memberId, request.groupInstanceId, request.clientId, request.clientHost];
  return checkTexts([...texts, request.protocolType, ...request.protocols.map(({ name }) => name)]);
}

/** Refuses a heartbeat with names beyond all measure; the subscription is the group's to judge. */
export function checkHeartbeatTexts(request: ConsumerGroupHeartbeatRequest): GroupOutcome | undefined {
  const { memberId, instanceId, rackId, clientId, clientHost, serverAssignor } = request;
  return checkTexts([memberId, instanceId, rackId, clientId, clientHost, serverAssignor]);
}

function checkTexts(texts: readonly (string | undefined)[]): GroupOutcome | undefined {
  for (const text of texts) {
    if (text === undefined || text.length <= MAX_TEXT_LENGTH) continue;
    const reason = `an id or name in the request has ${text.length} characters, and at most ${MAX_TEXT_LENGTH} are taken; shorten it`;
    return refuse("INVALID_REQUEST", reason);
  }
  return undefined;
}

/** A commit that no member makes: of a consumer that assigns its partitions itself, or of an operator's tool. */
export function isFromOutside(request: OffsetCommitRequest): boolean {
  return request.generationIdOrMemberEpoch < 0 && request.memberId === "";
}

/** Who is not, or is no longer, in the group. */
export function unknownMember(groupId: string, memberId: string): GroupOutcome {
  const text = `${shownGroup(groupId)} has no member ${JSON.stringify(memberId.slice(0, 80))}; join it again`;
  return refuse("UNKNOWN_MEMBER_ID", text);
}

/** There is no such group. */
export function unknownGroup(groupId: string): GroupOutcome {
  const text = `there is no ${shownGroup(groupId)}; it was never used, is deleted, or its offsets have expired`;
  return refuse("GROUP_ID_NOT_FOUND", text);
}

/** A member of one protocol cannot enter a group that has members of the other. */
export function otherProtocol(groupId: string, type: string): GroupOutcome {
  const text = `${shownGroup(groupId)} has members of the ${type} protocol; stop them first, or use that protocol`;
  return refuse("INCONSISTENT_GROUP_PROTOCOL", text);
}

/** The limit of groups is reached (H62). */
export function tooManyGroups(groupId: string, maxGroups: number): GroupOutcome {
  const text = `there is no room for ${shownGroup(groupId)}: its partition of the offsets topic has ${maxGroups} groups; delete some`;
  return refuse("GROUP_MAX_SIZE_REACHED", text);
}

/** The answer to a join that no group has seen. */
export function refusedJoin(memberId: string, outcome: GroupOutcome): JoinGroupResponse {
  return {
    ...outcome,
    generationId: -1,
    protocolType: "",
    protocolName: "",
    leader: "",
    skipAssignment: false,
    memberId,
    members: [],
  };
}

/** The answer to a sync that no group has seen. */
export function refusedSync(outcome: GroupOutcome): SyncGroupResponse {
  return { ...outcome, protocolType: "", protocolName: "", assignment: NOTHING };
}

/** The answer to a heartbeat of a consumer group's member that no group has seen. */
export function refusedHeartbeat(
  memberId: string,
  heartbeatIntervalMs: number,
  outcome: GroupOutcome,
): ConsumerGroupHeartbeatResponse {
  return { ...outcome, memberId, memberEpoch: 0, heartbeatIntervalMs, assignment: undefined };
}

/** The answer to a leave of a group that has no members: each is told that it is not known, as Kafka does. */
export function nobodyLeft({ groupId, members }: LeaveGroupRequest): LeaveGroupResponse {
  return {
    ...GROUP_SUCCESS,
    members: members.map(({ memberId, groupInstanceId }) => ({
      ...unknownMember(groupId, memberId),
      memberId,
      groupInstanceId,
    })),
  };
}

/** The description of a group without members and without a protocol: it has only offsets, or does not exist. */
export function describeWithoutMembers(groupId: string, outcome: GroupOutcome): DescribeGroupResponse {
  const state = outcome.error === "NONE" ? "Empty" : "Dead";
  return {
    ...outcome,
    groupId,
    type: "classic",
    state,
    protocolType: "",
    protocol: "",
    epoch: 0,
    members: [],
  };
}
