import { errorMessage } from "../base/errors.ts";
import { abortable, abortReason } from "../base/abort.ts";
import { Deferred } from "../base/deferred.ts";
import type { LoadSummary, PartitionWriter, WriteOutcome } from "../coordinator/partition-writer.ts";
import type { CoordinatorRecord } from "../coordinator/shard.ts";
import { settledReplicas } from "../metadata/image.ts";
import { BatchBuilder } from "../model/batch-builder.ts";
import { BatchIterator } from "../model/batch-iterator.ts";
import { ProtocolError } from "../model/error-code.ts";
import type { ErrorName } from "../model/error-code.ts";
import type { NodeId } from "../model/ids.ts";
import { requiredInSync } from "../model/insync.ts";
import type { LeaderEpoch, Offset } from "../model/offsets.ts";
import { BATCH_HEADER_BYTES } from "../model/record-batch.ts";
import { DEFAULT_MAX_INFLATED_BYTES, RecordReader } from "../model/record-reader.ts";
import type { Clock } from "../platform/clock.ts";
import type { PartitionStore } from "./log-store.ts";
import { accessRefusal, leadershipRefusal, outcomeOfError } from "./outcome.ts";
import type { PartitionTable } from "./partition-table.ts";
import type { Partition } from "./partition.ts";

export interface OffsetsLogOptions {
  readonly nodeId: NodeId;
  /** The topic of the coordinator. */
  readonly topic: string;
  /** After which an append that is not committed is given up. */
  readonly timeoutMs: number;
  /** `message.max.bytes`, where the topic has no setting of its own. */
  readonly messageMaxBytes: number;
}

/** What this broker has appended to a partition in one leader epoch. */
interface Written {
  readonly leaderEpoch: LeaderEpoch;
  /** Appends that are not in the file yet; they end also when they never will be, as with a full disk. */
  readonly pending: Set<Promise<void>>;
  /** An append was refused; what came behind it would stand behind a hole. */
  isBroken: boolean;
}

type Failure = Extract<WriteOutcome, { ok: false }>;

/** Bytes of one step of a load. */
const READ_BYTES = 1024 * 1024;

/**
 * The log of a coordinator on the partitions that this broker leads. Unlike the way of clients it knows of each append that
 * is on its way, also of one that was given up: a load waits for it, so that what may still become committed is never missed.
 */
export class OffsetsLog implements PartitionWriter {
  readonly #options: OffsetsLogOptions;
  readonly #table: PartitionTable;
  readonly #clock: Clock;
  readonly #written = new Map<number, Written>();

  constructor(options: OffsetsLogOptions, deps: { readonly table: PartitionTable; readonly clock: Clock }) {
    this.#options = options;
    this.#table = deps.table;
    this.#clock = deps.clock;
  }

  get maxBatchBytes(): number {
    const { topic, messageMaxBytes } = this.#options;
    return (this.#table.topic(topic)?.config.maxMessageBytes ?? messageMaxBytes) - BATCH_HEADER_BYTES;
  }

  append(
    number: number,
    leaderEpoch: LeaderEpoch,
    records: readonly CoordinatorRecord[],
  ): Promise<WriteOutcome> {
    const done = new Deferred<WriteOutcome>();
    const { timeoutMs } = this.#options;
    const written = this.#writtenIn(number, leaderEpoch);
    const timer = this.#clock.setTimer(timeoutMs, () =>
      done.resolve(lost("REQUEST_TIMED_OUT", `not committed within ${timeoutMs} ms`, true)),
    );
    const settle = (outcome: WriteOutcome): void => {
      timer.cancel();
      done.resolve(outcome);
    };
    const refuse = (failure: Failure): void => {
      written.isBroken = true;
      settle(failure);
    };
    const partition = this.#table.find(this.#options.topic, number);
    if (partition === undefined) {
      refuse(lost("UNKNOWN_TOPIC_OR_PARTITION", `${this.#name(number)} is gone`, false));
    } else {
      partition.withLog((opened) => {
        if (done.isSettled) return;
        if (!opened.ok) {
          const { error, errorMessage: message } = outcomeOfError(opened.error);
          refuse(lost(error, message, false));
          return;
        }
        const refusal = written.isBroken
          ? brokenLog(this.#name(number))
          : this.#refusal(partition, leaderEpoch);
        if (refusal !== undefined) refuse(refusal);
        else this.#append(partition, opened.log, { leaderEpoch, records, written }, settle, refuse);
      });
    }
    return done.promise;
  }

  async load(
    number: number,
    leaderEpoch: LeaderEpoch,
    onRecords: (records: readonly CoordinatorRecord[]) => void,
    signal: AbortSignal,
  ): Promise<LoadSummary> {
    const { topic } = this.#options;
    const partition = this.#table.find(topic, number);
    if (partition === undefined) throw this.#notLed(number);
    const log = await partition.openedLog();
    // A leader's log is whole when its role has begun: until then it may still be cut as the leader before wanted it.
    await this.#until(partition, log, signal, () => {
      this.#checkLed(partition, log, leaderEpoch);
      return !partition.isReplicated || partition.leaderRole?.leaderEpoch === leaderEpoch;
    });
    const written = this.#writtenIn(number, leaderEpoch);
    // What was appended and is not in the file yet: this load must not miss it (H59).
    await abortable(Promise.all(written.pending), signal);
    this.#checkLed(partition, log, leaderEpoch);
    written.isBroken = false;
    const endOffset = log.logEndOffset;
    const summary = await this.#read(log, endOffset, onRecords, signal);
    await this.#until(partition, log, signal, () => {
      this.#checkLed(partition, log, leaderEpoch);
      const committed = partition.leaderRole?.highWatermark ?? log.durableEndOffset;
      return committed >= endOffset;
    });
    return summary;
  }

  #append(
    partition: Partition,
    log: PartitionStore,
    batch: {
      readonly leaderEpoch: LeaderEpoch;
      readonly records: readonly CoordinatorRecord[];
      readonly written: Written;
    },
    settle: (outcome: WriteOutcome) => void,
    refuse: (failure: Failure) => void,
  ): void {
    const { leaderEpoch, records, written } = batch;
    const bytes = batchOf(records, this.#clock.wallMs());
    const appended = log.append(bytes, { leaderEpoch, origin: "coordinator" });
    if (!appended.ok) {
      refuse(lost(appended.error, appended.message, false));
      return;
    }
    const role = partition.leaderRole;
    const pending = appended.done
      .then(
        () => {
          if (role === undefined) settle({ ok: true });
        },
        (error: unknown) => {
          const { error: code, errorMessage: message } = outcomeOfError(error);
          settle(lost(code, message, true));
        },
      )
      .finally(() => written.pending.delete(pending));
    written.pending.add(pending);
    role?.whenCommitted(appended.endOffset, (isCommitted) => {
      const message = `the leadership of ${this.#name(partition.partition)} ended first`;
      settle(isCommitted ? { ok: true } : lost("NOT_LEADER_OR_FOLLOWER", message, true));
    });
  }

  async #read(
    log: PartitionStore,
    endOffset: Offset,
    onRecords: (records: readonly CoordinatorRecord[]) => void,
    signal: AbortSignal,
  ): Promise<LoadSummary> {
    let records = 0;
    let bytes = 0;
    for (let at = log.logStartOffset; at < endOffset;) {
      const read = await log.read(at, READ_BYTES, { endOffset });
      if (signal.aborted) throw abortReason(signal);
      if (!read.ok) {
        if (read.error !== "OFFSET_OUT_OF_RANGE" || at >= log.logStartOffset) {
          throw new ProtocolError(read.error, read.message);
        }
        at = log.logStartOffset;
        continue;
      }
      // Compaction may have left nothing up to the end.
      if (read.nextOffset <= at) break;
      for (const chunk of read.chunks) records += decodeChunk(chunk, onRecords);
      bytes += read.sizeBytes;
      at = read.nextOffset;
      // Others have their turn: a large log takes seconds.
      await this.#turn();
    }
    return { records, bytes };
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.defer(resolve);
    });
  }

  /** Waits until `condition` holds, which is asked at each change of the log and of the partition; it may throw. */
  async #until(
    partition: Partition,
    log: PartitionStore,
    signal: AbortSignal,
    condition: () => boolean,
  ): Promise<void> {
    const reached = new Deferred<void>();
    const check = (): void => {
      try {
        if (signal.aborted) reached.reject(abortReason(signal));
        else if (condition()) reached.resolve();
      } catch (error: unknown) {
        reached.reject(error instanceof Error ? error : new Error(errorMessage(error)));
      }
    };
    const stopLog = log.onAdvance(check);
    const stopPartition = partition.watch(check);
    signal.addEventListener("abort", check);
    try {
      check();
      await reached.promise;
    } finally {
      stopLog();
      stopPartition();
      signal.removeEventListener("abort", check);
    }
  }

  #writtenIn(number: number, leaderEpoch: LeaderEpoch): Written {
    const known = this.#written.get(number);
    if (known?.leaderEpoch === leaderEpoch) return known;
    const written = { leaderEpoch, pending: new Set<Promise<void>>(), isBroken: false };
    this.#written.set(number, written);
    return written;
  }

  #refusal(partition: Partition, leaderEpoch: LeaderEpoch): Failure | undefined {
    const refusal = accessRefusal(partition, leaderEpoch, this.#options.nodeId);
    if (refusal !== undefined) return lost(refusal.error, refusal.errorMessage, false);
    if (partition.isReplicated && partition.leaderRole?.leaderEpoch !== leaderEpoch) {
      return lost("NOT_LEADER_OR_FOLLOWER", `${this.#name(partition.partition)} is not led here yet`, false);
    }
    const { isr } = partition.image;
    const setting = this.#table.topic(partition.topic)?.config.minInsyncReplicas ?? 0;
    const wanted = requiredInSync(setting, settledReplicas(partition.image));
    if (isr.length >= wanted) return undefined;
    const text = `${this.#name(partition.partition)} has ${isr.length} in-sync replicas and needs ${wanted}`;
    return lost("NOT_ENOUGH_REPLICAS", `${text}; start the missing brokers`, false);
  }

  /** What a load waits for can still come. */
  #checkLed(partition: Partition, log: PartitionStore, leaderEpoch: LeaderEpoch): void {
    if (leadershipRefusal(partition, leaderEpoch, this.#options.nodeId) !== undefined)
      throw this.#notLed(partition.partition);
    if (log.state === "open") return;
    const text = `the log of ${this.#name(partition.partition)} is ${log.state}; another replica has to lead`;
    throw new ProtocolError("KAFKA_STORAGE_ERROR", text);
  }

  #notLed(number: number): ProtocolError {
    return new ProtocolError("NOT_COORDINATOR", `this broker does not lead ${this.#name(number)} any more`);
  }

  #name(number: number): string {
    return `${this.#options.topic}-${number}`;
  }
}

function lost(error: ErrorName, message: string, mayBeWritten: boolean): Failure {
  return { ok: false, error, message, mayBeWritten };
}

function brokenLog(name: string): Failure {
  return lost("OPERATION_NOT_ATTEMPTED", `an append to ${name} in front of this one was refused`, false);
}

function batchOf(records: readonly CoordinatorRecord[], wallMs: number): Buffer {
  // Whether it is too large is for the log to say.
  const builder = new BatchBuilder({ codec: "none", targetBytes: Number.MAX_SAFE_INTEGER });
  for (const { key, value } of records) builder.tryAppend(wallMs, key, value);
  return builder.build();
}

/** Answers how many there were. @throws ProtocolError CORRUPT_MESSAGE. */
function decodeChunk(chunk: Buffer, onRecords: (records: readonly CoordinatorRecord[]) => void): number {
  let count = 0;
  const batches = new BatchIterator(chunk, { maxBatchBytes: chunk.length, verifyCrc: false });
  while (batches.next()) {
    const reader = new RecordReader(chunk, batches.at, { maxInflatedBytes: DEFAULT_MAX_INFLATED_BYTES });
    if (reader.isControl) continue;
    const records: CoordinatorRecord[] = [];
    for (let view = reader.next(); view !== undefined; view = reader.next()) {
      const { key, value } = view;
      if (key !== null) records.push({ key, value });
    }
    count += records.length;
    onRecords(records);
  }
  return count;
}
