import type { BrokerImage, MetadataImage } from "../metadata/image.ts";
import { isActive, isServing } from "../metadata/image.ts";
import type { MetadataRecord } from "../metadata/records.ts";
import type { NodeId } from "../model/ids.ts";
import { PartitionChanges } from "./affected-partitions.ts";
import type { PartitionEffects } from "./affected-partitions.ts";
import type { PartitionRules } from "./partition-rules.ts";
import { failure, SUCCESS } from "./result.ts";
import type { Decision, ItemOutcome } from "./result.ts";

/** What a broker shall be from now on; what is not given stays. */
export interface BrokerStateChange {
  readonly nodeId: NodeId;
  /** Of the registration that was observed: a broker that has registered again since is left alone. */
  readonly brokerEpoch: number;
  readonly isFenced?: boolean;
  readonly isShuttingDown?: boolean;
  readonly isDrained?: boolean;
}

export interface BrokerStatesResult extends PartitionEffects {
  /** Those whose state is another now, in the order of the command. */
  readonly changedBrokers: readonly NodeId[];
}

/**
 * Fences, unfences, drains or begins the shutdown of brokers, several at once: when many sessions end together, no leadership
 * goes to a broker that is fenced in the same breath. A broker that comes back takes over what waits for it; into other
 * ISRs it comes only by their leaders (KIP-631, KIP-841). Changes about older registrations or that change nothing are
 * left out.
 */
export function decideBrokerStates(
  image: MetadataImage,
  changes: readonly BrokerStateChange[],
  rules: PartitionRules,
): Decision<BrokerStatesResult> {
  const next = new Map<NodeId, BrokerImage>();
  for (const { nodeId, brokerEpoch, isFenced, isShuttingDown, isDrained } of changes) {
    const before = next.get(nodeId) ?? image.broker(nodeId);
    if (before === undefined || before.brokerEpoch !== brokerEpoch) continue;
    next.set(nodeId, {
      ...before,
      isFenced: isFenced ?? before.isFenced,
      isShuttingDown: isShuttingDown ?? before.isShuttingDown,
      isDrained: isDrained ?? before.isDrained,
    });
  }
  const records: MetadataRecord[] = [];
  const changedBrokers: NodeId[] = [];
  for (const [nodeId, after] of next) {
    const before = image.broker(nodeId);
    if (before === undefined || isSameState(before, after)) continue;
    changedBrokers.push(nodeId);
    const { brokerEpoch, isFenced, isShuttingDown, isDrained } = after;
    records.push({ type: "BrokerChange", nodeId, brokerEpoch, isFenced, isShuttingDown, isDrained });
  }
  const brokerAfter = (nodeId: NodeId): BrokerImage | undefined => next.get(nodeId) ?? image.broker(nodeId);
  const change = {
    isActive: (nodeId: NodeId) => isActive(brokerAfter(nodeId)),
    isServing: (nodeId: NodeId) => isServing(brokerAfter(nodeId)),
    isDrained: (nodeId: NodeId) => brokerAfter(nodeId)?.isDrained === true,
  };
  const partitions = new PartitionChanges(rules, change, records);
  partitions.addThoseOf(image, changedBrokers);
  return { records, response: { changedBrokers, ...partitions.effects } };
}

function isSameState(before: BrokerImage, after: BrokerImage): boolean {
  return (
    before.isFenced === after.isFenced &&
    before.isShuttingDown === after.isShuttingDown &&
    before.isDrained === after.isDrained
  );
}

export interface ControlledShutdownCommand {
  readonly nodeId: NodeId;
  readonly brokerEpoch: number;
}

export interface ControlledShutdownResult extends ItemOutcome, PartitionEffects {
  /** Everything that others can lead is led by others once the records are committed. */
  readonly mayShutDown: boolean;
}

/**
 * A broker wants to stop: its leaderships go to others and it leaves every ISR, so that nobody waits for it when it is
 * gone. What nobody else can lead it leads until it is fenced, and that has no leader until it is back. Asking again
 * changes nothing.
 */
export function decideControlledShutdown(
  image: MetadataImage,
  { nodeId, brokerEpoch }: ControlledShutdownCommand,
  rules: PartitionRules,
): Decision<ControlledShutdownResult> {
  const { records, response } = decideBrokerStates(
    image,
    [{ nodeId, brokerEpoch, isShuttingDown: true }],
    rules,
  );
  const { changedBrokers: _, ...effects } = response;
  const refusal = epochRefusal(image, nodeId, brokerEpoch);
  return { records, response: { ...effects, ...(refusal ?? SUCCESS), mayShutDown: refusal === undefined } };
}

/**
 * Whether a broker that says whether its disk is full shall be aside: as good as on its way out. Not when nobody else is
 * active: then it would change nothing, and what is written takes room that is kept for what makes room.
 */
export function isToStepAside(image: MetadataImage, before: BrokerImage, isDiskFull: boolean): boolean {
  if (!isDiskFull || before.isShuttingDown) return isDiskFull;
  for (const other of image.brokers()) if (other.nodeId !== before.nodeId && isActive(other)) return true;
  return false;
}

/** Why a broker cannot speak for this registration, or undefined. */
export function epochRefusal(
  image: MetadataImage,
  nodeId: NodeId,
  brokerEpoch: number,
): ItemOutcome | undefined {
  const broker = image.broker(nodeId);
  if (broker === undefined) {
    return failure("BROKER_ID_NOT_REGISTERED", `broker ${nodeId} is not registered; register it first`);
  }
  if (broker.brokerEpoch === brokerEpoch) return undefined;
  return failure(
    "STALE_BROKER_EPOCH",
    `broker ${nodeId} has registered with epoch ${broker.brokerEpoch}, this is about ${brokerEpoch}; register again`,
  );
}
