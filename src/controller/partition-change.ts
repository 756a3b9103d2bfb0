import { isActive, isServing, settledReplicas } from "../metadata/image.ts";
import type { MetadataImage, PartitionImage } from "../metadata/image.ts";
import { NO_NODE } from "../model/ids.ts";
import type { NodeId } from "../model/ids.ts";
import { requiredInSync } from "../model/insync.ts";
import { leaderEpoch } from "../model/offsets.ts";
import type { PartitionPolicy } from "./partition-rules.ts";

/** What happened around a partition, for which its next state is wanted. */
export interface PartitionChange {
  /** The brokers as they are from now on: may this one lead and be in an ISR? */
  readonly isActive: (nodeId: NodeId) => boolean;
  /** Still there, though it may be about to stop, or have a full disk: it leads what nobody active can. */
  readonly isServing: (nodeId: NodeId) => boolean;
  /** Leads only what nobody else can. */
  readonly isDrained: (nodeId: NodeId) => boolean;
  /** A broker that no longer has what it confirmed: it came back from an unclean end, is given up, or its log is damaged. */
  readonly lost?:
    | { readonly nodeId: NodeId; readonly cause: "unclean" | "unregistered" | "damaged" }
    | undefined;
  /** Give the leadership to the first replica if it is in the ISR. */
  readonly isPreferredWanted?: boolean;
}

/** A partition's next state. */
export interface PartitionOutcome {
  readonly next: PartitionImage;
  /** The new leader may lack records that were confirmed (H25). */
  readonly isUncleanElection: boolean;
}

/** Who counts for what; the lists are disjoint. */
interface Membership {
  readonly isr: readonly NodeId[];
  readonly elr: readonly NodeId[];
  readonly lastKnownElr: readonly NodeId[];
}

/** What an election rests on; epochs have no part in it. */
export interface PartitionMembers extends Membership {
  readonly replicas: readonly NodeId[];
  readonly addingReplicas: readonly NodeId[];
  readonly leader: NodeId;
}

/** Who counts for what after an election, and who leads. */
export interface PartitionElection extends Membership {
  readonly leader: NodeId;
  readonly isUnclean: boolean;
}

const NOBODY: readonly NodeId[] = [];

/** A change about brokers that are as the image says. */
export function changeOf(image: MetadataImage): PartitionChange {
  return {
    isActive: (nodeId) => isActive(image.broker(nodeId)),
    isServing: (nodeId) => isServing(image.broker(nodeId)),
    isDrained: (nodeId) => image.broker(nodeId)?.isDrained === true,
  };
}

/** The next state of a partition, or undefined when nothing changes: `electMembers`, with the epochs that go with it. */
export function changePartition(
  before: PartitionImage,
  change: PartitionChange,
  policy: PartitionPolicy,
): PartitionOutcome | undefined {
  return advancePartition(before, electMembers(before, change, policy));
}

/** The state after an election: every change has a new partition epoch, every change of the leader a new leader epoch. */
export function advancePartition(
  before: PartitionImage,
  { leader, isr, elr, lastKnownElr, isUnclean }: PartitionElection,
): PartitionOutcome | undefined {
  const isSame =
    leader === before.leader &&
    isEqualList(isr, before.isr) &&
    isEqualList(elr, before.elr) &&
    isEqualList(lastKnownElr, before.lastKnownElr);
  if (isSame) return undefined;
  const next: PartitionImage = {
    replicas: before.replicas,
    addingReplicas: before.addingReplicas,
    removingReplicas: before.removingReplicas,
    isr,
    elr,
    lastKnownElr,
    leader,
    leaderEpoch: leader === before.leader ? before.leaderEpoch : leaderEpoch(before.leaderEpoch + 1),
    partitionEpoch: before.partitionEpoch + 1,
  };
  return { next, isUncleanElection: isUnclean };
}

/**
 * Who counts for what in a partition from now on. Members of the ISR that are not active leave it; when that takes the
 * ISR below its minimum they go to the ELR, because nothing can be committed without them from then on, and once the ISR
 * has its minimum again the ELR is worth nothing (KIP-966). The leader stays, or comes from the ISR, or from the ELR, in
 * the order of the replicas, those that are drained last; a drained leader stays only when it must. When none of them is
 * active, one that is about to stop or has a full disk leads. Otherwise the partition waits, unless its topic allows an
 * unclean election (H25). Nobody else ever comes into an ISR here: that takes its leader.
 */
export function electMembers(
  before: PartitionMembers,
  change: PartitionChange,
  policy: PartitionPolicy,
): PartitionElection {
  const minIsr = requiredInSync(policy.minInsyncReplicas, settledReplicas(before));
  const members = membersAfter(before, change, policy, minIsr);
  const elected = elect(before, change, policy, minIsr, members);
  if (elected.leader !== NO_NODE && !elected.isUnclean) return elected;
  const last = lastServing(before, change, members);
  if (last === undefined) return elected;
  const isActive = (node: NodeId): boolean => node === last || change.isActive(node);
  const staying = { ...change, isActive };
  return elect(before, staying, policy, minIsr, membersAfter(before, staying, policy, minIsr));
}

/**
 * Who leads when nobody active has all that is confirmed: one that has, and is still there though it gave way to others
 * (it stops, or its disk is full). What can be read from it is better than nothing.
 */
function lastServing(
  { leader }: PartitionMembers,
  { isServing, isDrained }: PartitionChange,
  { elr }: Membership,
): NodeId | undefined {
  const serving = elr.filter(isServing);
  if (serving.includes(leader)) return leader;
  return serving.find((node) => !isDrained(node)) ?? serving[0];
}

/** ISR, ELR and last known ELR before anyone is elected. */
function membersAfter(
  { replicas, addingReplicas, isr, elr, lastKnownElr }: PartitionMembers,
  change: PartitionChange,
  policy: PartitionPolicy,
  minIsr: number,
): Membership {
  const lost = lostReplica({ replicas, addingReplicas, isr, elr }, change, policy);
  const stays = isr.filter((node) => node !== lost && change.isActive(node));
  if (stays.length >= minIsr) return { isr: stays, elr: NOBODY, lastKnownElr: NOBODY };
  const eligible = replicas.filter(
    (node) => node !== lost && !stays.includes(node) && (isr.includes(node) || elr.includes(node)),
  );
  // An unregistered broker is of no use any more, not even as a last resort.
  const forgotten = change.lost?.cause === "unregistered" ? change.lost.nodeId : NO_NODE;
  const known = replicas.filter(
    (node) =>
      node !== forgotten &&
      !stays.includes(node) &&
      !eligible.includes(node) &&
      (lastKnownElr.includes(node) || isr.includes(node) || elr.includes(node)),
  );
  return { isr: stays, elr: eligible, lastKnownElr: known };
}

/**
 * The broker to leave out, if the change is about one. A broker that ended uncleanly keeps its place when nobody else has
 * one and it cannot have lost anything that others still have: it is the only replica, or all it confirmed is on its disk.
 */
function lostReplica(
  members: Pick<PartitionMembers, "replicas" | "addingReplicas" | "isr" | "elr">,
  { lost }: PartitionChange,
  { isFlushedOnAck }: PartitionPolicy,
): NodeId {
  if (lost === undefined) return NO_NODE;
  const { isr, elr } = members;
  const isOther = (node: NodeId): boolean => node !== lost.nodeId;
  const isLast = !isr.some(isOther) && !elr.some(isOther);
  const keeps = lost.cause === "unclean" && isLast && (settledReplicas(members) === 1 || isFlushedOnAck);
  return keeps ? NO_NODE : lost.nodeId;
}

function elect(
  before: PartitionMembers,
  { isActive, isDrained, isPreferredWanted = false }: PartitionChange,
  policy: PartitionPolicy,
  minIsr: number,
  members: Membership,
): PartitionElection {
  const { replicas } = before;
  const { isr, elr, lastKnownElr } = members;
  const [preferred = NO_NODE] = replicas;
  const isClean = { ...members, isUnclean: false };
  const isUsed = (node: NodeId): boolean => !isDrained(node);
  if (isPreferredWanted && isr.includes(preferred) && isUsed(preferred))
    return { ...isClean, leader: preferred };
  if (isr.includes(before.leader) && isUsed(before.leader)) return { ...isClean, leader: before.leader };
  const inSync = replicas.filter((node) => isr.includes(node));
  const leader = inSync.find(isUsed) ?? (isr.includes(before.leader) ? before.leader : inSync[0]);
  if (leader !== undefined) return { ...isClean, leader };
  const eligibles = replicas.filter((node) => elr.includes(node) && isActive(node));
  const eligible = eligibles.find(isUsed) ?? eligibles[0];
  if (eligible !== undefined) {
    const isEnough = minIsr <= 1;
    return {
      isr: [eligible],
      elr: isEnough ? NOBODY : elr.filter((node) => node !== eligible),
      lastKnownElr: isEnough ? NOBODY : lastKnownElr,
      leader: eligible,
      isUnclean: false,
    };
  }
  const anyone = policy.isUncleanElectionAllowed ? lastResort(before, lastKnownElr, isActive) : undefined;
  if (anyone === undefined) return { ...isClean, leader: NO_NODE };
  // What the others have is not this leader's history: they count for nothing until they follow it.
  return { isr: [anyone], elr: NOBODY, lastKnownElr: NOBODY, leader: anyone, isUnclean: true };
}

/** Those that once had everything come first. One that is new here may have nothing at all: it is no resort (H23). */
function lastResort(
  { replicas, addingReplicas }: PartitionMembers,
  lastKnownElr: readonly NodeId[],
  isActive: (nodeId: NodeId) => boolean,
): NodeId | undefined {
  const active = replicas.filter(isActive);
  return (
    active.find((node) => lastKnownElr.includes(node)) ??
    active.find((node) => !addingReplicas.includes(node))
  );
}

function isEqualList(a: readonly NodeId[], b: readonly NodeId[]): boolean {
  return a.length === b.length && a.every((node, position) => node === b[position]);
}
