import { LograftError } from "../../base/errors.ts";
import { CONSUMER_PROTOCOL_TYPE, decodeAssignment } from "../../model/consumer-protocol.ts";
import type { NamedPartitions } from "../../model/consumer-protocol.ts";
import type { ClassicMember } from "./classic-member.ts";
import type { MemberDescription } from "./group-api.ts";

/**
 * Whether a member of a group of consumers may be reading the topic. One whose subscription cannot be read may read
 * anything: what it committed must not be lost (H63).
 */
export function isSubscribed(members: Iterable<ClassicMember>, protocolType: string, topic: string): boolean {
  if (protocolType !== CONSUMER_PROTOCOL_TYPE) return false;
  for (const member of members) {
    const subscription = member.subscription(protocolType);
    if (subscription === undefined || subscription.topics.includes(topic)) return true;
  }
  return false;
}

/** @param isStable there is a plan that holds; without one nobody has anything for certain. */
export function describeMember(
  member: ClassicMember,
  protocolType: string,
  isStable: boolean,
): MemberDescription {
  const subscription = member.subscription(protocolType);
  const assignment = isStable && protocolType === CONSUMER_PROTOCOL_TYPE ? assignedTo(member.assignment) : [];
  return {
    memberId: member.memberId,
    groupInstanceId: member.groupInstanceId,
    clientId: member.profile.clientId,
    clientHost: member.profile.clientHost,
    rackId: subscription?.rackId,
    memberEpoch: -1,
    topics: [...new Set(subscription?.topics)].sort(),
    topicRegex: undefined,
    assignment,
    target: assignment,
  };
}

/** What another implementation's leader wrote may not be readable; it is shown as nothing. */
function assignedTo(bytes: Buffer): readonly NamedPartitions[] {
  try {
    return decodeAssignment(bytes).partitions;
  } catch (error: unknown) {
    if (error instanceof LograftError) return [];
    throw error;
  }
}
