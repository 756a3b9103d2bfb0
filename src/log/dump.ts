import { operationError } from "../base/errors.ts";
import { codecOf } from "../model/compression.ts";
import type { LeaderEpoch, Offset, ProducerEpoch, ProducerId, Timestamp } from "../model/offsets.ts";
import {
  ATTRIBUTE_CODEC_MASK,
  attributesOf,
  baseOffsetOf,
  baseSequenceOf,
  crcOf,
  deleteHorizonMsOf,
  isControlBatch,
  isLogAppendTime,
  isTransactionalBatch,
  lastOffsetOf,
  lastSequenceOf,
  leaderEpochOf,
  magicOf,
  maxTimestampOf,
  producerEpochOf,
  producerIdOf,
  recordCountOf,
  verifyBatchCrc,
} from "../model/record-batch.ts";
import { readIfPresent } from "../platform/atomic-file.ts";
import type { Disk } from "../platform/disk.ts";
import { parseSegmentFileName } from "./file-names.ts";
import type { SegmentFileKind } from "./file-names.ts";
import { OffsetIndex } from "./offset-index.ts";
import type { OffsetPosition } from "./offset-index.ts";
import { parseProducerSnapshot } from "./producer-snapshot.ts";
import type { ProducerEntry } from "./producer-snapshot.ts";
import { BatchReader } from "./record-scan.ts";
import type { BatchCursor, ScanOptions, ScanVerdict } from "./record-scan.ts";
import { TimeIndex } from "./time-index.ts";
import type { TimestampOffset } from "./time-index.ts";
import { TransactionIndex } from "./transaction-index.ts";
import type { AbortedTransaction } from "./transaction-index.ts";

/** The header of a batch in a file, as Kafka's own segment dump shows it. */
export interface DumpedBatch {
  readonly position: number;
  readonly sizeBytes: number;
  readonly baseOffset: Offset;
  readonly lastOffset: Offset;
  readonly recordCount: number;
  readonly baseSequence: number;
  readonly lastSequence: number;
  readonly producerId: ProducerId;
  readonly producerEpoch: ProducerEpoch;
  readonly leaderEpoch: LeaderEpoch;
  readonly isTransactional: boolean;
  readonly isControl: boolean;
  readonly deleteHorizonMs: Timestamp | undefined;
  readonly timestampType: "CreateTime" | "LogAppendTime";
  readonly maxTimestamp: Timestamp;
  readonly magic: number;
  readonly codec: string;
  readonly crc: number;
  /** Whether the checksum fits the content. */
  readonly isValid: boolean;
}

/**
 * The batches of a `.log` file in order, those with a wrong checksum too. Returns how it ended: with a problem where no
 * batch could be made out. For reading a directory that no broker has open. @throws LograftError DISK_READ_FAILED.
 */
export async function* dumpBatches(
  disk: Disk,
  path: string,
  options: Pick<ScanOptions, "maxBatchBytes" | "signal"> & { readonly fromPosition?: number } = {},
): AsyncGenerator<DumpedBatch, ScanVerdict, undefined> {
  const { fromPosition = 0, ...scanOptions } = options;
  const file = await disk.open(path, "read");
  try {
    const end = await file.sizeBytes();
    const reader = new BatchReader(file, Math.min(fromPosition, end), end, {
      ...scanOptions,
      verifyCrc: false,
    });
    while (await reader.fill()) {
      while (reader.next()) yield readBatch(reader);
    }
    return reader.verdict();
  } finally {
    await file.close();
  }
}

/** One line of Kafka's segment dump. */
export function formatDumpedBatch(batch: DumpedBatch): string {
  const horizon = batch.deleteHorizonMs === undefined ? ".empty" : `[${batch.deleteHorizonMs}]`;
  return [
    `baseOffset: ${batch.baseOffset} lastOffset: ${batch.lastOffset} count: ${batch.recordCount}`,
    `baseSequence: ${batch.baseSequence} lastSequence: ${batch.lastSequence}`,
    `producerId: ${batch.producerId} producerEpoch: ${batch.producerEpoch}`,
    `partitionLeaderEpoch: ${batch.leaderEpoch}`,
    `isTransactional: ${batch.isTransactional} isControl: ${batch.isControl} deleteHorizonMs: OptionalLong${horizon}`,
    `position: ${batch.position} ${batch.timestampType}: ${batch.maxTimestamp} size: ${batch.sizeBytes}`,
    `magic: ${batch.magic} compresscodec: ${batch.codec} crc: ${batch.crc} isvalid: ${batch.isValid}`,
  ].join(" ");
}

/**
 * The entries of an `.index` file as they stand, sound or not; a part of an entry at the end is left out.
 * @throws LograftError DISK_READ_FAILED; INVALID_ARGUMENT when the name is not that of an offset index.
 */
export async function* dumpOffsetIndex(
  disk: Disk,
  path: string,
): AsyncGenerator<OffsetPosition, void, undefined> {
  const { baseOffset, content } = await readSegmentFile(disk, path, "index");
  const index = new OffsetIndex(baseOffset, content.length, wholeEntries(content, 8));
  for (let i = 0; i < index.entryCount; i++) yield index.entry(i);
}

/** As `dumpOffsetIndex`, of a `.timeindex` file. */
export async function* dumpTimeIndex(
  disk: Disk,
  path: string,
): AsyncGenerator<TimestampOffset, void, undefined> {
  const { baseOffset, content } = await readSegmentFile(disk, path, "timeindex");
  const index = new TimeIndex(baseOffset, content.length, wholeEntries(content, 12));
  for (let i = 0; i < index.entryCount; i++) yield index.entry(i);
}

/** As `dumpOffsetIndex`, of a `.txnindex` file: the aborted transactions. */
export async function* dumpTransactionIndex(
  disk: Disk,
  path: string,
): AsyncGenerator<AbortedTransaction, void, undefined> {
  const { content } = await readSegmentFile(disk, path, "txnindex");
  const index = new TransactionIndex(wholeEntries(content, 34));
  for (let i = 0; i < index.entryCount; i++) yield index.entry(i);
}

/**
 * The producers of a `.snapshot` file. @throws LograftError LOG_CORRUPT when its checksum is wrong; DISK_READ_FAILED;
 * INVALID_ARGUMENT when the name is not that of a snapshot.
 */
export async function dumpProducerSnapshot(disk: Disk, path: string): Promise<readonly ProducerEntry[]> {
  const { content } = await readSegmentFile(disk, path, "snapshot");
  const entries = parseProducerSnapshot(content);
  if (entries !== undefined) return entries;
  throw operationError("LOG_CORRUPT", `${path} is no producer snapshot: its size or checksum is wrong`, {
    context: { path },
  });
}

function readBatch({ buffer, at, size, position }: BatchCursor): DumpedBatch {
  const codecId = attributesOf(buffer, at) & ATTRIBUTE_CODEC_MASK;
  return {
    position,
    sizeBytes: size,
    baseOffset: baseOffsetOf(buffer, at),
    lastOffset: lastOffsetOf(buffer, at),
    recordCount: recordCountOf(buffer, at),
    baseSequence: baseSequenceOf(buffer, at),
    lastSequence: lastSequenceOf(buffer, at),
    producerId: producerIdOf(buffer, at),
    producerEpoch: producerEpochOf(buffer, at),
    leaderEpoch: leaderEpochOf(buffer, at),
    isTransactional: isTransactionalBatch(buffer, at),
    isControl: isControlBatch(buffer, at),
    deleteHorizonMs: deleteHorizonMsOf(buffer, at),
    timestampType: isLogAppendTime(buffer, at) ? "LogAppendTime" : "CreateTime",
    maxTimestamp: maxTimestampOf(buffer, at),
    magic: magicOf(buffer, at),
    codec: codecOf(codecId) ?? String(codecId),
    crc: crcOf(buffer, at),
    isValid: verifyBatchCrc(buffer, at),
  };
}

async function readSegmentFile(
  disk: Disk,
  path: string,
  kind: SegmentFileKind,
): Promise<{ readonly baseOffset: Offset; readonly content: Buffer }> {
  const name = parseSegmentFileName(path.slice(path.lastIndexOf("/") + 1));
  if (name?.kind !== kind) {
    throw operationError("INVALID_ARGUMENT", `${path} is not named like a .${kind} file`, {
      context: { path },
    });
  }
  const content = await readIfPresent(disk, path);
  if (content === undefined) {
    throw operationError("DISK_READ_FAILED", `${path} is not there`, { context: { path } });
  }
  return { baseOffset: name.baseOffset, content };
}

function wholeEntries(content: Buffer, entryBytes: number): Buffer {
  return content.subarray(0, content.length - (content.length % entryBytes));
}
