import { LograftError } from "../base/errors.ts";
import type { PartitionLog } from "../log/partition-log.ts";
import type { LeaderEpoch, Offset } from "../model/offsets.ts";
import type { BrokerWorkload } from "./broker-workload.ts";
import { mustHold } from "./invariants/violation.ts";
import type { MetadataCluster } from "./metadata-cluster.ts";
import type { MoveWorkload } from "./move-workload.ts";
import { newestRecords } from "./newest-records.ts";
import type { SegmentRot } from "./segment-rot.ts";
import type { DataKey } from "./sim-client.ts";

/** In which all replicas must be in sync again and every send answered, once everything is healed. */
const QUIET_LIMIT_MS = 60_000;
const MAX_BYTES = 64 * 1024 * 1024;

/** What has been going on. */
export interface Burden {
  /** Partitions, and what is on its way to them. */
  readonly data: Pick<BrokerWorkload, "keys" | "pendingCount">;
  readonly moves: MoveWorkload | undefined;
  readonly rot: SegmentRot;
}

/**
 * Waits until every replica is in sync and whole, then holds all replicas of a partition against each other, byte by
 * byte.
 */
export async function checkReplicas(cluster: MetadataCluster, burden: Burden): Promise<void> {
  const { data, rot } = burden;
  await untilInSync(cluster, burden);
  if (rot.hasStruck) {
    // What nobody has read since it rotted is found now, and then repaired.
    for (const { broker } of cluster.machines) {
      if (broker !== undefined) await cluster.scheduler.settle(broker.storage.scrub(), QUIET_LIMIT_MS);
    }
    await untilInSync(cluster, burden);
  }
  for (const key of data.keys) {
    await cluster.scheduler.settle(checkEqual(cluster, key), QUIET_LIMIT_MS);
  }
}

async function untilInSync(cluster: MetadataCluster, { data, moves }: Burden): Promise<void> {
  const isQuiet = (): boolean =>
    data.pendingCount === 0 &&
    moves?.isSettled !== false &&
    data.keys.every((key) => isInSync(cluster, key)) &&
    // One that stops in order closes its logs in the middle of the comparison.
    cluster.machines.every((machine) => !machine.isStopping);
  try {
    await cluster.scheduler.runUntil(isQuiet, QUIET_LIMIT_MS);
  } catch (error: unknown) {
    if (!(error instanceof LograftError && error.code === "TIMEOUT")) throw error;
    mustHold(false, "ReplicasRecover", `not every replica is in sync within ${QUIET_LIMIT_MS} ms`, () => ({
      pending: data.pendingCount,
      areMovesSettled: moves?.isSettled,
      partitions: data.keys.map((key) => stateOf(cluster, key)),
    }));
  }
}

interface Replica {
  readonly nodeId: number;
  readonly log: PartitionLog | undefined;
  readonly highWatermark: Offset | undefined;
}

function replicasOf(cluster: MetadataCluster, { topic, partition }: DataKey): Replica[] {
  const image = cluster.checker.model.image.topic(topic)?.partitions[partition];
  return (image?.replicas ?? []).map((nodeId) => {
    const { broker } = cluster.machine(nodeId - 1);
    let highWatermark: Offset | undefined;
    for (const used of broker?.partitions ?? []) {
      if (used.topic === topic && used.partition === partition) ({ highWatermark } = used);
    }
    return { nodeId, log: broker?.storage.get({ topic, partition }), highWatermark };
  });
}

/** Whether the ISR is full and all have the same end, which all know to be committed. */
export function isInSync(cluster: MetadataCluster, key: DataKey): boolean {
  const topic = cluster.checker.model.image.topic(key.topic);
  // Its creation may never have come through.
  if (topic === undefined) return true;
  const image = topic.partitions[key.partition];
  if (image === undefined || image.leader < 0 || image.isr.length < image.replicas.length) return false;
  const replicas = replicasOf(cluster, key);
  const end = replicas[0]?.log?.logEndOffset;
  return replicas.every(
    ({ log, highWatermark }) =>
      log?.state === "open" &&
      log.damage === undefined &&
      log.logEndOffset === end &&
      log.durableEndOffset === end &&
      highWatermark === end,
  );
}

/**
 * Same bytes over what all have, same epochs. Where one of them was compacted, which each replica does by itself: the same
 * newest record of each key, and the same bytes from there on.
 */
async function checkEqual(cluster: MetadataCluster, key: DataKey): Promise<void> {
  const replicas = replicasOf(cluster, key);
  const [first] = replicas;
  if (first?.log === undefined) return;
  const start = Math.max(...replicas.map(({ log }) => log?.logStartOffset ?? 0)) as Offset;
  const gapsBelow = Math.max(...replicas.map(({ log }) => log?.gapsBelow ?? 0)) as Offset;
  const isCompacted = gapsBelow > start;
  const equalFrom = isCompacted ? gapsBelow : start;
  const expected = await bytesOf(first.log, equalFrom);
  const newest = isCompacted ? newestRecords(await bytesOf(first.log, start)) : undefined;
  const lastEpoch = first.log.latestEpoch;
  for (const { nodeId, log } of replicas.slice(1)) {
    if (log === undefined) continue;
    const nodes = [first.nodeId, nodeId];
    const bytes = await bytesOf(log, equalFrom);
    mustHold(bytes.equals(expected), "ReplicasEqual", "two replicas differ in their bytes", () => ({
      key: key.name,
      nodes,
      equalFrom,
      sizes: [expected.length, bytes.length],
    }));
    if (newest !== undefined) {
      const theirs = newestRecords(await bytesOf(log, start));
      const differing = [...new Set([...newest.keys(), ...theirs.keys()])].filter(
        (one) => newest.get(one) !== theirs.get(one),
      );
      mustHold(differing.length === 0, "ReplicasEqual", "two compacted replicas differ in a record", () => ({
        key: key.name,
        nodes,
        gapsBelow,
        records: differing.slice(0, 3).map((one) => [one, newest.get(one), theirs.get(one)]),
      }));
      // Where an epoch has no record left, its end is told by that of the one before.
      continue;
    }
    for (let epoch = 0; epoch <= lastEpoch; epoch++) {
      const [mine, theirs] = [first.log, log].map((one) => one?.endOffsetForEpoch(epoch as LeaderEpoch));
      mustHold(
        mine?.epoch === theirs?.epoch && mine?.endOffset === theirs?.endOffset,
        "ReplicasEqual",
        "two replicas differ in their leader epochs",
        () => ({ key: key.name, nodes, epoch, ends: [mine, theirs] }),
      );
    }
  }
}

async function bytesOf(log: PartitionLog, start: Offset): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for (let at = start; at < log.logEndOffset;) {
    const read = await log.read(at, MAX_BYTES);
    mustHold(read.ok && read.chunks.length > 0, "ReplicasEqual", "a replica cannot be read", () => ({
      at,
      end: log.logEndOffset,
      error: read.ok ? "no records" : read.error,
    }));
    chunks.push(...read.chunks);
    at = read.nextOffset;
  }
  return Buffer.concat(chunks);
}

function stateOf(cluster: MetadataCluster, key: DataKey): Record<string, unknown> {
  const image = cluster.checker.model.image.topic(key.topic)?.partitions[key.partition];
  return {
    key: key.name,
    image,
    replicas: replicasOf(cluster, key).map(({ nodeId, log, highWatermark }) => ({
      nodeId,
      start: log?.logStartOffset,
      end: log?.logEndOffset,
      durable: log?.durableEndOffset,
      state: log?.state,
      damage: log?.damage,
      lastEpoch: log?.latestEpoch,
      highWatermark,
      broker: cluster.machine(nodeId - 1).broker?.state,
    })),
  };
}
