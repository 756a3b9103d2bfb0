import { failure, SUCCESS } from "../../controller/result.ts";
import type { ItemOutcome } from "../../controller/result.ts";
import type { TimestampOffset } from "../../log/time-index.ts";
import type { NodeId } from "../../model/ids.ts";
import type { Offset, Timestamp } from "../../model/offsets.ts";
import type { PartitionStore } from "../log-store.ts";
import { accessRefusal, internalTopicRefusal, outcomeOfError, unknownPartition } from "../outcome.ts";
import type { PartitionRef } from "../outcome.ts";
import type { PartitionTable } from "../partition-table.ts";
import type { Partition } from "../partition.ts";

/** Special values of `ListOffsetsPartition.timestampMs` (Kafka protocol guide, ListOffsets). */
export const LATEST_TIMESTAMP = -1;
export const EARLIEST_TIMESTAMP = -2;
export const MAX_TIMESTAMP = -3;

export interface ListOffsetsPartition extends PartitionRef {
  /** The first offset whose record is not older; or one of the special values. */
  readonly timestampMs: number;
}

export interface ListOffsetsResult extends PartitionRef, ItemOutcome {
  /** -1: no record is that young. */
  readonly offset: number;
  /** -1: unknown, or asked for an end. */
  readonly timestampMs: number;
  readonly leaderEpoch: number;
}

export interface DeleteRecordsPartition extends PartitionRef {
  /** Records below go; -1: up to the high watermark. */
  readonly beforeOffset: number;
}

export interface DeleteRecordsResult extends PartitionRef, ItemOutcome {
  /** -1 on an error. */
  readonly logStartOffset: number;
}

const NOT_FOUND: TimestampOffset = { offset: -1 as Offset, timestamp: -1 as Timestamp };

/** Where records are in their partitions, and moving where they start. */
export class OffsetsHandler {
  readonly #nodeId: NodeId;
  readonly #table: PartitionTable;

  constructor(options: { readonly nodeId: NodeId }, deps: { readonly table: PartitionTable }) {
    this.#nodeId = options.nodeId;
    this.#table = deps.table;
  }

  listOffsets(partitions: readonly ListOffsetsPartition[]): Promise<readonly ListOffsetsResult[]> {
    return Promise.all(partitions.map((item) => this.#listOne(item)));
  }

  deleteRecords(partitions: readonly DeleteRecordsPartition[]): Promise<readonly DeleteRecordsResult[]> {
    return Promise.all(partitions.map((item) => this.#deleteOne(item)));
  }

  async #listOne(item: ListOffsetsPartition): Promise<ListOffsetsResult> {
    const { topic, partition: number } = item;
    const located = await this.#locate(item);
    const leaderEpoch = located.partition?.image.leaderEpoch ?? -1;
    const answer = (found: TimestampOffset, outcome: ItemOutcome): ListOffsetsResult => ({
      topic,
      partition: number,
      ...outcome,
      offset: found.offset,
      timestampMs: found.timestamp,
      leaderEpoch,
    });
    if (located.log === undefined) return answer(NOT_FOUND, located.outcome);
    if (item.timestampMs < MAX_TIMESTAMP) {
      const text = `${item.timestampMs} is neither a time nor -1 (end), -2 (start) or -3 (largest time)`;
      return answer(NOT_FOUND, failure("INVALID_REQUEST", text));
    }
    const unsettled = item.timestampMs === LATEST_TIMESTAMP ? unsettledEnd(located.partition) : undefined;
    if (unsettled !== undefined) return answer(NOT_FOUND, unsettled);
    try {
      return answer((await findOffset(located.log, item.timestampMs)) ?? NOT_FOUND, SUCCESS);
    } catch (error: unknown) {
      return answer(NOT_FOUND, outcomeOfError(error));
    }
  }

  async #deleteOne(item: DeleteRecordsPartition): Promise<DeleteRecordsResult> {
    const { topic, partition: number, beforeOffset } = item;
    const answer = (outcome: ItemOutcome, logStartOffset = -1): DeleteRecordsResult => ({
      topic,
      partition: number,
      ...outcome,
      logStartOffset,
    });
    const internal = internalTopicRefusal(topic);
    if (internal !== undefined) return answer(internal);
    const { log, outcome } = await this.#locate(item);
    if (log === undefined) return answer(outcome);
    const highWatermark = log.durableEndOffset;
    const target = beforeOffset === -1 ? highWatermark : beforeOffset;
    if (!Number.isSafeInteger(target) || target < 0 || target > highWatermark) {
      return answer(
        failure(
          "OFFSET_OUT_OF_RANGE",
          `records of ${topic}-${number} can be deleted up to offset ${highWatermark}, not ${beforeOffset}`,
        ),
      );
    }
    try {
      if (target > log.logStartOffset) await log.advanceLogStart(target as Offset);
      return answer(SUCCESS, log.logStartOffset);
    } catch (error: unknown) {
      return answer(outcomeOfError(error));
    }
  }

  async #locate(
    item: PartitionRef,
  ): Promise<{ partition: Partition | undefined; log: PartitionStore | undefined; outcome: ItemOutcome }> {
    const partition = this.#table.find(item.topic, item.partition);
    if (partition === undefined) return { partition, log: undefined, outcome: unknownPartition(item) };
    const refusal = accessRefusal(partition, -1, this.#nodeId);
    if (refusal !== undefined) return { partition, log: undefined, outcome: refusal };
    try {
      const log = partition.log ?? (await partition.openedLog());
      const outcome = accessRefusal(partition, -1, this.#nodeId);
      return { partition, log: outcome === undefined ? log : undefined, outcome: outcome ?? SUCCESS };
    } catch (error: unknown) {
      return { partition, log: undefined, outcome: outcomeOfError(error) };
    }
  }
}

/** Where the partition ends is not known until this leader's first moment is committed (KIP-207, H41). */
function unsettledEnd(partition: Partition | undefined): ItemOutcome | undefined {
  const role = partition?.leaderRole;
  if (role === undefined || role.highWatermark >= role.epochStartOffset) return undefined;
  return failure(
    "OFFSET_NOT_AVAILABLE",
    `the new leader of ${partition?.topic}-${partition?.partition} does not know yet what is committed; try again`,
  );
}

async function findOffset(log: PartitionStore, timestampMs: number): Promise<TimestampOffset | undefined> {
  const noTime = -1 as Timestamp;
  if (timestampMs === LATEST_TIMESTAMP) return { offset: log.durableEndOffset, timestamp: noTime };
  if (timestampMs === EARLIEST_TIMESTAMP) return { offset: log.logStartOffset, timestamp: noTime };
  const found = await (timestampMs === MAX_TIMESTAMP
    ? log.offsetOfMaxTimestamp()
    : log.offsetForTimestamp(timestampMs as Timestamp));
  // What is not durable yet is not there for readers.
  return found !== undefined && found.offset < log.durableEndOffset ? found : undefined;
}
