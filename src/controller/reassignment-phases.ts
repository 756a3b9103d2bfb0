import type { PartitionImage } from "../metadata/image.ts";
import type { NodeId } from "../model/ids.ts";
import { leaderEpoch } from "../model/offsets.ts";
import { electMembers } from "./partition-change.ts";
import type { PartitionChange, PartitionElection } from "./partition-change.ts";
import type { PartitionPolicy } from "./partition-rules.ts";

/*
 * A partition moves in three phases, so that it never has fewer copies on the way than it had (H23):
 *
 *   grow      replicas = where it goes to, then those that it leaves; the ISR stays as it is
 *   catch up  the new replicas follow, and their leader takes them into the ISR, as it does with any replica
 *   shrink    all of the target are in the ISR: replicas = target, in the very entry in which the last one came in
 */

const NOBODY: readonly NodeId[] = [];

type Moving = Pick<PartitionImage, "replicas" | "addingReplicas" | "removingReplicas">;

/** A reassignment of it is under way. */
export function isMoving({ addingReplicas, removingReplicas }: Moving): boolean {
  return addingReplicas.length > 0 || removingReplicas.length > 0;
}

/** Where it goes to; its replicas when it does not move. */
export function targetOf({ replicas, removingReplicas }: Moving): readonly NodeId[] {
  return removingReplicas.length === 0
    ? replicas
    : replicas.filter((node) => !removingReplicas.includes(node));
}

/** Where it comes from, less the order of it; its replicas when it does not move. */
export function originOf({ replicas, addingReplicas }: Moving): readonly NodeId[] {
  return addingReplicas.length === 0 ? replicas : replicas.filter((node) => !addingReplicas.includes(node));
}

/** The first phase: nothing but the replicas is another, so nobody notices but those that begin to follow. */
export function growth({ replicas }: Pick<Moving, "replicas">, target: readonly NodeId[]): Moving {
  const removingReplicas = replicas.filter((node) => !target.includes(node));
  return {
    replicas: [...target, ...removingReplicas],
    addingReplicas: target.filter((node) => !replicas.includes(node)),
    removingReplicas,
  };
}

/** The last phase, when it is due: all of the target are in the ISR as it is after the election. */
export function shrunk(
  before: PartitionImage,
  elected: PartitionElection,
  change: PartitionChange,
  policy: PartitionPolicy,
): PartitionImage | undefined {
  const target = targetOf(before);
  const isDue = isMoving(before) && target.every((node) => elected.isr.includes(node));
  return isDue ? settled(before, elected, target, change, policy) : undefined;
}

/**
 * The partition with these of its replicas alone, none of them on its way. Who counts and stays counts on; who leads is
 * one of them. It is another leader epoch even under the same leader: a replica that leaves here and comes back in the
 * same breath must not be taken for the one that it was, and the minimum of in-sync replicas may be another (H23, H39).
 */
export function settled(
  before: PartitionImage,
  { isr, elr, lastKnownElr, leader }: Omit<PartitionElection, "isUnclean">,
  replicas: readonly NodeId[],
  change: PartitionChange,
  policy: PartitionPolicy,
): PartitionImage {
  const stays = (nodes: readonly NodeId[]): readonly NodeId[] =>
    replicas.filter((node) => nodes.includes(node));
  const members = {
    replicas,
    addingReplicas: NOBODY,
    isr: stays(isr),
    elr: stays(elr),
    lastKnownElr: stays(lastKnownElr),
    leader,
  };
  // Whoever may lead is known to have everything: an unclean election is never asked for here.
  const { isUnclean: _, ...elected } = electMembers(members, change, {
    ...policy,
    isUncleanElectionAllowed: false,
  });
  return {
    replicas,
    addingReplicas: NOBODY,
    removingReplicas: NOBODY,
    ...elected,
    leaderEpoch: leaderEpoch(before.leaderEpoch + 1),
    partitionEpoch: before.partitionEpoch + 1,
  };
}
