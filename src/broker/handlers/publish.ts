import { failure } from "../../controller/result.ts";
import type { ItemOutcome } from "../../controller/result.ts";
import { BatchBuilder, singleRecordBatchBytes } from "../../model/batch-builder.ts";
import { isRetriable } from "../../model/error-code.ts";
import { partitionOfKey } from "../../model/murmur2.ts";
import { BATCH_HEADER_BYTES } from "../../model/record-batch.ts";
import type { RecordHeader } from "../../model/record.ts";
import type { Clock } from "../../platform/clock.ts";
import { outcomeOfError, unknownPartition } from "../outcome.ts";
import type { HostedTopic, PartitionTable } from "../partition-table.ts";
import type { ProduceHandler, ProducePartition, ProduceResult } from "./produce.ts";

/** A record as an application has it. */
export interface PublishRecord {
  readonly key: Uint8Array | null;
  /** Null: a tombstone. */
  readonly value: Uint8Array | null;
  readonly headers: readonly RecordHeader[];
  /** Undefined: the broker's time. */
  readonly timestampMs: number | undefined;
}

export interface PublishCall {
  readonly topic: string;
  /** Undefined: by the key's hash, as Kafka's clients do; records without a key of one call go to one partition, in turn. */
  readonly partition: number | undefined;
  readonly records: readonly PublishRecord[];
  readonly acks: -1 | 0 | 1;
  /** 0: 30 seconds. */
  readonly timeoutMs: number;
}

/** How one record came out. */
export interface PublishResult extends ItemOutcome {
  /** -1 when it was not decided. */
  readonly partition: number;
  /** -1 on an error, and with acks=0. */
  readonly offset: number;
  readonly leaderEpoch: number;
  readonly durability: ProduceResult["durability"];
  readonly retriable: boolean;
}

export interface PublishDeps {
  readonly table: PartitionTable;
  readonly produce: ProduceHandler;
  readonly clock: Clock;
}

/** The records of one batch, by their position in the call. */
interface Group {
  readonly partition: number;
  readonly positions: number[];
  readonly batch: ProducePartition;
}

/** Plain records in, batches to the log: for callers that do not encode batches themselves. */
export class PublishHandler {
  readonly #table: PartitionTable;
  readonly #produce: ProduceHandler;
  readonly #clock: Clock;
  #turn = 0;

  constructor(deps: PublishDeps) {
    this.#table = deps.table;
    this.#produce = deps.produce;
    this.#clock = deps.clock;
  }

  /** One result for each record, in the order of the call. Records of one partition keep their order. Never rejects. */
  async publish(call: PublishCall): Promise<readonly PublishResult[]> {
    const { topic, records } = call;
    const hosted = this.#table.topic(topic);
    const count = hosted?.image.partitions.length ?? 0;
    const wanted = call.partition ?? 0;
    if (hosted === undefined || wanted >= count || wanted < 0) {
      const refusal = unknownPartition({ topic, partition: wanted });
      return records.map(() => refusedRecord(call.partition ?? -1, refusal));
    }
    const results: (PublishResult | undefined)[] = records.map(() => undefined);
    const groups = this.#buildBatches(call, hosted, results);
    const produced =
      groups.length === 0
        ? []
        : await this.#produce.produce({
            acks: call.acks,
            timeoutMs: call.timeoutMs,
            partitions: groups.map(({ batch }) => batch),
          });
    for (const [index, { positions }] of groups.entries()) {
      const outcome = produced[index];
      if (outcome === undefined) continue;
      for (const [delta, position] of positions.entries())
        results[position] = publishedRecord(outcome, delta);
    }
    return results.filter((result) => result !== undefined);
  }

  #buildBatches(call: PublishCall, hosted: HostedTopic, results: (PublishResult | undefined)[]): Group[] {
    const { topic } = call;
    const count = hosted.image.partitions.length;
    const keyless = call.partition ?? this.#turn++ % count;
    const byPartition = new Map<number, number[]>();
    for (const [position, { key }] of call.records.entries()) {
      const partition = call.partition ?? (key === null ? keyless : partitionOfKey(key, count));
      const positions = byPartition.get(partition);
      if (positions === undefined) byPartition.set(partition, [position]);
      else positions.push(position);
    }
    const groups: Group[] = [];
    for (const [partition, positions] of byPartition) {
      const builder = new BatchBuilder({ codec: "none", targetBytes: hosted.config.maxMessageBytes });
      let taken: number[] = [];
      const close = (): void => {
        if (taken.length === 0) return;
        groups.push({
          partition,
          positions: taken,
          batch: { topic, partition, leaderEpoch: -1, records: builder.build() },
        });
        builder.reset();
        taken = [];
      };
      for (const position of positions) {
        const outcome = this.#append(builder, call, position, close, hosted.config.maxMessageBytes);
        if (outcome === undefined) taken.push(position);
        else results[position] = refusedRecord(partition, outcome);
      }
      close();
    }
    return groups;
  }

  /** Adds the record, to the next batch if this one is full. Answers why it fits none. */
  #append(
    builder: BatchBuilder,
    call: PublishCall,
    position: number,
    close: () => void,
    maxBytes: number,
  ): ItemOutcome | undefined {
    const record = call.records[position];
    if (record === undefined) return undefined;
    const { key, value, headers } = record;
    const timestampMs = record.timestampMs ?? this.#clock.wallMs();
    try {
      if (builder.tryAppend(timestampMs, key, value, headers)) return undefined;
      close();
      if (builder.tryAppend(timestampMs, key, value, headers)) return undefined;
    } catch (error: unknown) {
      return failure("INVALID_TIMESTAMP", outcomeOfError(error).errorMessage);
    }
    const sizeBytes = singleRecordBatchBytes(key, value, headers);
    return failure(
      "MESSAGE_TOO_LARGE",
      `a record of ${sizeBytes} bytes (${BATCH_HEADER_BYTES} of them the batch header) is over max.message.bytes=` +
        `${maxBytes} of topic ${call.topic}; send less or raise the setting`,
    );
  }
}

function publishedRecord(outcome: ProduceResult, delta: number): PublishResult {
  return {
    error: outcome.error,
    errorMessage: outcome.errorMessage,
    partition: outcome.partition,
    offset: outcome.baseOffset < 0 ? -1 : outcome.baseOffset + delta,
    leaderEpoch: outcome.leaderEpoch,
    durability: outcome.durability,
    retriable: isRetriable(outcome.error),
  };
}

function refusedRecord(partition: number, { error, errorMessage }: ItemOutcome): PublishResult {
  const durability = "none";
  return {
    error,
    errorMessage,
    partition,
    offset: -1,
    leaderEpoch: -1,
    durability,
    retriable: isRetriable(error),
  };
}
