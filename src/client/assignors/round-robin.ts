import { NOBODY } from "../../model/balance-problem.ts";
import type { ClientAssignor } from "./assignor.ts";
import { inMemberOrder, partitionGrid, planOf } from "./partition-grid.ts";

/**
 * "roundrobin": the partitions of all topics, in order, go to the members in turn; a member that does not subscribe to
 * the topic is passed over. With one subscription for all, counts differ by at most one.
 */
export const roundRobinAssignor: ClientAssignor = {
  name: "roundrobin",
  protocol: "eager",
  assign(members, topics) {
    const grid = partitionGrid(inMemberOrder(members), topics);
    const owners = new Int32Array(grid.partitionCount).fill(NOBODY);
    let turn = 0;
    for (const { first, partitionCount, subscribers } of grid.topics) {
      if (subscribers.length === 0) continue;
      const isSubscribed = new Set(subscribers);
      for (let partition = first; partition < first + partitionCount; partition++) {
        while (!isSubscribed.has(turn)) turn = (turn + 1) % members.length;
        owners[partition] = turn;
        turn = (turn + 1) % members.length;
      }
    }
    return planOf(grid, owners);
  },
};
