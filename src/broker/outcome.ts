import { errorMessage } from "../base/errors.ts";
import { failure } from "../controller/result.ts";
import type { ItemOutcome } from "../controller/result.ts";
import { isErrorName } from "../model/error-code.ts";
import type { NodeId } from "../model/ids.ts";
import { INTERNAL_TOPICS, shownTopic } from "../model/topic-partition.ts";
import { isLograftError } from "./lograft-error.ts";
import type { Partition } from "./partition.ts";

/** A partition named by a request. */
export interface PartitionRef {
  readonly topic: string;
  readonly partition: number;
}

/** What the cluster does not have: the topic or the number. */
export function unknownPartition({ topic, partition }: PartitionRef): ItemOutcome {
  return failure(
    "UNKNOWN_TOPIC_OR_PARTITION",
    `there is no partition ${partition} of topic ${shownTopic(topic)} here; check the name with the topic list`,
  );
}

/**
 * Why this broker does not serve the partition as its leader for this caller, or undefined. `leaderEpoch` is the caller's:
 * -1 when it does not know (KIP-320). Asked again in the very turn that acts on it (H31).
 */
export function accessRefusal(
  partition: Partition,
  leaderEpoch: number,
  nodeId: NodeId,
): ItemOutcome | undefined {
  return leadershipRefusal(partition, leaderEpoch, nodeId) ?? doubtRefusal(partition, nodeId);
}

/**
 * The same by what the committed metadata say alone, however old they may be: for what was begun when there was no doubt,
 * such as an append that all in-sync replicas have by now.
 */
export function leadershipRefusal(
  partition: Partition,
  leaderEpoch: number,
  nodeId: NodeId,
): ItemOutcome | undefined {
  const { image } = partition;
  if (partition.isRemoved) return removedRefusal(partition);
  if (image.leader !== nodeId) {
    const leader = image.leader < 0 ? "no broker leads it now" : `broker ${image.leader} leads it`;
    const name = `${partition.topic}-${partition.partition}`;
    return failure("NOT_LEADER_OR_FOLLOWER", `broker ${nodeId} does not lead ${name}; ${leader}`);
  }
  return epochRefusal(partition, leaderEpoch);
}

/** Who reads: what this broker is, and whom the client takes for an answer. */
export interface Reader {
  readonly nodeId: NodeId;
  /** The client takes the word of a follower too (KIP-392); otherwise only the leader's. */
  readonly isFollowerEnough: boolean;
}

/**
 * Why this broker does not let the partition be read, or undefined. A follower gives what it knows to be committed; the
 * caller must be in the same leader epoch, as with a leader (KIP-320).
 */
export function readerRefusal(
  partition: Partition,
  leaderEpoch: number,
  { nodeId, isFollowerEnough }: Reader,
): ItemOutcome | undefined {
  const { leader, replicas } = partition.image;
  if (!isFollowerEnough || leader === nodeId || !replicas.includes(nodeId)) {
    return accessRefusal(partition, leaderEpoch, nodeId);
  }
  if (partition.isRemoved) return removedRefusal(partition);
  return epochRefusal(partition, leaderEpoch) ?? doubtRefusal(partition, nodeId);
}

function removedRefusal({ topic }: Partition): ItemOutcome {
  return failure("UNKNOWN_TOPIC_OR_PARTITION", `topic ${topic} was deleted`);
}

function epochRefusal(partition: Partition, leaderEpoch: number): ItemOutcome | undefined {
  const { image } = partition;
  if (leaderEpoch < 0 || leaderEpoch === image.leaderEpoch) return undefined;
  const name = `${partition.topic}-${partition.partition}`;
  const epochs = `the request says leader epoch ${leaderEpoch} of ${name}, the broker is at ${image.leaderEpoch}`;
  return leaderEpoch < image.leaderEpoch
    ? failure("FENCED_LEADER_EPOCH", `${epochs}; refresh the metadata`)
    : failure("UNKNOWN_LEADER_EPOCH", `${epochs}; try again, the broker may be behind`);
}

/** Who was cut off does not hear who leads now, and gets no records that it could tell of (H31). */
function doubtRefusal(partition: Partition, nodeId: NodeId): ItemOutcome | undefined {
  if (!partition.isDoubtful) return undefined;
  return failure(
    "NOT_LEADER_OR_FOLLOWER",
    `broker ${nodeId} has lost its controller, so another may lead ${partition.topic}-${partition.partition} by now. ` +
      "Try again; see: lograft cluster quorum",
  );
}

/** Internal topics are written by coordinators only. */
export function internalTopicRefusal(topic: string): ItemOutcome | undefined {
  if (!INTERNAL_TOPICS.has(topic)) return undefined;
  return failure("INVALID_TOPIC_EXCEPTION", `topic ${topic} is internal; clients cannot write to it`);
}

/** What a client is told of a thrown failure. */
export function outcomeOfError(error: unknown): ItemOutcome {
  const message = errorMessage(error);
  if (!isLograftError(error)) return failure("UNKNOWN_SERVER_ERROR", message);
  if (isErrorName(error.code)) return failure(error.code, message);
  switch (error.code) {
    case "TIMEOUT":
      return failure("REQUEST_TIMED_OUT", message);
    case "BUFFER_EXHAUSTED":
    case "CLOSED":
      return failure("LEADER_NOT_AVAILABLE", message);
    case "DISK_FULL":
    case "DISK_READ_FAILED":
    case "DISK_SYNC_FAILED":
    case "DISK_WRITE_FAILED":
    case "LOG_CORRUPT":
    case "LOG_OFFLINE":
      return failure("KAFKA_STORAGE_ERROR", message);
    default:
      return failure("UNKNOWN_SERVER_ERROR", message);
  }
}
