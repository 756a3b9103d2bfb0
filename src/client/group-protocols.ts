import { ClassicMember } from "./classic-member.ts";
import type { GroupOptions } from "./consumer-types.ts";
import type { GroupMembership, MembershipDeps } from "./group-membership.ts";
import { StreamMember } from "./stream-member.ts";

/** A member by the protocol that the options name. */
export function newMembership(options: GroupOptions, deps: MembershipDeps): GroupMembership {
  const { groupId, instanceId, topics, pattern, rebalanceTimeoutMs } = options;
  const common = {
    groupId,
    ...(instanceId === undefined ? {} : { instanceId }),
    rebalanceTimeoutMs,
    subscription: { topics, ...(pattern === undefined ? {} : { pattern }) },
  };
  if (options.protocol === "consumer") {
    return new StreamMember({ ...common, serverAssignor: options.serverAssignor }, deps);
  }
  const { assignors, sessionTimeoutMs } = options;
  return new ClassicMember({ ...common, assignors, sessionTimeoutMs }, deps);
}
