import { failure } from "../controller/result.ts";
import type { ItemOutcome } from "../controller/result.ts";
import type { ReadResult } from "../log/log-reader.ts";
import type { NodeId } from "../model/ids.ts";
import type { PartitionStore } from "./log-store.ts";
import { readerRefusal } from "./outcome.ts";
import type { PartitionRef, Reader } from "./outcome.ts";
import type { Partition } from "./partition.ts";

/** What a fetch tells of one partition: records, an error, or (without either) the news of where the log ends. */
export interface FetchedPartition extends PartitionRef, ItemOutcome {
  /** Given back as it was asked with. */
  readonly generation: number;
  /** Records below are readable. */
  readonly highWatermark: number;
  readonly logStartOffset: number;
  readonly leaderEpoch: number;
  /** Who to ask instead, when the error says so; -1: not known. */
  readonly leaderId: number;
  /** Whole batches, in order, not joined. The first may begin before the offset asked for. */
  readonly records: readonly Buffer[];
}

const NO_RECORDS: readonly Buffer[] = [];

/** Records, or with an empty list the news alone. */
export function fetchedRecords(
  ref: PartitionRef,
  generation: number,
  partition: Partition,
  log: PartitionStore,
  records: readonly Buffer[] = NO_RECORDS,
): FetchedPartition {
  return {
    topic: ref.topic,
    partition: ref.partition,
    generation,
    error: "NONE",
    errorMessage: "",
    highWatermark: log.durableEndOffset,
    logStartOffset: log.logStartOffset,
    leaderEpoch: partition.image.leaderEpoch,
    leaderId: partition.image.leader,
    records,
  };
}

/** An error; what is known of the partition goes with it. */
export function fetchRefused(
  ref: PartitionRef,
  generation: number,
  partition: Partition | undefined,
  outcome: ItemOutcome,
): FetchedPartition {
  const log = partition?.openLog;
  return {
    topic: ref.topic,
    partition: ref.partition,
    generation,
    error: outcome.error,
    errorMessage: outcome.errorMessage,
    highWatermark: log?.durableEndOffset ?? 0,
    logStartOffset: log?.logStartOffset ?? 0,
    leaderEpoch: partition?.image.leaderEpoch ?? -1,
    leaderId: partition?.image.leader ?? -1,
    records: NO_RECORDS,
  };
}

/** Why nothing can be read from `offset` now, nor later without another request; undefined when reading may go on. */
export function readRefusal(
  partition: Partition,
  log: PartitionStore,
  offset: number,
  leaderEpoch: number,
  reader: Reader,
): ItemOutcome | undefined {
  const refusal = readerRefusal(partition, leaderEpoch, reader);
  if (refusal !== undefined) return refusal;
  const { nodeId } = reader;
  const name = `${partition.topic}-${partition.partition}`;
  if (partition.openLog !== undefined && partition.openLog !== log) {
    // Where reading ends is another matter since then (H37).
    return failure("NOT_LEADER_OR_FOLLOWER", `${name} has got more replicas; ask again`);
  }
  if (log.state === "closed") {
    return failure("LEADER_NOT_AVAILABLE", `the log of ${name} is closed: broker ${nodeId} is stopping`);
  }
  // A damaged log still gives what lies below the damage; behind that nothing will ever come.
  if (log.state === "offline" && offset >= log.durableEndOffset) {
    const text = `the log of ${name} is offline after a disk failure; see the log of broker ${nodeId}`;
    return failure("KAFKA_STORAGE_ERROR", text);
  }
  if (offset >= log.logStartOffset && offset <= log.logEndOffset) return undefined;
  if (partition.image.leader !== nodeId) return notHereYet(partition, log, offset, nodeId);
  return failure(
    "OFFSET_OUT_OF_RANGE",
    `${name} has offsets ${log.logStartOffset} to ${log.durableEndOffset} (exclusive), ${offset} is not among them; ` +
      "start from one of these ends",
  );
}

/** What a client is told of a read that gave nothing. */
export function readFailure(
  partition: Partition,
  log: PartitionStore,
  offset: number,
  read: Extract<ReadResult, { ok: false }>,
  { nodeId }: Reader,
): ItemOutcome {
  return read.error === "OFFSET_OUT_OF_RANGE" && partition.image.leader !== nodeId
    ? notHereYet(partition, log, offset, nodeId)
    : failure(read.error, read.message);
}

/** Only a leader may say that an offset does not exist: a client that hears so moves its position (KIP-392, H41). */
function notHereYet(
  { topic, partition, image }: Partition,
  log: PartitionStore,
  offset: number,
  nodeId: NodeId,
): ItemOutcome {
  const leader = image.leader < 0 ? "the next leader" : `broker ${image.leader}, which leads it,`;
  return failure(
    "OFFSET_NOT_AVAILABLE",
    `broker ${nodeId} follows ${topic}-${partition} and has offsets ${log.logStartOffset} to ${log.durableEndOffset} ` +
      `(exclusive), not ${offset}; ask ${leader} or wait`,
  );
}
