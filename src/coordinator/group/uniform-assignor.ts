import { stickyBalance } from "../../model/sticky-balance.ts";
import { assignmentGrid, gridPlan } from "./assignment-grid.ts";
import type { ServerAssignor } from "./assignor.ts";

/**
 * "uniform" (KIP-848): as even as the subscriptions allow, over all topics together, and what a member was to have stays
 * with it unless that would make it uneven.
 */
export const uniformAssignor: ServerAssignor = {
  name: "uniform",
  assign(members, topics) {
    const grid = assignmentGrid(members, topics);
    const { previous } = grid;
    return gridPlan(grid, stickyBalance({ memberCount: grid.members.length, topics: grid.topics, previous }));
  },
};
