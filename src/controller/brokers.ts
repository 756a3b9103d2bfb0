import type { BrokerImage, MetadataImage } from "../metadata/image.ts";
import { isActive, isServing } from "../metadata/image.ts";
import type {
  BrokerRegistrationRecord,
  ClientListener,
  FeatureRange,
  MetadataRecord,
} from "../metadata/records.ts";
import type { NodeId } from "../model/ids.ts";
import { PartitionChanges } from "./affected-partitions.ts";
import type { PartitionEffects } from "./affected-partitions.ts";
import { featureRefusal, listenersRefusal } from "./features.ts";
import { partitionPolicyOf } from "./partition-rules.ts";
import { changeOf } from "./partition-change.ts";
import type { PartitionRules } from "./partition-rules.ts";
import { failure, SUCCESS } from "./result.ts";
import type { Decision, ItemOutcome } from "./result.ts";

/** What a broker says of itself when it registers. */
export type BrokerIdentity = Omit<BrokerRegistrationRecord, "type" | "brokerEpoch" | "clean">;

export interface RegisterCommand {
  readonly broker: BrokerIdentity;
  /** Its last broker epoch as its clean-stop marker names it; undefined: there is no marker. */
  readonly previousBrokerEpoch: number | undefined;
  readonly wasCleanShutdown: boolean;
  /** The metadata offset that this decision's entry will have. */
  readonly brokerEpoch: number;
  /** Does the registered incarnation still have a session? */
  readonly hasLiveSession: boolean;
}

export interface RegisterResult extends ItemOutcome, PartitionEffects {
  /** Of the registration that holds now; -1 when refused. */
  readonly brokerEpoch: number;
  /** False: it is taken for a broker that lost what it had not flushed (H27). */
  readonly isClean: boolean;
}

const NO_EFFECTS: PartitionEffects = { changedPartitions: 0, newlyLeaderless: 0, uncleanElections: [] };

/**
 * Registers a broker, fenced. The same process that registers again keeps its registration. Another process of the same
 * data directory is a restart and taken at once, since the lock on the directory proves the old one dead; it leaves all
 * ISRs, and the ELRs too unless it was stopped cleanly after the very registration that is known (H26, H27, KIP-966).
 */
export function decideRegister(
  image: MetadataImage,
  command: RegisterCommand,
  rules: PartitionRules,
): Decision<RegisterResult> {
  const { broker, brokerEpoch } = command;
  const { nodeId } = broker;
  const before = image.broker(nodeId);
  const refusal =
    directoryRefusal(before, command) ??
    featureRefusal(image, broker.features) ??
    (broker.listeners.length > 0 ? listenersRefusal(image) : undefined);
  if (refusal !== undefined) {
    return { records: [], response: { brokerEpoch: -1, isClean: false, ...NO_EFFECTS, ...refusal } };
  }
  const isSameProcess = before?.incarnationId === broker.incarnationId;
  if (isSameProcess && isSameIdentity(before, broker)) {
    const kept = { brokerEpoch: before.brokerEpoch, isClean: before.clean };
    return { records: [], response: { ...kept, ...NO_EFFECTS, ...SUCCESS } };
  }
  const isStopKnown = command.wasCleanShutdown && command.previousBrokerEpoch === before?.brokerEpoch;
  const clean = before === undefined || isSameProcess || isStopKnown || rules.isEveryStopClean === true;
  const records: MetadataRecord[] = [{ type: "BrokerRegistration", ...broker, brokerEpoch, clean }];
  const change = {
    ...changeOf(image),
    isActive: (other: NodeId) => other !== nodeId && isActive(image.broker(other)),
    isServing: (other: NodeId) => other !== nodeId && isServing(image.broker(other)),
    lost: clean ? undefined : ({ nodeId, cause: "unclean" } as const),
  };
  const partitions = new PartitionChanges(rules, change, records);
  partitions.addThoseOf(image, [nodeId]);
  return { records, response: { brokerEpoch, isClean: clean, ...partitions.effects, ...SUCCESS } };
}

/** Another data directory under a known node id: a second process, or a disk that was emptied or exchanged (H26). */
function directoryRefusal(
  before: BrokerImage | undefined,
  { broker, hasLiveSession }: RegisterCommand,
): ItemOutcome | undefined {
  if (before === undefined || before.directoryId === broker.directoryId) return undefined;
  const { nodeId } = broker;
  if (hasLiveSession || !before.isFenced) {
    return failure(
      "DUPLICATE_BROKER_REGISTRATION",
      `node id ${nodeId} is in use by the broker at ${before.host}:${before.port} (data directory ` +
        `${before.directoryId}); stop that one, or give this broker another node.id`,
    );
  }
  return failure(
    "INVALID_REGISTRATION",
    `node id ${nodeId} belongs to data directory ${before.directoryId}, this one is ${broker.directoryId}; give this ` +
      `broker another node.id, or, if the old directory is lost, run: lograft node unregister ${nodeId}`,
  );
}

function isSameIdentity(before: BrokerImage, broker: BrokerIdentity): boolean {
  return (
    before.host === broker.host &&
    before.port === broker.port &&
    before.peerEndpoint === broker.peerEndpoint &&
    before.rack === broker.rack &&
    before.brokerHost === broker.brokerHost &&
    isSameFeatures(before.features, broker.features) &&
    isSameListeners(before.listeners, broker.listeners)
  );
}

function isSameFeatures(a: ReadonlyMap<string, FeatureRange>, b: ReadonlyMap<string, FeatureRange>): boolean {
  return (
    a.size === b.size &&
    [...a].every(([name, { min, max }]) => b.get(name)?.min === min && b.get(name)?.max === max)
  );
}

function isSameListeners(a: readonly ClientListener[], b: readonly ClientListener[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ name, host, port }, at) => {
      const other = b[at];
      return other?.name === name && other.host === host && other.port === port;
    })
  );
}

/** What became of taking a broker out. */
export interface UnregisterResult extends ItemOutcome, PartitionEffects {
  readonly nodeId: NodeId;
}

/**
 * Forgets a broker that is down for good, so that another data directory may take its node id. It counts for no
 * partition any more; as a replica it stays named where it was. Refused while it runs, and while it alone holds what was
 * confirmed of a partition whose topic does not allow an unclean election.
 */
export function decideUnregister(
  image: MetadataImage,
  { nodeId }: { readonly nodeId: NodeId },
  rules: PartitionRules,
): Decision<UnregisterResult> {
  const refusal = unregisterRefusal(image, nodeId, rules);
  if (refusal !== undefined) return { records: [], response: { nodeId, ...NO_EFFECTS, ...refusal } };
  const records: MetadataRecord[] = [];
  const partitions = new PartitionChanges(
    rules,
    {
      ...changeOf(image),
      isActive: (other) => other !== nodeId && isActive(image.broker(other)),
      isServing: (other) => other !== nodeId && isServing(image.broker(other)),
      lost: { nodeId, cause: "unregistered" },
    },
    records,
  );
  partitions.addThoseOf(image, [nodeId]);
  // Behind the partitions: nobody who is unregistered may count for one.
  records.push({ type: "UnregisterBroker", nodeId });
  return { records, response: { nodeId, ...partitions.effects, ...SUCCESS } };
}

/** Partitions named in a refusal. */
const NAMED = 5;

function unregisterRefusal(
  image: MetadataImage,
  nodeId: NodeId,
  rules: PartitionRules,
): ItemOutcome | undefined {
  const broker = image.broker(nodeId);
  if (broker === undefined)
    return failure("BROKER_ID_NOT_REGISTERED", `broker ${nodeId} is not registered; check the node id`);
  if (!broker.isFenced) {
    return failure("INVALID_REQUEST", `broker ${nodeId} is running; stop it first, then unregister it`);
  }
  const held: string[] = [];
  for (const topic of image.topicsOn(nodeId)) {
    if (partitionPolicyOf(topic, rules).isUncleanElectionAllowed) continue;
    for (const [partition, { isr, elr }] of topic.partitions.entries()) {
      const isOther = (node: NodeId): boolean => node !== nodeId;
      const holds = isr.includes(nodeId) || elr.includes(nodeId);
      if (holds && !isr.some(isOther) && !elr.some(isOther)) held.push(`${topic.name}-${partition}`);
    }
  }
  if (held.length === 0) return undefined;
  const named = held.slice(0, NAMED).join(", ") + (held.length > NAMED ? ", ..." : "");
  return failure(
    "INVALID_REQUEST",
    `broker ${nodeId} alone holds all records of ${held.length} partitions (${named}); start it again, or delete these ` +
      "topics, or set unclean.leader.election.enable=true on them to go on without those records",
  );
}
