import { NOBODY } from "../../model/balance-problem.ts";
import { assignmentGrid, gridPlan, type AssignmentGrid, type GridTopic } from "./assignment-grid.ts";
import type { ServerAssignor } from "./assignor.ts";

/**
 * "range" (KIP-848): each topic is cut into one run of consecutive partitions for each subscriber; the first ones get one
 * partition more when the topic cannot be cut evenly. All topics use one order of members, so topics with the same
 * subscribers and the same number of partitions are cut alike, and equal keys of theirs meet in one member. That order is
 * free to choose: it is the order of the runs that members had, new ones after them, so that a member that comes or goes
 * shifts runs but never shuffles them.
 */
export const rangeAssignor: ServerAssignor = {
  name: "range",
  assign(members, topics) {
    const grid = assignmentGrid(members, topics);
    const order = commonOrder(grid);
    const owners = new Int32Array(grid.partitionCount).fill(NOBODY);
    for (const topic of grid.topics) cut(topic, order, owners);
    return gridPlan(grid, owners);
  },
};

function cut(
  { first, partitionCount, subscribers }: GridTopic,
  order: readonly number[],
  owners: Int32Array,
): void {
  if (subscribers.length === 0) return;
  const isSubscribed = new Uint8Array(order.length);
  for (const member of subscribers) isSubscribed[member] = 1;
  const size = Math.floor(partitionCount / subscribers.length);
  let extras = partitionCount % subscribers.length;
  let at = first;
  for (const member of order) {
    if (at === first + partitionCount) return;
    if (isSubscribed[member] === 0) continue;
    const end = at + size + (extras > 0 ? 1 : 0);
    extras--;
    owners.fill(member, at, end);
    at = end;
  }
}

/**
 * The members in the order that all topics use. A member stood where its run began, as a fraction of the topic; the topic
 * to look at is the widest that it had a part of: the one with the most subscribers, then the most partitions. Members of
 * one subscription look at the same topic, so their order is kept exactly.
 */
function commonOrder({ members, topics, previous }: AssignmentGrid): readonly number[] {
  const starts = new Float64Array(members.length).fill(Infinity);
  const byWidth = topics.toSorted(
    (a, b) =>
      b.subscribers.length - a.subscribers.length || b.partitionCount - a.partitionCount || a.first - b.first,
  );
  for (const { first, partitionCount } of byWidth) {
    for (let partition = 0; partition < partitionCount; partition++) {
      const member = previous[first + partition] ?? NOBODY;
      if (member !== NOBODY && starts[member] === Infinity) starts[member] = partition / partitionCount;
    }
  }
  return members
    .map((_, index) => index)
    .sort((a, b) => {
      const difference = (starts[a] ?? Infinity) - (starts[b] ?? Infinity);
      // NaN: neither of the two had anything.
      return Number.isNaN(difference) || difference === 0 ? a - b : difference;
    });
}
