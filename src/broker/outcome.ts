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
 * Why this broker does not serve the partition for this caller, or undefined. `leaderEpoch` is the caller's: -1 when it
 * does not know (KIP-320). Asked again in the very turn that acts on it (H31).
 */
export function accessRefusal(
  partition: Partition,
  leaderEpoch: number,
  nodeId: NodeId,
): ItemOutcome | undefined {
  const { image } = partition;
  const name = `${partition.topic}-${partition.partition}`;
  if (partition.isRemoved) {
    return failure("UNKNOWN_TOPIC_OR_PARTITION", `topic ${partition.topic} was deleted`);
  }
  if (image.leader !== nodeId) {
    const leader = image.leader < 0 ? "no broker leads it now" : `broker ${image.leader} leads it`;
    return failure("NOT_LEADER_OR_FOLLOWER", `broker ${nodeId} does not lead ${name}; ${leader}`);
  }
  if (leaderEpoch < 0 || leaderEpoch === image.leaderEpoch) return undefined;
  const epochs = `the request says leader epoch ${leaderEpoch} of ${name}, the broker is at ${image.leaderEpoch}`;
  return leaderEpoch < image.leaderEpoch
    ? failure("FENCED_LEADER_EPOCH", `${epochs}; refresh the metadata`)
    : failure("UNKNOWN_LEADER_EPOCH", `${epochs}; try again, the broker may be behind`);
}

/**
 * Records are not copied between brokers yet: an answer for a partition of several replicas would promise what does not
 * happen, so there is none.
 */
export function replicationRefusal({ topic, partition, image }: Partition): ItemOutcome | undefined {
  if (image.replicas.length <= 1) return undefined;
  return failure(
    "UNSUPPORTED_VERSION",
    `${topic}-${partition} has ${image.replicas.length} replicas and this release does not replicate records yet; ` +
      "nothing was written. Use a topic with replication factor 1",
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
