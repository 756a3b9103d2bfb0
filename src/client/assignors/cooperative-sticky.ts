import { NOBODY } from "../../model/balance-problem.ts";
import {
  decodeCooperativeUserData,
  encodeCooperativeUserData,
  UNKNOWN_GENERATION,
} from "../../model/consumer-protocol.ts";
import type { AssignorMember, ClientAssignor } from "./assignor.ts";
import { planOf } from "./partition-grid.ts";
import type { Claim } from "./previous-owners.ts";
import { stickyOwners, type StickyOwners } from "./sticky.ts";

/**
 * "cooperative-sticky" (KIP-429): the plan of "sticky", carried out without a stop. Members keep what they have while they
 * join. What the plan takes from a member that still has it is given to nobody yet: its owner sees it missing, gives it up
 * and joins again, and the next plan hands it over. So a move takes two rebalances, and all else goes on meanwhile.
 */
export const cooperativeStickyAssignor: ClientAssignor = {
  name: "cooperative-sticky",
  protocol: "cooperative",
  subscriptionUserData({ generationId }) {
    return encodeCooperativeUserData(generationId);
  },
  assign(members, topics) {
    const plan = stickyOwners(members, topics, claimOf);
    withholdOwned(plan);
    return planOf(plan.grid, plan.owners);
  },
};

/** A subscription below version 2 has its generation in the user data. */
function claimOf({ subscription }: AssignorMember): Claim {
  const { ownedPartitions, generationId, userData } = subscription;
  return {
    partitions: ownedPartitions,
    generationId: generationId === UNKNOWN_GENERATION ? decodeCooperativeUserData(userData) : generationId,
  };
}

/**
 * Takes back what would be new for a member while another one, of whatever generation, still has it (H60). A claim that
 * lost against another does not make its member the owner: it is withheld from that one too, until nobody has it.
 */
function withholdOwned({ grid, previous, owners }: StickyOwners): void {
  const topics = new Map(grid.topics.map((topic) => [topic.name, topic]));
  for (const { subscription } of grid.members) {
    for (const { topic, partitions } of subscription.ownedPartitions) {
      const { first = 0, partitionCount = 0 } = topics.get(topic) ?? {};
      for (const number of partitions) {
        const at = first + number;
        if (number < partitionCount && owners[at] !== previous[at]) owners[at] = NOBODY;
      }
    }
  }
}
