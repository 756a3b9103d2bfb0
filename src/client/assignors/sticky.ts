import {
  decodeStickyUserData,
  encodeStickyUserData,
  UNKNOWN_GENERATION,
} from "../../model/consumer-protocol.ts";
import { stickyBalance } from "../../model/sticky-balance.ts";
import type { AssignorMember, AssignorTopic, ClientAssignor } from "./assignor.ts";
import { byMemberId, partitionGrid, type PartitionGrid, planOf, rackMatch } from "./partition-grid.ts";
import { type Claim, previousOwners } from "./previous-owners.ts";

/**
 * "sticky" (KIP-54): as even as the subscriptions allow, and what a member had stays with it unless that would make it
 * uneven. Members say in their user data what they had, because they have given it up when they join.
 */
export const stickyAssignor: ClientAssignor = {
  name: "sticky",
  protocol: "eager",
  subscriptionUserData({ lastAssigned, generationId }) {
    if (generationId === UNKNOWN_GENERATION) return undefined;
    return encodeStickyUserData({ previousAssignment: lastAssigned, generationId });
  },
  assign(members, topics) {
    const { grid, owners } = stickyOwners(members, topics, ({ subscription }) => {
      const data = decodeStickyUserData(subscription.userData);
      return {
        partitions: data?.previousAssignment ?? [],
        generationId: data?.generationId ?? UNKNOWN_GENERATION,
      };
    });
    return planOf(grid, owners);
  },
};

/** Who had what, and who is to have it. */
export interface StickyOwners {
  readonly grid: PartitionGrid;
  /** By valid claims only. */
  readonly previous: Int32Array;
  readonly owners: Int32Array;
}

/** The plan that both sticky assignors aim at; they differ in how a member says what it had. */
export function stickyOwners(
  members: readonly AssignorMember[],
  topics: readonly AssignorTopic[],
  claimOf: (member: AssignorMember) => Claim,
): StickyOwners {
  const grid = partitionGrid(members.toSorted(byMemberId), topics);
  const previous = previousOwners(grid, grid.members.map(claimOf));
  const owners = stickyBalance({
    memberCount: grid.members.length,
    topics: grid.topics,
    previous,
    isNear: nearness(grid),
  });
  return { grid, previous, owners };
}

/** `rackMatch` for partitions that are numbered through. */
function nearness(grid: PartitionGrid): ((partition: number, member: number) => boolean) | undefined {
  const isNear = rackMatch(grid);
  if (isNear === undefined) return undefined;
  const topicOf = grid.topics.flatMap((topic) => Array.from({ length: topic.partitionCount }, () => topic));
  return (partition, member) => {
    const topic = topicOf[partition];
    return topic !== undefined && isNear(topic, partition - topic.first, member);
  };
}
