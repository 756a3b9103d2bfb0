import { Deferred } from "../../src/base/deferred.ts";
import { operationError } from "../../src/base/errors.ts";
import type { LogEnds, LogStore, ReplicaStore } from "../../src/broker/log-store.ts";
import type { EpochEnd } from "../../src/log/leader-epoch-cache.ts";
import type { AppendResult } from "../../src/log/log-appender.ts";
import type { LogConfig } from "../../src/log/log-config.ts";
import type { ReadLimit, ReadResult } from "../../src/log/log-reader.ts";
import type { TimestampOffset } from "../../src/log/time-index.ts";
import { BatchBuilder } from "../../src/model/batch-builder.ts";
import type { TopicId } from "../../src/model/ids.ts";
import type { LeaderEpoch, Offset, Timestamp } from "../../src/model/offsets.ts";
import { baseOffsetOf, lastOffsetOf, patchBatch, recordCountOf } from "../../src/model/record-batch.ts";
import type { TopicPartition } from "../../src/model/topic-partition.ts";
import { topicPartitionKey } from "../../src/model/topic-partition.ts";

const NO_TIME = -1 as Timestamp;

/** One batch of `values`, at the given size if one is asked for. */
export function batchOf(...values: string[]): Buffer {
  const builder = new BatchBuilder({ codec: "none", targetBytes: 64 * 1024 * 1024 });
  for (const value of values) builder.tryAppend(1_000, null, value);
  return builder.build();
}

/** One batch of one record, `sizeBytes` (>= 70) long or a few bytes less. */
export function batchOfSize(sizeBytes: number): Buffer {
  const overhead = batchOf("").length;
  return batchOf("x".repeat(Math.max(sizeBytes - overhead - 8, 0)));
}

/** A log in memory whose disk is the test: appends become durable, and reads come back, when it says so. */
export class FakeLog implements ReplicaStore {
  logStartOffset = 0 as Offset;
  logEndOffset = 0 as Offset;
  durableEndOffset = 0 as Offset;
  sizeBytes = 0;
  state: "open" | "offline" | "closed" = "open";
  /** Appends become durable at once. */
  isInstant = true;
  /** Reads answer a promise that `finishReads` settles. */
  isOnDisk = false;
  readCount = 0;
  readonly gapsBelow = 0 as Offset;
  damage: ReplicaStore["damage"];
  readonly batches: Buffer[] = [];
  readonly listeners = new Set<() => void>();
  #reads: (() => void)[] = [];
  #writes: { readonly end: Offset; readonly done: Deferred<void> }[] = [];

  append(records: Buffer, options: { readonly leaderEpoch: LeaderEpoch }): AppendResult {
    if (this.state !== "open")
      return { ok: false, error: "KAFKA_STORAGE_ERROR", message: "the fake log is not open" };
    const baseOffset = this.logEndOffset;
    patchBatch(records, 0, baseOffset, options.leaderEpoch);
    this.batches.push(records);
    this.sizeBytes += records.length;
    this.logEndOffset = (baseOffset + recordCountOf(records)) as Offset;
    const done = new Deferred<void>();
    this.#writes.push({ end: this.logEndOffset, done });
    if (this.isInstant) this.sync();
    return {
      ok: true,
      baseOffset,
      endOffset: this.logEndOffset,
      logAppendTimeMs: NO_TIME,
      duplicate: false,
      leaderEpoch: options.leaderEpoch,
      durability: "synced",
      done: done.promise,
    };
  }

  /** All that was appended is durable. */
  sync(): void {
    this.durableEndOffset = this.logEndOffset;
    const writes = this.#writes;
    this.#writes = [];
    this.notify();
    for (const { done } of writes) done.resolve();
  }

  /** The disk fails under what was appended. */
  fail(): void {
    this.state = "offline";
    const writes = this.#writes;
    this.#writes = [];
    this.notify();
    const error = operationError("DISK_SYNC_FAILED", "the fake disk failed");
    for (const { done } of writes) done.reject(error);
  }

  notify(): void {
    for (const listener of this.listeners) listener();
  }

  read(from: Offset, maxBytes: number, limit: ReadLimit = {}): ReadResult | Promise<ReadResult> {
    this.readCount++;
    const result = this.#readNow(from, maxBytes, limit.endOffset ?? this.logEndOffset);
    if (!this.isOnDisk) return result;
    return new Promise((resolve) => this.#reads.push(() => resolve(result)));
  }

  get openReads(): number {
    return this.#reads.length;
  }

  finishReads(): void {
    const reads = this.#reads;
    this.#reads = [];
    for (const finish of reads) finish();
  }

  offsetForTimestamp(): Promise<TimestampOffset | undefined> {
    return Promise.resolve({ offset: this.logStartOffset, timestamp: 1_000 as Timestamp });
  }

  offsetOfMaxTimestamp(): Promise<TimestampOffset | undefined> {
    return Promise.resolve(undefined);
  }

  get latestEpoch(): LeaderEpoch {
    return -1 as LeaderEpoch;
  }

  endOffsetForEpoch(_epoch: LeaderEpoch): EpochEnd {
    return { epoch: -1 as LeaderEpoch, endOffset: -1 as Offset };
  }

  appendReplicated(): AppendResult {
    return { ok: false, error: "KAFKA_STORAGE_ERROR", message: "a fake log is no replica" };
  }

  truncateTo(_offset: Offset): Promise<void> {
    return Promise.resolve();
  }

  /** The end of what is left, at once. */
  cutDamage(): Promise<Offset> {
    if (this.damage !== undefined) this.logEndOffset = this.durableEndOffset = this.damage.offset;
    this.damage = undefined;
    this.state = "open";
    this.notify();
    return Promise.resolve(this.logEndOffset);
  }

  resetTo(): Promise<void> {
    return Promise.resolve();
  }

  advanceLogStart(offset: Offset): Promise<void> {
    this.logStartOffset = offset;
    this.notify();
    return Promise.resolve();
  }

  onAdvance(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  #readNow(from: Offset, maxBytes: number, endOffset: Offset): ReadResult {
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    let nextOffset = from;
    for (const batch of this.batches) {
      if (lastOffsetOf(batch) < from) continue;
      if (lastOffsetOf(batch) >= endOffset || (sizeBytes > 0 && sizeBytes + batch.length > maxBytes)) break;
      chunks.push(batch);
      sizeBytes += batch.length;
      nextOffset = (lastOffsetOf(batch) + 1) as Offset;
    }
    const [first] = chunks;
    return {
      ok: true,
      chunks,
      sizeBytes,
      firstOffset: first === undefined ? from : baseOffsetOf(first),
      nextOffset,
    };
  }
}

/** Fake logs by partition; openings wait when they are held. */
export class FakeLogs implements LogStore {
  readonly logs = new Map<string, FakeLog>();
  readonly deleted: string[] = [];
  openCount = 0;
  isHeld = false;
  failure: Error | undefined;
  #held: (() => void)[] = [];

  open(tp: TopicPartition, topicId: TopicId, _config: () => LogConfig): Promise<ReplicaStore> {
    this.openCount++;
    const { failure } = this;
    if (failure !== undefined) return Promise.reject(failure);
    const log = this.at(tp.topic, tp.partition, topicId);
    if (!this.isHeld) return Promise.resolve(log);
    return new Promise((resolve) => this.#held.push(() => resolve(log)));
  }

  releaseOpenings(): void {
    this.isHeld = false;
    const held = this.#held;
    this.#held = [];
    for (const release of held) release();
  }

  /** The log, made if missing; the key holds the topic id when the test gives one. */
  at(topic: string, partition: number, _topicId?: TopicId): FakeLog {
    const key = topicPartitionKey(topic, partition);
    const log = this.logs.get(key) ?? new FakeLog();
    this.logs.set(key, log);
    return log;
  }

  ends(tp: TopicPartition): LogEnds | undefined {
    return this.logs.get(topicPartitionKey(tp.topic, tp.partition));
  }

  delete(tp: TopicPartition, topicId: TopicId): Promise<void> {
    const key = topicPartitionKey(tp.topic, tp.partition);
    this.deleted.push(`${key} ${topicId}`);
    this.logs.delete(key);
    return Promise.resolve();
  }
}
