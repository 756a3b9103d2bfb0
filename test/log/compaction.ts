import { expect } from "vitest";
import type { CompactReport } from "../../src/log/compactor.ts";
import type { LogConfig } from "../../src/log/log-config.ts";
import type { PartitionLog } from "../../src/log/partition-log.ts";
import { verifyPartition } from "../../src/log/verify-partition.ts";
import { BatchBuilder } from "../../src/model/batch-builder.ts";
import type { BatchProducer } from "../../src/model/batch-builder.ts";
import type { Codec } from "../../src/model/compression.ts";
import type { LeaderEpoch, Offset, ProducerEpoch, ProducerId } from "../../src/model/offsets.ts";
import { batchSizeOf } from "../../src/model/record-batch.ts";
import { decodeRecords } from "../../src/model/record-reader.ts";
import { marker } from "./batches.ts";
import { accepted, DIRECTORY, SimMachine } from "./engine.ts";

/* What the tests of compaction share. */

/** Little segments of a topic with compaction; every record may be compacted as soon as its segment is closed. */
export const COMPACTED: Partial<LogConfig> = {
  isCompacting: true,
  isDeleting: false,
  segmentBytes: 400,
  indexIntervalBytes: 100,
  deleteRetentionMs: 1000,
};

/** A record; a null value deletes its key. */
export interface KeyedRecord {
  readonly key: string;
  readonly value: string | null;
  readonly timestamp?: number;
}

export interface FoundRecord extends KeyedRecord {
  readonly offset: number;
  readonly timestamp: number;
}

export interface KeyedOptions {
  readonly codec?: Codec;
  readonly producer?: Partial<BatchProducer>;
}

/** One batch of these records. */
export function keyed(records: readonly KeyedRecord[], options: KeyedOptions = {}): Buffer {
  const builder = new BatchBuilder({ codec: options.codec ?? "none", targetBytes: 1024 * 1024 });
  for (const { key, value, timestamp } of records) {
    builder.tryAppend(timestamp ?? 1000, key, value, [{ key: "h", value: Buffer.from(key) }]);
  }
  if (options.producer !== undefined) {
    builder.setProducer({
      producerId: 1 as ProducerId,
      producerEpoch: 0 as ProducerEpoch,
      baseSequence: 0,
      isTransactional: false,
      ...options.producer,
    });
  }
  return builder.build();
}

/** Appends one batch and answers its base offset once it is durable. */
export async function put(
  log: PartitionLog,
  records: readonly KeyedRecord[],
  options: KeyedOptions = {},
): Promise<number> {
  const leaderEpoch = 0 as LeaderEpoch;
  const result = accepted(log.append(keyed(records, options), { leaderEpoch, origin: "client" }));
  await result.done;
  return result.baseOffset;
}

/** Ends a producer's transaction. */
export async function end(
  log: PartitionLog,
  producerId: number,
  outcome: "commit" | "abort",
): Promise<number> {
  const batch = marker({ baseOffset: 0, producerId, outcome });
  const leaderEpoch = 0 as LeaderEpoch;
  const result = accepted(log.append(batch, { leaderEpoch, origin: "coordinator" }));
  await result.done;
  return result.baseOffset;
}

/** Closes the active segment by a large record of a key of its own, so that all before it can be compacted. */
export async function seal(
  log: PartitionLog,
  { count = 2, timestamp = 1000 }: { readonly count?: number; readonly timestamp?: number } = {},
): Promise<void> {
  for (let index = 0; index < count; index++)
    await put(log, [{ key: "filler", value: "x".repeat(300), timestamp }]);
}

/** What a call of `compact` varies. */
export interface CompactHow {
  readonly nowMs?: number;
  readonly firstDirtyOffset?: number | undefined;
  readonly endOffset?: number;
  readonly dedupeBytes?: number;
  readonly signal?: AbortSignal;
}

/** Compacts all that can be. */
export function compact(log: PartitionLog, how: CompactHow = {}): Promise<CompactReport | undefined> {
  return log.compact(
    {
      nowMs: how.nowMs ?? 2000,
      firstDirtyOffset: how.firstDirtyOffset as Offset | undefined,
      endOffset: (how.endOffset ?? Number.MAX_SAFE_INTEGER) as Offset,
    },
    {
      dedupeBytes: how.dedupeBytes ?? 1024 * 1024,
      hashKey: Buffer.alloc(16, 7),
      signal: how.signal ?? new AbortController().signal,
      pay: () => Promise.resolve(),
    },
  );
}

/** The batches of the log, from its start to its end. @throws Error on a refusal. */
export async function batchesOf(log: PartitionLog, maxBytes = 300): Promise<Buffer[]> {
  const found: Buffer[] = [];
  for (let from = log.logStartOffset; from < log.logEndOffset;) {
    const result = await log.read(from, maxBytes);
    if (!result.ok) throw new Error(`read refused: ${result.error} ${result.message}`);
    for (const chunk of result.chunks) {
      for (let at = 0; at < chunk.length; at += batchSizeOf(chunk, at))
        found.push(chunk.subarray(at, at + batchSizeOf(chunk, at)));
    }
    if (result.nextOffset <= from) throw new Error(`a read at ${from} found nothing`);
    from = result.nextOffset;
  }
  return found;
}

/** The records of the log, markers too. */
export async function recordsOf(log: PartitionLog, maxBytes = 300): Promise<FoundRecord[]> {
  const found: FoundRecord[] = [];
  for (const batch of await batchesOf(log, maxBytes)) {
    for (const { offset, key, value, timestamp } of decodeRecords(batch)) {
      found.push({ offset, key: String(key), value: value && String(value), timestamp });
    }
  }
  return found;
}

/** The same without what `seal` wrote, as `offset key=value`. */
export async function linesOf(log: PartitionLog): Promise<string[]> {
  const records = await recordsOf(log);
  return records
    .filter(({ key }) => key !== "filler")
    .map(({ offset, key, value }) => `${offset} ${key}=${value}`);
}

/** A log with compaction on a machine of its own. */
export async function opened(
  config: Partial<LogConfig> = {},
  machine: Parameters<typeof SimMachine.prototype.restartOn>[1] = {},
): Promise<{ readonly m: SimMachine; readonly log: PartitionLog }> {
  const m = new SimMachine({}, machine);
  await m.prepare();
  return { m, log: await m.open({ ...COMPACTED, ...config }) };
}

/** Closes the log, verifies its files, and opens it again. */
export async function reopened(
  m: SimMachine,
  log: PartitionLog,
  config: Partial<LogConfig> = {},
): Promise<PartitionLog> {
  await m.run(log.close());
  const report = await m.run(verifyPartition(m.disk, DIRECTORY));
  expect(report.findings).toEqual([]);
  m.restartOn(m.disk.crashKeepingAll());
  return m.open({ ...COMPACTED, ...config }, { exists: true, clean: true });
}

/** The files of the log. */
export async function namesIn(m: SimMachine): Promise<string[]> {
  return (await m.run(m.disk.list(DIRECTORY))).map(({ name }) => name);
}
