import type { MetadataImage } from "../metadata/image.ts";
import type { MetadataRecord } from "../metadata/records.ts";
import type { NodeId } from "../model/ids.ts";
import type { UncleanElection } from "./affected-partitions.ts";
import { decideBrokerStates } from "./broker-states.ts";
import { movementRefusal } from "./features.ts";
import type { PartitionRules } from "./partition-rules.ts";
import { failure, SUCCESS } from "./result.ts";
import type { Decision, ItemOutcome } from "./result.ts";

/** Take a broker out of use, or give it back. */
export interface DrainCommand {
  readonly nodeId: NodeId;
  readonly isDrained: boolean;
}

/** A broker's share of the leaderships. */
export interface DrainResult {
  readonly movedLeaders: number;
  /** Partitions that it leads after it; of a drained broker those that nobody else can lead now. */
  readonly ledPartitions: number;
}

export interface DrainDecision extends DrainResult, ItemOutcome {
  readonly uncleanElections: readonly UncleanElection[];
}

/**
 * A drained broker keeps what it has and follows as before, so nothing loses a copy; but it leads only what nobody else
 * in sync can, until others are, and gets no new replicas. That outlives its restarts. Given back to use it leads again
 * as preferred leaders do: by and by, or when they are elected. Asking again changes nothing.
 */
export function decideDrain(
  image: MetadataImage,
  { nodeId, isDrained }: DrainCommand,
  rules: PartitionRules,
): Decision<DrainDecision> {
  const broker = image.broker(nodeId);
  if (broker === undefined) {
    return refused(
      failure("BROKER_ID_NOT_REGISTERED", `broker ${nodeId} is not registered; check the node id`),
    );
  }
  // Giving back to use what cannot be out of use changes nothing at any level.
  const unsupported = isDrained ? movementRefusal(image, "brokers can be drained") : undefined;
  if (unsupported !== undefined) return refused(unsupported);
  const { brokerEpoch } = broker;
  const { records, response } = decideBrokerStates(image, [{ nodeId, brokerEpoch, isDrained }], rules);
  const movedLeaders = records.filter((record) => isTakenFrom(image, nodeId, record)).length;
  const ledPartitions = leadershipsOf(image, nodeId) - movedLeaders;
  const { uncleanElections } = response;
  return { records, response: { movedLeaders, ledPartitions, uncleanElections, ...SUCCESS } };
}

function refused(refusal: ItemOutcome): Decision<DrainDecision> {
  return { records: [], response: { movedLeaders: 0, ledPartitions: 0, uncleanElections: [], ...refusal } };
}

function isTakenFrom(image: MetadataImage, nodeId: NodeId, record: MetadataRecord): boolean {
  if (record.type !== "Partition" || record.leader === nodeId) return false;
  return image.topicById(record.topicId)?.partitions[record.partition]?.leader === nodeId;
}

function leadershipsOf(image: MetadataImage, nodeId: NodeId): number {
  let count = 0;
  for (const { partitions } of image.topicsOn(nodeId)) {
    for (const { leader } of partitions) if (leader === nodeId) count++;
  }
  return count;
}
