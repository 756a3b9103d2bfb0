import type { LogConfig } from "../log/log-config.ts";
import type { PartitionLog } from "../log/partition-log.ts";
import type { TopicId } from "../model/ids.ts";
import type { Offset } from "../model/offsets.ts";
import type { TopicPartition } from "../model/topic-partition.ts";

/** The part of a partition's log that serving it needs. */
export type PartitionStore = Pick<
  PartitionLog,
  | "logStartOffset"
  | "logEndOffset"
  | "durableEndOffset"
  | "sizeBytes"
  | "state"
  | "append"
  | "read"
  | "offsetForTimestamp"
  | "offsetOfMaxTimestamp"
  | "advanceLogStart"
  | "onAdvance"
>;

/** The part that copying it between brokers needs beside that. */
export type ReplicaStore = PartitionStore &
  Pick<
    PartitionLog,
    | "latestEpoch"
    | "endOffsetForEpoch"
    | "appendReplicated"
    | "gapsBelow"
    | "truncateTo"
    | "resetTo"
    | "damage"
    | "cutDamage"
  >;

/** The ends of a log that may not be open. */
export interface LogEnds {
  readonly logStartOffset: Offset;
  readonly logEndOffset: Offset;
}

/** All logs of this broker; `LogManager` has this shape. */
export interface LogStore {
  /** Opens or makes the log. Concurrent calls share one opening. */
  open(topicPartition: TopicPartition, topicId: TopicId, config: () => LogConfig): Promise<ReplicaStore>;
  /** The ends of a log without opening it; undefined when nothing is known of it. */
  ends(topicPartition: TopicPartition): LogEnds | undefined;
  /** Renames the log away and removes it after a delay; nothing happens when it has another topic id. */
  delete(topicPartition: TopicPartition, topicId: TopicId): Promise<void>;
}
