import { NO_NODE } from "../model/ids.ts";
import type { NodeId } from "../model/ids.ts";
import type { PartitionImage } from "./image.ts";

/**
 * Why a partition cannot become `after`, or undefined when it can: epochs only grow, a leader is in the ISR, and nobody
 * counts for data that it cannot have. Only what no controller ever decides; what is merely unwise passes, because a
 * refusal stops the node.
 */
export function checkPartition(
  before: PartitionImage | undefined,
  after: PartitionImage,
  isRegistered: (nodeId: NodeId) => boolean,
): string | undefined {
  return (before === undefined ? undefined : epochFault(before, after)) ?? listFault(after, isRegistered);
}

function epochFault(before: PartitionImage, after: PartitionImage): string | undefined {
  if (after.leaderEpoch < before.leaderEpoch || after.partitionEpoch <= before.partitionEpoch) {
    return "goes back in its epochs";
  }
  // Two leaders of one epoch would write different records under the same (epoch, offset).
  const isLed = after.leader !== NO_NODE && after.leader !== before.leader;
  return isLed && after.leaderEpoch === before.leaderEpoch ? "changes its leader within an epoch" : undefined;
}

function listFault(
  { replicas, addingReplicas, removingReplicas, isr, elr, lastKnownElr, leader }: PartitionImage,
  isRegistered: (nodeId: NodeId) => boolean,
): string | undefined {
  if (replicas.length === 0) return "has no replicas";
  if (hasRepeats(replicas)) return "has a replica twice";
  const moving = [...addingReplicas, ...removingReplicas];
  if (moving.some((node) => !replicas.includes(node))) return "moves a replica that it has not";
  if (hasRepeats(moving)) return "moves a replica twice";
  // Replicas that are all on their way out, or all new, would be nobody's data.
  if (removingReplicas.length === replicas.length) return "loses all its replicas";
  if (addingReplicas.length === replicas.length) return "begins anew elsewhere";
  if (leader !== NO_NODE && !isr.includes(leader)) return "is led from outside its ISR";
  for (const list of [isr, elr, lastKnownElr]) {
    for (const [position, node] of list.entries()) {
      if (!replicas.includes(node)) return "counts on a broker that is not a replica";
      if (list.indexOf(node) !== position) return "counts twice on one broker";
      if (!isRegistered(node)) return "counts on a broker that is not registered";
    }
  }
  if (isOverlapping(elr, isr) || isOverlapping(lastKnownElr, isr) || isOverlapping(lastKnownElr, elr)) {
    return "has one broker in two of its ISR, ELR and last known ELR";
  }
  return undefined;
}

function isOverlapping(some: readonly NodeId[], others: readonly NodeId[]): boolean {
  return some.some((node) => others.includes(node));
}

function hasRepeats(nodes: readonly NodeId[]): boolean {
  return nodes.some((node, position) => nodes.indexOf(node) !== position);
}
