import { ProtocolError } from "../model/error-code.ts";
import type { GroupDescription, GroupMember } from "../rpc/group-messages.ts";
import { itemError } from "./admin-calls.ts";
import type { GroupDetails, GroupMemberDetails } from "./group-admin-types.ts";

/** A description as the SDK gives it; with its error when there is none. */
export function groupDetails(groupId: string, description: GroupDescription | undefined): GroupDetails {
  const unknown = { type: "", state: "", protocolType: "", protocol: "", epoch: -1, members: [] };
  if (description === undefined) return { groupId, ...unknown, error: missingPart(groupId) };
  const { errorCode, errorMessage, type, state, protocolType, protocol, epoch, members } = description;
  const error = itemError(errorCode, errorMessage, shownGroup(groupId));
  if (error !== undefined) return { groupId, ...unknown, error };
  // Brokers that speak Kafka's older answer call a group dead that is not there.
  if (state === "Dead") return { groupId, ...unknown, state, error: notFound(groupId) };
  return {
    groupId,
    type,
    state,
    protocolType,
    protocol,
    epoch,
    members: members.map(memberDetails),
    error: undefined,
  };
}

function memberDetails(member: GroupMember): GroupMemberDetails {
  const { memberId, groupInstanceId, clientId, clientHost, rackId, memberEpoch, topics, topicRegex } = member;
  const named = (some: GroupMember["assignment"]): GroupMemberDetails["assignment"] =>
    some.map(({ topic, partitions }) => ({ topic, partitions }));
  return {
    memberId,
    groupInstanceId,
    clientId,
    clientHost,
    rackId,
    memberEpoch,
    topics,
    topicRegex: topicRegex === "" ? undefined : topicRegex,
    assignment: named(member.assignment),
    target: named(member.target),
  };
}

/** A group id for a message: it may hold anything. */
export function shownGroup(groupId: string): string {
  return /^[\w.-]{1,80}$/.test(groupId)
    ? `group ${groupId}`
    : `group ${JSON.stringify(groupId.slice(0, 80))}`;
}

/** Of a change that members at work would undo. `count`: of them, where it is known. */
export function nonEmpty(groupId: string, count?: number): ProtocolError {
  const members = count === undefined ? "members" : count === 1 ? "a member" : `${count} members`;
  return new ProtocolError(
    "NON_EMPTY_GROUP",
    `${shownGroup(groupId)} has ${members} at work; stop them all, then try again`,
    { context: { groupId } },
  );
}

function notFound(groupId: string): ProtocolError {
  return new ProtocolError("GROUP_ID_NOT_FOUND", `${shownGroup(groupId)} does not exist`);
}

/** Of an answer that no broker of ours gives. */
export function missingPart(groupId: string): ProtocolError {
  return new ProtocolError(
    "UNKNOWN_SERVER_ERROR",
    `the answer about ${shownGroup(groupId)} lacks its main part`,
  );
}
